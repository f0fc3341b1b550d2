"""Images are compared with what a network learned from."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.novelty import reference_of
from support.numpy_novelty import numpy_statistics
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.image.novelty import Novelty, input_statistics, statistics_count


def ground(seed, *, level=110.0, side=64):
    """Return soil: relief at several scales and a bright band at the top."""
    random = np.random.default_rng(seed)
    noise = random.normal(0.0, 6.0, (side, side, 1))
    coarse = random.normal(0.0, 12.0, (side // 8, side // 8, 1))
    relief = np.repeat(np.repeat(coarse, 8, axis=0), 8, axis=1)
    sky = 90.0 * (np.arange(side)[:, np.newaxis, np.newaxis] < side // 8)
    return np.clip(level + noise + relief + sky, 0.0, 255.0).astype(np.uint8)


@pytest.fixture(scope="module")
def novelty():
    return Novelty(reference_of([ground(seed) for seed in range(40)]), channels=1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(16, 16), (48, 64), (256, 256), (300, 200), (512, 1024)])
def test_inputs_of_every_size_have_the_same_number_of_finite_statistics(size, channels):
    random = np.random.default_rng(0)
    for pixels in (
        random.integers(0, 256, (*size, channels)),
        np.zeros((*size, channels)),
        np.full((*size, channels), 255),
    ):
        found = input_statistics(pixels.astype(np.uint8))
        assert found.shape == (statistics_count(channels),)
        assert np.isfinite(found).all()


def test_the_input_is_left_alone():
    pixels = ground(1)
    before = pixels.copy()
    input_statistics(pixels)
    assert np.array_equal(pixels, before)


def test_another_image_of_the_same_kind_is_within_the_limit(novelty):
    assert max(novelty(ground(seed)) for seed in range(100, 120)) < 1.0


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((64, 64, 1), np.uint8),
        np.full((64, 64, 1), 255, np.uint8),
        np.random.default_rng(3).integers(0, 256, (64, 64, 1)).astype(np.uint8),
        ground(200)[::-1].copy(),
        np.tile(np.array([[[40], [200]]], np.uint8), (64, 32, 1)),
    ],
    ids=["lens cap", "overexposed", "noise", "upside down", "stripes"],
)
def test_an_image_of_another_kind_is_beyond_the_limit(novelty, pixels):
    assert novelty(pixels) > 1.0


def test_a_reference_of_other_statistics_is_refused():
    reference = reference_of([ground(seed) for seed in range(4)])
    with pytest.raises(ModelError, match="20 statistics, expected 24 for 3 channels"):
        Novelty(reference, channels=3)


def test_half_the_limit_doubles_the_novelty(novelty):
    reference = reference_of([ground(seed) for seed in range(40)])
    strict = Novelty(replace(reference, limit=reference.limit / 2.0), channels=1)
    assert strict(ground(7)) == pytest.approx(2.0 * novelty(ground(7)))


@given(
    seed=st.integers(0, 2**32 - 1),
    level=st.floats(-40.0, 300.0),
    spread=st.sampled_from([0.0, 0.4, 10.0, 90.0]),
    blur=st.sampled_from([1, 8, 64]),
)
@settings(max_examples=60)
def test_the_compiled_loops_equal_their_numpy_reference(seed, level, spread, blur):
    random = np.random.default_rng(seed)
    noise = random.normal(level, spread, (256 // blur, 256 // blur))
    luma = np.clip(np.kron(noise, np.ones((blur, blur))), 0.0, 255.0).astype(np.uint8)
    found = input_statistics(luma[:, :, np.newaxis])
    np.testing.assert_allclose(found, numpy_statistics(luma), atol=1e-4)
