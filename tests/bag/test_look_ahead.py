"""What is held back comes out in order and in time, also where time jumps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from support.bags import header
from terrain_seg_ros.bag.look_ahead import JUMP_NS, NAME_LIMIT, DelayedMessage, JumpWatch, LookAhead


def held(log_ns, size_bytes=1):
    return DelayedMessage(source=None, log_ns=log_ns, message=None, size_bytes=size_bytes)


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
    assert [watch.image("front", image_at(stamp), 0) for stamp in stamps] == [None] * 4


def test_one_late_sample_of_one_frame_is_no_jump():
    watch = JumpWatch()
    stamps = [100 * JUMP_NS, 0, 101 * JUMP_NS, 1, 102 * JUMP_NS, 2, 103 * JUMP_NS]
    assert all(
        watch.transforms(transforms_at(stamp, "arm"), log_ns) is None
        for log_ns, stamp in enumerate(stamps)
    )


@pytest.mark.parametrize("image_first", [True, False])
def test_only_the_first_of_two_kinds_that_jump_counts(image_first):
    watch = JumpWatch()

    log_ns = 0

    def see(stamp_ns):
        steps = [
            lambda: watch.image("front", image_at(stamp_ns), log_ns),
            lambda: watch.transforms(transforms_at(stamp_ns, "base_link"), log_ns),
        ]
        return [step() for step in (steps if image_first else reversed(steps))]

    for round_ns in (10**10, 2 * 10**10):
        for log_ns in (round_ns, round_ns + 1, round_ns + 2):
            assert see(100 * JUMP_NS + log_ns) == [None, None]
        for log_ns in (round_ns + 3, round_ns + 4):
            assert see(log_ns) == [None, None]
        log_ns = round_ns + 5
        assert see(log_ns) == [round_ns + 3, None]


def test_a_jump_of_one_camera_is_one_jump_for_all():
    watch = JumpWatch()
    for camera in ("left", "right"):
        assert watch.image(camera, image_at(100 * JUMP_NS), 0) is None
    for index in (1, 2):
        for camera in ("left", "right"):
            assert watch.image(camera, image_at(index), index) is None
    jumps = [watch.image(camera, image_at(3), 3) for camera in ("left", "right")]
    assert jumps == [1, None]


def test_invented_names_take_no_memory():
    watch = JumpWatch()
    for index in range(NAME_LIMIT):
        watch.transforms(transforms_at(100 * JUMP_NS, f"frame{index}"), 0)
    watch.transforms(transforms_at(100 * JUMP_NS, "one_more"), 0)

    def jumps(name):
        seen = [watch.transforms(transforms_at(stamp, name), stamp) for stamp in range(3)]
        return seen[-1] is not None

    assert not jumps("one_more")
    assert jumps("frame0")


def test_a_malformed_stamp_is_no_jump():
    watch = JumpWatch()
    watch.image("front", image_at(100 * JUMP_NS), 0)
    broken = image_at(0)
    broken.header.stamp.nanosec = 2_000_000_000
    assert [watch.image("front", broken, 0) for _ in range(4)] == [None] * 4
