"""Test lookups at a stamp: chains, interpolation, refusals, bounds."""

import math
from threading import Thread

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.geometry import transform_buffer
from terrain_seg_ros.core.geometry.frames import rotation_from_rpy
from terrain_seg_ros.core.geometry.transform_buffer import (
    TransformBuffer,
    transform_from_quaternion,
)
from terrain_seg_ros.core.geometry.transform_edge import quaternion_of
from terrain_seg_ros.core.types import Transform

SECOND = 1_000_000_000
angles = st.floats(-math.pi, math.pi)
lengths = st.floats(-1e6, 1e6)
poses = st.builds(
    lambda r, p, y, t: Transform(rotation_from_rpy(r, p, y), np.array(t)),
    angles,
    angles,
    angles,
    st.tuples(lengths, lengths, lengths),
)


def pose(yaw=0.0, x=0.0, y=0.0, z=0.0):
    return Transform(rotation_from_rpy(0.0, 0.0, yaw), np.array([x, y, z]))


def same(left, right, atol=1e-9):
    np.testing.assert_allclose(left.rotation, right.rotation, atol=atol)
    np.testing.assert_allclose(left.translation_m, right.translation_m, atol=atol, rtol=1e-9)


@given(odom_T_base=poses, base_T_mast=poses, mast_T_camera=poses, base_T_wheel=poses)
@settings(max_examples=50)
def test_chains_through_a_common_ancestor(odom_T_base, base_T_mast, mast_T_camera, base_T_wheel):
    buffer = TransformBuffer(10.0)
    buffer.set("odom", "base", 5, odom_T_base, False)
    buffer.set("mast", "camera", 0, mast_T_camera, True)
    buffer.set("base", "mast", 0, base_T_mast, True)
    buffer.set("base", "wheel", 0, base_T_wheel, True)
    odom_T_camera = odom_T_base @ base_T_mast @ mast_T_camera
    same(buffer.lookup("odom", "camera", 5), odom_T_camera, 1e-6)
    same(buffer.lookup("camera", "odom", 5), odom_T_camera.inverse(), 1e-6)
    wheel_T_camera = base_T_wheel.inverse() @ base_T_mast @ mast_T_camera
    same(buffer.lookup("wheel", "camera", 99), wheel_T_camera, 1e-6)


@given(start=poses, roll=angles, pitch=angles, yaw=st.floats(-3.0, 3.0), share=st.floats(0, 1))
@settings(max_examples=60)
def test_rotation_is_interpolated_at_constant_rate(start, roll, pitch, yaw, share):
    axis = rotation_from_rpy(roll, pitch, 0.0)

    def turned(angle):
        about_axis = axis @ rotation_from_rpy(0.0, 0.0, angle) @ axis.T
        return Transform(start.rotation @ about_axis, start.translation_m)

    buffer = TransformBuffer(10.0)
    stamp = round(share * SECOND)
    buffer.set("odom", "base", 0, start, False)
    buffer.set("odom", "base", SECOND, turned(yaw), False)
    same(buffer.lookup("odom", "base", stamp), turned(yaw * stamp / SECOND), 1e-6)


def test_translation_is_interpolated_far_from_the_origin():
    buffer = TransformBuffer(10.0)
    buffer.set("odom", "base", 0, pose(x=1e6), False)
    buffer.set("odom", "base", SECOND, pose(x=1e6 + 1.0), False)
    looked = buffer.lookup("odom", "base", SECOND // 4)
    assert looked.translation_m[0] == pytest.approx(1e6 + 0.25, abs=1e-9)


def test_the_order_of_arrival_does_not_matter():
    buffer = TransformBuffer(10.0)
    for stamp in (3, 1, 2, 0):
        buffer.set("odom", "base", stamp * SECOND, pose(x=float(stamp**2)), False)
    for stamp in range(4):
        assert buffer.lookup("odom", "base", stamp * SECOND).translation_m[0] == stamp**2
    assert buffer.lookup("odom", "base", 5 * SECOND // 2).translation_m[0] == 6.5


def test_a_known_stamp_replaces_its_sample():
    buffer = TransformBuffer(10.0)
    buffer.set("odom", "base", 1, pose(x=1.0), False)
    buffer.set("odom", "base", 1, pose(x=2.0), False)
    assert buffer.lookup("odom", "base", 1).translation_m[0] == 2.0


@pytest.mark.requirement("TSR-TIME-002")
@pytest.mark.parametrize(("stamp", "side"), [(0, "older"), (3 * SECOND, "newer")])
def test_nothing_is_extrapolated(stamp, side):
    buffer = TransformBuffer(10.0)
    buffer.set("odom", "base", SECOND, pose(), False)
    buffer.set("odom", "base", 2 * SECOND, pose(), False)
    with pytest.raises(GeometryError, match=f"no transform from 'base' to 'odom'.*{side}"):
        buffer.lookup("odom", "base", stamp)


def test_frames_that_are_not_connected_are_refused_by_name():
    buffer = TransformBuffer(10.0)
    buffer.set("odom", "base", 0, pose(), True)
    with pytest.raises(GeometryError, match=r"'camera'.*'odom'.*not connected.*base"):
        buffer.lookup("odom", "camera", 0)


def test_an_edge_above_the_common_ancestor_is_not_needed():
    buffer = TransformBuffer(10.0)
    buffer.set("odom", "base", 0, pose(), False)
    buffer.set("base", "camera", 0, pose(z=1.0), True)
    assert buffer.lookup("base", "camera", 99 * SECOND).translation_m[2] == 1.0
    same(buffer.lookup("base", "base", 99 * SECOND), pose())


def test_memory_is_bounded_in_time_in_number_and_in_frames(monkeypatch):
    monkeypatch.setattr(transform_buffer, "MAX_SAMPLES", 50)
    monkeypatch.setattr(transform_buffer, "MAX_FRAMES", 3)
    buffer = TransformBuffer(1.0)
    for index in range(300):
        buffer.set("odom", "base", index * SECOND // 10, pose(), False)
        buffer.set("odom", "fast", index, pose(), False)
    edges = buffer._edges
    assert len(edges["base"].stamps_ns) == len(edges["base"].samples) == 11
    assert len(edges["fast"].stamps_ns) == 50
    buffer.set("odom", "third", 0, pose(), True)
    with pytest.raises(GeometryError, match="3 frames"):
        buffer.set("odom", "fourth", 0, pose(), True)


def test_a_sample_older_than_the_cache_is_ignored():
    buffer = TransformBuffer(1.0)
    buffer.set("odom", "base", 5 * SECOND, pose(), False)
    buffer.set("odom", "base", 1 * SECOND, pose(), False)
    with pytest.raises(GeometryError, match="older"):
        buffer.lookup("odom", "base", 2 * SECOND)


def test_a_loop_of_frames_and_an_empty_name_are_refused():
    buffer = TransformBuffer(1.0)
    buffer.set("a", "b", 0, pose(), True)
    buffer.set("b", "c", 0, pose(), True)
    with pytest.raises(GeometryError, match="loop"):
        buffer.set("c", "a", 0, pose(), True)
    with pytest.raises(GeometryError, match="loop"):
        buffer.set("d", "d", 0, pose(), True)
    with pytest.raises(GeometryError, match="empty"):
        buffer.set("a", "", 0, pose(), True)


def test_a_new_parent_holds_from_its_sample_on_and_the_history_stays():
    buffer = TransformBuffer(1.0)
    buffer.set("odom", "base", 1, pose(x=1.0), False)
    buffer.set("odom", "base", 3, pose(x=3.0), False)
    buffer.set("map", "base", 4, pose(x=9.0), False)
    assert buffer.lookup("odom", "base", 2).translation_m[0] == 2.0
    assert buffer.lookup("map", "base", 4).translation_m[0] == 9.0
    assert buffer.parents() == {"base": "map"}
    with pytest.raises(GeometryError, match="not connected"):
        buffer.lookup("map", "base", 2)


def test_one_sample_with_a_wrong_parent_harms_only_its_moment():
    buffer = TransformBuffer(10.0)
    for stamp in (0, 10, 20, 30):
        buffer.set("other" if stamp == 10 else "odom", "base", stamp, pose(x=stamp), False)
    assert buffer.lookup("odom", "base", 25).translation_m[0] == 25.0
    assert buffer.lookup("odom", "base", 0).translation_m[0] == 0.0
    with pytest.raises(GeometryError, match="not connected"):
        buffer.lookup("odom", "base", 15)


def test_a_fixed_frame_moves_only_after_several_samples_say_so():
    buffer = TransformBuffer(10.0)
    buffer.set("base", "camera", 0, pose(x=1.0), True)
    for stamp in (1, 2):
        with pytest.raises(GeometryError, match=r"'camera'.*static"):
            buffer.set("base", "camera", stamp, pose(x=5.0), False)
        assert buffer.lookup("base", "camera", stamp).translation_m[0] == 1.0
    buffer.set("base", "camera", 3, pose(x=7.0), False)
    assert buffer.lookup("base", "camera", 1).translation_m[0] == 5.0
    with pytest.raises(GeometryError, match=r"'camera'.*moves"):
        buffer.set("base", "camera", 0, pose(x=1.0), True)
    assert buffer.lookup("base", "camera", 3).translation_m[0] == 7.0


def test_a_frame_that_moved_once_may_be_fixed():
    buffer = TransformBuffer(10.0)
    buffer.set("base", "camera", 5, pose(x=5.0), False)
    buffer.set("base", "camera", 0, pose(x=1.0), True)
    assert buffer.lookup("base", "camera", 99).translation_m[0] == 1.0


def test_what_closes_a_loop_is_in_the_way_no_longer_than_the_cache():
    buffer = TransformBuffer(1.0)
    buffer.set("base", "odom", 0, pose(), False)
    with pytest.raises(GeometryError, match="loop"):
        buffer.set("odom", "base", SECOND // 2, pose(), False)
    buffer.set("odom", "base", 2 * SECOND, pose(x=2.0), False)
    assert buffer.lookup("odom", "base", 2 * SECOND).translation_m[0] == 2.0


def test_invented_names_make_room_for_real_ones_when_they_are_old(monkeypatch):
    monkeypatch.setattr(transform_buffer, "MAX_FRAMES", 5)
    buffer = TransformBuffer(1.0)
    for index in range(5):
        buffer.set("odom", f"invented_{index}", 0, pose(), False)
    with pytest.raises(GeometryError, match="5 frames"):
        buffer.set("odom", "base", 0, pose(), False)
    buffer.set("odom", "base", 3 * SECOND, pose(x=3.0), False)
    assert buffer.lookup("odom", "base", 3 * SECOND).translation_m[0] == 3.0


def test_a_wrong_stamp_can_be_taken_back():
    buffer = TransformBuffer(1.0)
    buffer.set("odom", "base", 0, pose(), False)
    buffer.set("odom", "base", SECOND // 2, pose(x=9.0), False)
    buffer.drop_after("base", 0)
    buffer.set("odom", "base", 2, pose(x=2.0), False)
    assert buffer.lookup("odom", "base", 1).translation_m[0] == 1.0
    buffer.drop_after("base", -1)
    with pytest.raises(GeometryError, match="not connected"):
        buffer.lookup("odom", "base", 1)


def test_clearing_forgets_all_or_only_what_moves():
    buffer = TransformBuffer(1.0)
    buffer.set("odom", "base", 9, pose(), False)
    buffer.set("base", "camera", 0, pose(), True)
    buffer.clear_moving()
    buffer.lookup("base", "camera", 1)
    with pytest.raises(GeometryError):
        buffer.lookup("odom", "base", 9)
    buffer.clear()
    with pytest.raises(GeometryError):
        buffer.lookup("base", "camera", 1)


@given(rpy=st.tuples(angles, angles, angles))
@settings(max_examples=100)
def test_quaternions_and_rotations_agree(rpy):
    rotation = rotation_from_rpy(*rpy)
    x, y, z, w = (1.004 * part for part in quaternion_of(rotation))
    scaled = transform_from_quaternion(x, y, z, w, (1.0, 2.0, 3.0))
    np.testing.assert_allclose(scaled.rotation, rotation, atol=1e-12)
    np.testing.assert_array_equal(scaled.translation_m, [1.0, 2.0, 3.0])


def test_rpy_follows_rep_103():
    forward = np.array([1.0, 0.0, 0.0])
    np.testing.assert_allclose(
        rotation_from_rpy(0, 0, math.pi / 2) @ forward, [0, 1, 0], atol=1e-12
    )
    assert (rotation_from_rpy(0, 0.1, 0) @ forward)[2] < 0.0
    assert (rotation_from_rpy(0.1, 0, 0) @ [0, 1, 0])[2] > 0.0


@pytest.mark.parametrize(
    "bad",
    [
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0, 0.9),
        (1.0, 1.0, 1.0, 1.0),
        (math.nan, 0.0, 0.0, 1.0),
        (math.inf, 0.0, 0.0, 1.0),
        (1e308, 1e308, 0.0, 1.0),
        (1e-320, 0.0, 0.0, 0.0),
    ],
)
def test_a_quaternion_that_is_no_rotation_is_refused(bad):
    with pytest.raises(GeometryError, match="quaternion"):
        transform_from_quaternion(*bad, (0.0, 0.0, 0.0))


@pytest.mark.parametrize("far_m", [1.1e7, -1.1e7, 1e38, 1e308, math.inf, math.nan])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_place_beyond_any_planet_is_refused_before_any_arithmetic(far_m, axis):
    translation_m = [0.0, 0.0, 0.0]
    translation_m[axis] = far_m
    with pytest.raises(GeometryError, match="TF publisher"):
        transform_from_quaternion(0.0, 0.0, 0.0, 1.0, translation_m)


@pytest.mark.parametrize("cache_s", [0.0, -1.0, math.nan, math.inf])
def test_a_cache_without_length_is_refused(cache_s):
    with pytest.raises(ConfigError, match="cache_s"):
        TransformBuffer(cache_s)


def test_threads_may_write_and_read_together():
    buffer = TransformBuffer(10.0)
    buffer.set("odom", "base", 0, pose(), False)
    failures = []

    def write():
        for index in range(500):
            buffer.set("odom", "base", index, pose(x=float(index)), False)

    def read():
        for _ in range(500):
            found = buffer.lookup("odom", "base", 0).translation_m[0]
            if found != 0.0:
                failures.append(found)

    threads = [Thread(target=target) for target in (write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert buffer.lookup("odom", "base", 499).translation_m[0] == 499.0
