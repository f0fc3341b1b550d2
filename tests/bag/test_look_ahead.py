"""What is held back comes out in order and in time, also where time jumps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from bags import header

from terrain_seg_ros.bag.look_ahead import JUMP_NS, NAME_LIMIT, Held, JumpWatch, LookAhead


def held(log_ns, size_bytes=1):
    return Held(source=None, log_ns=log_ns, message=None, size_bytes=size_bytes)


def image_at(stamp_ns):
    return SimpleNamespace(header=header(stamp_ns))


def transforms_at(stamp_ns, *children):
    items = [SimpleNamespace(child_frame_id=c, header=header(stamp_ns)) for c in children]
    return SimpleNamespace(transforms=items)


def times(items):
    return [item.log_ns for item in items]


def test_messages_come_out_after_the_span_in_order():
    queue = LookAhead(span_ns=10, limit_bytes=100)
    for log_ns in (1, 5, 12):
        queue.put(held(log_ns))
    assert times(queue.due(10)) == []
    assert times(queue.due(11)) == [1]
    assert times(queue.due(15)) == [5]
    assert times(queue.all()) == [12]
    assert times(queue.all()) == []


def test_messages_come_out_early_where_they_are_too_large():
    queue = LookAhead(span_ns=1000, limit_bytes=100)
    for log_ns in range(5):
        queue.put(held(log_ns, size_bytes=40))
    assert times(queue.due(4)) == [0, 1, 2]
    queue.put(held(5, size_bytes=500))
    assert times(queue.due(5)) == [3, 4, 5]
    queue.put(held(6, size_bytes=100))
    assert times(queue.due(6)) == []


def test_neighbours_that_are_swapped_are_no_jump():
    watch = JumpWatch()
    stamps = [10 * JUMP_NS, 9 * JUMP_NS, 10 * JUMP_NS, 11 * JUMP_NS]
    assert [watch.image("front", image_at(stamp)) for stamp in stamps] == [False] * 4


@pytest.mark.parametrize("image_first", [True, False])
def test_only_the_first_of_two_kinds_that_jump_counts(image_first):
    watch = JumpWatch()

    def see(stamp_ns):
        steps = [
            lambda: watch.image("front", image_at(stamp_ns)),
            lambda: watch.transforms(transforms_at(stamp_ns, "base_link")),
        ]
        return [step() for step in (steps if image_first else reversed(steps))]

    late, early = 100 * JUMP_NS, 0
    assert see(late) == [False, False]
    assert see(early) == [True, False]
    assert see(late) == [False, False]
    assert see(early) == [True, False]


def test_a_jump_of_one_camera_is_one_jump_for_all():
    watch = JumpWatch()
    for camera in ("left", "right"):
        assert not watch.image(camera, image_at(100 * JUMP_NS))
    assert [watch.image(camera, image_at(0)) for camera in ("left", "right")] == [True, False]


def test_invented_names_take_no_memory():
    watch = JumpWatch()
    for index in range(NAME_LIMIT):
        watch.transforms(transforms_at(100 * JUMP_NS, f"frame{index}"))
    watch.transforms(transforms_at(100 * JUMP_NS, "one_more"))
    assert not watch.transforms(transforms_at(0, "one_more"))
    assert watch.transforms(transforms_at(0, "frame0"))


def test_a_malformed_stamp_is_no_jump():
    watch = JumpWatch()
    watch.image("front", image_at(100 * JUMP_NS))
    broken = image_at(0)
    broken.header.stamp.nanosec = 2_000_000_000
    assert not watch.image("front", broken)
