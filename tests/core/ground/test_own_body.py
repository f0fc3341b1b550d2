"""Test where the vehicle hides the view: masks, outlines, sizes, fits of the tensor."""

import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.ground.own_body import OwnBody
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry

STRETCH = TensorGeometry(2.5, 2.0, 0.0, 0.0, 64, 48, 160, 96)
LETTERBOX = TensorGeometry(2.5, 2.5, 0.0, -30.0, 64, 64, 160, 96)
CROP = TensorGeometry(1.0, 1.0, 40.0, 20.0, 64, 48, 160, 96)


def mask(*spans):
    drawn = np.zeros((96, 160), dtype=np.uint8)
    for span in spans:
        drawn[span] = 255
    return drawn


@pytest.mark.parametrize("geometry", [STRETCH, LETTERBOX, CROP])
def test_a_pixel_that_shows_any_of_the_vehicle_is_its_own(geometry):
    drawn = mask(np.s_[60:, 50:90], np.s_[33, 77])
    flags = OwnBody(drawn, source="mask.png").flags(geometry)
    expected = np.zeros((geometry.height_px, geometry.width_px), dtype=bool)
    for row in range(geometry.height_px):
        for col in range(geometry.width_px):
            left = col * geometry.scale_x + geometry.offset_x_px
            top = row * geometry.scale_y + geometry.offset_y_px
            rows, cols = np.arange(96), np.arange(160)
            inside_v = (rows + 1 > top) & (rows < top + geometry.scale_y)
            inside_u = (cols + 1 > left) & (cols < left + geometry.scale_x)
            expected[row, col] = drawn[np.ix_(inside_v, inside_u)].any()
    np.testing.assert_array_equal(flags, expected)
    assert expected.any()


def test_an_outline_is_given_in_shares_of_the_image():
    corners = np.array([[0.25, 0.5], [0.75, 0.5], [0.75, 1.2], [0.25, 1.2]])
    flags = OwnBody(polygon=corners, source="").flags(STRETCH)
    assert flags[30:, 20:44].all()
    assert not flags[:22].any()
    assert not flags[:, :14].any()
    assert not flags[:, 50:].any()
    assert not OwnBody(polygon=corners[:2], source="").flags(STRETCH).any()


def test_mask_and_outline_add_up():
    corners = np.array([[0.0, 0.0], [0.1, 0.0], [0.1, 0.1], [0.0, 0.1]])
    flags = OwnBody(mask(np.s_[90:, 150:]), corners, source="").flags(STRETCH)
    assert flags[0, 0]
    assert flags[-1, -1]
    assert not flags[20, 30]


def test_flags_are_kept_and_cannot_be_changed():
    body = OwnBody(mask(np.s_[50:]), source="")
    assert body.flags(STRETCH) is body.flags(STRETCH)
    with pytest.raises(ValueError, match="read-only"):
        body.flags(STRETCH)[0, 0] = True


def test_a_mask_of_another_size_is_refused_and_both_sizes_are_named():
    body = OwnBody(np.zeros((48, 64), dtype=np.uint8), source="deck.png")
    with pytest.raises(GeometryError, match=r"deck\.png is 64 x 48 px .* 160 x 96 px"):
        body.flags(STRETCH)


def test_wrong_shapes_are_refused():
    with pytest.raises(ConfigError, match="8 bits"):
        OwnBody(np.zeros((4, 4, 3), dtype=np.uint8), source="x")
    with pytest.raises(ConfigError, match="outline"):
        OwnBody(polygon=np.zeros((4, 3)), source="x")
