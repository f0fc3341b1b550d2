import numpy as np
import pytest

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.transform_buffer import TransformBuffer
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.vehicle_pose import PoseSource, WaitingTransforms, static_mounting

MOUNTED = {
    "mounting.use_tf": False,
    "mounting.x_m": 0.5,
    "mounting.z_m": 2.0,
    "mounting.pitch_rad": 0.0,
}


def at(x_m):
    return Transform(np.eye(3), np.array([x_m, 0.0, 0.0]))


def source(buffer, **changes):
    return PoseSource(buffer, load_parameters(overrides={**MOUNTED, **changes}))


def test_a_camera_without_rotation_looks_ahead():
    mounting = static_mounting(load_parameters(overrides=MOUNTED))
    np.testing.assert_allclose(mounting.rotation @ [0.0, 0.0, 1.0], [1.0, 0.0, 0.0])
    np.testing.assert_allclose(mounting.rotation @ [1.0, 0.0, 0.0], [0.0, -1.0, 0.0])
    np.testing.assert_allclose(mounting.rotation @ [0.0, 1.0, 0.0], [0.0, 0.0, -1.0])
    np.testing.assert_allclose(mounting.translation_m, [0.5, 0.0, 2.0])


def test_positive_pitch_looks_down_and_positive_yaw_to_the_left():
    changes = {"mounting.pitch_rad": 0.5, "mounting.yaw_rad": 0.25}
    mounting = static_mounting(load_parameters(overrides={**MOUNTED, **changes}))
    forward, left, up = mounting.rotation @ [0.0, 0.0, 1.0]
    assert up == pytest.approx(-np.sin(0.5))
    assert np.arctan2(left, forward) == pytest.approx(0.25)


def test_without_tf_a_mounted_camera_stands_at_the_origin():
    pose = source(TransformBuffer(10.0)).pose("", 5)
    assert pose.assumed
    np.testing.assert_allclose(pose.grid_T_base.translation_m, 0.0)
    np.testing.assert_allclose(pose.grid_T_camera.translation_m, [0.5, 0.0, 2.0])


def test_a_mounted_camera_follows_the_vehicle_and_says_when_to_start_anew():
    buffer = TransformBuffer(10.0)
    poses = source(buffer)
    assert poses.pose("", 5).assumed
    buffer.set("odom", "base_link", 6, at(3.0), False)
    found = poses.pose("", 6)
    assert found.restart
    assert not found.assumed
    np.testing.assert_allclose(found.grid_T_camera.translation_m, [3.5, 0.0, 2.0])
    assert not poses.pose("", 6).restart


def test_once_tf_was_seen_its_silence_is_an_error():
    buffer = TransformBuffer(10.0)
    poses = source(buffer)
    buffer.set("odom", "base_link", 6, at(3.0), False)
    poses.pose("", 6)
    with pytest.raises(GeometryError, match="newer"):
        poses.pose("", 7)
    poses.time_jumped()
    assert poses.pose("", 7).assumed


def test_with_tf_both_poses_come_from_it():
    buffer = TransformBuffer(10.0)
    buffer.set("odom", "base_link", 6, at(3.0), False)
    buffer.set("base_link", "optical", 0, at(1.0), True)
    pose = source(buffer, **{"mounting.use_tf": True}).pose("optical", 6)
    np.testing.assert_allclose(pose.grid_T_base.translation_m, [3.0, 0.0, 0.0])
    np.testing.assert_allclose(pose.grid_T_camera.translation_m, [4.0, 0.0, 0.0])
    with pytest.raises(GeometryError, match="frame_id"):
        source(buffer, **{"mounting.use_tf": True}).pose("", 6)


class Clock:
    """Pass time only while somebody sleeps; `events` happen at their moment."""

    def __init__(self):
        self.now_s = 0.0
        self.slept = 0
        self.events = []

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds
        self.slept += 1
        for when_s, action in self.events:
            if self.now_s >= when_s:
                action()


def waiting(buffer, clock, wait_s=0.1):
    return WaitingTransforms(buffer, wait_s, clock_s=clock, sleep=clock.sleep)


def test_a_transform_under_way_is_waited_for_each_time():
    buffer, clock = TransformBuffer(10.0), Clock()
    transforms = waiting(buffer, clock)
    buffer.set("odom", "base_link", -1, at(0.0), False)
    for stamp_ns in range(3):
        due_s = clock.now_s + 0.05
        arrival = lambda t=stamp_ns: buffer.set("odom", "base_link", t, at(t), False)  # noqa: E731
        clock.events = [(due_s, arrival)]
        found = transforms.lookup("odom", "base_link", stamp_ns)
        np.testing.assert_allclose(found.translation_m, [stamp_ns, 0.0, 0.0])
        assert due_s <= clock.now_s < due_s + 0.01


def test_a_transform_that_is_there_is_not_waited_for():
    buffer, clock = TransformBuffer(10.0), Clock()
    buffer.set("odom", "base_link", 5, at(1.0), False)
    waiting(buffer, clock).lookup("odom", "base_link", 5)
    assert clock.slept == 0


def test_missing_transforms_cost_a_tenth_of_the_time_at_most():
    buffer, clock = TransformBuffer(10.0), Clock()
    buffer.set("odom", "base_link", 3, at(1.0), False)
    transforms = waiting(buffer, clock)
    waited_s = 0.0
    for _ in range(100):
        before_s = clock.now_s
        with pytest.raises(GeometryError):
            transforms.lookup("odom", "base_link", 5)
        waited_s += clock.now_s - before_s
        clock.now_s += 0.033
    assert 0.0 < waited_s < 0.12 * clock.now_s


def test_frames_that_nobody_publishes_are_not_waited_for():
    buffer, clock = TransformBuffer(10.0), Clock()
    with pytest.raises(GeometryError, match="not connected"):
        waiting(buffer, clock).lookup("odom", "base_link", 5)
    assert clock.slept == 0


def moving(*places, **changes):
    """Return the poses of a vehicle that stands at x metres at so many seconds."""
    buffer = TransformBuffer(1e4)
    poses = source(buffer, **changes)
    found = []
    for seconds, x_m in places:
        stamp = 1_000_000_000 + round(seconds * 1e9)
        buffer.set("odom", "base_link", stamp, at(x_m), False)
        found.append(poses.pose("", stamp))
    return found


def test_a_vehicle_that_is_faster_than_it_can_be_has_jumped():
    found = moving((0.0, 0.0), (1.0, 9.0), (2.0, 40.0), (3.0, 41.0))
    assert [pose.jumped for pose in found] == [False, False, True, False]
    assert [pose.restart for pose in found] == [False, False, True, False]


def test_noise_between_two_images_of_one_moment_is_no_jump():
    found = moving((0.0, 0.0), (0.0005, 0.4), (0.001, 1.2))
    assert [pose.jumped for pose in found] == [False, False, True]


def test_jumps_are_looked_for_only_where_a_speed_is_given():
    found = moving((0.0, 0.0), (1.0, 1e6), **{"grid.max_speed_mps": 0.0})
    assert not any(pose.jumped for pose in found)


def test_the_speed_changes_while_running_and_time_may_begin_anew():
    buffer = TransformBuffer(1e4)
    poses = source(buffer)
    buffer.set("odom", "base_link", 1, at(0.0), False)
    poses.pose("", 1)
    poses.set_parameters(load_parameters(overrides={**MOUNTED, "grid.max_speed_mps": 1e5}))
    buffer.set("odom", "base_link", 1_000_000_001, at(1000.0), False)
    assert not poses.pose("", 1_000_000_001).jumped
    poses.set_parameters(load_parameters(overrides=MOUNTED))
    poses.time_jumped()
    assert not poses.pose("", 1).jumped
