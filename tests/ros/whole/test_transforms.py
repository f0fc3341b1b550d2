"""tf2's buffer and ours give the same poses and refuse the same questions."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest

from terrain_seg_ros.core.geometry.frames import rotation_from_rpy

pytest.importorskip("tf2_ros", reason="no tf2 here; `make test-ros` runs these beside one")

import rclpy
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.duration import Duration
from tf2_ros import Buffer

from support.ros_peer import OPTICAL, transforms, wait_until
from terrain_seg_ros.core.errors import GeometryError, TransformTimeError
from terrain_seg_ros.core.geometry.transform_buffer import TransformBuffer
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.messages.transform_message import StampedTransform, encode_transforms
from terrain_seg_ros.ros.message_classes import ROS_TYPES
from terrain_seg_ros.ros.port import RosPort
from terrain_seg_ros.ros.transforms import CheckedBuffer, Tf2Transforms
from terrain_seg_ros.runtime.health import Health, Refusal
from terrain_seg_ros.runtime.transform_intake import TransformIntake

SECOND_NS = 1_000_000_000
angle = st.floats(-3.0, 3.0)
metres = st.floats(-50.0, 50.0)
pose = st.builds(
    lambda r, p, y, x, z: Transform(rotation_from_rpy(r, p / 3, y), np.array([x, -z, z])),
    angle,
    angle,
    angle,
    metres,
    metres,
)


class Both:
    """Hold the two buffers, filled alike."""

    def __init__(self):
        self.tf2 = Tf2Transforms.__new__(Tf2Transforms)
        import tf2_ros  # noqa: PLC0415

        self.tf2._tf2 = tf2_ros
        self.tf2._buffer = Buffer(cache_time=Duration(seconds=10.0))
        self.own = TransformBuffer(10.0)

    def set(self, parent, child, stamp_ns, transform, *, static=False):
        message = transforms(parent, child, stamp_ns, transform).transforms[0]
        if static:
            self.tf2._buffer.set_transform_static(message, "test")
        else:
            self.tf2._buffer.set_transform(message, "test")
        self.own.set(parent, child, stamp_ns, transform, static)


@settings(max_examples=60)
@given(first=pose, second=pose, fixed=pose, share=st.floats(0.0, 1.0))
def test_poses_between_samples_agree(first, second, fixed, share):
    both = Both()
    both.set("odom", "base_link", 5 * SECOND_NS, first)
    both.set("odom", "base_link", 6 * SECOND_NS, second)
    both.set("base_link", "camera", 0, fixed, static=True)
    stamp_ns = 5 * SECOND_NS + round(share * SECOND_NS)
    for target, source in [("odom", "camera"), ("camera", "odom"), ("base_link", "camera")]:
        theirs = both.tf2.lookup(target, source, stamp_ns)
        ours = both.own.lookup(target, source, stamp_ns)
        np.testing.assert_allclose(ours.translation_m, theirs.translation_m, atol=2e-3)
        np.testing.assert_allclose(ours.rotation, theirs.rotation, atol=2e-4)


@pytest.mark.parametrize(
    ("target", "source", "stamp_ns", "kind"),
    [
        ("odom", "base_link", 4 * SECOND_NS, TransformTimeError),
        ("odom", "base_link", 7 * SECOND_NS, TransformTimeError),
        ("odom", "elsewhere", 5 * SECOND_NS, GeometryError),
        ("map", "base_link", 5 * SECOND_NS, GeometryError),
    ],
)
def test_both_refuse_what_they_do_not_know(target, source, stamp_ns, kind):
    both = Both()
    still = Transform(np.eye(3), np.zeros(3))
    for second in (5, 6):
        both.set("odom", "base_link", second * SECOND_NS, still)
    for buffer in (both.tf2, both.own):
        with pytest.raises(GeometryError, match="no transform") as caught:
            buffer.lookup(target, source, stamp_ns)
        assert caught.type is kind


@settings(max_examples=40)
@given(order=st.permutations(range(6)), other=st.integers(0, 5), share=st.floats(0.0, 5.0))
def test_samples_in_any_order_and_with_another_parent_agree(order, other, share):
    both = Both()
    for index in order:
        there = Transform(np.eye(3), np.array([float(index), 0.0, 0.0]))
        parent = "map" if index == other else "odom"
        both.set(parent, "base_link", (5 + index) * SECOND_NS, there)
    stamp_ns = 5 * SECOND_NS + round(share * SECOND_NS)
    assert x_or_error(both.tf2, stamp_ns) == x_or_error(both.own, stamp_ns)


def x_or_error(buffer, stamp_ns):
    try:
        return round(float(buffer.lookup("odom", "base_link", stamp_ns).translation_m[0]), 3)
    except GeometryError as error:
        return type(error)


@pytest.mark.parametrize("fault", ["null quaternion", "too far", "not finite"])
def test_bad_transforms_are_counted_by_name_beside_tf2_too(fault):
    import tf2_ros  # noqa: PLC0415

    health = Health()
    buffer = tf2_ros.Buffer()
    checked = CheckedBuffer(buffer, health)
    still = Transform(np.eye(3), np.zeros(3))
    good = StampedTransform("odom", "base_link", 5 * SECOND_NS, still)
    message = encode_transforms(ROS_TYPES, [good, good._replace(child="crooked")])
    bad = message.transforms[1].transform
    if fault == "null quaternion":
        bad.rotation.w = 0.0
    else:
        bad.translation.x = 1e38 if fault == "too far" else float("nan")
    for item in message.transforms:
        checked.set_transform(item, "test")
        checked.set_transform_static(item, "test")
    assert health.snapshot().refused == {Refusal.BAD_TRANSFORM: 2}
    assert "'crooked' in 'odom'" in health.snapshot().last_refusal
    assert "crooked" not in buffer.all_frames_as_string()
    assert "base_link" in buffer.all_frames_as_string()


def test_without_tf2_our_own_buffer_listens_by_the_port(peer, monkeypatch):
    port, buffer = RosPort(peer.node), TransformBuffer(10.0)
    intake = TransformIntake(buffer, Health(), cache_s=10.0)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "tf2_ros", None)
        assert port.transforms(Health(), cache_s=10.0) is None
    port.subscribe(topic("/tf_static"), partial(intake.add, static=True), lambda _: None)
    peer.mount()

    def known():
        try:
            return buffer.lookup("base_link", OPTICAL, 0)
        except GeometryError:
            return None

    assert wait_until(known, "the mounting").translation_m[2] == pytest.approx(1.4)
    port.close()
    assert rclpy.ok(context=peer.context)
