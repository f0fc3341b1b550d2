"""Messages become moments; whatever is sent, nothing raises and memory stays bounded."""

from __future__ import annotations

import numpy as np
import pytest

from support.bags import mounting, pose
from support.recorded_run import HOSTILE, SIDE, entry, run, snapshot, stamp
from terrain_seg_ros.messages.cdr import message_class, serialize
from terrain_seg_ros.messages.grid_message import GridPart, encode_grid_update
from terrain_seg_ros.view import keeper as keeper_module
from terrain_seg_ros.view.cell_report import cell_report
from terrain_seg_ros.view.ground import ground_of
from terrain_seg_ros.view.keeper import MomentKeeper
from terrain_seg_ros.view.time_series import latency_lines, rate_lines
from terrain_seg_ros.view.topics import ViewTopics
from terrain_seg_ros.view.waiting_images import IMAGES_KEPT

NAMES = {"/navcam/image_raw": "image", "/navcam/camera_info": "camera_info"}


def feed(keeper, entries):
    for item in entries:
        name = NAMES.get(item.topic, item.topic.removeprefix("/terrain/"))
        keeper.take(name, bytes(serialize(item.message, item.type)), item.log_ns)


def problems_of(keeper):
    """Return what could not be shown; some is found only when a moment is made."""
    keeper.moment()
    return keeper.moment().problems


@pytest.fixture
def keeper():
    return MomentKeeper(ViewTopics(), base_frame="base_link")


def test_a_run_gives_everything_that_is_shown(keeper):
    feed(keeper, run(12))
    moment = keeper.moment()
    assert moment.image.stamp_ns == stamp(11)
    assert moment.mask.shape == moment.confidence.shape == (64, 96)
    assert moment.class_names == {0: "soil", 1: "rock"}
    assert moment.grid.values.shape == (SIDE, SIDE)
    assert moment.vehicle_pose.translation_m == pytest.approx([1.1, 0.0, 0.0])
    assert moment.camera_pose.translation_m == pytest.approx([1.1, 0.0, 1.5])
    assert (moment.sites[0].x_m, moment.sites[0].p_safe) == (1.0, 0.97)
    assert moment.hazard_points_m.shape == (2, 3)
    assert moment.path_xyz_m[-1].tolist() == pytest.approx([1.1, 0.0, 0.0])
    assert moment.delays[-1].delay_ms == pytest.approx(40.0)
    assert (moment.health[-1].median_ms, moment.health[-1].p99_ms) == (40.0, 60.0)
    assert not moment.missing
    assert not moment.problems


def test_nothing_is_known_at_first_and_every_topic_is_missing(keeper):
    moment = keeper.moment()
    assert moment.grid is None
    assert {"/terrain/mask", "/terrain/hazard_grid", "/tf"} <= set(moment.missing)


def test_values_keep_their_identity_until_a_message_changes_them(keeper):
    feed(keeper, run(2))
    first = keeper.moment()
    assert keeper.moment().grid is first.grid
    feed(keeper, run(3)[-13:])
    assert keeper.moment().grid is not first.grid


def test_an_update_changes_its_part_of_the_grid(keeper):
    feed(keeper, run(1))
    changed = snapshot(stamp(1))
    changed.cost[2:4, 20:23] = 100
    part = GridPart(20, 2, 3, 2)
    feed(
        keeper, [entry("hazard_grid_updates", 1, encode_grid_update(message_class, changed, part))]
    )
    values = keeper.moment().grid.values
    assert (values[2:4, 20:23] == 100).all()
    assert values[4, 20] == 0


def test_bytes_that_are_no_message_are_told_and_the_rest_goes_on(keeper):
    for name in (
        "mask",
        "hazard_grid",
        "grid_map",
        "/tf",
        "/diagnostics",
        "landing_sites",
        "image",
    ):
        keeper.take(name, b"\x00\x01\x00\x00\xff", 1)
    assert len(keeper.moment().problems) == 7
    feed(keeper, run(2))
    assert keeper.moment().grid is not None


def test_an_infinite_site_and_a_huge_message_are_refused(keeper, monkeypatch):
    feed(keeper, run(1))
    bad = run(1)[-2].message
    bad.detections[0].bbox.center.position.x = float("nan")
    feed(keeper, [entry("landing_sites", 1, bad)])
    assert "finite" in problems_of(keeper)["/terrain/landing_sites"]
    monkeypatch.setattr(keeper_module, "PAYLOAD_LIMIT_BYTES", 10)
    keeper.take("mask", bytes(11), 1)
    assert "larger" in keeper.moment().problems["/terrain/mask"]


def test_images_that_wait_for_a_mask_are_bounded(keeper):
    only_images = [item for item in run(100) if item.topic == "/navcam/image_raw"]
    feed(keeper, only_images)
    assert len(keeper._images) == IMAGES_KEPT
    assert keeper.moment().image.stamp_ns == stamp(99)


def test_another_part_of_a_bag_begins_with_fixed_transforms_and_names_only(keeper):
    feed(keeper, run(5))
    fresh = keeper.anew()
    assert fresh.moment().grid is None
    feed(
        fresh, [item for item in run(2) if item.topic not in ("/tf_static", "/terrain/label_info")]
    )
    moment = fresh.moment()
    assert moment.camera_pose is not None
    assert moment.class_names[0] == "soil"


def test_a_jump_back_in_time_begins_a_new_path(keeper):
    feed(keeper, run(20))
    feed(keeper, run(3))
    assert len(keeper.moment().path_xyz_m) <= 3


def test_a_frame_that_moved_may_be_fixed_in_the_next_drive(keeper):
    moved = [pose(index) for index in range(3)]
    for item in moved:
        part = item.message.transforms[0]
        part.header.frame_id, part.child_frame_id = "base_link", "optical"
    feed(keeper, [*moved, mounting(), *run(20)[-11:]])
    assert keeper.moment().camera_pose is None
    feed(keeper, run(3)[1:])
    assert keeper.moment().camera_pose.translation_m[2] == pytest.approx(1.5)
    assert not keeper.moment().problems


def test_a_cell_tells_its_cost_class_age_and_reason(keeper):
    feed(keeper, run(12))
    moment = keeper.moment()
    hazard = dict(cell_report(moment, 2.5, 2.5))
    assert hazard["cost"] == "100: hazard"
    assert hazard["class"] == "rock, 80% of its evidence"
    assert hazard["last seen"].startswith("2.0 s")
    unseen = dict(cell_report(moment, -5.0, 0.0))
    assert unseen["reason"].startswith("too far: beyond")
    assert unseen["remedy"].startswith("go nearer")
    assert cell_report(moment, 99.0, 0.0) == [("cell", "outside the grid")]


def test_a_ray_meets_measured_ground_where_it_lies(keeper):
    feed(keeper, run(2))
    ground = ground_of(keeper.moment())
    assert ground.is_measured
    place = ground.hit(np.array([2.0, 0.0, 5.0]), np.array([0.0, 0.0, -1.0]))
    assert place[:2] == pytest.approx([2.0, 0.0])
    assert place[2] == pytest.approx(0.2, abs=0.15)
    assert ground.hit(np.array([2.0, 0.0, 5.0]), np.array([0.0, 0.0, 1.0])) is None


def test_lines_over_time_are_finite_and_go_forward(keeper):
    feed(keeper, run(12))
    delay, median, p99 = latency_lines(keeper.moment())
    assert delay.values == pytest.approx([40.0] * 12)
    assert (median.values[-1], p99.values[-1]) == (40.0, 60.0)
    _, _, lost = rate_lines(keeper.moment())
    assert lost.values.max() == pytest.approx(10.0)
    for line in (delay, median, p99, lost):
        assert np.isfinite(line.values).all()
        assert (np.diff(line.time_s) > 0).all()


def test_hostile_names_are_kept_as_they_are(keeper):
    feed(keeper, run(1, names=(HOSTILE, "rock"), message=HOSTILE))
    assert keeper.moment().class_names[0] == HOSTILE
