"""Images of several cameras in one run of the network, on the real ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

from support.rover import HEIGHT_PX, OPTICAL, SECOND_NS, START_NS, WIDTH_PX, Rover, image_message
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.messages.cdr import serialize
from terrain_seg_ros.runtime.health import Drop, Note, Refusal

CAMERAS = ("left", "right")
RAMP = np.tile(np.linspace(0, 255, WIDTH_PX).astype(np.uint8), (HEIGHT_PX, 1))
PICTURES = {"left": RAMP, "right": RAMP[:, ::-1].copy()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=(48, 64))


@pytest.fixture
def batches(monkeypatch):
    """Return the sizes of the network's inputs, in the order of its runs."""
    sizes, run = [], OnnxRuntimeBackend.__call__

    def counted(backend, tensor):
        sizes.append(len(tensor))
        return run(backend, tensor)

    monkeypatch.setattr(OnnxRuntimeBackend, "__call__", counted)
    return sizes


@pytest.fixture
def make(folder):
    made = []

    def rover(**changes):
        given = {
            "model": str(folder),
            "backend": "onnxruntime",
            "cameras": list(CAMERAS),
            "observability.shadow_level": 0,
            "observability.saturation_level": 255,
            **changes,
        }
        made.append(Rover(given))
        for camera in CAMERAS:
            made[-1].send_info(camera=camera)
        place(made[-1])
        return made[-1]

    yield rover
    for item in made:
        item.session.close()


def place(rover):
    """Stand still in odom, both cameras looking ahead and down."""
    rotation = rotation_from_rpy(0.0, 0.5, 0.0) @ BODY_R_OPTICAL
    for frame in (OPTICAL, "right_optical"):
        camera = Transform(rotation, np.array([0.0, 0.0, 1.5]))
        rover.buffer.set("base_link", frame, 0, camera, static=True)
    rover.buffer.set("odom", "base_link", 0, Transform(np.eye(3), np.zeros(3)), static=True)


def message(camera, stamp_ns=START_NS):
    return image_message(stamp_ns, pixels=PICTURES[camera])


def both(rover, left=None, right=None):
    """Return what each of two images gives, by topic, sent together."""
    pair = [("left", left or message("left")), ("right", right or message("right"))]
    return [dict(item) for item in rover.node.images(pair)]


def test_two_images_give_in_one_run_what_they_give_alone(make, batches):
    together, alone = make(), make()
    batches.clear()
    found = both(together)
    assert batches == [2]
    expected = [alone.send(message(camera), camera=camera) for camera in CAMERAS]
    assert batches == [2, 1, 1]
    for camera, given, wanted in zip(CAMERAS, found, expected):
        assert given.keys() == wanted.keys()
        assert f"{camera}/mask" in given
        for topic in wanted:
            kind = wanted[topic].__msgtype__
            assert serialize(given[topic], kind) == serialize(wanted[topic], kind)
    assert not np.array_equal(found[0]["left/mask"].data, found[1]["right/mask"].data)
    assert together.health.snapshot().images_out == 2


def test_each_keeps_its_own_stamp_and_frame(make):
    later = image_message(START_NS + 7, pixels=PICTURES["right"], frame_id="right_optical")
    left, right = both(make(), right=later)
    assert left["left/mask"].header.frame_id == OPTICAL
    assert right["right/mask"].header.frame_id == "right_optical"
    assert left["left/mask"].header.stamp.nanosec == 0
    assert right["right/mask"].header.stamp.nanosec == 7


def broken():
    bad = message("left")
    bad.encoding = "nothing"
    return bad


def test_a_bad_image_does_not_touch_the_other(make, batches):
    rover = make()
    batches.clear()
    left, right = both(rover, left=broken())
    assert left == {}
    assert {"right/mask", "hazard_grid"} <= right.keys()
    assert batches == [1]
    assert rover.refused == {Refusal.BAD_IMAGE: 1}
    assert rover.health.snapshot().images_in == 2


def test_one_that_comes_too_soon_is_dropped_alone(make, batches):
    rover = make(camera_max_rates_hz=[1.0, 0.0])
    both(rover)
    batches.clear()
    soon = START_NS + SECOND_NS // 10
    left, right = both(rover, left=message("left", soon), right=message("right", soon))
    assert (left, "right/mask" in right) == ({}, True)
    assert batches == [1]
    assert rover.dropped == {Drop.RATE_LIMIT: 1}


def test_an_image_without_a_pose_still_gives_a_mask_beside_the_other(make):
    rover = make()
    lost = image_message(pixels=PICTURES["left"], frame_id="fell_off")
    left, right = both(rover, left=lost)
    assert ("left/mask" in left, "hazard_grid" in left) == (True, False)
    assert ("right/mask" in right, "hazard_grid" in right) == (True, True)
    assert rover.refused == {Refusal.NO_TRANSFORM: 1}


@pytest.mark.parametrize("order", [CAMERAS, CAMERAS[::-1]])
def test_a_jump_in_time_clears_what_came_before_and_not_what_comes_after(make, order):
    forgetful = {"grid.keep_hazards": False}
    jumped, fresh = make(**forgetful), make(**forgetful)
    for stamp_ns in (START_NS, START_NS + SECOND_NS):
        both(jumped, message("left", stamp_ns), message("right", stamp_ns))
    back_ns = START_NS - 100 * SECOND_NS
    pair = [(camera, message(camera, back_ns)) for camera in order]
    for early_ns in (back_ns - 2, back_ns - 1):
        odd = [(camera, message(camera, early_ns)) for camera in order]
        assert all(item == [] for item in jumped.node.images(odd))
    given = [dict(item) for item in jumped.node.images(pair)]
    assert Note.TIME_JUMP in jumped.health.snapshot().notes
    assert all("hazard_grid" in item for item in given)
    wanted = [dict(item) for item in fresh.node.images(pair)]
    assert np.array_equal(given[-1]["hazard_grid"].data, wanted[-1]["hazard_grid"].data)


def test_a_bad_image_after_a_jump_still_clears_the_grid(make):
    forgetful = {"grid.keep_hazards": False}
    rover, fresh = make(**forgetful), make(**forgetful)
    both(rover)
    for offset_ns in range(3):
        bad = broken()
        bad.header.stamp.sec -= 100
        bad.header.stamp.nanosec += offset_ns
        assert rover.send(bad, camera="left") == {}
    given = rover.send(message("left", START_NS - 99 * SECOND_NS), camera="left")
    wanted = fresh.send(message("left", START_NS - 99 * SECOND_NS), camera="left")
    assert np.array_equal(given["hazard_grid"].data, wanted["hazard_grid"].data)


def test_where_two_at_once_fail_each_is_run_alone(make, batches, monkeypatch):
    rover, run = make(), OnnxRuntimeBackend.__call__

    def only_one(backend, tensor):
        if len(tensor) > 1:
            batches.append("failed")
            raise InferenceError("out of memory")
        return run(backend, tensor)

    monkeypatch.setattr(OnnxRuntimeBackend, "__call__", only_one)
    batches.clear()
    for index in range(2):
        stamp_ns = START_NS + index * SECOND_NS
        left, right = both(rover, message("left", stamp_ns), message("right", stamp_ns))
        assert "left/mask" in left
        assert "right/mask" in right
    assert batches == ["failed", 1, 1, 1, 1]
    assert Note.ONE_BY_ONE in rover.health.snapshot().notes
    assert rover.refused == {}
