"""Fetch an archive, check it and unpack it into a folder that appears whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.fetch import FetchRules, check_sha256, fetch
from terrain_seg_ros.model_store.unpack import UnpackLimits, new_folder, unpack
from terrain_training.download.gdrive_to_archive import fetch_gdrive
from terrain_training.download.kaggle_to_archive import fetch_kaggle
from terrain_training.download.source import Kind, Source

MAX_ARCHIVE_BYTES = 200 * 10**9
LIMITS = UnpackLimits(max_entries=2_000_000, max_bytes=400 * 10**9, max_ratio=200.0)
"""Far beyond any set that this package trains on; pictures hardly shrink."""


@dataclass(frozen=True)
class DownloadRules:
    """How an archive is checked, and whether it is kept beside the folder."""

    sha256: str | None
    keep_archive: bool
    allow_http: bool

    def __post_init__(self) -> None:
        """Check that what comes over plain http is checked."""
        if self.allow_http and self.sha256 is None:
            raise ConfigError(
                "--allow-http wants --sha256: what comes over plain http can be changed on the way"
            )


@dataclass(frozen=True)
class Downloaded:
    """What was written; `archive` is its path, None if it was not kept."""

    folder: Path
    files: int
    size_bytes: int
    archive: Path | None


def download(
    source: Source, out: Path, *, rules: DownloadRules, progress: bool = False
) -> Downloaded:
    """Fetch and unpack a data set; the same call resumes an interrupted download.

    Until it succeeds everything is in a hidden folder beside `out`; an archive whose hash differs
    or that may not be unpacked is deleted.

    Raises:
        ConfigError: `out` is in use, or the archive cannot be fetched, checked or unpacked.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100  (resolve would follow a link at `out`)
    _check_out(out)
    try:
        if source.kind is Kind.FILE:
            archive = Path(source.value)
            FetchRules(max_bytes=MAX_ARCHIVE_BYTES, by_hand="", sha256=rules.sha256)
            check_sha256(archive, rules.sha256, source=source.value)
            return _unpack(archive, source, out, kept=archive)
        with _work_folder(source, out) as work:
            return _fetch_and_unpack(source, out, work, rules=rules, progress=progress)
    except OSError as error:
        raise ConfigError(
            f"'{out}' cannot be written ({error}); make room or choose another place, then run "
            "the same command again"
        ) from error


def _fetch_and_unpack(
    source: Source, out: Path, work: Path, *, rules: DownloadRules, progress: bool
) -> Downloaded:
    archive = work / "archive"
    fetch_rules = FetchRules(
        max_bytes=MAX_ARCHIVE_BYTES,
        by_hand=source.by_hand(out),
        sha256=rules.sha256,
        allow_http=rules.allow_http,
    )
    if not archive.exists():
        if source.kind is Kind.KAGGLE:
            fetch_kaggle(source, archive, by_hand=fetch_rules.by_hand)
        elif source.kind is Kind.GDRIVE:
            fetch_gdrive(source, archive, by_hand=fetch_rules.by_hand)
        else:
            fetch(source.value, archive, rules=fetch_rules, progress=progress)
    kept = _kept_path(archive, out) if rules.keep_archive else None
    try:
        check_sha256(archive, rules.sha256, source=source.page)
        done = _unpack(archive, source, out, kept=kept)
    except ConfigError:
        archive.unlink()
        raise
    if kept is None:
        archive.unlink()
    else:
        archive.rename(kept)
    return done


def _unpack(archive: Path, source: Source, out: Path, *, kept: Path | None) -> Downloaded:
    if out.is_dir():
        out.rmdir()
    with new_folder(out) as folder:
        try:
            files = unpack(archive, folder, limits=LIMITS)
        except ConfigError as error:
            message = str(error).replace(str(archive), source.page)
            raise ConfigError(message) from error
        if files == 0:
            raise ConfigError(f"'{source.page}' holds no file; check what was fetched")
        sizes = (path.stat().st_size for path in folder.rglob("*") if path.is_file())
        size_bytes = sum(sizes)
    return Downloaded(out, files, size_bytes, kept)


def _check_out(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise ConfigError(f"'{out}' exists and is not a folder; choose another place")
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError(
            f"'{out}' exists already and is not empty; remove it or choose another place"
        )


def _kept_path(archive: Path, out: Path) -> Path:
    suffix = ".zip" if zipfile.is_zipfile(archive) else ".tar.gz"
    kept = out.with_name(f"{out.name}{suffix}")
    if kept.exists():
        raise ConfigError(
            f"'{kept}' exists already, and --keep-archive would replace it; move it away, then "
            "run the same command again"
        )
    return kept


@contextmanager
def _work_folder(source: Source, out: Path) -> Iterator[Path]:
    """Give a hidden folder beside `out` for this source alone; it stays while it holds a part."""
    digest = hashlib.sha256(f"{source.kind.value}:{source.value}".encode()).hexdigest()[:12]
    work = out.with_name(f".{out.name}.{digest}.download")
    work.mkdir(parents=True, exist_ok=True)
    handle = os.open(work, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"'{out}' is being downloaded by another process") from None
        yield work
    finally:
        if not any(path.is_file() for path in work.rglob("*")):
            shutil.rmtree(work, ignore_errors=True)
        os.close(handle)
