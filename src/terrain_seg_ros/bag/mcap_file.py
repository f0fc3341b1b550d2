"""One MCAP file as a stream: also without an index, cut off, or with channels that are not ROS's.

rosbags opens none of these; everything else about bags is left to it.
"""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinition,
    MessageDefinitionFormat,
    Qos,
)
from rosbags.rosbag2 import ReaderError
from rosbags.rosbag2.metadata import parse_qos

from terrain_seg_ros.bag import mcap_records as mcap

_DEFINITIONS = {
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
    "omgidl": MessageDefinitionFormat.IDL,
    "unknown": MessageDefinitionFormat.NONE,
    "": MessageDefinitionFormat.NONE,
}
"""What rosbag2 writes where a recorder did not find a definition is "unknown"."""
MAX_OPEN_BYTES = 2**30
"""Of the chunks whose times overlap: they are unpacked together."""
Found = tuple[int, int, int, bytes | None]
"""Time, order, channel and data; no data says only that a chunk begins."""


class McapFile:
    """Give connections and messages of a file.

    `foreign` says why channels are not ROS 2 topics, by topic; `notes` what was found on opening.
    """

    def __init__(self, path: Path) -> None:
        """Remember the path; nothing is read yet."""
        self.path = path
        self.connections: list[Connection] = []
        self.foreign: dict[str, str] = {}
        self.notes: list[str] = []
        self.start_ns = self.end_ns = self.message_count = 0
        self._file: BinaryIO | None = None
        self._schemas: dict[int, mcap.Schema] = {}
        self._channels: dict[int, mcap.Channel] = {}
        self._chunks: list[mcap.Chunk] = []
        self._loose: list[tuple[int, int, int, int]] = []
        self._counts: Counter[int] = Counter()

    def open(self) -> None:
        """Read the summary, or the whole file where it has none.

        Raises:
            ReaderError: it is not an MCAP file, or damaged.
            OSError: it cannot be read.
        """
        self._file = file = self.path.open("rb")
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if file.read(len(mcap.MAGIC)) != mcap.MAGIC:
            raise ReaderError("File magic is invalid.")
        if not self._read_summary(file, size):
            self._scan(file, size)
        self._check_overlap()
        self.connections = list(self._found_connections())

    def close(self) -> None:
        """Close the file; calling again does nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def messages(self, channels: Collection[int]) -> Iterator[tuple[int, int, bytes]]:
        """Yield channel, time and data in the order of time.

        Raises:
            ReaderError: the file is damaged at this place.
        """
        wanted = frozenset(channels)
        sources = [
            self._chunk_messages(chunk, number, wanted)
            for number, chunk in enumerate(self._chunks)
            if chunk.channels is None or chunk.channels & wanted
        ]
        for time_ns, _, channel, data in heapq.merge(*sources, self._loose_messages(wanted)):
            if data is not None:
                yield channel, time_ns, data

    def _check_overlap(self) -> None:
        """Check how much chunks whose times overlap, which are open together, unpack to."""
        events = [(chunk.start_ns, 0, chunk.plain_bytes) for chunk in self._chunks]
        events += [(chunk.end_ns, 1, -chunk.plain_bytes) for chunk in self._chunks]
        total = 0
        for _, _, change in sorted(events):
            total += change
            if total > MAX_OPEN_BYTES:
                raise ReaderError(
                    f"chunks that overlap in time unpack to more than {MAX_OPEN_BYTES} bytes; "
                    "sort the bag with `mcap sort`"
                )

    def _chunk_messages(
        self, chunk: mcap.Chunk, number: int, wanted: frozenset[int]
    ) -> Iterator[Found]:
        yield chunk.start_ns, number, -1, None
        plain = mcap.open_chunk(self._content(mcap.Record(mcap.CHUNK, chunk.offset, chunk.size)))
        found: list[Found] = []
        for kind, data in mcap.chunk_records(plain):
            if kind == mcap.MESSAGE:
                channel, _, time_ns, _ = mcap.MESSAGE_HEAD.unpack_from(data)
                if channel in wanted:
                    found.append((time_ns, number, channel, data[mcap.MESSAGE_HEAD.size :]))
        found.sort(key=lambda item: item[0])
        yield from found

    def _loose_messages(self, wanted: frozenset[int]) -> Iterator[Found]:
        number = len(self._chunks)
        for time_ns, offset, size, channel in self._loose:
            if channel in wanted:
                data = self._content(mcap.Record(mcap.MESSAGE, offset, size))
                yield time_ns, number, channel, data[mcap.MESSAGE_HEAD.size :]

    def _content(self, record: mcap.Record) -> bytes:
        if self._file is None:
            raise ReaderError("the file is closed")
        return mcap.content(self._file, record)

    def _read_summary(self, file: BinaryIO, size: int) -> bool:
        """Return whether the file ends with a complete summary."""
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
            self._chunks = []
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
                self._chunks.append(mcap.read_chunk_index(mcap.content(file, record)))
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
        complete = chunks == len(self._chunks) and sum(counts.values()) == messages
        complete &= set(counts) <= set(self._channels) and (chunks > 0 or not messages)
        if complete:
            self.message_count, self._counts = messages, Counter(counts)
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
                f"{self.path.name} is cut off, as of a recorder that was killed ({error}): what is "
                "complete was read"
            )
        else:
            if not ended:
                self.notes.append(f"{self.path.name} has no end: what is there was read")
        self.message_count = self._counts.total()
        if not self.message_count and not ended:
            raise ReaderError("the file is cut off before its first message")
        self.start_ns, self.end_ns = (min(times), max(times)) if times else (0, 0)
        self._loose.sort(key=lambda item: item[0])

    def _scan_record(self, file: BinaryIO, record: mcap.Record) -> list[int]:
        """Take in a record of the data section; return first and last time of its messages."""
        if record.kind == mcap.CHUNK:
            return self._scan_chunk(record, mcap.open_chunk(mcap.content(file, record)))
        if record.kind == mcap.MESSAGE:
            file.seek(record.offset)
            channel, _, time_ns, _ = mcap.MESSAGE_HEAD.unpack(file.read(mcap.MESSAGE_HEAD.size))
            self._loose.append((time_ns, record.offset, record.size, channel))
            self._counts[channel] += 1
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
        self._counts += counts
        self._chunks.append(
            mcap.Chunk(first, last, record.offset, record.size, frozenset(counts), len(plain))
        )
        return [first, last]

    def _learn(self, kind: int, data: bytes) -> None:
        if kind == mcap.SCHEMA:
            number, schema = mcap.read_schema(data)
            self._schemas[number] = schema
        elif kind == mcap.CHANNEL:
            number, channel = mcap.read_channel(data)
            self._channels[number] = channel

    def _found_connections(self) -> Iterator[Connection]:
        for number, channel in self._channels.items():
            schema = self._schemas.get(channel.schema)
            if channel.encoding != "cdr":
                self.foreign[channel.topic] = f"encoded as {channel.encoding!r}, not as cdr"
            elif schema is None:
                self.foreign[channel.topic] = "of no message type"
            elif schema.encoding not in _DEFINITIONS:
                self.foreign[channel.topic] = f"defined by {schema.encoding!r}, not by ROS 2"
            else:
                form = _DEFINITIONS[schema.encoding]
                text = "" if form is MessageDefinitionFormat.NONE else schema.text
                yield Connection(
                    number,
                    channel.topic,
                    _full_name(schema.name),
                    MessageDefinition(form, text),
                    "",
                    self._counts[number],
                    ConnectionExtRosbag2("cdr", self._quality(channel)),
                    self,
                )

    def _quality(self, channel: mcap.Channel) -> list[Qos]:
        try:
            return parse_qos(channel.metadata.get("offered_qos_profiles", ""))
        except (ReaderError, TypeError, KeyError, ValueError):
            self.notes.append(f"quality of service of {channel.topic} cannot be read")
            return []


def _full_name(name: str) -> str:
    """Return the name of a message type with its middle part, which some writers leave out."""
    package, _, kind = name.partition("/")
    return f"{package}/msg/{kind}" if kind and "/" not in kind else name
