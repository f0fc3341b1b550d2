import time
from threading import Event

import pytest

from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.health import Drop, Health
from terrain_seg_ros.runtime.worker import Worker, images_at_once

WAIT_S = 20.0


class Busy:
    """Handle items as slowly as the test wants: one per `release`."""

    def __init__(self):
        self.seen = []
        self.started = Event()
        self.release = Event()

    def __call__(self, items):
        self.seen.append(items)
        self.started.set()
        assert self.release.wait(WAIT_S)


@pytest.mark.requirement("TSR-ROB-002")
def test_a_flood_keeps_one_waiting_and_counts_the_rest():
    busy, health = Busy(), Health()
    worker = Worker(busy, health)
    worker.start()
    worker.gate.open()
    worker.offer("cam", 0)
    assert busy.started.wait(WAIT_S)
    for item in range(1, 1001):
        worker.offer("cam", item)
        assert worker.waiting <= 1
    busy.started.clear()
    busy.release.set()
    assert busy.started.wait(WAIT_S)
    worker.stop()
    assert busy.seen == [[("cam", 0)], [("cam", 1000)]]
    assert health.snapshot().dropped == {Drop.REPLACED: 999}
    assert health.snapshot().images_in == 999


@pytest.mark.parametrize(("batch", "groups"), [(1, [1, 1, 1, 1]), (2, [1, 2, 1]), (9, [1, 3])])
def test_of_each_camera_that_waits_the_newest_is_taken_with_the_others(batch, groups):
    busy, health = Busy(), Health()
    worker = Worker(busy, health, batch=batch)
    worker.start()
    worker.gate.open()
    worker.offer("first", 0)
    assert busy.started.wait(WAIT_S)
    for item in (1, 2):
        for camera in ("left", "middle", "right"):
            worker.offer(camera, item)
    busy.release.set()
    end_s = time.monotonic() + WAIT_S
    while sum(map(len, busy.seen)) < 4 and time.monotonic() < end_s:
        time.sleep(0.001)
    worker.stop()
    assert [len(items) for items in busy.seen] == groups
    taken = [pair for items in busy.seen for pair in items]
    assert taken == [("first", 0), ("left", 2), ("middle", 2), ("right", 2)]
    assert health.snapshot().dropped == {Drop.REPLACED: 3}


def test_parameters_say_how_many_are_taken():
    two = {"cameras": ["left", "right"]}
    assert images_at_once(load_parameters(overrides=two)) == 1
    assert images_at_once(load_parameters(overrides={**two, "batch_cameras": True})) == 2


def test_nothing_passes_a_closed_gate():
    seen, health = [], Health()
    worker = Worker(seen.append, health)
    worker.start()
    worker.offer("cam", 1)
    worker.stop()
    assert seen == []
    assert health.snapshot().dropped == {Drop.INACTIVE: 1}


def test_pausing_throws_away_what_waits():
    health = Health()
    worker = Worker(lambda items: None, health)
    worker.gate.open()
    worker.offer("cam", 1)
    worker.pause()
    assert worker.waiting == 0
    assert health.snapshot().dropped == {Drop.INACTIVE: 1}


def test_idle_is_called_without_images():
    called = Event()
    worker = Worker(lambda items: None, Health(), idle=called.set, idle_s=0.001)
    worker.start()
    assert called.wait(WAIT_S)
    worker.stop()
    worker.stop()


def test_a_worker_that_cannot_end_says_so():
    busy = Busy()
    worker = Worker(busy, Health())
    worker.start()
    worker.gate.open()
    worker.offer("cam", 1)
    assert busy.started.wait(WAIT_S)
    with pytest.raises(InferenceError, match="did not end"):
        worker.stop(timeout_s=0.01)
    busy.release.set()
    worker.stop(WAIT_S)


@pytest.mark.requirement("TSR-ROB-007")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_in_the_thread_is_noticed():
    worker = Worker(lambda items: items.absent, Health())
    worker.start()
    worker.check()
    worker.gate.open()
    worker.offer("cam", 1)
    assert worker._done.wait(WAIT_S)
    with pytest.raises(InferenceError, match="defect"):
        worker.check()
    worker.stop()


def test_a_worker_starts_once():
    worker = Worker(lambda items: None, Health())
    worker.start()
    with pytest.raises(InferenceError, match="before"):
        worker.start()
    worker.stop()
    worker.check()
