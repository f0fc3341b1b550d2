import numpy as np
import pytest
from rover import SECOND_NS, START_NS, transform_message

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.transform_buffer import TransformBuffer
from terrain_seg_ros.runtime.health import Health, Refusal
from terrain_seg_ros.runtime.transform_intake import TransformIntake


def make(cache_s=10.0):
    buffer, health = TransformBuffer(cache_s), Health()
    return buffer, health, TransformIntake(buffer, health, cache_s=cache_s)


def pose(stamp_ns, x_m):
    return transform_message("odom", "base_link", stamp_ns, translation_m=(x_m, 0.0, 0.0))


def test_transforms_are_found_at_their_stamp():
    buffer, _, intake = make()
    intake.add(pose(START_NS, 0.0), static=False)
    intake.add(pose(START_NS + SECOND_NS, 2.0), static=False)
    found = buffer.lookup("odom", "base_link", START_NS + SECOND_NS // 2)
    np.testing.assert_allclose(found.translation_m, [1.0, 0.0, 0.0])


@pytest.mark.parametrize("back_s", [2, 60])
def test_a_jump_of_transforms_forgets_what_came_before(back_s):
    buffer, health, intake = make()
    intake.add(transform_message("base_link", "camera", 0), static=True)
    intake.add(pose(START_NS, 5.0), static=False)
    intake.add(pose(START_NS - back_s * SECOND_NS, 1.0), static=False)
    with pytest.raises(GeometryError):
        buffer.lookup("odom", "base_link", START_NS)
    found = buffer.lookup("odom", "camera", START_NS - back_s * SECOND_NS)
    np.testing.assert_allclose(found.translation_m, [1.0, 0.0, 0.0])
    intake.forget_moving()
    buffer.lookup("odom", "camera", START_NS - back_s * SECOND_NS)
    assert not health.snapshot().refused


def test_a_jump_of_images_forgets_moving_transforms():
    buffer, _, intake = make()
    intake.add(pose(START_NS, 5.0), static=False)
    intake.forget_moving()
    with pytest.raises(GeometryError):
        buffer.lookup("odom", "base_link", START_NS)
    intake.add(pose(START_NS - 60 * SECOND_NS, 1.0), static=False)
    buffer.lookup("odom", "base_link", START_NS - 60 * SECOND_NS)


def test_frames_may_run_ahead_of_each_other():
    buffer, _, intake = make()
    intake.add(transform_message("map", "odom", START_NS + SECOND_NS), static=False)
    intake.add(pose(START_NS, 1.0), static=False)
    buffer.lookup("odom", "base_link", START_NS)
    buffer.lookup("map", "odom", START_NS + SECOND_NS)


def test_a_loop_of_frames_is_counted():
    _, health, intake = make()
    intake.add(transform_message("a", "b", START_NS), static=False)
    intake.add(transform_message("b", "a", START_NS), static=False)
    assert health.snapshot().refused == {Refusal.BAD_TRANSFORM: 1}
