"""Packets of the downlink: a versioned header, sections, and a checksum at the end.

All numbers are little-endian. Header: magic `TSDL`, version (uint8), 0 (uint8), length of the whole
packet (uint16), stream (uint32), sequence (uint32), stamp (int64, nanoseconds). Then the sections,
each a type (uint8), a length (uint16) and that many bytes. At the end the CRC-32 of all before it.
The checksum finds damage; it is no protection against forgery.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from terrain_seg_ros.core.errors import MessageError

PACKET_LIMIT_BYTES = 4096
MAGIC, VERSION = b"TSDL", 1
_HEADER = struct.Struct("<4sBBHIIq")
_SECTION = struct.Struct("<BH")
_CHECKSUM = struct.Struct("<I")
EMPTY_PACKET_BYTES = _HEADER.size + _CHECKSUM.size
SECTION_BYTES = _SECTION.size
"""What a section costs beside its content."""
_NEWER = "decode it with the version of terrain_seg_ros that sent it"


class Section(IntEnum):
    """What a section holds."""

    GRID = 1
    TILES = 2
    ROUND_END = 3
    SITES = 4
    HEALTH = 5
    THUMBNAIL = 6


@dataclass(frozen=True)
class Packet:
    """One packet.

    Attributes:
        stream: changes when the sender starts anew.
        sequence: 0, 1, 2 ... within a stream.
        stamp_ns: time of the vehicle's clock at which it was made.
        sections: type and content; types that are not known are ignored.
    """

    stream: int
    sequence: int
    stamp_ns: int
    sections: tuple[tuple[int, bytes], ...]


def pack(packet: Packet) -> bytes:
    """Return the bytes of a packet.

    Raises:
        MessageError: it is longer than `PACKET_LIMIT_BYTES`.
    """
    body = b"".join(_SECTION.pack(kind, len(data)) + data for kind, data in packet.sections)
    length = EMPTY_PACKET_BYTES + len(body)
    if length > PACKET_LIMIT_BYTES:
        raise MessageError(
            f"downlink packet has {length} bytes, expected at most {PACKET_LIMIT_BYTES}"
        )
    header = _HEADER.pack(
        MAGIC, VERSION, 0, length, packet.stream, packet.sequence, packet.stamp_ns
    )
    return header + body + _CHECKSUM.pack(zlib.crc32(header + body))


def unpack(data: bytes) -> Packet:
    """Return the packet in bytes that hold exactly one.

    Raises:
        MessageError: they hold none, a damaged one, or one of another version.
    """
    length = _checked_length(data)
    if length != len(data):
        raise MessageError(
            f"downlink packet says that it has {length} bytes, but has {len(data)}; it was cut or "
            "joined with another"
        )
    if zlib.crc32(data[: -_CHECKSUM.size]) != _CHECKSUM.unpack(data[-_CHECKSUM.size :])[0]:
        raise MessageError("downlink packet has a wrong checksum; it was damaged on the way")
    _, _, _, _, stream, sequence, stamp_ns = _HEADER.unpack_from(data)
    return Packet(stream, sequence, stamp_ns, tuple(_sections(data)))


def find_packets(data: bytes) -> Iterator[Packet | MessageError]:
    """Yield the packets in bytes that may hold anything between them, and why others are lost.

    Bytes that do not begin like a packet are passed over.
    """
    place = data.find(MAGIC)
    while place >= 0:
        step = 1
        try:
            length = _checked_length(data[place : place + PACKET_LIMIT_BYTES])
            yield unpack(data[place : place + length])
            step = length
        except MessageError as error:
            yield error
        place = data.find(MAGIC, place + step)


def _checked_length(data: bytes) -> int:
    """Return the length that a header gives, after checking the header."""
    if len(data) < EMPTY_PACKET_BYTES or not data.startswith(MAGIC):
        raise MessageError(
            f"{len(data)} bytes are not a downlink packet, which begins with {MAGIC!r}"
        )
    _, version, _, length, *_ = _HEADER.unpack_from(data)
    if version != VERSION:
        raise MessageError(f"downlink packet has version {version}, expected {VERSION}; {_NEWER}")
    if not EMPTY_PACKET_BYTES <= length <= PACKET_LIMIT_BYTES:
        raise MessageError(
            f"downlink packet says that it has {length} bytes, expected {EMPTY_PACKET_BYTES} to "
            f"{PACKET_LIMIT_BYTES}; it was damaged on the way"
        )
    return int(length)


def _sections(data: bytes) -> Iterator[tuple[int, bytes]]:
    place, end = _HEADER.size, len(data) - _CHECKSUM.size
    while place < end:
        if place + SECTION_BYTES > end:
            raise MessageError(f"downlink packet has {end - place} bytes behind its last section")
        kind, length = _SECTION.unpack_from(data, place)
        place += SECTION_BYTES
        if place + length > end:
            raise MessageError(f"a section of {length} bytes exceeds its downlink packet")
        yield kind, data[place : place + length]
        place += length


def inflate(data: bytes, limit_bytes: int) -> bytes:
    """Return what zlib has packed, of at most so many bytes; no more than these are unpacked.

    Raises:
        MessageError: it is damaged, or longer.
    """
    unpacker = zlib.decompressobj()
    try:
        result = unpacker.decompress(data, limit_bytes + 1)
    except zlib.error as error:
        raise MessageError(f"a section of a downlink packet cannot be unpacked: {error}") from error
    if len(result) > limit_bytes or not unpacker.eof or unpacker.unused_data:
        raise MessageError(
            f"a section of a downlink packet is longer than its {limit_bytes} bytes, or is cut"
        )
    return result
