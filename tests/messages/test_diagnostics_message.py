import pytest

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.diagnostics_message import (
    Level,
    Status,
    decode_diagnostics,
    encode_diagnostics,
)
from terrain_seg_ros.messages.header_message import stamp_ns

ARRAY = "diagnostic_msgs/msg/DiagnosticArray"
STATUSES = [
    Status("terrain: input", Level.OK, "30 Hz", {"in": "30", "dropped": "0"}, "front"),
    *(Status(f"part {level}", level, "") for level in Level),
]


def test_round_trip(types, round_trip):
    message = round_trip(encode_diagnostics(types, STATUSES, 12_345_678_901), ARRAY)
    assert decode_diagnostics(message) == STATUSES
    assert stamp_ns(message.header) == 12_345_678_901


def test_unknown_level_is_refused():
    message = encode_diagnostics(cdr.message_class, STATUSES, 0)
    message.status[1].level = 4
    with pytest.raises(MessageError, match="level 4"):
        decode_diagnostics(message)
