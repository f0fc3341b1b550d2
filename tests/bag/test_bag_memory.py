"""Memory does not grow with the bag."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from support.bags import IMAGE, Entry, drive, header, message_class, stamp, write_bag
from terrain_seg_ros.bag.plan import ReplayOptions, skippable_topics
from terrain_seg_ros.bag.replay import replay
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.parameters.parameters import load_parameters

IMAGE_BYTES = 320 * 240
SHORT, LONG = 40, 160


def large_image(index):
    pixels = np.random.default_rng(index).integers(0, 256, (240, 320), dtype=np.uint8)
    message = encode_image(message_class, pixels, "mono8", header(stamp(index)))
    return Entry("/navcam/image_raw", IMAGE, stamp(index), message)


def peak_bytes(source, target, parameters):
    gc.collect()
    tracemalloc.start()
    try:
        replay(source, target, parameters, options=ReplayOptions(skip=skippable_topics()))
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_bag_of_four_times_the_length_needs_the_same(tmp_path, storage):
    parameters = load_parameters(
        overrides={"model": "synthetic", "backend": "constant", "horizontal_fov_rad": 1.0}
    )
    peaks = {}
    for count in (SHORT, LONG):
        entries = drive(count, make_image=large_image, with_info=False)
        source = write_bag(tmp_path / f"in{count}", entries, storage=storage)
        del entries
        peaks[count] = peak_bytes(source, tmp_path / f"out{count}", parameters)
    assert peaks[LONG] - peaks[SHORT] < (LONG - SHORT) * IMAGE_BYTES / 4
