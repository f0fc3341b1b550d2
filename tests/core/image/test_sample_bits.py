import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.sample_bits import SampleBits


def _scene(bits, *, brightest=1.0, seed=0, shape=(40, 60)):
    """Return a picture in the lowest bits of 16, its brightest sample as a share of the range."""
    shares = np.random.default_rng(seed).random(shape)
    shares.flat[0] = 1.0
    return np.floor(shares * brightest * ((1 << bits) - 1)).astype(np.uint16)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_the_bits_that_a_camera_fills_become_eight(bits):
    samples, found = _scene(bits), SampleBits()
    np.testing.assert_array_equal(found.to_bytes(samples), (samples >> (bits - 8)).astype(np.uint8))
    assert found.bits == bits
    assert f"use {bits} bits" in found.text


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_the_order_of_bytes_does_not_matter(order):
    samples = _scene(12)
    np.testing.assert_array_equal(SampleBits().to_bytes(samples.astype(order)), samples >> 4)


def test_a_dark_image_never_makes_the_scale_finer():
    found = SampleBits()
    found.to_bytes(_scene(12))
    dark = _scene(12, brightest=0.1)
    np.testing.assert_array_equal(found.to_bytes(dark), dark >> 4)
    assert found.bits == 12


def test_a_brighter_image_makes_the_scale_coarser_once_and_for_all():
    found = SampleBits()
    found.to_bytes(_scene(12, brightest=0.2))
    assert found.bits == 10
    for samples in (_scene(12), _scene(12, brightest=0.2)):
        np.testing.assert_array_equal(found.to_bytes(samples), samples >> 4)


def test_a_few_flipped_bits_do_not_make_a_picture_black():
    samples = _scene(12, shape=(200, 200))
    samples[3, 5] = 60_000
    found = SampleBits()
    pixels = found.to_bytes(samples)
    assert found.bits == 12
    assert pixels[3, 5] == 255
    assert pixels.mean() > 100


def test_values_that_fill_the_upper_bits_are_of_the_full_range():
    samples = _scene(12) << 4
    np.testing.assert_array_equal(SampleBits().to_bytes(samples), samples >> 8)


def test_a_picture_of_eight_bits_in_sixteen_is_one():
    samples, found = _scene(8), SampleBits()
    np.testing.assert_array_equal(found.to_bytes(samples), samples)
    assert found.bits == 8


def test_darkness_stays_dark_and_decides_nothing():
    found = SampleBits()
    noise = 160 + np.random.default_rng(0).integers(0, 20, (40, 60), dtype=np.uint16)
    assert found.to_bytes(noise).max() == 0
    assert (found.bits, "darkness" in found.text) == (0, True)
    found.to_bytes(_scene(12))
    assert found.bits == 12


@pytest.mark.parametrize("bits", [8, 9, 12, 16])
def test_bits_that_are_given_hold_whatever_comes(bits):
    found = SampleBits(bits)
    samples = _scene(16)
    expected = np.minimum(samples >> (bits - 8), 255)
    np.testing.assert_array_equal(found.to_bytes(samples), expected)
    assert (found.bits, found.text) == (bits, "")


@pytest.mark.parametrize("bits", [-1, 1, 7, 17])
def test_bits_out_of_range_are_refused(bits):
    with pytest.raises(ConfigError, match=f"image_bits is {bits}, expected 8 to 16"):
        SampleBits(bits)


def test_black_is_told_as_darkness_until_a_picture_comes():
    found = SampleBits()
    assert found.to_bytes(np.zeros((3, 3), np.uint16)).max() == 0
    assert (found.bits, "darkness" in found.text) == (0, True)
    found.to_bytes(_scene(12))
    assert (found.bits, "darkness" in found.text) == (12, False)
    found.to_bytes(np.zeros((3, 3), np.uint16))
    assert (found.bits, "darkness" in found.text) == (12, False)
