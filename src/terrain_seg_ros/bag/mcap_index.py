"""What an MCAP file contains, learnt from its summary or, without one, from its records."""

from __future__ import annotations

import os
from collections import Counter
from typing import BinaryIO

from rosbags.rosbag2 import ReaderError

from terrain_seg_ros.bag import mcap_records as mcap

MAX_OPEN_BYTES = 2**30
"""Of the chunks whose times overlap: they are unpacked together."""


class McapIndex:
    """Schemas, channels, chunks and message counts of one file.

    `loose` lists messages outside chunks: time, offset, size and channel. `notes` says what a user
    should know about how the file was read.
    """

    def __init__(self, name: str) -> None:
        """Start empty; `name` is the file's in notes."""
        self.notes: list[str] = []
        self.start_ns = self.end_ns = self.message_count = 0
        self.channels: dict[int, mcap.Channel] = {}
        self.schemas: dict[int, mcap.Schema] = {}
        self.chunks: list[mcap.Chunk] = []
        self.loose: list[tuple[int, int, int, int]] = []
        self.counts: Counter[int] = Counter()
        self._name = name

    def read(self, file: BinaryIO) -> None:
        """Read the summary, or the whole file where it has none.

        Raises:
            ReaderError: it is not an MCAP file, or it is damaged.
            OSError: it cannot be read.
        """
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if file.read(len(mcap.MAGIC)) != mcap.MAGIC:
            raise ReaderError("File magic is invalid.")
        if not self._read_summary(file, size):
            self._scan(file, size)
        self._check_overlap()

    def _check_overlap(self) -> None:
        """Check how much chunks whose times overlap, which are open together, unpack to."""
        events = [(chunk.start_ns, 0, chunk.plain_bytes) for chunk in self.chunks]
        events += [(chunk.end_ns, 1, -chunk.plain_bytes) for chunk in self.chunks]
        total = 0
        for _, _, change in sorted(events):
            total += change
            if total > MAX_OPEN_BYTES:
                raise ReaderError(
                    f"chunks that overlap in time unpack to more than {MAX_OPEN_BYTES} bytes; "
                    "sort the bag with `mcap sort`"
                )

    def _read_summary(self, file: BinaryIO, size: int) -> bool:
        """Return whether the file ends with a summary that tells all."""
        footer_at = size - mcap.FOOTER_BYTES
        if footer_at < len(mcap.MAGIC):
            return False
        file.seek(footer_at)
        footer = file.read(mcap.FOOTER_BYTES)
        if not footer.endswith(mcap.MAGIC) or footer[0] != mcap.FOOTER:
            return False
        start = mcap.Cursor(footer[9:]).number("Q")
        if not len(mcap.MAGIC) <= start < footer_at:
            return False
        if not self._takes_statistics(self._read_index(file, start, footer_at)):
            self.chunks = []
            return False
        return True

    def _read_index(
        self, file: BinaryIO, start: int, end: int
    ) -> tuple[int, int, int, int, dict[int, int]] | None:
        """Learn schemas, channels and chunks from the summary; return its statistics."""
        statistics = None
        for record in mcap.records(file, start, end):
            if record.kind == mcap.STATISTICS:
                statistics = mcap.read_statistics(mcap.content(file, record))
            elif record.kind == mcap.CHUNK_INDEX:
                self.chunks.append(mcap.read_chunk_index(mcap.content(file, record)))
            else:
                self._learn(record.kind, mcap.content(file, record))
        return statistics

    def _takes_statistics(
        self, statistics: tuple[int, int, int, int, dict[int, int]] | None
    ) -> bool:
        """Return whether statistics and index agree, so that nothing need be scanned."""
        if statistics is None:
            return False
        messages, chunks, start_ns, end_ns, counts = statistics
        complete = chunks == len(self.chunks) and sum(counts.values()) == messages
        complete &= set(counts) <= set(self.channels) and (chunks > 0 or not messages)
        if complete:
            self.message_count, self.counts = messages, Counter(counts)
            self.start_ns, self.end_ns = (start_ns, end_ns) if messages else (0, 0)
        return complete

    def _scan(self, file: BinaryIO, size: int) -> None:
        """Learn everything from the data itself, as far as it goes."""
        file.seek(size - len(mcap.MAGIC) if size >= len(mcap.MAGIC) else 0)
        ended = size > 2 * len(mcap.MAGIC) and file.read(len(mcap.MAGIC)) == mcap.MAGIC
        times: list[int] = []
        try:
            for record in mcap.records(file, len(mcap.MAGIC), size):
                if record.kind in (mcap.DATA_END, mcap.FOOTER):
                    break
                times += self._scan_record(file, record)
        except ReaderError as error:
            if ended:
                raise
            self.notes.append(
                f"{self._name} is cut off, as of a recorder that was killed ({error}): what is "
                "complete was read"
            )
        else:
            if not ended:
                self.notes.append(f"{self._name} has no end: what is there was read")
        self.message_count = self.counts.total()
        if not self.message_count and not ended:
            raise ReaderError("the file is cut off before its first message")
        self.start_ns, self.end_ns = (min(times), max(times)) if times else (0, 0)
        self.loose.sort(key=lambda item: item[0])

    def _scan_record(self, file: BinaryIO, record: mcap.Record) -> list[int]:
        """Take in a record of the data section; return first and last time of its messages."""
        if record.kind == mcap.CHUNK:
            return self._scan_chunk(record, mcap.open_chunk(mcap.content(file, record)))
        if record.kind == mcap.MESSAGE:
            file.seek(record.offset)
            channel, _, time_ns, _ = mcap.MESSAGE_HEAD.unpack(file.read(mcap.MESSAGE_HEAD.size))
            self.loose.append((time_ns, record.offset, record.size, channel))
            self.counts[channel] += 1
            return [time_ns]
        if record.kind in (mcap.SCHEMA, mcap.CHANNEL):
            self._learn(record.kind, mcap.content(file, record))
        return []

    def _scan_chunk(self, record: mcap.Record, plain: bytes) -> list[int]:
        times, counts = [], Counter[int]()
        for kind, data in mcap.chunk_records(plain):
            if kind == mcap.MESSAGE:
                channel, _, time_ns, _ = mcap.MESSAGE_HEAD.unpack_from(data)
                times.append(time_ns)
                counts[channel] += 1
            else:
                self._learn(kind, data)
        if not times:
            return []
        first, last = min(times), max(times)
        self.counts += counts
        self.chunks.append(
            mcap.Chunk(first, last, record.offset, record.size, frozenset(counts), len(plain))
        )
        return [first, last]

    def _learn(self, kind: int, data: bytes) -> None:
        if kind == mcap.SCHEMA:
            number, schema = mcap.read_schema(data)
            self.schemas[number] = schema
        elif kind == mcap.CHANNEL:
            number, channel = mcap.read_channel(data)
            self.channels[number] = channel
