import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.header_message import make_header, make_time, stamp_ns


@given(
    time=st.integers(0, 2**31 * 10**9 - 1),
    frame=st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
)
def test_stamp_and_frame_survive(time, frame):
    frame = frame.replace("\0", "")
    header = make_header(cdr.message_class, time, frame)
    back = cdr.deserialize(cdr.serialize(header, "std_msgs/msg/Header"), "std_msgs/msg/Header")
    assert (stamp_ns(back), back.frame_id) == (time, frame)


def test_nanoseconds_beyond_a_second_are_refused():
    header = make_header(cdr.message_class, 0, "")
    header.stamp.nanosec = 10**9
    with pytest.raises(MessageError, match="1000000000 ns"):
        stamp_ns(header)


@pytest.mark.parametrize("time", [2**31 * 10**9, -(2**31) * 10**9 - 1])
def test_seconds_beyond_32_bits_are_refused(time):
    with pytest.raises(MessageError, match="does not fit"):
        make_time(cdr.message_class, time)
