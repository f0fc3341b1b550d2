import numpy as np
import pytest

from terrain_seg_ros.core.scores.bootstrap import draw, interval


def test_an_interval_holds_the_middle_95_percent():
    assert interval(np.arange(1001.0)) == pytest.approx((25.0, 975.0))


def test_resamples_without_the_figure_are_left_out():
    assert interval([np.nan, 2.0, np.nan, 2.0]) == (2.0, 2.0)


@pytest.mark.parametrize("values", [[], [np.nan, np.nan]])
def test_a_figure_that_no_resample_has_has_no_interval(values):
    assert interval(values) is None


def test_draws_are_of_the_items_there_are_and_follow_the_seed():
    first = draw(np.random.default_rng(3), resamples=50, count=7)
    assert first.shape == (50, 7)
    assert set(np.unique(first)) == set(range(7))
    np.testing.assert_array_equal(first, draw(np.random.default_rng(3), resamples=50, count=7))
