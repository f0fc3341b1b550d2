"""Tests of the one way from an image to the network's input."""

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.image.image_to_tensor import image_to_tensor, tensor_geometry
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass

RESIZES = ("stretch", "letterbox", "crop")


def card(resize="stretch", channels="grey", width=64, height=32):
    return ModelCard(
        name="test",
        version="1",
        sha256="-",
        height_px=height,
        width_px=width,
        channels=channels,
        resize=resize,
        taxonomy=Taxonomy((TerrainClass(0, "soil", (1, 2, 3), 0.0),)),
        temperature=1.0,
        opset=17,
        metrics={},
        training={},
        limits=(),
    )


def test_grey_image_of_the_right_size_is_untouched():
    pixels = np.arange(64 * 32, dtype=np.uint8).reshape(32, 64)
    assert np.array_equal(image_to_tensor(pixels, card())[0, :, :, 0], pixels)


def test_colour_becomes_bt601_luma():
    pixels = np.zeros((32, 64, 3), dtype=np.uint8)
    pixels[..., 0] = 200
    assert (image_to_tensor(pixels, card()) == round(200 * 0.299)).all()


@pytest.mark.requirement("TSR-CAM-003")
def test_colour_order_is_kept():
    pixels = np.full((100, 100, 3), (10, 20, 30), dtype=np.uint8)
    assert (image_to_tensor(pixels, card(channels="rgb")) == (10, 20, 30)).all()


def test_grey_is_repeated_for_a_colour_model():
    tensor = image_to_tensor(np.full((40, 90), 7, dtype=np.uint8), card(channels="rgb"))
    assert tensor.shape == (1, 32, 64, 3)
    assert (tensor == 7).all()


def test_shrinking_averages():
    pixels = np.tile(np.array([[0, 255], [255, 0]], dtype=np.uint8), (64, 128))
    tensor = image_to_tensor(pixels, card())
    assert np.abs(tensor.astype(int) - 128).max() <= 1


def test_letterbox_pads_with_black_and_keeps_the_aspect():
    tensor = image_to_tensor(np.full((100, 100), 255, dtype=np.uint8), card("letterbox"))
    assert (tensor[0, :, 16:48] == 255).all()
    assert (tensor[0, :, :16] == 0).all()
    assert (tensor[0, :, 48:] == 0).all()


def test_crop_shows_the_middle():
    pixels = np.zeros((100, 100), dtype=np.uint8)
    pixels[25:75] = 255
    assert (image_to_tensor(pixels, card("crop")) == 255).all()


@pytest.mark.parametrize("resize", RESIZES)
def test_a_spot_lands_where_the_geometry_says(resize):
    pixels = np.zeros((300, 420), dtype=np.uint8)
    pixels[140:160, 200:230] = 255
    tensor = image_to_tensor(pixels, card(resize))[0, :, :, 0]
    geometry = tensor_geometry(card(resize), 420, 300)
    moments = cv2.moments(tensor)
    tensor_u, tensor_v = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    image_u = (tensor_u + 0.5) * geometry.scale_x + geometry.offset_x_px - 0.5
    image_v = (tensor_v + 0.5) * geometry.scale_y + geometry.offset_y_px - 0.5
    assert image_u == pytest.approx(214.5, abs=0.3)
    assert image_v == pytest.approx(149.5, abs=0.3)


@given(
    resize=st.sampled_from(RESIZES),
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    channels=st.sampled_from(("grey", "rgb")),
)
def test_views_lie_inside_and_the_shape_is_right(resize, width, height, channels):
    model = card(resize, channels)
    geometry = tensor_geometry(model, width, height)
    for view, outer_width, outer_height in (
        (geometry.tensor_view(), 64, 32),
        (geometry.image_view(), width, height),
    ):
        assert 0 <= view.left_px <= view.left_px + view.width_px <= outer_width
        assert 0 <= view.top_px <= view.top_px + view.height_px <= outer_height
        assert view.width_px > 0
        assert view.height_px > 0
    tensor = image_to_tensor(np.zeros((height, width), dtype=np.uint8), model)
    assert tensor.shape == (1, 32, 64, model.channel_count)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 4), dtype=np.uint8),
        np.zeros((4, 4), dtype=np.float32),
        np.zeros((0, 4), dtype=np.uint8),
        np.zeros(4, dtype=np.uint8),
    ],
)
def test_what_is_no_image_is_refused(pixels):
    with pytest.raises(MessageError, match="expected"):
        image_to_tensor(pixels, card())


@given(
    seed=st.integers(0, 2**32 - 1),
    width=st.integers(64, 300),
    height=st.integers(32, 200),
    resize=st.sampled_from(RESIZES),
)
@settings(max_examples=60)
def test_the_compiled_loop_equals_the_mean_of_the_area_that_a_pixel_covers(
    seed, width, height, resize
):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.uint8)
    found = image_to_tensor(pixels, card(resize))[0, :, :, 0]
    geometry = tensor_geometry(card(resize), width, height)
    assume(geometry.scale_x >= 1.0 and geometry.scale_y >= 1.0)
    view = geometry.tensor_view()
    seen = geometry.image_view().cut(pixels).astype(np.float64)
    size = (view.width_px, view.height_px)
    exact = cv2.resize(seen, size, interpolation=cv2.INTER_AREA)
    # Where the mean lies half way between two levels, rounding decides.
    assert np.abs(view.cut(found) - exact).max() <= 0.5 + 1e-3


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (1080, 1920), (600, 800)])
def test_usual_images_are_what_opencv_makes_of_them(size):
    pixels = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    found = image_to_tensor(pixels, card(width=256, height=256))[0, :, :, 0]
    expected = cv2.resize(pixels, (256, 256), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(found, expected)
