"""One MCAP file as a stream, even without an index, cut off, or with channels of other systems.

rosbags opens none of these; everything else about bags is left to it.
"""

from __future__ import annotations

import heapq
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
from terrain_seg_ros.bag.mcap_index import McapIndex

_DEFINITIONS = {
    "ros2msg": MessageDefinitionFormat.MSG,
    "ros2idl": MessageDefinitionFormat.IDL,
    "omgidl": MessageDefinitionFormat.IDL,
    "unknown": MessageDefinitionFormat.NONE,
    "": MessageDefinitionFormat.NONE,
}
"""What rosbag2 writes where a recorder did not find a definition is "unknown"."""
Found = tuple[int, int, int, bytes | None]
"""Time, order, channel and data; no data says only that a chunk begins."""


class McapFile:
    """Connections and messages of a file.

    `foreign` says, by topic, why a channel is not a ROS 2 topic.
    """

    def __init__(self, path: Path) -> None:
        """Keep the path; nothing is opened yet."""
        self.path = path
        self.connections: list[Connection] = []
        self.foreign: dict[str, str] = {}
        self._file: BinaryIO | None = None
        self._index = McapIndex(path.name)

    @property
    def notes(self) -> list[str]:
        """Return what a user should know about how the file was read."""
        return self._index.notes

    @property
    def start_ns(self) -> int:
        """Return the time of the first message, 0 if there is none."""
        return self._index.start_ns

    @property
    def end_ns(self) -> int:
        """Return the time of the last message, 0 if there is none."""
        return self._index.end_ns

    @property
    def message_count(self) -> int:
        """Return the number of messages."""
        return self._index.message_count

    def open(self) -> None:
        """Read the summary, or the whole file where it has none.

        Raises:
            ReaderError: it is not an MCAP file, or it is damaged.
            OSError: it cannot be read.
        """
        self._file = self.path.open("rb")
        self._index.read(self._file)
        self.connections = list(self._found_connections())

    def close(self) -> None:
        """Close the file; calling again does nothing."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def messages(
        self, channels: Collection[int], *, since_ns: int = 0
    ) -> Iterator[tuple[int, int, bytes]]:
        """Yield channel, time and data in the order of time, from a time on.

        Raises:
            ReaderError: the file is damaged at this place.
        """
        wanted = frozenset(channels)
        sources = [
            self._chunk_messages(chunk, number, wanted)
            for number, chunk in enumerate(self._index.chunks)
            if chunk.end_ns >= since_ns and (chunk.channels is None or chunk.channels & wanted)
        ]
        for time_ns, _, channel, data in heapq.merge(*sources, self._loose_messages(wanted)):
            if data is not None and time_ns >= since_ns:
                yield channel, time_ns, data

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
        number = len(self._index.chunks)
        for time_ns, offset, size, channel in self._index.loose:
            if channel in wanted:
                data = self._content(mcap.Record(mcap.MESSAGE, offset, size))
                yield time_ns, number, channel, data[mcap.MESSAGE_HEAD.size :]

    def _content(self, record: mcap.Record) -> bytes:
        if self._file is None:
            raise ReaderError("the file is closed")
        return mcap.content(self._file, record)

    def _found_connections(self) -> Iterator[Connection]:
        for number, channel in self._index.channels.items():
            schema = self._index.schemas.get(channel.schema)
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
                    self._index.counts[number],
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
