from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import stem_at
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.rover_clock import (
    MIN_GAP_S,
    ClockSplit,
    smallest_gap_s,
    spacecraft_clock_s,
    split_by_rover_clock,
)

CLOCKS = st.lists(st.integers(400_000_000, 400_200_000), unique=True, min_size=2, max_size=60)


@given(CLOCKS, st.integers(0, 60), st.integers(0, 10_000))
def test_no_validation_image_lies_within_the_gap_of_a_training_image(clocks, cut, seed):
    stems = [stem_at(clock) for clock in clocks]
    split = split_by_rover_clock(stems[:cut], stems[cut:], held_out_share=0.4, seed=seed)
    for trained in map(spacecraft_clock_s, split.train):
        for held in map(spacecraft_clock_s, split.validation):
            assert abs(trained - held) > MIN_GAP_S


@given(CLOCKS, st.integers(0, 60), st.integers(0, 10_000))
def test_training_only_takes_what_it_may_and_no_trainable_image_is_lost(clocks, cut, seed):
    stems = [stem_at(clock) for clock in clocks]
    trainable = set(stems[:cut])
    split = split_by_rover_clock(stems[:cut], stems[cut:], seed=seed)
    assert set(split.train) <= trainable
    assert not set(split.train) & set(split.validation)
    assert trainable <= set(split.train) | set(split.validation)


@given(CLOCKS, st.integers(0, 10_000), st.randoms())
def test_split_depends_on_the_seed_and_not_on_the_order(clocks, seed, shuffler):
    stems = [stem_at(clock) for clock in clocks]
    other = list(stems)
    shuffler.shuffle(other)
    first = split_by_rover_clock(stems, [], held_out_share=0.5, seed=seed)
    assert first == split_by_rover_clock(other, [], held_out_share=0.5, seed=seed)


@given(CLOCKS, st.integers(1, 59))
def test_smallest_gap_is_that_of_all_pairs(clocks, cut):
    if cut >= len(clocks):
        cut = len(clocks) - 1
    split = ClockSplit(tuple(map(stem_at, clocks[:cut])), tuple(map(stem_at, clocks[cut:])))
    expected = min(abs(a - b) for a in clocks[:cut] for b in clocks[cut:])
    assert smallest_gap_s(split) == expected


def test_empty_side_has_no_gap():
    with pytest.raises(ConfigError, match="0 validation images"):
        smallest_gap_s(ClockSplit((stem_at(400_000_000),), ()))


def test_name_without_a_clock_is_refused():
    with pytest.raises(ConfigError, match="holiday"):
        spacecraft_clock_s("holiday")
