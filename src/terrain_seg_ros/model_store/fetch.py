"""Fetch one file over HTTPS: go on where it stopped, check its hash, explain what is in the way."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.parse import urlsplit

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.fetch_address import (
    check_address,
    make_opener,
    proxy_hint,
)
from terrain_seg_ros.model_store.fetch_note import Note, read_note, validator_of, write_note

CHUNK_BYTES = 2**20
TIMEOUT_S = 30.0
"""Of one network operation; the whole may take as long as it takes."""
WAITS_S = (1.0, 2.0, 4.0, 8.0)
"""Before each new attempt after a connection that broke; a megabyte gained starts them again."""

Progress = Callable[[int, "int | None"], None]
"""Takes the bytes there are, and how many there will be, None where the server does not say."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class FetchRules:
    """Say what may be fetched, and what a person does where it cannot be.

    `sha256` None takes what comes. `by_hand` ends the message: where to put the file. Plain http
    serves this machine only, unless `allow_http`.
    """

    max_bytes: int
    by_hand: str
    sha256: str | None = None
    allow_http: bool = False

    def __post_init__(self) -> None:
        """Check the hash's form."""
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise ConfigError(
                f"sha256 is {self.sha256!r}, expected 64 hexadecimal digits, as sha256sum prints"
            )


class _BrokenError(Exception):
    """The connection broke after the server had answered."""


class _UnreachableError(_BrokenError):
    """The server did not answer."""


class _StaleError(Exception):
    """What is here is no part of what the server has now."""


def fetch(url: str, target: Path, *, rules: FetchRules, progress: Progress | None = None) -> None:
    """Write what is at `url` to `target`; an interrupted fetch goes on where it stopped.

    Until it is whole and its hash is right, it is called TARGET.part, with TARGET.part.json beside
    it: where it comes from and which version it is, so that two are never mixed.

    Raises:
        ConfigError: the target exists, the address is refused or out of reach, the server refuses,
            the file is too large for the rules or the disk, or its hash is another.
    """
    check_address(url, allow_http=rules.allow_http)
    if target.exists():
        raise ConfigError(f"'{target}' exists already; remove it or choose another place")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with _open_locked(part) as file:
        download = _Download(url, file, part, rules, progress)
        download.run()
        try:
            check_sha256(part, rules.sha256, source=url)
        except ConfigError:
            download.forget()
            raise
        part.replace(target)
        download.note_path.unlink(missing_ok=True)


def check_sha256(path: Path, wanted: str | None, *, source: str) -> None:
    """Compare a file's hash with the one that is wanted; None takes any.

    Raises:
        ConfigError: it is another.
    """
    if wanted is None:
        return
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            digest.update(block)
    if digest.hexdigest() != wanted.lower():
        raise ConfigError(
            f"{source}: sha256 is {digest.hexdigest()}, expected {wanted.lower()}; the file is "
            "damaged, another version or not the publisher's: check both, then fetch it again"
        )


@contextmanager
def _open_locked(part: Path) -> Iterator[BinaryIO]:
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"'{part}' is being fetched by another process") from None
        try:
            yield file
        finally:
            if os.fstat(file.fileno()).st_size == 0:
                part.unlink(missing_ok=True)


class _Download:
    def __init__(
        self, url: str, file: BinaryIO, part: Path, rules: FetchRules, progress: Progress | None
    ) -> None:
        self.note_path = part.with_name(f"{part.name}.json")
        self._url = url
        self._file = file
        self._folder = part.parent
        self._rules = rules
        self._progress = progress
        self._opener = make_opener(url, allow_http=rules.allow_http)

    def run(self) -> None:
        """Get all of it, in as many attempts as it takes while they bring something."""
        failures, answered = 0, False
        while True:
            before = self._size()
            try:
                self._attempt()
            except _BrokenError as error:
                if isinstance(error, _UnreachableError) and not answered:
                    self._refuse_unreachable(error)
                reason = str(error)
            except _StaleError:
                self.forget()
                reason = "the file changes on the server"
            else:
                return
            answered = True
            failures = 0 if self._size() - before >= CHUNK_BYTES else failures + 1
            if failures > len(WAITS_S):
                raise ConfigError(
                    f"{self._url}: the connection broke {failures} times in a row ({reason}) with "
                    f"{self._size()} bytes here; the same command goes on there. "
                    f"{self._rules.by_hand}"
                )
            time.sleep(WAITS_S[max(0, failures - 1)])

    def forget(self) -> None:
        """Drop what is here."""
        self._file.truncate(0)
        self.note_path.unlink(missing_ok=True)

    def _attempt(self) -> None:
        note = read_note(self.note_path)
        if note is None or note.url != self._url or note.validator is None:
            self.forget()
            note = None
        have = self._size()
        if note is not None and have and note.size_bytes == have:
            return
        with self._open(note, have) as response:
            if response.status == http.client.PARTIAL_CONTENT:
                if note is None or not note.fits(response.headers, have):
                    raise _StaleError
            else:
                self._file.truncate(0)
                have = 0
            length = response.headers.get("Content-Length", "")
            total = have + int(length) if length.isdecimal() else None
            self._check_room(have, total)
            write_note(self.note_path, Note(self._url, validator_of(response.headers), total))
            self._copy(response, have, total)

    def _open(self, note: Note | None, have: int) -> http.client.HTTPResponse:
        headers = {"User-Agent": "terrain_seg_ros", "Accept-Encoding": "identity"}
        if note is not None and note.validator is not None and have:
            headers |= {"Range": f"bytes={have}-", "If-Range": note.validator}
        request = urllib.request.Request(self._url, headers=headers)  # noqa: S310  (checked)
        try:
            response: http.client.HTTPResponse = self._opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and have:
                    raise _StaleError from error
                raise ConfigError(
                    f"{self._url}: the server answers {error.code} {error.reason}; check the "
                    f"address in a browser. {self._rules.by_hand}"
                ) from error
        except (http.client.HTTPException, OSError) as error:
            raise _UnreachableError(_reason(error)) from error
        return response

    def _copy(self, response: http.client.HTTPResponse, have: int, total: int | None) -> None:
        while block := self._read(response):
            have += len(block)
            if have > self._rules.max_bytes:
                self.forget()
                self._refuse_size(have)
            self._file.write(block)
            if self._progress is not None:
                self._progress(have, total)
        self._file.flush()
        if total is not None and have < total:
            raise _BrokenError(f"it ended after {have} of {total} bytes")

    def _read(self, response: http.client.HTTPResponse) -> bytes:
        try:
            return response.read(CHUNK_BYTES)
        except (http.client.HTTPException, OSError) as error:
            self._file.flush()
            raise _BrokenError(_reason(error)) from error

    def _check_room(self, have: int, total: int | None) -> None:
        if total is None:
            return
        if total > self._rules.max_bytes:
            self._refuse_size(total)
        free = shutil.disk_usage(self._folder).free
        if total - have > free:
            raise ConfigError(
                f"{self._url}: {total - have} bytes are to come, but '{self._folder}' has {free} "
                "free; make room or choose another place"
            )

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _refuse_size(self, size: int) -> NoReturn:
        raise ConfigError(
            f"{self._url}: {size} bytes are more than the limit of {self._rules.max_bytes}; "
            "check that this is the right file"
        )

    def _refuse_unreachable(self, error: Exception) -> NoReturn:
        raise ConfigError(
            f"{self._url}: cannot be reached ({error}); tried a GET request to "
            f"{urlsplit(self._url).netloc}{proxy_hint(self._url)} with {TIMEOUT_S:g} s to answer. "
            f"Is this machine online? {self._rules.by_hand}"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.URLError):
        return str(error.reason)
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
