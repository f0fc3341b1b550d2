"""A replay copies the whole bag and adds what the node says of it."""

from __future__ import annotations

import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin

from support.bags import (
    HEIGHT_PX,
    PERIOD_NS,
    START_NS,
    WIDTH_PX,
    compressed,
    depth_image,
    drive,
    image,
    info,
    mounting,
    picture,
    pose,
    read_bag,
    stamp,
    stamp_of,
    text,
    write_bag,
)
from support.decoders import decode_label_info
from terrain_seg_ros.bag.feed import LOOK_AHEAD_S
from terrain_seg_ros.bag.plan import ReplayOptions, skippable_topics
from terrain_seg_ros.bag.replay import replay
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.cdr import serialize
from terrain_seg_ros.messages.grid_message import decode_grid
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.health import Note, Refusal

BASE = {
    "model": "synthetic",
    "backend": "constant",
    "grid.size_m": 10.0,
    "watchdog.stale_after_s": 0.0,
}
QUIET = ReplayOptions(skip=skippable_topics())


def run(source, target, *, options=QUIET, **overrides):
    parameters = load_parameters(overrides={**BASE, **overrides})
    report = replay(source, target, parameters, options=options)
    return report, read_bag(target)


def contents(path):
    """Return topic, type, time and bytes of every message, in order."""
    with Reader(path) as reader:
        return [(c.topic, c.msgtype, ns, bytes(data)) for c, ns, data in reader.messages()]


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_everything_is_copied_and_our_topics_are_added(tmp_path, storage):
    source = write_bag(tmp_path / "in", drive(4), storage=storage)
    report, made = run(source, tmp_path / "out", options=ReplayOptions())
    names = {"/notes", "/tf", "/tf_static", "/navcam/image_raw", "/navcam/camera_info"}
    copied = [row for row in contents(tmp_path / "out") if row[0] in names]
    assert sorted(copied) == sorted(contents(source))
    ours = {"mask", "confidence", "label_info", "color_mask", "overlay", "points"}
    ours |= {"hazard_points", "hazard_grid", "hazard_reason", "safe_map", "grid_map"}
    assert set(made) == names | {f"/terrain/{name}" for name in ours} | {"/diagnostics"}
    assert (report.health.images_in, report.health.grids_out) == (4, 4)
    assert report.messages_copied == len(copied)
    assert report.messages_added == sum(map(len, made.values())) - len(copied)


@pytest.mark.requirement("TSR-TIME-001")
def test_outputs_carry_the_images_header_and_follow_it(tmp_path):
    late_ns = PERIOD_NS // 2
    entries = drive(4, make_image=lambda index: image(index, late_ns=late_ns))
    _, made = run(write_bag(tmp_path / "in", entries), tmp_path / "out")
    stamps = [stamp(index) for index in range(4)]
    for name, frame in [("mask", "optical"), ("confidence", "optical"), ("hazard_grid", "odom")]:
        entries = made[f"/terrain/{name}"]
        assert [stamp_of(entry) for entry in entries] == stamps
        assert {entry.message.header.frame_id for entry in entries} == {frame}
        assert [entry.log_ns - late_ns for entry in entries] == stamps
    masks = made["/terrain/mask"]
    assert {(m.message.width, m.message.height) for m in masks} == {(WIDTH_PX, HEIGHT_PX)}
    labels = made["/terrain/label_info"]
    assert decode_label_info(labels[0].message).names[0] == "soil"
    assert labels[0].log_ns <= masks[0].log_ns
    grid = decode_grid(made["/terrain/hazard_grid"][-1].message)
    assert (grid.values == 0).any()
    assert (grid.values == -1).any()


def test_a_file_that_ends_in_mcap_is_one_file(tmp_path):
    source = write_bag(tmp_path / "in", drive(2))
    target = tmp_path / "out.mcap"
    run(source, target)
    assert target.is_file()
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_compressed_images(tmp_path, suffix):
    entries = drive(3, make_image=lambda index: compressed(index, suffix=suffix))
    report, made = run(write_bag(tmp_path / "in", entries), tmp_path / "out")
    assert report.health.grids_out == 3
    assert made["/terrain/mask"][0].message.height == HEIGHT_PX


def test_without_camera_info_the_field_of_view_serves_or_masks_come_alone(tmp_path):
    source = write_bag(tmp_path / "in", drive(3, with_info=False))
    report, made = run(source, tmp_path / "fov", horizontal_fov_rad=1.0)
    assert report.health.grids_out == 3
    assert report.health.notes[Note.FIELD_OF_VIEW] == 3
    report, made = run(source, tmp_path / "none", horizontal_fov_rad=0.0)
    assert report.health.refused == {Refusal.NO_CAMERA_INFO: 3}
    assert len(made["/terrain/mask"]) == 3
    assert "/terrain/hazard_grid" not in made


def test_several_cameras_share_the_grid_and_have_their_own_masks(tmp_path):
    entries = [mounting(frame_id="left"), mounting(frame_id="right")]
    for index in range(3):
        entries.append(pose(index))
        for side in ("left", "right"):
            entries.append(info(index, topic=f"/{side}/camera_info"))
            entries.append(image(index, topic=f"/{side}/image_raw", frame_id=side))
    report, made = run(write_bag(tmp_path / "in", entries), tmp_path / "out")
    assert [camera.name for camera in report.cameras] == ["left", "right"]
    assert report.health.grids_out == 6
    for side in ("left", "right"):
        frames = [m.message.header.frame_id for m in made[f"/terrain/{side}/mask"]]
        assert frames == [side] * 3
    assert len(made["/terrain/hazard_grid"]) == 6


def test_one_of_several_cameras_may_be_chosen(tmp_path):
    entries = [*drive(2), *(image(index, topic="/rear/image_raw") for index in range(2))]
    source = write_bag(tmp_path / "in", entries)
    options = ReplayOptions(image_topics=["/navcam/image_raw"], skip=skippable_topics())
    report, made = run(source, tmp_path / "out", options=options)
    assert report.health.images_in == 2
    assert len(made["/terrain/mask"]) == 2
    with pytest.raises(ConfigError, match=r"'/front'.*'/navcam/image_raw', '/rear/image_raw'"):
        run(source, tmp_path / "other", options=ReplayOptions(image_topics=["/front"]))


def test_transforms_and_camera_info_recorded_late_are_still_used(tmp_path):
    entries = [mounting(log_ns=stamp(30)), info(0, late_ns=2 * PERIOD_NS)]
    for index in range(4):
        entries += [image(index), pose(index, late_ns=3 * PERIOD_NS)]
    report, _ = run(write_bag(tmp_path / "in", entries), tmp_path / "out")
    assert report.health.refused == {}
    assert report.health.grids_out == 4


@pytest.mark.parametrize("first_ns", [START_NS, stamp(2) + 1])
def test_a_mounting_that_changes_holds_from_its_recording_on(tmp_path, first_ns):
    changed = mounting(log_ns=stamp(2) + 2)
    changed.message.transforms[0].transform.translation.z = 9.0
    _, plain = run(write_bag(tmp_path / "plain", drive(3)), tmp_path / "plain_out")
    entries = [mounting(log_ns=first_ns), *drive(3)[1:], changed]
    _, made = run(write_bag(tmp_path / "in", entries), tmp_path / "out")
    for name in ("hazard_grid", "hazard_reason"):
        first, second = plain[f"/terrain/{name}"], made[f"/terrain/{name}"]
        for one, other in zip(first, second, strict=True):
            assert np.array_equal(one.message.data, other.message.data)


def test_a_mounting_from_parameters_needs_no_static_transform(tmp_path):
    entries = [entry for entry in drive(3) if entry.topic != "/tf_static"]
    values = {"mounting.use_tf": False, "mounting.z_m": 1.5, "mounting.pitch_rad": 0.5}
    report, made = run(write_bag(tmp_path / "in", entries), tmp_path / "out", **values)
    assert report.health.grids_out == 3
    _, usual = run(write_bag(tmp_path / "usual", drive(3)), tmp_path / "usual_out")
    grids = [decode_grid(m["/terrain/hazard_grid"][-1].message).values for m in (made, usual)]
    assert np.array_equal(*grids)


def test_one_stamp_far_in_the_future_costs_little(tmp_path):
    odd = image(100_000)._replace(log_ns=stamp(2) + 1)
    report, made = run(write_bag(tmp_path / "in", [*drive(20), odd]), tmp_path / "out")
    lost = report.health.refused[Refusal.NO_TRANSFORM] - 1
    assert lost * PERIOD_NS <= LOOK_AHEAD_S * 1e9
    assert report.health.grids_out == 20 - lost
    assert len(made["/terrain/mask"]) == 21


def test_images_before_a_gap_have_the_transforms_of_then(tmp_path):
    before, after = drive(3), [pose(1000), image(1000)]
    report, _ = run(write_bag(tmp_path / "in", [*before, *after]), tmp_path / "out", tf_cache_s=2.0)
    assert report.health.refused == {}
    assert report.health.grids_out == 4


def test_a_simulation_that_starts_at_zero(tmp_path):
    entries = []
    for entry in drive(4):
        for item in [getattr(entry.message, "header", None)] if entry.topic != "/tf" else []:
            if item is not None:
                item.stamp.sec -= START_NS // 10**9
        for item in entry.message.transforms if entry.topic == "/tf" else []:
            item.header.stamp.sec -= START_NS // 10**9
        entries.append(entry._replace(log_ns=entry.log_ns - START_NS))
    report, made = run(write_bag(tmp_path / "in", entries), tmp_path / "out")
    assert report.health.grids_out == 4
    assert made["/terrain/label_info"][0].log_ns == 0


def test_transforms_that_never_come_cost_the_grid_alone(tmp_path):
    entries = [mounting(), *(item for i in range(3) for item in (info(i), image(i)))]
    report, made = run(write_bag(tmp_path / "in", entries), tmp_path / "out")
    assert report.health.refused == {Refusal.NO_TRANSFORM: 3}
    assert len(made["/terrain/mask"]) == 3


@pytest.mark.parametrize("transforms_late_ns", [0, PERIOD_NS // 2])
def test_a_loop_clears_the_grid_and_goes_on(tmp_path, transforms_late_ns):
    first = drive(8, transforms_late_ns=transforms_late_ns)
    again = [entry._replace(log_ns=entry.log_ns + 10 * PERIOD_NS) for entry in first]
    report, made = run(write_bag(tmp_path / "in", [*first, *again]), tmp_path / "out")
    assert report.health.notes[Note.TIME_JUMP] == 1
    assert report.health.grids_out == 16
    assert [stamp_of(m) for m in made["/terrain/mask"]] == [stamp(i) for i in (*range(8),) * 2]


def test_bad_messages_among_good_ones_are_counted_and_copied(tmp_path):
    good = bytes(serialize(image(1).message, image(1).type))
    raw = [
        ("/navcam/image_raw", "sensor_msgs/msg/Image", stamp(1) + 1, good[: len(good) // 2]),
        ("/navcam/image_raw", "sensor_msgs/msg/Image", stamp(1) + 2, b"\x00\x01"),
        ("/tf", "tf2_msgs/msg/TFMessage", stamp(1) + 3, b"\x00\x01\x00\x00\xff\xff\xff\xff"),
        ("/tf_static", "tf2_msgs/msg/TFMessage", START_NS - 1, b"\x00"),
        ("/navcam/camera_info", "sensor_msgs/msg/CameraInfo", START_NS - 1, b"\x00\x01\x00\x00"),
    ]
    source = write_bag(tmp_path / "in", drive(4), raw=raw)
    parameters = load_parameters(overrides=BASE)
    report = replay(source, tmp_path / "out", parameters, options=QUIET)
    assert report.health.refused == {
        Refusal.BAD_IMAGE: 2,
        Refusal.BAD_TRANSFORM: 2,
        Refusal.BAD_CAMERA_INFO: 1,
    }
    assert report.health.images_in == 6
    assert report.health.grids_out == 4
    copied = contents(tmp_path / "out")
    assert all(any(row[3] == item[3] for row in copied) for item in raw)


@pytest.mark.requirement("TSR-BUS-004")
def test_diagnostics_come_once_a_second_and_at_the_end(tmp_path):
    _, made = run(write_bag(tmp_path / "in", drive(26)), tmp_path / "out")
    times = [entry.log_ns for entry in made["/diagnostics"]]
    assert len(times) in {3, 4}
    assert times[-1] >= stamp(25)
    values = {item.key: item.value for item in made["/diagnostics"][-1].message.status[0].values}
    assert values["images_in"] == "26"


def test_a_gap_turns_the_grid_unknown(tmp_path):
    late = [entry for index in (40, 41) for entry in (text(index),)]
    source = write_bag(tmp_path / "in", [*drive(3), *late])
    _, made = run(source, tmp_path / "out", **{"watchdog.stale_after_s": 1.0})
    grids = [decode_grid(entry.message).values for entry in made["/terrain/hazard_grid"]]
    assert (grids[2] >= 0).any()
    assert (grids[-1] == -1).all()


def test_start_of_the_bag_is_the_start_of_the_clock(tmp_path):
    _, made = run(write_bag(tmp_path / "in", drive(2)), tmp_path / "out")
    assert made["/terrain/label_info"][0].log_ns == START_NS
    assert np.diff([entry.log_ns for entry in made["/terrain/mask"]]).min() >= 0


def test_depth_recorded_after_its_image_is_used_and_bad_depth_is_counted(tmp_path):
    entries = [item for index in range(20) for item in (pose(index), info(index), image(index))]
    depths = [depth_image(index)._replace(log_ns=stamp(index) + PERIOD_NS) for index in range(20)]
    depths[3].message.encoding = "rgb8"
    source = write_bag(tmp_path / "in", [mounting(), *entries, *depths])
    report, _ = run(source, tmp_path / "out", **{"depth.source": "image"})
    assert report.health.refused == {Refusal.BAD_DEPTH: 1}
    assert report.health.notes[Note.NO_DEPTH] == 1
    assert report.health.grids_out == 20
    assert "ground_residual_m" in report.health.gauges


@pytest.mark.parametrize("form", ["16UC1; png compressed ", "16UC1; jpeg compressed ", "png"])
def test_depth_beside_a_camera_does_not_reach_the_grid(tmp_path, form):
    _, alone = run(write_bag(tmp_path / "alone", drive(3)), tmp_path / "first")
    depth = []
    for index in range(3):
        entry = compressed(index, topic="/navcam/aligned_depth_to_color/image_raw/compressed")
        entry.message.format = form
        depth.append(entry)
    source = write_bag(tmp_path / "in", [*drive(3), *depth])
    report, made = run(source, tmp_path / "second")
    (topic,) = report.left_out
    assert topic.endswith("aligned_depth_to_color/image_raw/compressed")
    assert [camera.image_topic for camera in report.cameras] == ["/navcam/image_raw"]
    for before, after in zip(alone["/terrain/hazard_grid"], made["/terrain/hazard_grid"]):
        np.testing.assert_array_equal(before.message.data, after.message.data)


def test_twelve_bits_in_sixteen_are_scaled_and_told(tmp_path, caplog):
    def wide(index):
        entry = image(index)
        entry.message.data = (picture(index).astype("<u2") << 4).view(np.uint8).reshape(-1)
        entry.message.encoding, entry.message.step = "mono16", 2 * WIDTH_PX
        return entry

    source = write_bag(tmp_path / "in", drive(3, make_image=wide))
    options = ReplayOptions(skip=set(skippable_topics()) - {"overlay"})
    report, made = run(source, tmp_path / "out", options=options)
    _, reference = run(write_bag(tmp_path / "eight", drive(3)), tmp_path / "ref", options=options)
    for entry, other in zip(made["/terrain/overlay"], reference["/terrain/overlay"], strict=True):
        np.testing.assert_array_equal(entry.message.data, other.message.data)
    assert "use 12 bits" in report.health.remarks["images of navcam"]
    assert sum("use 12 bits" in line for line in caplog.messages) == 1
    values = {pair.key for pair in made["/diagnostics"][-1].message.status[0].values}
    assert "assumed: images of navcam" in values
    fixed, _ = run(source, tmp_path / "fixed", image_bits=16)
    assert not fixed.health.remarks


@pytest.mark.parametrize("topic", ["/tf", "/tf_static"])
def test_a_null_quaternion_is_refused_by_name_and_the_other_transforms_count(tmp_path, topic):
    entries = drive(4)
    for entry in entries:
        if entry.topic == topic:
            crooked = pose(0).message.transforms[0]
            crooked.child_frame_id = "wheel"
            crooked.transform.rotation.w = 0.0
            entry.message.transforms.insert(0, crooked)
    report, made = run(write_bag(tmp_path / "in", entries), tmp_path / "out")
    assert report.health.grids_out == len(made["/terrain/hazard_grid"]) == 4
    assert set(report.health.refused) == {Refusal.BAD_TRANSFORM}
    assert "'wheel' in 'odom'" in report.health.refusal_texts[Refusal.BAD_TRANSFORM]


@pytest.mark.parametrize("offset_ns", [4 * PERIOD_NS, -2 * PERIOD_NS - PERIOD_NS // 5])
def test_one_odd_stamp_costs_one_image_and_no_hazard(tmp_path, offset_ns):
    entries = drive(20)
    images = [entry for entry in entries if entry.topic == "/navcam/image_raw"]
    odd = images[10].message.header.stamp
    odd.sec, odd.nanosec = divmod(stamp(10) + offset_ns, 10**9)
    source = write_bag(tmp_path / "in", entries)
    report, made = run(source, tmp_path / "out", **{"hazard.soil": 1.0})
    assert report.health.refused == {Refusal.OUT_OF_ORDER: 1}
    assert not report.health.notes
    lethal = [
        int((decode_grid(entry.message).values == 100).sum())
        for entry in made["/terrain/hazard_grid"]
    ]
    assert len(lethal) == 19
    assert lethal == sorted(lethal)
