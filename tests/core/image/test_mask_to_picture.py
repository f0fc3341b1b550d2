import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.image.mask_to_picture import color_mask, overlay
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass

TAXONOMY = Taxonomy(
    (
        TerrainClass(0, "soil", (10, 20, 30), 0.0),
        TerrainClass(1, "rock", (200, 100, 50), 1.0),
    )
)
MASK = np.array([[0, 1], [255, 7]], np.uint8)


def test_classes_have_their_colours_and_the_rest_is_black():
    expected = [[[10, 20, 30], [200, 100, 50]], [[0, 0, 0], [0, 0, 0]]]
    assert color_mask(MASK, TAXONOMY).tolist() == expected


def test_mask_may_be_a_read_only_view():
    mask = np.zeros((4, 8), np.uint8)
    mask.flags.writeable = False
    assert color_mask(mask[:, ::2], TAXONOMY).shape == (4, 4, 3)


@pytest.mark.parametrize("grey", [True, False])
def test_overlay_blends_classes_and_keeps_the_rest(grey):
    pixels = np.full((2, 2) if grey else (2, 2, 3), 100, np.uint8)
    before = pixels.copy()
    shown = overlay(pixels, MASK, TAXONOMY, alpha=0.5)
    assert shown.tolist() == [[[55, 60, 65], [150, 100, 75]], [[100, 100, 100], [100, 100, 100]]]
    np.testing.assert_array_equal(pixels, before)


@pytest.mark.parametrize(("alpha", "expected"), [(0.0, [100, 100, 100]), (1.0, [10, 20, 30])])
def test_alpha_is_the_weight_of_the_colours(alpha, expected):
    shown = overlay(np.full((2, 2), 100, np.uint8), MASK, TAXONOMY, alpha=alpha)
    assert shown[0, 0].tolist() == expected


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_out_of_range_is_refused(alpha):
    with pytest.raises(ConfigError, match="overlay alpha"):
        overlay(np.zeros((2, 2), np.uint8), MASK, TAXONOMY, alpha=alpha)


def test_sizes_that_differ_are_refused():
    with pytest.raises(ModelError, match=r"mask \(2, 2\) does not match"):
        overlay(np.zeros((2, 3), np.uint8), MASK, TAXONOMY, alpha=0.5)
