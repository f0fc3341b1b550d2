"""What a simulated stereo camera measures of true depth."""

import numpy as np
import pytest

from terrain_seg_ros.score.stereo_noise import StereoNoise

STEREO = StereoNoise(focal_px=200.0, baseline_m=0.2)


@pytest.mark.parametrize("depth_m", [2.0, 4.0, 8.0])
def test_noise_grows_with_the_square_of_the_depth(depth_m):
    measured = STEREO.measure(np.full((120, 160), depth_m, np.float32), seed=3)
    found = measured[np.isfinite(measured)]
    expected_m = STEREO.range_sigma_per_m2 * depth_m**2
    assert found.std() == pytest.approx(expected_m, rel=0.25)
    assert np.median(found) == pytest.approx(depth_m, abs=0.5 * expected_m)
    assert 0.005 < 1.0 - found.size / measured.size < 0.05


def test_neighbours_share_their_noise():
    measured = STEREO.measure(np.full((120, 160), 5.0, np.float32), seed=3)
    measured[~np.isfinite(measured)] = 5.0
    step = np.diff(measured, axis=1).std()
    assert step < 0.9 * measured.std()


def test_edges_and_what_is_too_far_are_holes():
    depth_m = np.full((60, 80), 5.0, np.float32)
    depth_m[:, 40:] = 10.0
    depth_m[:10] = 100.0
    depth_m[50:] = np.nan
    measured = STEREO.measure(depth_m, seed=1)
    assert np.isnan(measured[:9]).all()
    assert np.isnan(measured[51:]).all()
    assert np.isnan(measured[20:40, 39:41]).all()
    assert np.isfinite(measured[20:40, 5:30]).mean() > 0.9


def test_the_same_seed_gives_the_same_depth():
    depth_m = np.full((30, 40), 5.0, np.float32)
    once, again, other = (STEREO.measure(depth_m, seed=seed) for seed in (4, 4, 5))
    assert np.array_equal(once, again, equal_nan=True)
    assert not np.array_equal(once, other, equal_nan=True)
