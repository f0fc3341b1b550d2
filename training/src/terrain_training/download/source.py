"""What may be downloaded: every form of address, and what it means."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import NoReturn
from urllib.parse import parse_qs, urlsplit

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.fetch_address import check_address
from terrain_training.download.known_sets import KNOWN_SETS, KnownSet

FORMS = (
    "kaggle:OWNER/NAME, gdrive:FILE_ID, an https address, or an archive on this machine; "
    f"known short names: {', '.join(sorted(KNOWN_SETS))}"
)
_KAGGLE_HOSTS = ("kaggle.com", "www.kaggle.com")
_GDRIVE_HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
_KAGGLE_NAME = re.compile(r"[A-Za-z0-9_-]+/[A-Za-z0-9_-]+(/[0-9]+)?")
_KAGGLE_PATH = re.compile(r"/datasets/([^/]+/[^/]+)(?:/versions/([0-9]+))?(?:/.*)?")
_GDRIVE_ID = re.compile(r"[A-Za-z0-9_-]{10,}")
_GDRIVE_PATH = re.compile(r"/file/(?:u/[0-9]+/)?d/([^/]+)(?:/.*)?")


class Kind(Enum):
    """Name the ways in which an archive is brought here."""

    KAGGLE = "kaggle"
    GDRIVE = "gdrive"
    WEB = "web"
    FILE = "file"


@dataclass(frozen=True)
class Source:
    """Where an archive is.

    `value` is OWNER/NAME or OWNER/NAME/VERSION of Kaggle, the file's id of Google Drive, a web
    address, or a path. `known` is the set whose short name was given.
    """

    kind: Kind
    value: str
    known: KnownSet | None = None

    @property
    def page(self) -> str:
        """Return what a person opens in a browser; the path itself of a file."""
        if self.kind is Kind.KAGGLE:
            owner, name, *version = self.value.split("/")
            suffix = f"/versions/{version[0]}" if version else ""
            return f"https://www.kaggle.com/datasets/{owner}/{name}{suffix}"
        if self.kind is Kind.GDRIVE:
            return f"https://drive.google.com/file/d/{self.value}/view"
        return self.value

    def by_hand(self, out: Path) -> str:
        """Return how to do it without this command's network access."""
        return (
            f"By hand: open {self.page} in a browser, download the archive (.zip or .tar.gz) to "
            f"any folder of this machine, then run: terrain-train download ARCHIVE --out '{out}'"
        )


def parse_source(text: str) -> Source:
    """Return what an address means.

    Raises:
        ConfigError: it has none of the forms; the message lists them.
    """
    known = KNOWN_SETS.get(text)
    if known is not None:
        return replace(parse_source(known.source), known=known)
    if text.startswith("kaggle:"):
        return _kaggle(text.removeprefix("kaggle:"), text)
    if text.startswith("gdrive:"):
        return _gdrive(text.removeprefix("gdrive:"), text)
    bare_host = text.partition("/")[0]
    if "/" in text and bare_host in _KAGGLE_HOSTS + _GDRIVE_HOSTS:
        return _web(f"https://{text}")
    if "://" in text:
        return _web(text)
    if Path(text).is_dir():
        _refuse(text, "is a folder, not an archive")
    if not Path(text).is_file():
        _refuse(text, "is neither a known data set nor a file on this machine")
    return Source(Kind.FILE, text)


def _web(url: str) -> Source:
    # Before anything prints it: it may carry a password.
    check_address(url, allow_http=True)
    parts = urlsplit(url)
    host = parts.hostname
    if host in _KAGGLE_HOSTS:
        match = _KAGGLE_PATH.fullmatch(parts.path.rstrip("/"))
        if match is None:
            _refuse(
                url, "is not the address of a data set, such as kaggle.com/datasets/OWNER/NAME,"
            )
        return _kaggle("/".join(part for part in match.groups() if part), url)
    if host in _GDRIVE_HOSTS:
        return _gdrive(_gdrive_id(parts.path, parts.query, url), url)
    return Source(Kind.WEB, url)


def _gdrive_id(path: str, query: str, url: str) -> str:
    if "/folders/" in path:
        _refuse(
            url,
            "is a folder of Google Drive; download it in a browser, which makes a .zip of it, and "
            "give that file here",
        )
    match = _GDRIVE_PATH.fullmatch(path)
    return match[1] if match is not None else parse_qs(query).get("id", [""])[0]


def _kaggle(name: str, text: str) -> Source:
    if not _KAGGLE_NAME.fullmatch(name):
        _refuse(text, "names no data set of Kaggle as OWNER/NAME")
    return Source(Kind.KAGGLE, name)


def _gdrive(file_id: str, text: str) -> Source:
    if not _GDRIVE_ID.fullmatch(file_id):
        _refuse(text, "names no file of Google Drive by its id")
    return Source(Kind.GDRIVE, file_id)


def _refuse(text: str, what: str) -> NoReturn:
    raise ConfigError(f"{text!r} {what}; expected {FORMS}")
