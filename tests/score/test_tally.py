from __future__ import annotations

import pytest

from terrain_seg_ros.score.tally import (
    Tally,
    band_names,
    figures,
    missed_floors,
    range_band,
    size_class,
    upper_bound_of_none,
)


def tally(seed=0, **counts):
    return Tally(scenario="flat", body="moon", seed=seed, **counts)


def test_shares_are_of_sums_not_means_of_shares():
    result = figures(
        [
            tally(called_safe_m2=100.0, false_safe_m2=1.0),
            tally(called_safe_m2=300.0, false_safe_m2=0.0),
        ]
    )
    assert result["false_safe_share"] == pytest.approx(0.0025)
    assert result["false_safe_area_m2"] == 1.0
    assert result["called_safe_area_m2"] == 400.0
    low, high = result["false_safe_share_interval"]
    assert low == 0.0
    assert high == pytest.approx(0.01)


def test_what_no_run_had_is_none():
    result = figures([tally()])
    for name in ("false_safe_share", "hazard_recall", "safe_landing_share", "landing_to_best_m"):
        assert result[name] is None
    assert result["latency_ms"] == {"median": None, "p99": None}
    assert missed_floors(result) == []


def test_rocks_are_counted_by_size_and_range():
    one = tally()
    one.rocks_seen[size_class(0.3), range_band(7.0)] += 4
    one.rocks_found[size_class(0.3), range_band(7.0)] += 3
    result = figures([one])
    assert result["hazard_recall"] == 0.75
    table = result["hazard_recall_by_size_and_range"]
    assert table["0.2-0.5 m"]["5-10 m"] == {"rocks": 4, "recall": 0.75}
    assert table["1+ m"]["10+ m"] == {"rocks": 0, "recall": None}
    assert band_names((0.0, 5.0)) == ["0-5 m", "5+ m"]


def test_landings_count_where_a_site_was_chosen_or_could_have_been():
    runs = [
        tally(landing_possible=True, landing_offered=True, landing_safe=True),
        tally(landing_possible=True, landing_offered=False),
        tally(landing_possible=False, landing_offered=True, landing_safe=False),
        tally(landing_possible=False, landing_offered=False),
    ]
    result = figures(runs)
    assert result["safe_landing_share"] == 0.5
    assert result["landings_chosen"] == 2
    assert result["landing_offered_share"] == 0.5
    assert missed_floors(result) == ["landing_offered_share is 0.500, expected at least 0.90"]


def test_calling_nothing_safe_misses_the_floor():
    result = figures([tally(findable_m2=50.0, found_m2=10.0)])
    assert missed_floors(result) == ["safe_found_share is 0.200, expected at least 0.85"]
    assert missed_floors(figures([tally(findable_m2=50.0, found_m2=45.0)])) == []


def test_none_of_a_hundred_is_not_nothing():
    assert upper_bound_of_none(100) == pytest.approx(0.0295, abs=1e-4)
