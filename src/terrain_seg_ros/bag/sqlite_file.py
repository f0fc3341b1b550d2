"""One sqlite3 file of a bag as a stream, with what a killed recorder left in its log."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import Reader, ReaderError

_LOGS = ("-wal", "-journal")


class SqliteFile:
    """Give connections and messages of a file.

    `foreign` says why topics are not ROS 2's, by topic; `notes` what was found on opening.
    """

    def __init__(self, path: Path, scratch: Callable[[], Path]) -> None:
        """Know the path only; `scratch` takes a copy where the file has a log beside it."""
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
            ReaderError: it is no bag, or damaged.
            OSError: it cannot be read or copied.
        """
        self._reader = Reader(self._whole())
        self._reader.open()
        for item in self._reader.connections:
            ext = item.ext
            form = ext.serialization_format if isinstance(ext, ConnectionExtRosbag2) else ""
            if form == "cdr":
                self.connections.append(item)
            else:
                self.foreign[item.topic] = f"encoded as {form!r}, not as cdr"
        self.message_count = self._reader.message_count
        if self.message_count:
            times = (self._reader.start_time, self._reader.end_time)
            start, end = (max(value, 0) if isinstance(value, int) else 0 for value in times)
            self.start_ns, self.end_ns = start, max(end - 1, start)

    def close(self) -> None:
        """Close the file; again does nothing."""
        reader, self._reader = self._reader, None
        if reader is not None and reader.is_open:
            reader.close()

    def messages(self, topics: Collection[int]) -> Iterator[tuple[int, Any, Any]]:
        """Yield topic, time and data as they are stored; a damaged row may hold anything.

        Raises:
            ReaderError: the file is damaged at this place.
        """
        if self._reader is None:
            raise ReaderError("the file is closed")
        chosen = [item for item in self._reader.connections if item.id in set(topics)]
        for connection, time_ns, data in self._reader.messages(chosen):
            yield connection.id, time_ns, data

    def _whole(self) -> Path:
        """Return the file, or a copy into which the log beside it was written."""
        logs = [self.path.with_name(self.path.name + end) for end in _LOGS]
        logs = [log for log in logs if log.is_file() and log.stat().st_size]
        if not logs:
            return self.path
        needed = sum(file.stat().st_size for file in (self.path, *logs)) * 2
        scratch = self._scratch()
        free = shutil.disk_usage(scratch).free
        if needed > free:
            raise ReaderError(
                f"{self.path.name} was not closed, and to read {logs[0].name} too takes {needed} "
                f"bytes in {scratch.parent}, where {free} are free; set TMPDIR, or run "
                "`sqlite3 FILE 'PRAGMA wal_checkpoint(TRUNCATE)'`"
            )
        copy = scratch / self.path.name
        for file in (self.path, *logs):
            shutil.copyfile(file, scratch / file.name)
        before = _count(f"{self.path.resolve().as_uri()}?immutable=1")
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


def _count(uri: str) -> int:
    """Return how many messages a file tells of, 0 where it cannot be read alone."""
    try:
        with closing(sqlite3.connect(uri, uri=True)) as database:
            (count,) = database.execute("SELECT count(*) FROM messages").fetchone()
            return int(count)
    except sqlite3.Error:
        return 0
