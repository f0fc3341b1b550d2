"""Our decoding and cv_bridge's agree where they overlap; cv_bridge serves the rest."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from support.ros_images import message_of
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages.encodings import ENCODINGS
from terrain_seg_ros.ros import decoding

EIGHT_BIT = sorted(name for name, item in ENCODINGS.items() if item.bytes_per_channel == 1)


@pytest.fixture
def fresh():
    """Forget what was found out about cv_bridge."""
    decoding.cv_bridge.cache_clear()
    yield
    decoding.cv_bridge.cache_clear()


@pytest.fixture
def bridge(fresh):
    """Return a CvBridge, or skip."""
    found, reason = decoding.cv_bridge()
    if found is None:
        pytest.skip(f"cv_bridge {reason}")
    return found


@pytest.mark.parametrize("padding", [0, 12])
@pytest.mark.parametrize("encoding", EIGHT_BIT)
def test_both_read_the_common_encodings_alike(bridge, encoding, padding):
    message = message_of(encoding, ENCODINGS[encoding].channels, padding=padding)
    ours = decoding.decode(message)
    wanted = "mono8" if encoding == "mono8" else "rgb8"
    theirs = bridge.imgmsg_to_cv2(message, desired_encoding=wanted)
    np.testing.assert_array_equal(ours.pixels, theirs)


@pytest.mark.parametrize("encoding", ["yuv422", "yuv422_yuy2"])
def test_other_encodings_come_through_cv_bridge(bridge, encoding):
    image = decoding.decode(message_of(encoding, 2))
    assert image.pixels.shape[:2] == (24, 32)
    assert image.pixels.dtype == np.uint8
    assert (image.stamp_ns, image.frame_id) == (1_500_000_000, "optical")


def test_a_truncated_one_is_refused(bridge):
    message = message_of("yuv422", 2)
    message.data = message.data[:100]
    with pytest.raises(MessageError, match="yuv422"):
        decoding.decode(message)
