"""Each bad input is refused with its reason, and the next good image works."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from support.rover import (
    HEIGHT_PX,
    OPTICAL,
    SECOND_NS,
    START_NS,
    STATIC,
    WIDTH_PX,
    Rover,
    camera_info_message,
    image_message,
    through_cdr,
    transform_message,
)
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.diagnostics_message import Level, decode_diagnostics
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.runtime.health import Refusal

NEXT_NS = START_NS + SECOND_NS // 30
GRID = {"hazard_grid", "hazard_reason"}


def jpeg_message(stamp_ns=START_NS, *, cut_at=None):
    picture = np.full((HEIGHT_PX, WIDTH_PX), 120, dtype=np.uint8)
    data = cv2.imencode(".jpg", picture)[1].reshape(-1)[:cut_at]
    message = message_class("sensor_msgs/msg/CompressedImage")(
        header=make_header(message_class, stamp_ns, OPTICAL), format="jpeg", data=data
    )
    return through_cdr(message, "sensor_msgs/msg/CompressedImage")


def assert_good(rover, stamp_ns=NEXT_NS):
    """Send a good image and see that all is well again."""
    before = rover.refused
    given = rover.send(image_message(stamp_ns))
    assert GRID | {"mask", "confidence"} <= set(given)
    assert (given["hazard_grid"].data == 0).any()
    assert rover.refused == before
    assert rover.health.snapshot().refused_since_good == 0


def assert_reported(rover, refusal, words):
    """See that diagnostics say what happened."""
    assert rover.refused == {refusal: 1}
    status = decode_diagnostics(rover.node.diagnostics()[0].message)[0]
    assert status.level is Level.WARN
    for word in words:
        assert word in status.message
        assert word in status.values[f"refused: {refusal.value}"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"data": np.zeros(0, np.uint8)}, ["empty"]),
        ({"data": np.zeros(HEIGHT_PX * WIDTH_PX - 1, np.uint8)}, ["cut off"]),
        ({"width": 0}, ["0"]),
        ({"height": 0}, ["0"]),
        ({"width": 2**31, "step": 2**31}, ["2147483648"]),
        ({"encoding": "yuv422"}, ["yuv422", "mono8"]),
        ({"encoding": ""}, ["encoding"]),
        ({"step": WIDTH_PX - 1}, ["step"]),
    ],
)
def test_bad_image(changes, words):
    rover = Rover(STATIC)
    rover.send_info()
    message = replace(image_message(), **changes)
    assert rover.send(through_cdr(message, "sensor_msgs/msg/Image")) == {}
    assert_reported(rover, Refusal.BAD_IMAGE, words)
    assert_good(rover)


def test_bad_stamp():
    rover = Rover(STATIC)
    rover.send_info()
    message = image_message()
    message.header.stamp.nanosec = 2 * SECOND_NS
    assert rover.send(message) == {}
    assert_reported(rover, Refusal.BAD_IMAGE, ["stamp"])
    assert_good(rover)


@pytest.mark.parametrize("cut_at", [0, 1, 20, -20])
def test_bad_compressed_image(cut_at):
    rover = Rover(STATIC)
    rover.send_info()
    assert rover.send(jpeg_message(cut_at=cut_at)) == {}
    assert_reported(rover, Refusal.BAD_IMAGE, ["compressed"] if cut_at == 0 else [])
    assert set(rover.send(jpeg_message(NEXT_NS))) >= GRID


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"k": np.full(9, np.nan)}, ["finite"]),
        ({"k": np.zeros(9)}, ["calibrate"]),
        ({"d": np.array([np.inf, 0.0, 0.0, 0.0, 0.0])}, ["finite"]),
        ({"width": 0}, ["px"]),
        ({"distortion_model": "magic", "d": np.ones(5)}, ["magic"]),
        ({"k": np.diag([1e100, 1e100, 1.0]).ravel()}, ["1e+100"]),
        ({"k": np.array([1e8, 0, 48, 0, 1e8, 32, 0, 0, 1.0])}, ["focal length", "1e+08"]),
        ({"k": np.eye(3).ravel()}, ["principal point"]),
        ({"k": np.array([1.0, 0, 48, 0, 1.0, 32, 0, 0, 1.0])}, ["field of view", "identity"]),
        ({"k": np.array([90.0, 0, 4800, 0, 90, 32, 0, 0, 1.0])}, ["outside the image"]),
        ({"p": np.full(12, np.inf)}, ["P ", "finite"]),
    ],
)
def test_bad_camera_info(changes, words):
    rover = Rover(STATIC)
    message = replace(camera_info_message(), **changes)
    rover.send_info(through_cdr(message, "sensor_msgs/msg/CameraInfo"))
    assert_reported(rover, Refusal.BAD_CAMERA_INFO, words)
    given = rover.send(image_message())
    assert "mask" in given
    assert not GRID & set(given)
    assert rover.refused[Refusal.NO_CAMERA_INFO] == 1
    rover.send_info()
    assert_good(rover)


def test_bad_camera_info_replaces_a_good_one():
    rover = Rover(STATIC)
    rover.send_info()
    rover.send_info(replace(camera_info_message(), k=np.full(9, np.nan)))
    assert "hazard_grid" not in rover.send(image_message())
    rover.send_info()
    assert_good(rover)


def test_no_camera_info():
    rover = Rover(STATIC)
    given = rover.send(image_message())
    assert {"mask", "confidence"} <= set(given)
    assert not GRID & set(given)
    assert_reported(rover, Refusal.NO_CAMERA_INFO, ["horizontal_fov_rad"])
    rover.send_info()
    assert_good(rover)


@pytest.mark.requirement("TSR-CAM-004")
def test_a_field_of_view_stands_in_for_camera_info():
    rover = Rover({**STATIC, "horizontal_fov_rad": 1.0})
    assumed = rover.send(image_message())
    status = decode_diagnostics(rover.node.diagnostics()[0].message)[0]
    assert status.level is Level.WARN
    assert "horizontal_fov_rad" in status.message
    rover.node.reset_grid()
    rover.send_info()
    told = rover.send(image_message(NEXT_NS))
    assert np.array_equal(assumed["hazard_grid"].data, told["hazard_grid"].data)
    status = decode_diagnostics(rover.node.diagnostics()[0].message)[0]
    assert "horizontal_fov_rad" not in status.message


def test_image_size_contradicts_camera_info():
    rover = Rover(STATIC)
    rover.send_info(camera_info_message(width_px=2 * WIDTH_PX, height_px=2 * HEIGHT_PX))
    assert not GRID & set(rover.send(image_message()))
    assert_reported(rover, Refusal.SIZE_MISMATCH, ["96 x 64", "192 x 128"])
    rover.send_info()
    assert_good(rover)


def test_no_transform():
    rover = Rover()
    rover.send_info()
    assert not GRID & set(rover.send(image_message()))
    assert_reported(rover, Refusal.NO_TRANSFORM, ["odom", "base_link"])
    send_pose(rover)
    assert_good(rover)


@pytest.mark.requirement("TSR-TIME-002")
def test_no_transform_at_the_stamp():
    rover = Rover()
    rover.send_info()
    send_pose(rover, until_ns=NEXT_NS)
    late_ns = NEXT_NS + SECOND_NS
    assert not GRID & set(rover.send(image_message(late_ns)))
    assert_reported(rover, Refusal.NO_TRANSFORM, ["newer"])
    send_pose(rover, until_ns=late_ns + SECOND_NS)
    assert_good(rover, late_ns + SECOND_NS // 2)


def test_no_optical_frame():
    rover = Rover()
    rover.send_info()
    send_pose(rover)
    rover.send(image_message(frame_id=""))
    assert_reported(rover, Refusal.NO_TRANSFORM, ["frame_id"])
    assert_good(rover)


@pytest.mark.parametrize(
    ("parent", "child", "quaternion_w", "words"),
    [
        ("odom", "", 1.0, ["frames"]),
        ("odom", "odom", 1.0, ["frames"]),
        ("a", "b", 0.0, ["'b' in 'a'", "0, 0, 0, 0"]),
    ],
)
def test_bad_transform(parent, child, quaternion_w, words):
    rover = Rover(STATIC)
    rover.send_info()
    message = transform_message("odom", "base_link", START_NS)
    item = message.transforms[0]
    item.header.frame_id, item.child_frame_id = parent, child
    item.transform.rotation.w = quaternion_w
    rover.intake.add(message, static=False)
    assert_reported(rover, Refusal.BAD_TRANSFORM, words)
    assert_good(rover)


def test_camera_below_the_ground():
    rover = Rover({**STATIC, "mounting.z_m": -1.0})
    rover.send_info()
    assert "mask" in rover.send(image_message())
    assert_reported(rover, Refusal.GEOMETRY, ["below"])


def test_stamp_in_the_future():
    rover = Rover(STATIC, clock_ns=lambda: START_NS)
    rover.send_info()
    assert rover.send(image_message(START_NS + 3600 * SECOND_NS)) == {}
    assert_reported(rover, Refusal.FUTURE, ["3600", "time.max_future_s"])
    assert_good(rover)


def test_stamp_too_old():
    rover = Rover({**STATIC, "time.max_age_s": 5.0}, clock_ns=lambda: START_NS)
    rover.send_info()
    assert rover.send(image_message(START_NS - 60 * SECOND_NS)) == {}
    assert_reported(rover, Refusal.TOO_OLD, ["time.max_age_s"])
    assert_good(rover)


def test_the_clock_may_be_left_out():
    rover = Rover(STATIC)
    rover.send_info()
    assert_good(rover, START_NS + 10_000_000 * SECOND_NS)


def test_stamp_slightly_out_of_order_or_repeated():
    rover = Rover(STATIC)
    rover.send_info()
    rover.send(image_message(START_NS))
    assert rover.send(image_message(START_NS)) == {}
    assert rover.send(image_message(START_NS - 1)) == {}
    assert rover.refused == {Refusal.OUT_OF_ORDER: 2}
    assert_good(rover)


@pytest.mark.requirement("TSR-TIME-003")
def test_stamp_jumping_backwards_clears_the_grid():
    jumps = []
    rover = Rover(on_time_jump=lambda: jumps.append(True))
    rover.send_info()
    send_pose(rover, since_ns=START_NS - 9, until_ns=START_NS + SECOND_NS, until_x_m=8.0)
    first = rover.send(image_message(START_NS))
    both = rover.send(image_message(START_NS + SECOND_NS))
    assert cells_seen(both) > cells_seen(first)
    for stamp_ns in (START_NS - 8, START_NS - 7):
        assert rover.send(image_message(stamp_ns)) == {}
    again = rover.send(image_message(START_NS - 6))
    assert cells_seen(again) == cells_seen(first)
    assert jumps == [True]
    assert rover.refused == {Refusal.OUT_OF_ORDER: 2}
    assert_good(rover)


@pytest.mark.requirement("TSR-TIME-003")
def test_a_looping_bag_starts_anew():
    rover = Rover()
    rover.send_info()
    far_ns = START_NS + 60 * SECOND_NS
    send_pose(rover, since_ns=far_ns, until_ns=far_ns + SECOND_NS, until_x_m=8.0)
    rover.send(image_message(far_ns))
    send_pose(rover)
    pose = transform_message("odom", "base_link", NEXT_NS + 1)
    rover.intake.add(pose, static=False)
    given = rover.send(image_message(START_NS))
    assert (given["hazard_grid"].data == 0).any()
    assert rover.refused == {Refusal.BAD_TRANSFORM: 2}
    assert_good(rover)


def test_zero_stamps_are_taken_as_they_are():
    rover = Rover(STATIC, clock_ns=lambda: START_NS)
    rover.send_info()
    for _ in range(3):
        given = rover.send(image_message(0))
        assert set(given) >= GRID
        assert given["mask"].header.stamp.sec == 0
    status = decode_diagnostics(rover.node.diagnostics()[0].message)[0]
    assert "zero stamp" in status.message
    assert_good(rover)


def test_unknown_camera():
    rover = Rover(STATIC)
    rover.send_info()
    assert rover.send(image_message(), camera="rear") == {}
    assert_reported(rover, Refusal.UNKNOWN_CAMERA, ["rear", "navcam"])
    assert_good(rover)


def test_a_backend_that_fails_once():
    rover = Rover(STATIC)
    rover.send_info()
    kept, rover.session.backend._output = rover.session.backend._output, None
    assert rover.send(image_message()) == {}
    assert_reported(rover, Refusal.INFERENCE, ["closed"])
    rover.session.backend._output = kept
    assert_good(rover)


def cells_seen(given):
    grid = given["hazard_grid"]
    assert len(grid.data) == grid.info.width * grid.info.height
    return np.count_nonzero(grid.data >= 0)


def send_pose(rover, *, since_ns=START_NS, until_ns=NEXT_NS, until_x_m=0.0):
    """Send TF for the vehicle and its camera, two metres above the ground and looking down."""
    optical = np.array([[0.0, -0.5, 0.866], [-1.0, 0.0, 0.0], [0.0, -0.866, -0.5]])
    optical /= np.linalg.norm(optical, axis=0)
    mounting = transform_message(
        "base_link", OPTICAL, 0, translation_m=(0.0, 0.0, 2.0), rotation=optical
    )
    rover.intake.add(mounting, static=True)
    for stamp_ns, x_m in ((since_ns, 0.0), (until_ns, until_x_m)):
        pose = transform_message("odom", "base_link", stamp_ns, translation_m=(x_m, 0.0, 0.0))
        rover.intake.add(pose, static=False)


def depth_message(form, *, stamp_ns=START_NS):
    """Return depth as some drivers record it: as an image, raw or compressed."""
    values = np.full((HEIGHT_PX, WIDTH_PX), 1500, dtype=np.uint16)
    header = make_header(message_class, stamp_ns, OPTICAL)
    if ";" not in form:
        return message_class("sensor_msgs/msg/Image")(
            header=header,
            height=HEIGHT_PX,
            width=WIDTH_PX,
            encoding=form,
            is_bigendian=0,
            step=2 * WIDTH_PX,
            data=values.view(np.uint8).reshape(-1),
        )
    data = cv2.imencode(".png", values)[1].reshape(-1)
    return message_class("sensor_msgs/msg/CompressedImage")(header=header, format=form, data=data)


DEPTH = ["16UC1", "16uc1 ", "16UC1; png compressed ", "16UC1; compressedDepth"]


@pytest.mark.parametrize("form", DEPTH)
def test_depth_on_the_topic_of_a_camera_is_refused_and_the_next_image_works(form):
    rover = Rover(STATIC)
    rover.send_info()
    assert rover.send(depth_message(form)) == {}
    assert_reported(rover, Refusal.BAD_IMAGE, ["depth", "not a camera image"])
    assert_good(rover)


@pytest.mark.parametrize("form", ["h264", "rgb8; theora compressed", "webp"])
def test_a_codec_that_is_not_read_is_refused_by_name(form):
    rover = Rover(STATIC)
    rover.send_info()
    message = depth_message("mono8; png compressed ")
    message.format = form
    assert rover.send(message) == {}
    assert_reported(rover, Refusal.BAD_IMAGE, [form, "JPEG"])
    assert_good(rover)


def test_bits_of_an_image_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match="image_bits is 5, expected 8 to 16"):
        Rover({**STATIC, "image_bits": 5})
