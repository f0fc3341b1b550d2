"""One odd stamp costs one image; kept hazards are lost only where the vehicle is elsewhere."""

import numpy as np
import pytest

from support.rover import OPTICAL, SECOND_NS, START_NS, Rover, image_message, transform_message
from terrain_seg_ros.core.types import GridSnapshot
from terrain_seg_ros.messages.diagnostics_message import decode_diagnostics
from terrain_seg_ros.runtime.health import Note, Refusal

STEP_NS = SECOND_NS // 20
MOUNTING = np.array([[0.0, -0.5, 0.866], [-1.0, 0.0, 0.0], [0.0, -0.866, -0.5]])
MOUNTING /= np.linalg.norm(MOUNTING, axis=0)


def hazards(given):
    return int((np.asarray(given["hazard_grid"].data) == 100).sum())


class Drive:
    """Hold a rover that has seen hazards; `moving` gives its x at a stamp."""

    def __init__(self, **changes):
        self.stamp_ns = START_NS
        # Images come when they are stamped, however long this test takes.
        self.rover = Rover(dict(changes), clock_s=lambda: self.stamp_ns * 1e-9)
        taxonomy = self.rover.session.taxonomy
        self.rover.node.change({f"hazard.{item.name}": 1.0 for item in taxonomy})
        self.rover.send_info()
        mounting = transform_message(
            "base_link", OPTICAL, 0, translation_m=(0.0, 0.0, 2.0), rotation=MOUNTING
        )
        self.rover.intake.add(mounting, static=True)
        for _ in range(12):
            self.last = self.step()
        self.before = hazards(self.last)
        assert self.before > 0

    def step(self, *, offset_ns=0, x_m=0.0):
        """Show TF and an image one step later, the image's stamp off by an offset."""
        self.stamp_ns += STEP_NS
        self.pose(self.stamp_ns, x_m)
        if offset_ns:
            self.pose(self.stamp_ns + offset_ns, x_m)
        # Too dark to judge: it neither adds evidence nor takes a hazard back.
        dark = np.zeros((64, 96), dtype=np.uint8)
        first = not hasattr(self, "before")
        image = image_message(self.stamp_ns + offset_ns, pixels=None if first else dark)
        return self.rover.send(image)

    def pose(self, stamp_ns, x_m):
        moved = transform_message("odom", "base_link", stamp_ns, translation_m=(x_m, 0.0, 0.0))
        self.rover.intake.add(moved, static=False)

    def jump(self, *, x_m=0.0):
        """Let images and TF jump back together; return the first grid after it."""
        self.stamp_ns -= 100 * SECOND_NS
        for _ in range(4):
            given = self.step(x_m=x_m)
        return given


@pytest.mark.requirement("TSR-TIME-004")
@pytest.mark.parametrize("offset_s", [0.4, -0.12, -10.0, 3600.0])
def test_one_odd_image_is_refused_and_hazards_stay(offset_s):
    drive = Drive()
    assert "hazard_grid" not in drive.step(offset_ns=round(offset_s * SECOND_NS))
    assert drive.rover.refused[Refusal.OUT_OF_ORDER] == 1
    assert hazards(drive.step()) == drive.before
    assert Note.TIME_JUMP not in drive.rover.health.snapshot().notes


def test_every_fifth_image_of_another_clock_never_clears_the_grid():
    drive = Drive()
    for index in range(30):
        given = drive.step(offset_ns=-7 * SECOND_NS if index % 5 == 0 else 0)
    assert hazards(given) == drive.before
    assert drive.rover.refused[Refusal.OUT_OF_ORDER] == 6


def test_hazards_stay_after_a_jump_in_time_where_the_vehicle_stands_still():
    drive = Drive()
    assert hazards(drive.jump()) == drive.before
    assert drive.rover.health.snapshot().notes[Note.TIME_JUMP] == 1
    assert hazards(drive.step()) == drive.before


def test_hazards_go_after_a_jump_in_time_where_the_vehicle_is_elsewhere():
    drive = Drive()
    assert hazards(drive.jump(x_m=2.0)) == 0


def test_everything_but_hazards_goes_after_a_jump_in_time():
    drive = Drive()
    drive.rover.node.change({f"hazard.{item.name}": 0.0 for item in drive.rover.session.taxonomy})
    drive.rover.node.reset_grid()
    for _ in range(3):
        drive.stamp_ns += STEP_NS
        drive.pose(drive.stamp_ns, 0.0)
        given = drive.rover.send(image_message(drive.stamp_ns))
    assert (np.asarray(given["hazard_grid"].data) == 0).any()
    assert (np.asarray(drive.jump()["hazard_grid"].data) == -1).all()


def test_tf_that_jumped_makes_the_first_image_after_it_count():
    drive = Drive()
    drive.stamp_ns -= 100 * SECOND_NS
    for index in range(4):
        drive.pose(drive.stamp_ns + index * STEP_NS, 0.0)
    assert hazards(drive.step()) == drive.before
    assert Refusal.OUT_OF_ORDER not in drive.rover.refused


def test_the_age_of_a_hazard_from_another_time_is_not_known():
    drive = Drive()
    drive.jump()
    pipeline = drive.rover.session.pipeline
    snapshot = pipeline._snapshot(drive.stamp_ns)
    assert isinstance(snapshot, GridSnapshot)
    ages = pipeline._grid.evidence.age_s(drive.stamp_ns)
    assert not (ages < 0.0).any()


def test_evidence_fades_as_before_after_a_first_stamp_that_was_wrong():
    rover = Rover({"mounting.use_tf": False, "grid.decay_s": 1.0, "grid.keep_hazards": False})
    rover.send_info()
    rover.send(image_message(START_NS))
    rover.send(image_message(START_NS + 3600 * SECOND_NS))
    dark = np.zeros((64, 96), dtype=np.uint8)
    seen = []
    for index in range(1, 200):
        pixels = None if index < 5 else dark
        given = rover.send(image_message(START_NS + index * STEP_NS, pixels=pixels))
        seen.append(int((np.asarray(given["hazard_grid"].data) >= 0).sum()))
    assert seen[3] > 0
    assert seen[-1] == 0
    ages = rover.session.pipeline._grid.evidence.age_s(START_NS + 200 * STEP_NS)
    assert not (ages < 0.0).any()


def test_an_odd_image_is_named_in_diagnostics():
    drive = Drive()
    drive.step(offset_ns=SECOND_NS)
    status = decode_diagnostics(drive.rover.node.diagnostics()[0].message)[0]
    assert "navcam" in status.message
    assert "1.050 s after the last one" in status.message


def test_images_of_two_clocks_in_turn_are_told():
    rover = Rover({"mounting.use_tf": False})
    rover.send_info()
    for index in range(6):
        rover.send(image_message(START_NS + index * STEP_NS + (index % 2) * 3600 * SECOND_NS))
    assert rover.health.snapshot().notes[Note.ODD_STAMP] >= 2
    assert Note.TIME_JUMP not in rover.health.snapshot().notes
