"""What a node holds after activation does not grow: live blocks of memory over 1,000 images.

The blocks of Python's allocator and the bytes of C's are counted exactly, after a collection and
once the bounded stores are full, so that time and other processes do not matter.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from typing import ClassVar, NamedTuple

import numpy as np
import pytest

from support.rover import (
    HEIGHT_PX,
    OPTICAL,
    SECOND_NS,
    START_NS,
    WIDTH_PX,
    Rover,
    image_message,
    transform_message,
)
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.runtime.health import WINDOW

IMAGES = 1000
WARM_UP = WINDOW + 88
"""Images until the windows of health, the transforms and the grid's extent are full."""
PERIOD_NS = SECOND_NS // 10
SOME = 200
"""Images with a planted leak."""
SETTINGS = {
    "backend": "onnxruntime",
    "threads": 1,
    "ground.plane": "grid_plane",
    "grid.size_m": 5.0,
    "grid.decay_s": 5.0,
    "landing.enable": True,
    "landing.min_separation_m": 0.5,
    "footprint.radius_m": 0.2,
    "downlink.budget_bytes_per_min": 60_000,
}


class Clock:
    now_s = 50.0

    def __call__(self):
        return self.now_s


class Drive:
    """A rover that drives along x with rocks in view, 0.05 m an image."""

    def __init__(self, model):
        self.clock = Clock()
        self.rover = Rover({**SETTINGS, "model": model}, clock_s=self.clock)
        rotation = rotation_from_rpy(0.0, 0.6, 0.0) @ BODY_R_OPTICAL
        self.rover.intake.add(
            transform_message(
                "base_link", OPTICAL, 0, translation_m=(0.0, 0.0, 1.5), rotation=rotation
            ),
            static=True,
        )
        self.rover.send_info()
        self.index = 0
        self.sites = 0

    def go(self, count, take=lambda given: None):
        for _ in range(count):
            take(self.step())

    def step(self):
        stamp = START_NS + self.index * PERIOD_NS
        place = (0.05 * self.index, 0.0, 0.0)
        pose = transform_message("odom", "base_link", stamp, translation_m=place)
        self.rover.intake.add(pose, static=False)
        pixels = np.full((HEIGHT_PX, WIDTH_PX), 40, dtype=np.uint8)
        column = 10 + 15 * (self.index % 5)
        pixels[20:26, column : column + 6] = 240
        given = self.rover.send(image_message(stamp, pixels=pixels))
        self.sites += len(given["landing_sites"].detections)
        self.index += 1
        self.clock.now_s += 0.1
        if self.index % 10 == 0:
            self.rover.node.diagnostics()
        return given


class _Malloc(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_: ClassVar = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


class Held(NamedTuple):
    """What is alive: small blocks of Python's allocator, and bytes of C's (0 without glibc)."""

    blocks: int
    bytes: int

    @classmethod
    def now(cls):
        gc.collect()
        mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None)
        if mallinfo is None:
            return cls(sys.getallocatedblocks(), 0)
        mallinfo.restype = _Malloc
        told = mallinfo()
        return cls(sys.getallocatedblocks(), told.uordblks + told.hblkhd)

    def since(self, before):
        return Held(self.blocks - before.blocks, self.bytes - before.bytes)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=32))


@pytest.fixture(scope="module")
def drive(model):
    """Return a drive whose bounded stores are full."""
    drive = Drive(model)
    drive.go(WARM_UP)
    Held.now()  # what this allocates for the first time is no growth of the node
    return drive


@pytest.mark.requirement("TSR-ROB-003")
def test_a_thousand_images_leave_no_memory_behind(drive):
    before, sites = Held.now(), drive.sites
    drive.go(IMAGES)
    grown = Held.now().since(before)
    assert grown.blocks < IMAGES // 2, "one block that is kept per image makes twice as many"
    assert grown.bytes < IMAGES * 256
    assert drive.sites - sites > IMAGES
    health = drive.rover.health.snapshot()
    assert health.grids_out == drive.index
    assert health.refused == {}


@pytest.mark.parametrize(
    ("kept", "what"),
    [
        (lambda given: (given["mask"].header.stamp.nanosec, 0), "blocks"),
        (lambda given: np.array(given["mask"].data[:1]), "blocks"),
        (lambda given: given["hazard_grid"], "blocks"),
        (lambda given: bytes(600), "bytes"),
    ],
    ids=["a tuple", "an array of one pixel", "a message", "bytes beyond the small blocks"],
)
def test_one_thing_that_is_kept_per_image_is_noticed(drive, kept, what):
    held, before = [], Held.now()
    drive.go(SOME, lambda given: held.append(kept(given)))
    grown = Held.now().since(before)
    limit = {"blocks": SOME // 2, "bytes": SOME * 256}[what]
    assert getattr(grown, what) >= limit or (what, before.bytes) == ("bytes", 0)
