"""The packets of a downlink: recorded in a bag, or one after the other in a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from terrain_seg_ros.bag.bag_files import PACKED, SUFFIXES
from terrain_seg_ros.bag.reader import BagMessage, BagReader
from terrain_seg_ros.core.downlink.packet import MAGIC, Packet, find_packets
from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_seg_ros.messages.cdr import deserialize
from terrain_seg_ros.messages.downlink_message import decode_downlink
from terrain_seg_ros.messages.topics import topic

FILE_LIMIT_BYTES = 64 * 2**20


def read_packets(source: Path, name: str = "") -> Iterator[Packet | MessageError]:
    """Yield the packets in a bag or a file, and what is wrong with those that are damaged.

    Args:
        source: a bag, or a file of packets as a radio delivers them, with anything in between.
        name: the topic in a bag; empty takes the only one that is called `downlink`.

    Raises:
        ConfigError: there is neither, or the bag has no such topic, or several.
        MessageError: the bag is damaged.
    """
    if source.is_dir() or source.name.removesuffix(PACKED).endswith(SUFFIXES):
        yield from _recorded(source, name)
        return
    if name:
        raise ConfigError(f"--topic is {name!r}, but '{source}' is not a bag; leave it out")
    data = read_regular_file(source, FILE_LIMIT_BYTES)
    if MAGIC not in data:
        raise ConfigError(
            f"'{source}' is neither a bag nor a file of downlink packets, which begin with "
            f"{MAGIC.decode()}; check the path"
        )
    yield from find_packets(data)


def _recorded(source: Path, name: str) -> Iterator[Packet | MessageError]:
    spec = topic("downlink")
    with BagReader(source) as reader:
        found = [
            item
            for item in reader.connections
            if item.msgtype == spec.type
            and (item.topic == name if name else item.topic.rpartition("/")[2] == spec.name)
        ]
        if len(found) != 1:
            there = ", ".join(sorted(item.topic for item in found)) or "none"
            raise ConfigError(
                f"bag '{source}' must have one downlink topic ({spec.type}), found: {there}; name "
                "it with --topic, or set downlink.budget_bytes_per_min where it is recorded"
            )
        for item in reader.messages(found):
            yield _packet(item)


def _packet(item: BagMessage) -> Packet | MessageError:
    if item.defect:
        return MessageError(item.defect)
    try:
        return decode_downlink(deserialize(item.data, item.connection.msgtype))
    except MessageError as error:
        return error
