"""Fetch one file over HTTPS with pooch: resume a partial file, check its hash, explain failures."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NoReturn
from urllib.parse import urljoin, urlsplit

import pooch
import requests
from tqdm import tqdm

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.fetch_address import (
    check_address,
    check_redirect,
    is_loopback,
    proxy_hint,
)
from terrain_seg_ros.model_store.partial_file import Note, read_note, validator_of, write_note

READ_BYTES = 2**16
"""At a time; of a connection that breaks, less than this is lost."""
GAIN_BYTES = 2**20
"""An attempt that brought as much counts as progress."""
MAX_REDIRECTS = 20
TIMEOUT_S = 30.0
"""For one network operation; the whole download has no time limit."""
WAITS_S = (1.0, 2.0, 4.0, 8.0)
"""Before each retry of a broken connection; an attempt that made progress restarts them."""

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_NO_PROXY = {"http": "", "https": "", "all": ""}


@dataclass(frozen=True)
class FetchRules:
    """Limits of a fetch, and the remedy to name when it fails.

    `sha256` None accepts any content. `by_hand` ends error messages: how to place the file
    manually. Plain http is accepted from this machine only, unless `allow_http`.
    """

    max_bytes: int
    by_hand: str
    sha256: str | None = None
    allow_http: bool = False

    def __post_init__(self) -> None:
        """Check the form of the hash."""
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise ConfigError(
                f"sha256 is {self.sha256!r}, expected 64 hexadecimal digits, as sha256sum prints"
            )


class _BrokenError(Exception):
    """The connection broke after the server had answered."""


class _RedirectError(Exception):
    """The server names another address, which may be fetched."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target


class _StaleError(Exception):
    """The partial file does not belong to what the server has now."""


def fetch(url: str, target: Path, *, rules: FetchRules, progress: bool = False) -> None:
    """Download `url` to `target`; an interrupted download resumes where it stopped.

    Until the file is complete and its hash matches it is called TARGET.part, with a note of its
    address and version beside it in TARGET.part.json.

    Args:
        url: https address; http only as the rules allow.
        target: path of the new file.
        rules: limits, the expected hash and the remedy.
        progress: whether to draw a progress bar on stderr, where that is a terminal.

    Raises:
        ConfigError: the target exists, the address is refused or cannot be reached, the server
            refuses, the file is too large for the rules or the disk, or its hash differs.
    """
    check_address(url, allow_http=rules.allow_http)
    if target.exists():
        raise ConfigError(f"'{target}' exists already; remove it or choose another path")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with _open_locked(part) as file:
        download = _Download(url, file, part, rules, progress=progress)
        download.run()
        try:
            check_sha256(part, rules.sha256, source=url)
        except ConfigError:
            download.forget()
            raise
        part.replace(target)
        download.note_path.unlink(missing_ok=True)


def check_sha256(path: Path, wanted: str | None, *, source: str) -> None:
    """Compare the hash of a file with the expected one; None accepts any.

    Raises:
        ConfigError: they differ.
    """
    if wanted is None:
        return
    found = pooch.file_hash(str(path), alg="sha256")
    if found != wanted.lower():
        raise ConfigError(
            f"{source}: sha256 is {found}, expected {wanted.lower()}; the file is damaged, another "
            "version or not the publisher's: check both, then fetch it again"
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
    """The partial file of one address, as the file object that pooch's downloader writes to."""

    def __init__(
        self, url: str, file: BinaryIO, part: Path, rules: FetchRules, *, progress: bool
    ) -> None:
        self.note_path = part.with_name(f"{part.name}.json")
        self._url = url
        self._file = file
        self._folder = part.parent
        self._rules = rules
        self._answered = False
        self._note: Note | None = None
        hidden = None if progress else True
        self._bar = tqdm(unit="B", unit_scale=True, disable=hidden, desc=part.stem)

    def run(self) -> None:
        """Download everything, retrying while attempts make progress."""
        failures = 0
        with self._bar:
            while True:
                before = self._size()
                try:
                    self._attempt()
                except _BrokenError as error:
                    reason = str(error)
                except _StaleError:
                    self.forget()
                    reason = "the file changes on the server"
                else:
                    return
                failures = 0 if self._size() - before >= GAIN_BYTES else failures + 1
                if failures > len(WAITS_S):
                    self._refuse_broken(failures, reason)
                time.sleep(WAITS_S[max(0, failures - 1)])

    def forget(self) -> None:
        """Drop what has been downloaded."""
        self._file.truncate(0)
        self.note_path.unlink(missing_ok=True)

    def write(self, block: bytes) -> None:
        """Append a block that has arrived.

        Raises:
            ConfigError: the file grows beyond the limit.
        """
        size = self._size() + len(block)
        if size > self._rules.max_bytes:
            self.forget()
            self._refuse_size(size)
        self._file.write(block)
        self._bar.update(len(block))

    def flush(self) -> None:
        """Let the size of the file be what has been written."""
        self._file.flush()

    def _attempt(self) -> None:
        note, have = read_note(self.note_path), self._size()
        if note is None or note.url != self._url or note.validator is None:
            self.forget()
            note, have = None, 0
        if note is not None and have and note.size_bytes == have:
            return
        self._note = note
        headers = {"User-Agent": "terrain_seg_ros", "Accept-Encoding": "identity"}
        if note is not None and note.validator is not None and have:
            headers |= {"Range": f"bytes={have}-", "If-Range": note.validator}
        self._download(headers, have)
        size, total = self._size(), self._note.size_bytes if self._note else None
        if total is not None and size < total:
            raise _BrokenError(f"it ended after {size} of {total} bytes")

    def _download(self, headers: dict[str, str], have: int) -> None:
        """Request the file, following redirects one by one."""
        url = self._url
        for _ in range(MAX_REDIRECTS):
            target = self._request(url, headers, have)
            if target is None:
                return
            url = target
        raise ConfigError(
            f"{self._url}: redirects more than {MAX_REDIRECTS} times; check the address in a "
            f"browser. {self._rules.by_hand}"
        )

    def _request(self, url: str, headers: dict[str, str], have: int) -> str | None:
        """Request the file at one address; return where it redirects to, None if it does not."""
        try:
            self._downloader(url, headers)(url, self, None)
        except _RedirectError as redirect:
            return redirect.target
        except requests.RequestException as error:
            self._explain(error, have)
        return None

    def _downloader(self, url: str, headers: dict[str, str]) -> pooch.HTTPDownloader:
        on_this_machine = is_loopback(urlsplit(url).hostname or "")
        return pooch.HTTPDownloader(
            chunk_size=READ_BYTES,
            timeout=TIMEOUT_S,
            headers=headers,
            hooks={"response": self._on_answer},
            auth=lambda request: request,  # without it, requests sends passwords from ~/.netrc
            allow_redirects=False,  # requests would send those of the next address
            proxies=_NO_PROXY if on_this_machine else None,
        )

    def _on_answer(self, answer: requests.Response, **_: Any) -> None:
        """Check an answer before its content is read: redirect, version, size, free space."""
        if answer.is_redirect:
            target = urljoin(answer.url, requests.utils.requote_uri(answer.headers["Location"]))
            answer.close()
            check_redirect(answer.url, target, allow_http=self._rules.allow_http)
            raise _RedirectError(target)
        self._answered = True
        if not answer.ok:
            return
        # Some servers label a .tar.gz as encoded; what is published is stored as it is.
        answer.raw.headers.pop("Content-Encoding", None)
        if answer.status_code == requests.codes.partial_content:
            if self._note is None or not self._note.fits(answer.headers, self._size()):
                raise _StaleError
        else:
            self._file.truncate(0)
        have, length = self._size(), answer.headers.get("Content-Length", "")
        total = have + int(length) if length.isdecimal() else None
        self._check_room(have, total)
        self._note = Note(url=self._url, validator=validator_of(answer.headers), size_bytes=total)
        write_note(self.note_path, self._note)
        self._bar.reset(total)
        self._bar.update(have)

    def _explain(self, error: requests.RequestException, have: int) -> NoReturn:
        """Raise what a failure means: try again, start again, or give up."""
        answer = error.response
        if isinstance(error, requests.HTTPError) and answer is not None:
            if answer.status_code == requests.codes.requested_range_not_satisfiable and have:
                raise _StaleError from error
            raise ConfigError(
                f"{self._url}: the server answers {answer.status_code} {answer.reason}; check the "
                f"address in a browser. {self._rules.by_hand}"
            ) from error
        if self._answered:
            raise _BrokenError(_reason(error)) from error
        raise ConfigError(
            f"{self._url}: cannot be reached ({_reason(error)}); tried a GET request to "
            f"{urlsplit(self._url).netloc}{proxy_hint(self._url)} with a timeout of "
            f"{TIMEOUT_S:g} s. Is this machine online? {self._rules.by_hand}"
        ) from error

    def _check_room(self, have: int, total: int | None) -> None:
        if total is None:
            return
        if total > self._rules.max_bytes:
            self._refuse_size(total)
        free = shutil.disk_usage(self._folder).free
        if total - have > free:
            raise ConfigError(
                f"{self._url}: {total - have} bytes are still to be fetched, but '{self._folder}' "
                f"has {free} free; make room or choose another path"
            )

    def _size(self) -> int:
        return os.fstat(self._file.fileno()).st_size

    def _refuse_size(self, size: int) -> NoReturn:
        raise ConfigError(
            f"{self._url}: {size} bytes are more than the limit of {self._rules.max_bytes}; "
            "check that this is the right file"
        )

    def _refuse_broken(self, failures: int, reason: str) -> NoReturn:
        raise ConfigError(
            f"{self._url}: the connection broke {failures} times in a row ({reason}) after "
            f"{self._size()} bytes; run the same command again to resume. {self._rules.by_hand}"
        )


def _reason(error: BaseException) -> str:
    """Return the innermost cause, which names the operating system's or the protocol's reason."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
