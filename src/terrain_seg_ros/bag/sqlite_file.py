"""One sqlite3 file of a bag as a stream, with what a killed recorder left in its log."""

from __future__ import annotations

import importlib
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Reader, ReaderError

from terrain_seg_ros.bag import bounded_unpack

_LOGS = ("-wal", "-journal")
_PLAIN = (
    "UPDATE topics SET offered_qos_profiles=''",
    "DELETE FROM message_definitions WHERE encoding NOT IN ('ros2msg', 'ros2idl')",
)
"""Removes what keeps a bag from being opened although its messages are sound."""


class SqliteFile:
    """Give connections and messages of a file.

    `foreign` says why topics are not ROS 2's, by topic; `notes` what was found on opening.
    """

    def __init__(self, path: Path, scratch: Callable[[], Path]) -> None:
        """Remember the path; `scratch` takes a copy where the file has a log beside it."""
        self.path = path
        self.connections: list[Connection] = []
        self.foreign: dict[str, str] = {}
        self.notes: list[str] = []
        self.start_ns = self.end_ns = self.message_count = 0
        self._scratch = scratch
        self._reader: Reader | None = None

    def open(self) -> None:
        """Read the index.

        Raises:
            ReaderError: it is not a bag, or damaged.
            OSError: it cannot be read or copied.
        """
        reader = self._opened()
        self._reader = reader
        for item in reader.connections:
            ext = item.ext
            form = ext.serialization_format if isinstance(ext, ConnectionExtRosbag2) else ""
            if form == "cdr":
                self.connections.append(item)
            else:
                self.foreign[item.topic] = f"encoded as {form!r}, not as cdr"
        self.message_count = reader.message_count
        if self.message_count:
            times = (reader.start_time, reader.end_time)
            start, end = (max(value, 0) if isinstance(value, int) else 0 for value in times)
            self.start_ns, self.end_ns = start, max(end - 1, start)

    def close(self) -> None:
        """Close the file; calling again does nothing."""
        reader, self._reader = self._reader, None
        if reader is not None and reader.is_open:
            reader.close()

    def messages(
        self, topics: Collection[int], *, since_ns: int = 0
    ) -> Iterator[tuple[int, Any, Any]]:
        """Yield topic, time and data as they are stored; a damaged row may hold anything.

        Raises:
            ReaderError: the file is damaged at this place.
        """
        if self._reader is None:
            raise ReaderError("the file is closed")
        chosen = [item for item in self._reader.connections if item.id in set(topics)]
        for connection, time_ns, data in self._reader.messages(chosen, since_ns or None):
            yield connection.id, time_ns, data

    def _opened(self) -> Reader:
        """Return an open reader of the file, or of a copy without what keeps it from opening."""
        path = self._whole()
        try:
            return _open(path)
        except (ReaderError, LookupError, TypeError, ValueError) as error:
            if _count(f"{path.resolve().as_uri()}?immutable=1") == 0:
                raise
            copy = self._copy([path]) if path == self.path else path
            with closing(sqlite3.connect(copy)) as database:
                for statement in _PLAIN:
                    with suppress(sqlite3.Error):
                        database.execute(statement)
                database.commit()
            reader = _open(copy)
            self.notes.append(
                f"{self.path.name}: quality of service or definitions cannot be read ({error}); "
                "the messages were read without"
            )
            return reader

    def _whole(self) -> Path:
        """Return the file, or a copy into which the log beside it was written."""
        path = self.path.resolve()
        logs = [path.with_name(path.name + end) for end in _LOGS]
        logs = [log for log in logs if log.is_file() and log.stat().st_size]
        if not logs:
            return self.path
        copy = self._copy([path, *logs])
        before = _count(f"{path.as_uri()}?immutable=1")
        try:
            with closing(sqlite3.connect(copy)) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
                database.execute("PRAGMA journal_mode=DELETE").fetchall()
        except sqlite3.Error as error:
            raise ReaderError(f"{logs[0].name} cannot be read: {error}") from error
        after = _count(copy.resolve().as_uri())
        self.notes.append(
            f"{self.path.name} was not closed by its recorder: {logs[0].name} was read too, "
            f"{after} messages instead of {before}"
        )
        return copy

    def _copy(self, files: list[Path]) -> Path:
        """Copy files into the scratch folder and return the first copy.

        Raises:
            ReaderError: there is no room.
        """
        scratch = self._scratch()
        needed = sum(file.stat().st_size for file in files) * 2
        free = shutil.disk_usage(scratch).free
        if needed > free:
            raise ReaderError(
                f"{self.path.name} was not closed or cannot be read as it is, and a copy of it "
                f"takes {needed} bytes in {scratch.parent}, where {free} are free; set TMPDIR, or "
                "run `sqlite3 FILE 'PRAGMA wal_checkpoint(TRUNCATE)'`"
            )
        for file in files:
            shutil.copyfile(file, scratch / file.name)
        return scratch / files[0].name


def _open(path: Path) -> Reader:
    reader = Reader(path)
    reader.open()
    _bound_rows(reader)
    return reader


def _bound_rows(reader: Reader) -> None:
    """Bound the values of the file: a column may be computed, and of any size."""
    apsw: Any = importlib.import_module("apsw")
    for storage in getattr(reader.storage, "storages", None) or [reader.storage]:
        connection = getattr(storage, "dbconn", None)
        if connection is None:
            raise ReaderError("its values cannot be bounded with this version of rosbags")
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, bounded_unpack.MAX_CHUNK_BYTES)


def _count(uri: str) -> int:
    """Return how many messages a file holds, 0 where it cannot be read alone."""
    try:
        with closing(sqlite3.connect(uri, uri=True)) as database:
            (count,) = database.execute("SELECT count(*) FROM messages").fetchone()
            return int(count)
    except sqlite3.Error:
        return 0
