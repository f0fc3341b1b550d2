"""Test the camera model against OpenCV and against itself."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.camera import CameraModel, camera_from_field_of_view
from terrain_seg_ros.core.geometry.camera_calibration import Fields, calibrate

LENSES = {
    "none": (),
    "plumb_bob": (-0.28, 0.07, 0.0008, -0.0005, 0.0),
    "rational_polynomial": (0.6, 0.1, 0.0002, -0.0001, 0.01, 0.95, 0.25, 0.03),
    "equidistant": (-0.02, 0.006, -0.004, 0.0007),
}
K = (400.0, 0.0, 319.5, 0.0, 410.0, 239.5, 0.0, 0.0, 1.0)


def camera(model="none", **changes):
    values = {
        "width_px": 640,
        "height_px": 480,
        "fx_px": 400.0,
        "fy_px": 410.0,
        "cx_px": 322.0,
        "cy_px": 236.0,
        "distortion_model": model,
        "coefficients": LENSES.get(model, ()),
    }
    return CameraModel(**{**values, **changes})


def info(**changes):
    values = {
        "width_px": 640,
        "height_px": 480,
        "k": K,
        "d": (),
        "distortion_model": "plumb_bob",
        "binning_x": 0,
        "binning_y": 0,
        "roi": (0, 0, 0, 0),
    }
    return calibrate(Fields(**{**values, **changes})).camera


@pytest.mark.requirement("TSR-CAM-002")
@pytest.mark.parametrize("model", LENSES)
def test_every_pixel_survives_the_round_trip(model):
    u, v = np.meshgrid(np.arange(0, 640, 3.0), np.arange(0, 480, 3.0))
    pixels = np.stack([u.ravel(), v.ravel()], axis=1)
    rays = camera(model).rays(u, v)
    assert np.isfinite(rays).all()
    assert (rays[:, 2] == 1.0).all()
    np.testing.assert_allclose(camera(model).project(rays * 7.0), pixels, atol=1e-6)


@given(
    model=st.sampled_from(sorted(LENSES)),
    scale=st.floats(0.0, 1.0),
    u=st.floats(0, 639),
    v=st.floats(0, 479),
)
@settings(max_examples=100)
def test_round_trip_with_any_strength_of_distortion(model, scale, u, v):
    lens = camera(model, coefficients=tuple(scale * value for value in LENSES[model]))
    ray = lens.rays([u], [v])
    assert np.isfinite(ray).all()
    np.testing.assert_allclose(lens.project(ray)[0], [u, v], atol=1e-6)


@pytest.mark.requirement("TSR-CAM-002")
@pytest.mark.parametrize("model", ["none", "plumb_bob", "rational_polynomial"])
def test_projects_as_opencv(model):
    points = np.random.default_rng(1).uniform([-2, -2, 3], [2, 2, 9], (200, 3))
    matrix = np.array([[400.0, 0, 322.0], [0, 410.0, 236.0], [0, 0, 1]])
    expected, _ = cv2.projectPoints(
        points, np.zeros(3), np.zeros(3), matrix, np.array(LENSES[model], dtype=float)
    )
    np.testing.assert_allclose(camera(model).project(points), expected[:, 0], atol=1e-9)


def test_projects_as_opencv_fisheye():
    points = np.random.default_rng(1).uniform([-6, -6, 1], [6, 6, 4], (200, 3))
    matrix = np.array([[400.0, 0, 322.0], [0, 410.0, 236.0], [0, 0, 1]])
    expected, _ = cv2.fisheye.projectPoints(
        points[:, None], np.zeros(3), np.zeros(3), matrix, np.array(LENSES["equidistant"])
    )
    np.testing.assert_allclose(camera("equidistant").project(points), expected[:, 0], atol=1e-9)


def test_a_wide_fisheye_has_no_ray_beyond_ninety_degrees():
    lens = camera("equidistant", fx_px=100.0, fy_px=100.0, cx_px=320.0, coefficients=(0.0,) * 4)
    rays = lens.rays([320.0 + 100.0 * math.pi / 2 + 1, 320.0 + 100.0], [236.0, 236.0])
    assert np.isnan(rays[0]).all()
    np.testing.assert_allclose(rays[1], [math.tan(1.0), 0.0, 1.0])


def test_points_behind_the_camera_or_past_the_fold_have_no_pixel():
    lens = camera("plumb_bob", coefficients=(-0.3, 0.0, 0.0, 0.0))
    pixels = lens.project([[0.0, 0.0, -1.0], [1.2, 0.0, 1.0], [0.2, 0.0, 1.0]])
    assert np.isnan(pixels[:2]).all()
    assert np.isfinite(pixels[2]).all()
    folded = 1.0 / math.sqrt(0.9) * (1 - 0.3 / 0.9) * 400.0
    assert np.isnan(lens.rays([322.0 + folded + 1.0], [236.0])).all()
    assert np.isfinite(lens.rays([322.0 + folded - 1.0], [236.0])).all()


def test_info_without_roi_and_binning_is_taken_as_it_is():
    lens = info()
    assert (lens.width_px, lens.height_px) == (640, 480)
    assert (lens.fx_px, lens.fy_px, lens.cx_px, lens.cy_px) == (400.0, 410.0, 319.5, 239.5)
    assert (lens.distortion_model, lens.coefficients) == ("none", ())


@pytest.mark.requirement("TSR-CAM-001")
@given(
    u=st.floats(40, 500),
    v=st.floats(30, 400),
    binning=st.sampled_from([1, 2, 4]),
    model=st.sampled_from(["plumb_bob", "rational_polynomial", "equidistant"]),
)
@settings(max_examples=60)
def test_roi_and_binning_keep_the_ray(u, v, binning, model):
    full = info(distortion_model=model, d=LENSES[model])
    part = info(
        distortion_model=model,
        d=LENSES[model],
        binning_x=binning,
        binning_y=binning,
        roi=(40, 24, 480, 400),
    )
    assert (part.width_px, part.height_px) == (480 // binning, 400 // binning)
    moved = ((u + 0.5 - 40) / binning - 0.5, (v + 0.5 - 24) / binning - 0.5)
    np.testing.assert_allclose(part.rays([moved[0]], [moved[1]]), full.rays([u], [v]), atol=1e-9)


def test_field_of_view_reaches_the_outer_edges_of_the_pixels():
    lens = camera_from_field_of_view(width_px=640, height_px=480, horizontal_fov_rad=1.2)
    left, right = lens.rays([-0.5, 639.5], [239.5, 239.5])
    assert math.atan(right[0]) - math.atan(left[0]) == pytest.approx(1.2)
    assert lens.fx_px == lens.fy_px


@pytest.mark.parametrize("fov", [0.0, math.pi, -1.0, math.nan])
def test_an_impossible_field_of_view_is_refused(fov):
    with pytest.raises(GeometryError, match="horizontal_fov_rad"):
        camera_from_field_of_view(width_px=640, height_px=480, horizontal_fov_rad=fov)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": (0.0,) * 9}, "uncalibrated"),
        ({"k": (math.nan, *K[1:])}, "not finite"),
        ({"k": (-1.0, *K[1:])}, "focal"),
        ({"k": K[:4]}, "9"),
        ({"k": (K[0], 3.0, *K[2:])}, "skew"),
        ({"d": (math.nan,) * 5}, "not finite"),
        ({"d": (0.1, 0.2)}, "coefficients"),
        ({"distortion_model": "thin_prism", "d": (0.1,)}, "unknown"),
        ({"distortion_model": "equidistant", "d": (0.1,)}, "coefficients"),
        ({"roi": (600, 0, 100, 100)}, "roi"),
        ({"binning_x": 700}, "binning"),
        ({"width_px": 0, "height_px": 0}, "0 x 0 px"),
    ],
)
def test_bad_info_is_refused(changes, message):
    with pytest.raises(GeometryError, match=message):
        info(**changes)


def test_an_image_of_another_size_is_refused():
    camera().check_image(640, 480)
    with pytest.raises(GeometryError, match=r"320 x 240.*640 x 480"):
        camera().check_image(320, 240)


def test_coefficients_that_fold_the_centre_are_refused():
    with pytest.raises(GeometryError, match="fold"):
        camera("equidistant", coefficients=(-1e9, 0.0, 0.0, 0.0)).rays([0.0], [0.0])
