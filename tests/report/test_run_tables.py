"""The tables of a run show percentiles and shares as cells."""

from __future__ import annotations

import numpy as np

from terrain_seg_ros.report.run_tables import class_shares, latency_rows, share_rows
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY


def test_percentiles_have_two_digits():
    rows = latency_rows({"total": {"p50": 1.234, "p90": 2.0, "p99": 30.5}})
    assert rows == [["total", "1.23", "2.00", "30.50"]]


def test_shares_are_of_all_pixels_with_those_that_have_no_class():
    counts = np.zeros(256, dtype=np.int64)
    counts[0], counts[255] = 30, 10
    shares = class_shares(counts, WORLD_TAXONOMY)
    first = WORLD_TAXONOMY.names[0]
    assert shares[first] == 0.75
    assert sum(shares.values()) == 0.75
    assert share_rows(shares)[0] == [first, "75.0%"]


def test_without_pixels_every_share_is_zero():
    assert set(class_shares(np.zeros(256, dtype=np.int64), WORLD_TAXONOMY).values()) == {0.0}
