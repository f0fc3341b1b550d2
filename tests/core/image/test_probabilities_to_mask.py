"""Tests of the way from the network's output to the image."""

import numpy as np
import pytest

from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.image.probabilities_to_mask import probabilities_to_mask


def geometry(scale_x, scale_y, offset_x, offset_y, image_width, image_height):
    return TensorGeometry(
        scale_x=scale_x,
        scale_y=scale_y,
        offset_x_px=offset_x,
        offset_y_px=offset_y,
        width_px=4,
        height_px=2,
        image_width_px=image_width,
        image_height_px=image_height,
    )


def output():
    mask = np.array([[[0, 1, 2, 3], [3, 2, 1, 0]]], dtype=np.uint8)
    return NetworkOutput(mask, mask + 100, np.zeros((1, 4, 2, 4), dtype=np.uint8))


def test_stretch_repeats_pixels():
    result = probabilities_to_mask(output(), geometry(3, 2, 0, 0, 12, 4))
    assert np.array_equal(result.mask, output().mask[0].repeat(2, axis=0).repeat(3, axis=1))
    assert np.array_equal(result.confidence, result.mask + 100)
    assert np.array_equal(result.tensor_mask, output().mask[0])


def test_outside_a_crop_is_unlabelled():
    result = probabilities_to_mask(output(), geometry(1, 1, 3, 5, 10, 10))
    assert np.array_equal(result.mask[5:7, 3:7], output().mask[0])
    assert (result.mask == 255).sum() == 100 - 8
    assert (result.confidence == 0).sum() == 100 - 8


def test_letterbox_bars_are_cut_off():
    result = probabilities_to_mask(output(), geometry(2, 2, -2, 0, 4, 4))
    assert np.array_equal(result.mask, [[1, 1, 2, 2], [1, 1, 2, 2], [2, 2, 1, 1], [2, 2, 1, 1]])


def test_each_pixel_takes_the_nearest_centre():
    result = probabilities_to_mask(output(), geometry(0.5, 1, 0, 0, 2, 2))
    assert result.mask.shape == (2, 2)
    odd = probabilities_to_mask(output(), geometry(7 / 4, 1, 0, 0, 7, 2))
    centres = (np.arange(7) + 0.5) / (7 / 4)
    assert np.abs(centres - (odd.mask[0] + 0.5)).max() <= 0.5 + 1e-6


def test_index_picks_from_the_batch():
    one = output()
    both = NetworkOutput(
        np.concatenate([one.mask, one.mask[:, ::-1]]),
        np.concatenate([one.confidence] * 2),
        np.concatenate([one.probabilities] * 2),
    )
    result = probabilities_to_mask(both, geometry(1, 1, 0, 0, 4, 2), index=1)
    assert np.array_equal(result.mask, one.mask[0, ::-1])


def test_wrong_size_is_refused():
    small = NetworkOutput(*(np.zeros((1, 3, 3), dtype=np.uint8),) * 3)
    with pytest.raises(ModelError, match=r"\(3, 3\)"):
        probabilities_to_mask(small, geometry(1, 1, 0, 0, 4, 2))
