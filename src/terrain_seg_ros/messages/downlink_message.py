"""Packets of the downlink as std_msgs/UInt8MultiArray, one packet per message."""

from __future__ import annotations

from typing import Any

import numpy as np

from terrain_seg_ros.core.downlink.packet import PACKET_LIMIT_BYTES, Packet, unpack
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages.message_types import Types, sequence_of

DOWNLINK_TYPE = "std_msgs/msg/UInt8MultiArray"


def encode_downlink(types: Types, data: bytes) -> Any:
    """Return the bytes of a packet as a std_msgs/UInt8MultiArray; its layout is empty."""
    layout = types("std_msgs/msg/MultiArrayLayout")(dim=[], data_offset=0)
    values = sequence_of(types, np.frombuffer(data, dtype=np.uint8))
    return types(DOWNLINK_TYPE)(layout=layout, data=values)


def decode_downlink(message: Any) -> Packet:
    """Return the packet in a std_msgs/UInt8MultiArray.

    Raises:
        MessageError: it holds none, or a damaged one.
    """
    data = message.data
    if len(data) > PACKET_LIMIT_BYTES:
        raise MessageError(
            f"downlink message has {len(data)} bytes, expected at most {PACKET_LIMIT_BYTES}"
        )
    return unpack(bytes(data))
