"""A view that cannot see the ground is told, with the frame that is to blame."""

import numpy as np
import pytest

from support.rover import (
    HEIGHT_PX,
    SECOND_NS,
    START_NS,
    STATIC,
    WIDTH_PX,
    Rover,
    image_message,
    transform_message,
)
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.messages.diagnostics_message import Level, decode_diagnostics
from terrain_seg_ros.runtime.health import Note


def _rover(rotation, *, frame="navcam", height_m=1.5, **overrides):
    rover = Rover(overrides)
    rover.intake.add(transform_message("odom", "base_link", START_NS), static=True)
    mount = transform_message(
        "base_link", frame, START_NS, translation_m=(0.0, 0.0, height_m), rotation=rotation
    )
    rover.intake.add(mount, static=True)
    rover.send_info()
    return rover


def _status(rover):
    return decode_diagnostics(rover.node.diagnostics()[0].message)[0]


@pytest.mark.parametrize("pitch_rad", [0.0, 0.3])
def test_an_image_in_the_cameras_body_frame_is_told(pitch_rad, caplog):
    rover = _rover(rotation_from_rpy(0.0, pitch_rad, 0.0))
    for index in range(3):
        sent = rover.send(image_message(START_NS + index * SECOND_NS, frame_id="navcam"))
        assert (np.array(sent["hazard_grid"].data) == -1).all()
    status = _status(rover)
    assert status.level is Level.WARN
    for word in ("no pixel meets the ground", "'navcam'", "body", "optical frame", "z ahead"):
        assert word in status.message
    found = rover.health.snapshot()
    assert (found.images_out, found.grids_out, found.notes[Note.NO_GROUND]) == (3, 0, 3)
    assert sum("no pixel meets the ground" in line for line in caplog.messages) == 1


def test_a_camera_that_looks_up_is_told_without_blaming_the_frame():
    rover = _rover(rotation_from_rpy(0.0, -0.9, 0.0) @ BODY_R_OPTICAL)
    rover.send(image_message(frame_id="navcam"))
    text = rover.health.snapshot().note_texts[Note.NO_GROUND]
    assert "52 degrees above the horizon" in text
    assert "body" not in text


def test_a_camera_below_the_ground_is_told():
    rover = _rover(rotation_from_rpy(0.0, 0.9, 0.0) @ BODY_R_OPTICAL, height_m=-1.0)
    rover.send(image_message(frame_id="navcam"))
    found = rover.health.snapshot()
    assert Note.NO_GROUND in found.notes or found.refused


def test_a_static_mounting_that_looks_up_is_named():
    rover = Rover({**STATIC, "mounting.pitch_rad": -1.2})
    rover.send_info()
    rover.send(image_message(frame_id=""))
    assert "mounting" in rover.health.snapshot().note_texts[Note.NO_GROUND]


def test_an_upright_camera_has_no_note():
    rover = _rover(rotation_from_rpy(0.0, 0.5, 0.0) @ BODY_R_OPTICAL)
    rover.send(image_message(frame_id="navcam"))
    found = rover.health.snapshot()
    assert (found.grids_out, dict(found.notes), dict(found.remarks)) == (1, {}, {})
    assert _status(rover).level is Level.OK


@pytest.mark.parametrize(
    ("roll_rad", "told"), [(1.57, True), (-1.4, True), (0.4, False), (3.14, False)]
)
def test_images_on_their_side_are_told(roll_rad, told):
    roll = np.array(
        [
            [np.cos(roll_rad), -np.sin(roll_rad), 0.0],
            [np.sin(roll_rad), np.cos(roll_rad), 0.0],
            [0.0, 0.0, 1.0],
        ]
    )
    rover = _rover(rotation_from_rpy(0.0, 0.4, 0.0) @ BODY_R_OPTICAL @ roll)
    rover.send(image_message(frame_id="navcam"))
    assert ("frame of navcam" in rover.health.snapshot().remarks) == told


def test_a_camera_that_looks_straight_down_has_no_side():
    for roll_rad in (0.0, 1.57):
        rotation = rotation_from_rpy(0.0, 1.57, roll_rad) @ BODY_R_OPTICAL
        rover = _rover(rotation)
        rover.send(image_message(frame_id="navcam"))
        assert not rover.health.snapshot().remarks


def test_the_sky_alone_does_not_make_the_node_stale():
    rover = _rover(rotation_from_rpy(0.0, -0.9, 0.0) @ BODY_R_OPTICAL)
    for index in range(5):
        pixels = np.full((HEIGHT_PX, WIDTH_PX), 90, np.uint8)
        rover.send(image_message(START_NS + index * SECOND_NS, pixels=pixels, frame_id="navcam"))
    assert _status(rover).level is Level.WARN
