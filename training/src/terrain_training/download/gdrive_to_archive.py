"""Download a file of Google Drive with the package gdown."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.download.source import Source
from terrain_training.extra import install_extra

INSTALL = install_extra("gdrive", package="gdown>=5.2,<7")


def fetch_gdrive(source: Source, archive: Path, *, by_hand: str) -> None:
    """Write a file to `archive`; an interrupted download resumes where it stopped.

    Raises:
        ConfigError: gdown is missing, the file is not shared, or Google is out of reach.
    """
    try:
        import gdown  # noqa: PLC0415
        from gdown.exceptions import FileURLRetrievalError  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            f"the gdown package is not installed or broken ({error}): {INSTALL}. {by_hand}"
        ) from error
    failures = (OSError, ValueError, RuntimeError, getattr(gdown, "DownloadError", OSError))
    try:
        with contextlib.redirect_stdout(sys.stderr):
            written = gdown.download(
                id=source.value,
                output=str(archive),
                quiet=not sys.stderr.isatty(),
                resume=True,
            )
    except FileURLRetrievalError as error:
        raise ConfigError(
            f"{source.page}: Google Drive does not give it out ({_reason(error)}). Its owner must "
            "share it with 'anyone with the link'; a file that was fetched too often today works "
            f"again tomorrow. {by_hand}"
        ) from error
    except failures as error:
        raise ConfigError(
            f"{source.page}: cannot be downloaded ({_reason(error)}). Is this machine online? The "
            f"same command resumes where it stopped. {by_hand}"
        ) from error
    if written is None or not archive.is_file():
        raise ConfigError(f"{source.page}: gdown wrote nothing. {by_hand}")


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
