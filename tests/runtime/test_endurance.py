"""The live path under load for 5,000 images: one waits, the rest are counted, memory is flat."""

import gc
import resource
import tracemalloc
from threading import Event

import numpy as np
import pytest

from support.rover import SECOND_NS, START_NS, STATIC, Rover, image_message
from support.tiny_model import write_tiny_model
from terrain_seg_ros.messages.cdr import serialize
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.health import Drop, Refusal
from terrain_seg_ros.runtime.outboxes.outgoing import Bus
from terrain_seg_ros.runtime.outboxes.outputs import outgoing_topics
from terrain_seg_ros.runtime.worker import Worker

IMAGES = 5000
SMALL = {**STATIC, "horizontal_fov_rad": 1.0, "grid.size_m": 4.0, "points_enable": False}
TYPES = {name: spec.type for name, spec in outgoing_topics(load_parameters()).items()}


def small_image(index):
    pixels = np.full((12, 16), index % 251, dtype=np.uint8)
    return image_message(START_NS + index * SECOND_NS // 30, pixels=pixels)


def rover(tmp_path):
    model = write_tiny_model(tmp_path / "tiny", size=16)
    return Rover(
        {**SMALL, "model": str(model), "backend": "constant"},
        bus=Bus(wanted=lambda name: name in {"overlay", "hazard_points"}),
    )


@pytest.mark.requirement("TSR-ROB-003")
def test_memory_is_flat(tmp_path):
    node = rover(tmp_path)
    bad = small_image(0)
    bad.encoding = "nonsense"

    def run(first, count):
        for index in range(first, first + count):
            for name, message in node.node.image("navcam", small_image(index)):
                serialize(message, TYPES[name])
            if index % 10 == 0:
                node.node.image("navcam", bad)
                node.node.diagnostics()

    run(0, 1000)
    gc.collect()
    tracemalloc.start()
    run(1000, 200)
    gc.collect()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(1200, IMAGES - 1400)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak_kib
    tracemalloc.start()
    run(IMAGES - 200, 200)
    gc.collect()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert node.health.snapshot().images_out == IMAGES
    assert abs(after - before) < 200_000
    assert grown_kib < 20_000


def test_a_slow_model_keeps_one_image_waiting(tmp_path):
    node = rover(tmp_path)
    published, most_waiting, gone_on = 0, 0, Event()

    def handle(items):
        nonlocal published
        published += sum(map(bool, node.node.images(items)))
        gone_on.set()

    worker = Worker(handle, node.health, idle=node.node.tick)
    worker.start()
    worker.gate.open()
    for index in range(IMAGES):
        gone_on.clear()
        worker.offer("navcam", small_image(index))
        most_waiting = max(most_waiting, worker.waiting)
        if index % 100 == 0:
            assert gone_on.wait(20.0)
    worker.stop()
    worker.check()
    found = node.health.snapshot()
    dropped = sum(found.dropped.values())
    assert most_waiting <= 1
    assert set(found.dropped) <= {Drop.REPLACED, Drop.INACTIVE}
    assert published == found.images_out > 0
    assert found.images_in == IMAGES == dropped + found.images_out
    assert Refusal.BAD_IMAGE not in found.refused
