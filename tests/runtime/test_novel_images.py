"""A node says that images are unlike the network's training, and does not use them."""

import json

import numpy as np
import pytest

from support.novelty import reference_of
from support.rover import SECOND_NS, START_NS, STATIC, Rover, image_message
from support.tiny_model import golden_image, write_tiny_model
from terrain_seg_ros.core.novelty_reference import novelty_content
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.diagnostics_message import Level, decode_diagnostics
from terrain_seg_ros.runtime.health import Note
from terrain_seg_ros.runtime.run_summary import run_summary

LIKE = np.ascontiguousarray(golden_image(64, 64, 1)[:, :, 0])
UNLIKE = np.random.default_rng(0).integers(0, 256, (64, 64)).astype(np.uint8)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """Return a model that has learned from one image."""
    reference = reference_of([golden_image(64, 64, 1)])
    changes = {"novelty": json.loads(json.dumps(novelty_content(reference)))}
    return write_tiny_model(tmp_path_factory.mktemp("m") / "described", card_changes=changes)


def rover_of(model, **overrides):
    return Rover(
        {
            **STATIC,
            "model": str(model),
            "backend": "onnxruntime",
            "horizontal_fov_rad": 1.0,
            "mounting.pitch_rad": 0.6,
            **overrides,
        }
    )


def status_of(rover):
    return decode_diagnostics(rover.node.diagnostics()[0].message)[0]


@pytest.mark.requirement("TSR-SAFE-009")
def test_a_novel_image_is_not_observed_and_diagnostics_warn(described):
    rover = rover_of(described)
    sent = rover.send(image_message(pixels=UNLIKE))
    assert (np.array(sent["hazard_grid"].data) == -1).all()
    assert Reason.NOVEL in np.array(sent["hazard_reason"].data)
    status = status_of(rover)
    assert status.level is Level.WARN
    assert Note.NOVEL.value in status.message
    assert float(status.values["novelty"]) > 1.0
    summary = run_summary(rover.health.snapshot(), {})
    assert summary["notes"][Note.NOVEL.value] == 1


def test_a_familiar_image_is_used_without_a_warning(described):
    rover = rover_of(described)
    sent = rover.send(image_message(pixels=LIKE))
    assert (np.array(sent["hazard_grid"].data) >= 0).any()
    assert Note.NOVEL not in rover.health.snapshot().notes
    assert float(status_of(rover).values["novelty"]) < 1.0


def test_the_limit_can_be_raised_while_running(described):
    rover = rover_of(described)
    rover.node.change({"observability.max_novelty": 1000.0})
    sent = rover.send(image_message(pixels=UNLIKE))
    assert Reason.NOVEL not in np.array(sent["hazard_reason"].data)


def test_a_card_without_novelty_is_an_assumption_said_once(tmp_path, caplog):
    rover = rover_of(write_tiny_model(tmp_path / "bare"))
    for index in range(2):
        sent = rover.send(image_message(START_NS + index * SECOND_NS, pixels=UNLIKE))
    assert Reason.NOVEL not in np.array(sent["hazard_reason"].data)
    assert "images unlike them are not refused" in status_of(rover).values["assumed: novelty"]
    assert sum("novelty" in line for line in caplog.messages) == 1
