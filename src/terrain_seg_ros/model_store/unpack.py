"""Unpack an untrusted .zip or .tar.gz: within limits, and never outside its folder."""

from __future__ import annotations

import gzip
import lzma
import re
import secrets
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, NoReturn

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.bounded_file import BoundedFile, TooMuchError

CHUNK_BYTES = 2**20
FREE_OF_RATIO_BYTES = 64 * 2**20
"""What may be unpacked whatever the ratio; small texts and masks shrink a thousandfold."""
MAX_NAME_BYTES = 255
_DRIVE = re.compile(r"[A-Za-z]:")
_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    tarfile.TarError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
)
"""What the standard library raises of damaged, encrypted and exotic archives."""


@dataclass(frozen=True)
class UnpackLimits:
    """Bound what comes out: files and folders, bytes, and bytes per byte of the archive."""

    max_entries: int
    max_bytes: int
    max_ratio: float


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder that is renamed to `target` at the end, or removed on failure.

    Raises:
        ConfigError: the target exists.
    """
    if target.exists() or target.is_symlink():
        raise ConfigError(f"'{target}' exists already; remove it or choose another place")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    folder.mkdir()
    try:
        yield folder
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def unpack(archive: Path, folder: Path, *, limits: UnpackLimits) -> int:
    """Unpack an archive into an empty folder and return the number of files.

    Only files and folders come out, with fresh permissions; a link, a device, a name that leads
    elsewhere or comes twice ends it, and what is unpacked by then is left in the folder.

    Raises:
        ConfigError: the archive is of another kind, damaged, encrypted, beyond the limits, or
            holds what may not be unpacked.
    """
    budget = _Budget(archive, limits)
    try:
        if zipfile.is_zipfile(archive):
            return _unpack_zip(archive, folder, budget)
        with archive.open("rb") as file:
            if file.read(2) == b"\x1f\x8b":
                file.seek(0)
                return _unpack_tar(file, folder, budget)
    except TooMuchError as error:
        raise ConfigError(f"'{archive}' {error}; it is not an ordinary archive") from error
    except _ARCHIVE_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(
            f"'{archive}' cannot be unpacked ({reason}); the file is damaged, encrypted or of "
            "another kind: fetch it again"
        ) from error
    raise ConfigError(f"'{archive}' is neither a .zip nor a .tar.gz; check what was fetched")


class _Budget:
    def __init__(self, archive: Path, limits: UnpackLimits) -> None:
        self.archive = archive
        self.limits = limits
        self.entries = 0
        self.unpacked_bytes = 0
        by_ratio = int(limits.max_ratio * archive.stat().st_size)
        self.allowed_bytes = min(limits.max_bytes, max(FREE_OF_RATIO_BYTES, by_ratio))

    def add_entry(self) -> None:
        self.entries += 1
        if self.entries > self.limits.max_entries:
            raise TooMuchError(f"holds more than {self.limits.max_entries} entries")

    def add_bytes(self, count: int) -> None:
        self.check(self.unpacked_bytes + count)
        self.unpacked_bytes += count

    def check(self, total_bytes: int) -> None:
        if total_bytes > self.allowed_bytes:
            raise TooMuchError(
                f"unpacks to more than {self.allowed_bytes} bytes (limits: "
                f"{self.limits.max_bytes} bytes, {self.limits.max_ratio:g} times its size)"
            )


def _unpack_zip(path: Path, folder: Path, budget: _Budget) -> int:
    files = 0
    with zipfile.ZipFile(path) as archive:
        budget.check(sum(item.file_size for item in archive.infolist()))
        for item in archive.infolist():
            budget.add_entry()
            kind = stat.S_IFMT(item.external_attr >> 16)
            if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
                _refuse(budget, item.filename, "is a link or a device")
            target = _place(item.orig_filename, folder, budget)
            if target is None:
                continue
            if item.is_dir() or kind == stat.S_IFDIR:
                _make_folder(target, item.filename, budget)
                continue
            with archive.open(item) as source:
                _write(source, target, item.filename, budget)
            files += 1
    return files


def _unpack_tar(packed: IO[bytes], folder: Path, budget: _Budget) -> int:
    files = 0
    headers_bytes = 1024 * budget.limits.max_entries + CHUNK_BYTES
    with gzip.open(packed) as plain:
        bounded = BoundedFile(plain, limit_bytes=budget.allowed_bytes + headers_bytes)
        with tarfile.open(fileobj=bounded, mode="r:") as archive:
            for item in archive:
                budget.add_entry()
                if not (item.isdir() or (item.isfile() and not item.issparse())):
                    _refuse(budget, item.name, "is a link, a device or of another odd kind")
                target = _place(item.name, folder, budget)
                if target is None:
                    continue
                if item.isdir():
                    _make_folder(target, item.name, budget)
                    continue
                source = archive.extractfile(item)
                if source is None:
                    _refuse(budget, item.name, "cannot be read")
                with source:
                    _write(source, target, item.name, budget)
                files += 1
        # The checksum comes last, behind what a tar file ends with.
        while bounded.read(CHUNK_BYTES):
            pass
    return files


def _place(name: str, folder: Path, budget: _Budget) -> Path | None:
    """Return where an entry goes; None for the top folder itself."""
    if name.startswith("/") or "\\" in name or _DRIVE.match(name):
        _refuse(budget, name, "has an absolute path or a backslash")
    parts = PurePosixPath(name).parts
    if ".." in parts:
        _refuse(budget, name, "leads out of its folder")
    if any(not part.isprintable() or len(part.encode()) > MAX_NAME_BYTES for part in parts):
        _refuse(budget, name, "has an unprintable or overlong name")
    return folder.joinpath(*parts) if parts else None


def _make_folder(target: Path, name: str, budget: _Budget) -> None:
    try:
        target.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        _refuse(budget, name, "is both a file and a folder")


def _write(source: IO[bytes], target: Path, name: str, budget: _Budget) -> None:
    _make_folder(target.parent, name, budget)
    try:
        file = target.open("xb")
    except (FileExistsError, IsADirectoryError):
        _refuse(budget, name, "comes twice")
    with file:
        while block := source.read(CHUNK_BYTES):
            budget.add_bytes(len(block))
            file.write(block)


def _refuse(budget: _Budget, name: str, what: str) -> NoReturn:
    raise ConfigError(
        f"'{budget.archive}' holds {name[:80]!r}, which {what}; nothing of it is used: "
        "ask its publisher"
    )
