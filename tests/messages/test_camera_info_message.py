import numpy as np
import pytest

from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.camera_info_message import camera_model, encode_camera_info
from terrain_seg_ros.messages.header_message import make_header, stamp_ns

INFO = "sensor_msgs/msg/CameraInfo"
PLAIN = CameraModel(640, 480, 500.0, 510.0, 310.5, 245.25, "none", ())
MODELS = [
    PLAIN,
    CameraModel(640, 480, 500.0, 510.0, 310.5, 245.25, "plumb_bob", (0.1, -0.2, 0.01, 0.02, 0.3)),
    CameraModel(
        64, 48, 50.0, 51.0, 31.0, 24.0, "rational_polynomial", (0.1, 0.2, 0, 0, 0.3, 0.1, 0.2, 0.1)
    ),
    CameraModel(64, 48, 50.0, 51.0, 31.0, 24.0, "equidistant", (0.1, -0.2, 0.01, 0.02)),
]


def _message(camera=PLAIN):
    header = make_header(cdr.message_class, 9, "camera_optical")
    message = encode_camera_info(cdr.message_class, camera, header)
    message.k = message.k.copy()
    return message


@pytest.mark.parametrize("camera", MODELS, ids=lambda c: c.distortion_model)
def test_round_trip(types, round_trip, camera):
    header = make_header(types, 9, "camera_optical")
    message = round_trip(encode_camera_info(types, camera, header), INFO)
    back = camera_model(message)
    assert (back.width_px, back.height_px) == (camera.width_px, camera.height_px)
    u = np.array([0.0, 10.0, camera.width_px - 1.0])
    v = np.array([0.0, 20.0, camera.height_px - 1.0])
    np.testing.assert_allclose(back.rays(u, v), camera.rays(u, v), atol=1e-9)
    assert (stamp_ns(message.header), message.header.frame_id) == (9, "camera_optical")


def test_projection_matrix_repeats_the_intrinsics(types):
    message = encode_camera_info(types, PLAIN, make_header(types, 0, "c"))
    expected = [[500, 0, 310.5, 0], [0, 510, 245.25, 0], [0, 0, 1, 0]]
    assert np.reshape(message.p, (3, 4)).tolist() == expected
    assert np.reshape(message.r, (3, 3)).tolist() == np.eye(3).tolist()
    assert list(message.d) == [0.0] * 5


def test_region_of_interest_and_binning_describe_the_delivered_image():
    message = _message()
    roi = message.roi
    roi.x_offset, roi.y_offset, roi.width, roi.height = 100, 40, 400, 200
    message.binning_x, message.binning_y = 2, 4
    camera = camera_model(cdr.deserialize(cdr.serialize(message, INFO), INFO))
    assert (camera.width_px, camera.height_px) == (200, 50)
    assert (camera.fx_px, camera.fy_px) == (250.0, 127.5)
    assert camera.cx_px == (310.5 + 0.5 - 100) / 2 - 0.5
    assert camera.cy_px == (245.25 + 0.5 - 40) / 4 - 0.5


@pytest.mark.parametrize("entry", [0, 2, 4, 5])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_intrinsics_that_are_not_finite_are_refused(entry, value):
    message = _message()
    message.k[entry] = value
    with pytest.raises(GeometryError):
        camera_model(message)


def _set(name, value):
    return lambda message: setattr(message, name, value)


@pytest.mark.parametrize(
    "change",
    [
        _set("k", np.zeros(9)),
        _set("width", 0),
        _set("d", np.array([np.nan] * 5)),
        _set("distortion_model", "plum_bob"),
        _set("binning_x", 10_000),
        lambda message: (_set("x_offset", 600)(message.roi), _set("width", 100)(message.roi)),
    ],
)
def test_bad_camera_info_is_refused(change):
    message = _message(MODELS[1])
    change(message)
    if message.roi.width:
        message.roi.height = 10
    with pytest.raises(GeometryError):
        camera_model(message)
