"""What drivers write into a CameraInfo is read alike everywhere, or refused with the remedy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.camera_calibration import Fields, calibrate

K = (400.0, 0.0, 319.5, 0.0, 410.0, 239.5, 0.0, 0.0, 1.0)
P = (380.0, 0.0, 310.0, 0.0, 0.0, 390.0, 236.0, 0.0, 0.0, 0.0, 1.0, 0.0)
D = (-0.28, 0.07, 0.0008, -0.0005, 0.01)
PLAIN = Fields(640, 480, K, D, "plumb_bob")


def changed(**changes):
    return PLAIN._replace(**changes)


def matrix(index, value, of=K):
    return (*of[:index], value, *of[index + 1 :])


@pytest.mark.parametrize(
    ("name", "d", "model", "coefficients", "noted"),
    [
        ("plumb_bob", (*D, 0, 0, 0), "plumb_bob", D, False),
        ("plumb_bob", (*D, 0, 0, 0, 0, 0, 0, 0, 0, 0), "plumb_bob", D, True),
        ("plumb_bob", (*D, 0.1, 0, 0), "rational_polynomial", (*D, 0.1, 0, 0), True),
        ("plumb_bob", (*D, 0.0), "plumb_bob", D, True),
        ("plumb_bob", D[:4], "plumb_bob", D[:4], False),
        ("plumb_bob", D, "plumb_bob", D, False),
        ("", D[:4], "plumb_bob", D[:4], True),
        ("", D, "plumb_bob", D, True),
        ("", (*D, 0.1, 0.2, 0.3), "rational_polynomial", (*D, 0.1, 0.2, 0.3), True),
        ("", (), "none", (), False),
        ("", (0.0,) * 5, "none", (), False),
        ("plumb_bob", (0.0,) * 7, "none", (), False),
        ("rational_polynomial", (0.0,) * 14, "none", (), False),
        ("rational_polynomial", D, "plumb_bob", D, True),
        ("rational_polynomial", (*D, 0, 0, 0), "rational_polynomial", (*D, 0, 0, 0), False),
        ("rational", (*D, 1, 2, 3, 0, 0, 0, 0), "rational_polynomial", (*D, 1, 2, 3), True),
        ("Plumb_Bob", D, "plumb_bob", D, True),
        (" plumb bob ", D, "plumb_bob", D, True),
        ("rational", (*D, 1, 2, 3), "rational_polynomial", (*D, 1, 2, 3), True),
        ("radtan", D[:4], "plumb_bob", D[:4], True),
        ("Brown-Conrady", D, "plumb_bob", D, True),
        ("fisheye", D[:4], "equidistant", D[:4], True),
        ("kannala_brandt4", D[:4], "equidistant", D[:4], True),
        ("equidistant", (*D[:4], 0.0), "equidistant", D[:4], False),
        ("equidistant", (0.0,) * 4, "equidistant", (0.0,) * 4, False),
        ("pinhole", (0.0,) * 5, "none", (), False),
    ],
)  # fmt: skip
def test_quirks_of_drivers_are_read_and_told(name, d, model, coefficients, noted):
    found = calibrate(changed(distortion_model=name, d=d))
    assert found.camera.distortion_model == model
    assert found.camera.coefficients == coefficients
    assert bool(found.notes) == noted


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"distortion_model": "", "d": D[:3]}, "empty and D has 3"),
        ({"distortion_model": "", "d": (*D, 0.1)}, "empty and D has 6"),
        ({"distortion_model": "double_sphere"}, "'double_sphere' is unknown.*image_rectification"),
        ({"distortion_model": "ftheta", "d": (0.0,) * 5}, "unknown"),
        ({"distortion_model": "pinhole"}, "expected none"),
        ({"distortion_model": "equidistant", "d": ()}, "has 0 coefficients"),
        ({"distortion_model": "equidistant"}, "has 5 coefficients"),
        ({"d": (*D, 0, 0, 0, 0.1)}, "past the eighth"),
        ({"d": (0.1,)}, "has 1 coefficients"),
        ({"d": (1e9, *D[1:])}, "up to 1e.09"),
        ({"d": (0.1,) * 100}, "100 coefficients"),
        ({"d": (math.inf, *D[1:])}, "D .*not finite"),
        ({"k": (0.0,) * 9}, "K is all zero"),
        ({"k": (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)}, "principal point"),
        ({"k": (1.0, 0, 320, 0, 1.0, 240, 0, 0, 1.0)}, "field of view of 179.*identity"),
        ({"k": (10.0, 0, 320, 0, 10.0, 240, 0, 0, 1.0)}, "field of view"),
        ({"k": (0.78, 0, 0.5, 0, 1.04, 0.5, 0, 0, 1.0)}, "horizontal field .*is in pixels"),
        ({"k": (4.2, 0, 3.1, 0, 4.2, 2.3, 0, 0, 1.0)}, "to one side.*is in pixels"),
        ({"k": (200.0, 0, 159.5, 0, 205.0, 119.5, 0, 0, 1.0)}, "320 x 240 px, but .*640 x 480"),
        ({"k": (500.0, 0, 399.5, 0, 512.0, 299.5, 0, 0, 1.0)}, "centre of an image of 800 x 600"),
        ({"k": matrix(0, 1e100)}, "K contains 1e.100"),
        ({"k": matrix(0, 1e8)}, "focal length fx 1e.08 px, expected 0.01 to 1e.07"),
        ({"k": matrix(4, 1e-3)}, "focal length fy 0.001"),
        ({"k": matrix(0, -400.0)}, "focal length fx -400"),
        ({"k": matrix(2, -3.0)}, "principal point .* outside"),
        ({"k": matrix(2, 5000.0)}, "principal point .* outside"),
        ({"k": matrix(5, 480.5)}, "principal point .* outside"),
        ({"k": matrix(2, math.nan)}, "K .*not finite"),
        ({"k": matrix(8, 2.0)}, "last row"),
        ({"k": matrix(1, 5.0)}, "skew"),
        ({"p": matrix(3, math.nan, P)}, "P .*not finite"),
        ({"p": matrix(0, 1e200, P)}, "P contains 1e.200"),
        ({"r": (math.inf,) * 9}, "R .*not finite"),
        ({"width_px": 0}, "0 x 480 px"),
        ({"height_px": 0}, "640 x 0 px"),
    ],
)
def test_what_is_not_plausible_is_refused_by_name(changes, text):
    with pytest.raises(GeometryError, match=text):
        calibrate(changed(**changes))


def test_rectified_images_follow_p_without_d():
    found = calibrate(changed(p=P), rectified=True)
    camera = found.camera
    assert (camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px) == (380.0, 390.0, 310.0, 236.0)
    assert (camera.distortion_model, camera.coefficients) == ("none", ())
    assert "P" in found.notes[0]


def test_raw_images_follow_k_and_d_whatever_p_says():
    found = calibrate(changed(p=P))
    assert (found.camera.fx_px, found.camera.coefficients, found.notes) == (400.0, D, ())


def test_binning_and_roi_hold_for_p_too():
    fields = changed(p=P, binning_x=2, binning_y=2, roi=(100, 40, 400, 200))
    camera = calibrate(fields, rectified=True).camera
    assert (camera.width_px, camera.height_px, camera.fx_px) == (200, 100, 190.0)
    assert camera.cx_px == (310.0 + 0.5 - 100) / 2 - 0.5


def test_a_principal_point_outside_the_crop_is_no_fault():
    camera = calibrate(changed(roi=(400, 300, 100, 100))).camera
    assert camera.cx_px < 0.0


def test_rectified_images_without_p_need_a_k_without_distortion():
    with pytest.raises(GeometryError, match="P is all zero, but the images are rectified"):
        calibrate(PLAIN, rectified=True)
    assert calibrate(changed(d=(0.0,) * 5), rectified=True).camera.fx_px == 400.0


@pytest.mark.parametrize("name", ["magic", "", "equidistant"])
def test_rectified_images_do_not_ask_for_the_lens(name):
    camera = calibrate(changed(p=P, distortion_model=name, d=(0.1,)), rectified=True).camera
    assert camera.distortion_model == "none"


def test_a_p_that_is_not_plausible_is_refused_where_it_is_used():
    bad = matrix(0, 1e-5, P)
    with pytest.raises(GeometryError, match="P has the focal length fx 1e-05"):
        calibrate(changed(p=bad), rectified=True)
    assert calibrate(changed(p=bad)).camera.fx_px == 400.0


def test_a_p_of_another_resolution_is_refused_where_it_is_used():
    half = (190.0, 0.0, 160.0, 0.0, 0.0, 195.0, 119.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    with pytest.raises(GeometryError, match=r"P has the principal point .*publish P for that"):
        calibrate(changed(p=half), rectified=True)
    assert calibrate(changed(p=half)).camera.fx_px == 400.0


def test_a_stereo_baseline_that_is_not_used_is_told():
    told = calibrate(changed(p=matrix(3, -38.0, P)), rectified=True).notes
    assert "baseline of 0.1 m, which is not used" in told[-1]
    assert "baseline" not in str(calibrate(changed(p=P), rectified=True).notes)


def test_a_principal_point_far_from_the_middle_is_told():
    swapped = matrix(2, 239.5, matrix(5, 319.5))
    assert "far from the centre of 640 x 480" in calibrate(changed(k=swapped)).notes[0]
    assert calibrate(changed(k=matrix(2, 280.0))).notes == ()


def test_what_is_odd_but_not_used_is_told():
    assert "not a rotation" in calibrate(changed(r=(2.0, 0, 0, 0, 2.0, 0, 0, 0, 2.0))).notes[0]
    assert calibrate(changed(r=(0.0,) * 9)).notes == ()
    assert "last row of K" in calibrate(changed(k=matrix(8, 0.0))).notes[0]
    assert "K and P" in calibrate(changed(d=(0.0,) * 5, p=P)).notes[0]
    narrow = (400.0, 0.0, 319.5, 0.0, 1000.0, 239.5, 0.0, 0.0, 1.0)
    assert "unusual ratio" in calibrate(changed(k=narrow)).notes[0]


@given(
    k=st.lists(st.floats(), min_size=9, max_size=9),
    d=st.lists(st.floats(), max_size=15),
    p=st.lists(st.floats(), min_size=12, max_size=12),
    size=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    name=st.sampled_from(["plumb_bob", "", "rational_polynomial", "equidistant", "x"]),
    rectified=st.booleans(),
)
@settings(max_examples=300)
@pytest.mark.filterwarnings("error")
def test_any_numbers_are_a_camera_or_one_clear_error(k, d, p, size, name, rectified):
    try:
        camera = calibrate(Fields(*size, k, d, name, p=p), rectified=rectified).camera
    except GeometryError:
        return
    assert 1e-2 <= camera.fx_px <= 1e7


@given(
    fx=st.floats(1e-320, 1e308),
    fy=st.floats(1e-320, 1e308),
    cx=st.floats(-1e308, 1e308),
    cy=st.floats(0.0, 480.0),
)
@settings(max_examples=300)
@pytest.mark.filterwarnings("error")
def test_any_intrinsics_give_finite_rays_or_one_clear_error(fx, fy, cx, cy):
    k = (fx, 0.0, cx, 0.0, fy, cy, 0.0, 0.0, 1.0)
    try:
        camera = calibrate(changed(k=k, d=())).camera
    except GeometryError:
        return
    rays = camera.rays(np.array([0.0, 639.0]), np.array([0.0, 479.0]))
    assert np.isfinite(rays).all()
