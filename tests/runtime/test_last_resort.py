"""What nobody expected costs what it hit, is told once, and leaves the grid unknown if it stays."""

import logging

import numpy as np
import pytest

from support.rover import SECOND_NS, START_NS, STATIC, Rover, camera_info_message, image_message
from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.messages.diagnostics_message import Level, decode_diagnostics
from terrain_seg_ros.runtime import camera_infos, frame_processor
from terrain_seg_ros.runtime.health import DEFECTS_IN_A_ROW, Health, Refusal
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.outboxes.grid_outbox import GridOutbox

STEP_NS = SECOND_NS // 20


def status_of(rover):
    return decode_diagnostics(rover.node.diagnostics()[0].message)[0]


def make(told=None):
    health = Health()
    resort = LastResort(health)
    resort.tell_by((told if told is not None else []).append)
    return health, resort


def fail(resort, place="a place", error=RuntimeError):
    with resort.around(place) as attempt:
        raise error("broken")
    return attempt.failed


def test_each_kind_is_told_once_with_its_traceback():
    told = []
    health, resort = make(told)
    for error in (RuntimeError, RuntimeError, OverflowError, MemoryError, RecursionError):
        assert fail(resort, error=error)
    assert len(told) == 4
    assert all("Traceback" in text and "broken" in text for text in told)
    assert health.snapshot().refused == {Refusal.DEFECT: 5}
    assert "a place: RecursionError: broken" in health.snapshot().last_refusal


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_requests_to_end_pass(error):
    health, resort = make()
    with pytest.raises(error):
        fail(resort, error=error)
    assert not health.snapshot().refused


def test_only_defects_in_a_row_at_one_place_add_up():
    health, resort = make()
    for _ in range(4):
        fail(resort, "here")
        with resort.around("there") as attempt:
            pass
        assert not attempt.failed
    assert health.snapshot().defects_in_a_row == 4
    with resort.around("here"):
        pass
    assert health.snapshot().defects_in_a_row == 0


def break_stage(monkeypatch, stage):
    """Make one stage fail; return what mends it."""
    owner, name = {
        "decode": (frame_processor.FrameIntake, "accept"),
        "segment": (Pipeline, "segment"),
        "fuse": (Pipeline, "fuse"),
        "grids": (GridOutbox, "grids"),
    }[stage]
    good = getattr(owner, name)

    def bad(*_, **__):
        raise OverflowError(f"{stage} is too large")

    monkeypatch.setattr(owner, name, bad)
    return lambda: monkeypatch.setattr(owner, name, good)


@pytest.mark.requirement("TSR-SAFE-008")
@pytest.mark.parametrize("stage", ["decode", "segment", "fuse", "grids"])
def test_one_defect_costs_one_image_and_several_the_grid(monkeypatch, caplog, stage):
    rover = Rover(STATIC)
    rover.send_info()
    good = rover.send(image_message(START_NS))
    assert (np.asarray(good["hazard_grid"].data) == 0).any()
    mend = break_stage(monkeypatch, stage)
    with caplog.at_level(logging.ERROR):
        sent = [
            rover.send(image_message(START_NS + index * STEP_NS))
            for index in range(1, DEFECTS_IN_A_ROW + 3)
        ]
    assert [r.message.count("Traceback") for r in caplog.records] == [1]
    grids = [index for index, given in enumerate(sent, 1) if "hazard_grid" in given]
    assert grids == [DEFECTS_IN_A_ROW]
    lost = sent[DEFECTS_IN_A_ROW - 1]
    assert (np.asarray(lost["hazard_grid"].data) == -1).all()
    assert (np.asarray(lost["safe_map"].data) == -1).all()
    status = status_of(rover)
    assert status.level is Level.ERROR
    assert "defects in a row" in status.message
    assert f"OverflowError: {stage} is too large" in status.message
    mend()
    again = rover.send(image_message(START_NS + (DEFECTS_IN_A_ROW + 3) * STEP_NS))
    assert (np.asarray(again["hazard_grid"].data) == 0).any()
    assert status_of(rover).level is not Level.ERROR


@pytest.mark.requirement("TSR-SAFE-008")
def test_a_grid_that_cannot_even_be_forgotten_goes_out_as_unknown(monkeypatch):
    rover = Rover({**STATIC, "filter_masks.max_rate_hz": 10.0})
    rover.send_info()
    rover.send(image_message())

    def broken(*_, **__):
        raise IndexError("no such cell")

    monkeypatch.setattr(Pipeline, "mark_unobserved", broken)
    given = dict(rover.node.retire())
    assert (np.asarray(given["hazard_grid"].data) == -1).all()
    assert (np.asarray(given["safe_map"].data) == -1).all()
    assert "speed_mask" in given
    assert rover.refused == {Refusal.DEFECT: 1}


def test_an_image_that_hangs_does_not_keep_the_last_grid(monkeypatch):
    rover = Rover(STATIC)
    rover.send_info()
    assert (np.asarray(rover.send(image_message())["hazard_grid"].data) == 0).any()
    monkeypatch.setattr(frame_processor, "RETIRE_S", 0.01)
    with rover.node._lock:
        given = dict(rover.node.retire())
    assert (np.asarray(given["hazard_grid"].data) == -1).all()


def test_a_camera_info_that_breaks_its_reading_takes_the_old_one_away(monkeypatch):
    rover = Rover(STATIC)
    rover.send_info()

    def broken(*_, **__):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(camera_infos, "camera_calibration", broken)
    rover.send_info(camera_info_message())
    assert "hazard_grid" not in rover.send(image_message())
    assert rover.refused == {Refusal.DEFECT: 1, Refusal.NO_CAMERA_INFO: 1}
