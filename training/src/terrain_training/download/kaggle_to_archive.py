"""Download a data set with Kaggle's own package."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.download.source import Source
from terrain_training.extra import install_extra

INSTALL = install_extra("kaggle", package="kaggle>=1.7.4,<3' 'six>=1.16,<2")
CREDENTIALS = (
    "Sign in at kaggle.com, make an API token in the settings of your account, and put it where "
    "the package looks: KAGGLE_USERNAME and KAGGLE_KEY, KAGGLE_API_TOKEN, or "
    "~/.kaggle/kaggle.json (chmod 600)"
)
_ADVICE = {
    401: f"Kaggle does not take the credentials. {CREDENTIALS}",
    403: "Kaggle refuses it to this account: open its page signed in, check that it exists, accept "
    "its licence or rules there, then run the same command again",
    404: "Kaggle has no such data set, or it is private: check OWNER/NAME",
    429: "Kaggle was asked too often: wait some minutes, then run the same command again",
}
_FAILURES = (OSError, ValueError, RuntimeError, KeyError, AttributeError)
"""What the package raises: of the network (requests' errors are OSErrors), and of answers that it
does not understand."""


def fetch_kaggle(source: Source, archive: Path, *, by_hand: str) -> None:
    """Write a data set's .zip to `archive`.

    What is here of an interrupted download stays in a folder beside it, where the package finds it
    and goes on; the .zip's own checksums tell if the set has changed since.

    Raises:
        ConfigError: the package or credentials are missing, Kaggle refuses, or it is out of reach.
    """
    api = _authenticated(by_hand)
    # It comes with the package, and lets errors of this one through.
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    folder = archive.with_name("kaggle")
    folder.mkdir(exist_ok=True)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            api.dataset_download_files(
                source.value, path=str(folder), quiet=not sys.stderr.isatty(), unzip=False
            )
    except (*_FAILURES, HTTPError, SystemExit) as error:
        raise ConfigError(
            f"{source.page}: cannot be downloaded ({_reason(error)}). {advice(_status(error))}. "
            f"{by_hand}"
        ) from error
    written = folder / f"{source.value.split('/')[1]}.zip"
    if not written.is_file():
        raise ConfigError(f"{source.page}: the kaggle package wrote no '{written.name}'. {by_hand}")
    written.replace(archive)


def advice(status: int | None) -> str:
    """Return what to do about an answer of Kaggle; None is none at all."""
    if status is None:
        return "Is this machine online? The same command resumes where it stopped"
    return _ADVICE.get(status, f"Kaggle answers {status}: try again later")


def _authenticated(by_hand: str) -> Any:
    said = io.StringIO()
    try:
        # The import alone signs in, prints its help and, in older versions, ends the process.
        with contextlib.redirect_stdout(said):
            from kaggle.api.kaggle_api_extended import KaggleApi  # noqa: PLC0415

            api = KaggleApi()
            api.authenticate()
    except ImportError as error:
        raise ConfigError(
            f"the kaggle package is not installed or broken ({error}): {INSTALL}. {by_hand}"
        ) from error
    except (*_FAILURES, SystemExit) as error:
        raise ConfigError(
            f"Kaggle wants credentials and found none that work ({_reason(error)}). "
            f"{CREDENTIALS}. {by_hand}"
        ) from error
    return api


def _status(error: BaseException) -> int | None:
    status = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def _reason(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return "the kaggle package gave up"
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
