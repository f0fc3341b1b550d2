"""The doctor tells what a bag lacks before anything runs, and what helps."""

from __future__ import annotations

import json

import numpy as np
import pytest

from support.bags import (
    COMPRESSED,
    IMAGE,
    INFO,
    Entry,
    cloud,
    compressed,
    depth_image,
    drive,
    header,
    image,
    info,
    message_class,
    mounting,
    picture,
    pose,
    stamp,
    text,
    write_bag,
)
from support.doctor_runs import QUICK, look, params, rows
from terrain_seg_ros.bag import survey as survey_module
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.messages.image_message import encode_image


def test_a_bag_that_has_all_is_usable_and_says_what_would_be_computed(tmp_path, capsys):
    code, content = look(write_bag(tmp_path / "in", drive(4)), capsys)
    assert code == 0
    assert {row["state"] for row in content["findings"]} == {"usable"}
    assert "4 masks and 4 grids of 4 images" in rows(content, "replay")[0]["detail"]
    assert "assumed: " in rows(content, "work")[0]["detail"]
    work = content["bag"]["work"]
    assert (work["images"], work["pixels"]) == (4, 4 * 96 * 64)
    assert work["output_bytes"]["overlay"] == 4 * 96 * 64 * 3
    assert work["output_bytes"]["hazard_grid"] == 4 * 300 * 300


def test_the_table_names_types_rates_forms_and_uses(tmp_path, capsys):
    bag = write_bag(tmp_path / "in", [*drive(4), depth_image(1)])
    assert main(["doctor", str(bag), *QUICK]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert lines["/navcam/image_raw"].split()[1:5] == [IMAGE, "4", "10.0", "0.10"]
    assert "mono8 96x64" in lines["/navcam/image_raw"]
    assert lines["/navcam/image_raw"].endswith("images of navcam")
    assert lines["/navcam/camera_info"].endswith("camera_info of navcam")
    assert "32FC1 96x64  left out: image encoding '32FC1'" in lines["/navcam/depth"]
    assert lines["/tf_static"].endswith("transforms")
    assert lines["/notes"].split() == ["/notes", "std_msgs/msg/String", "1", "-", "-"]


def test_a_bag_without_camera_info_needs_a_field_of_view(tmp_path, capsys):
    bag = write_bag(tmp_path / "in", drive(3, with_info=False))
    code, content = look(bag, capsys)
    (row,) = rows(content, "navcam lens")
    assert (code, row["state"]) == (1, "missing")
    assert "no camera_info beside /navcam/image_raw" in row["detail"]
    assert "horizontal_fov_rad: 1.05" in row["remedy"]
    code, content = look(bag, capsys, *params(tmp_path, "horizontal_fov_rad: 1.05"))
    (row,) = rows(content, "navcam lens")
    assert (code, row["state"]) == (0, "doubtful")


def test_the_only_camera_info_is_doubted_where_it_is_not_beside_the_images(tmp_path, capsys):
    entries = [mounting()]
    for index in range(3):
        entries += [pose(index), info(index, topic="/color/camera_info"), image(index)]
    bag = write_bag(tmp_path / "in", entries)
    code, content = look(bag, capsys)
    (row,) = rows(content, "navcam lens")
    assert (code, row["state"]) == (0, "doubtful")
    assert "/color/camera_info: 96x64" in row["detail"]
    assert "not beside the images" in row["detail"]
    assert main(["replay", str(bag), str(tmp_path / "out"), *QUICK, "--backend", "constant"]) == 0
    out = capsys.readouterr().out
    assert "assumed: lens of navcam" in out


def test_an_implausible_camera_info_is_named(tmp_path, capsys):
    def flat(index):
        entry = info(index)
        entry.message.k[:] = np.eye(3).reshape(-1)
        return entry

    entries = [mounting()]
    for index in range(3):
        entries += [pose(index), flat(index), image(index)]
    code, content = look(write_bag(tmp_path / "in", entries), capsys)
    (row,) = rows(content, "navcam lens")
    assert (code, row["state"]) == (1, "missing")
    assert "/navcam/camera_info cannot be used: K " in row["detail"]


def test_a_camera_info_of_another_resolution_is_named(tmp_path, capsys):
    entries = [mounting()]
    for index in range(3):
        entries += [pose(index), info(index, width_px=192), image(index)]
    code, content = look(write_bag(tmp_path / "in", entries), capsys)
    states = {row["state"] for row in rows(content, "navcam lens")}
    assert (code, states) == (1, {"usable", "missing"})
    assert any("192 x 64" in row["detail"] for row in rows(content, "navcam lens"))


def test_a_frame_that_no_transform_connects_is_named_with_what_helps(tmp_path, capsys):
    def elsewhere(index):
        return image(index, frame_id="optical_left")

    bag = write_bag(tmp_path / "in", drive(3, make_image=elsewhere))
    code, content = look(bag, capsys)
    row, motion = rows(content, "navcam TF")
    assert (code, row["state"], motion["state"]) == (1, "missing", "usable")
    assert "mounting: 3 of 3 images lack it" in row["detail"]
    assert "'optical_left' on /tf_static (TF has optical)" in row["remedy"]
    assert "mounting: {use_tf: false" in row["remedy"]


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ("grid_frame: map", "TF has no frame 'map', but odom: set the right one"),
        ("base_frame: rover", "such as `base_frame: base_link`"),
    ],
)
def test_a_frame_that_is_called_otherwise_gives_the_line_to_set(tmp_path, capsys, values, remedy):
    bag = write_bag(tmp_path / "in", drive(3))
    code, content = look(bag, capsys, *params(tmp_path, values))
    assert code == 1
    assert any(remedy in row["remedy"] for row in rows(content, "navcam TF"))


def test_a_bag_without_tf_can_be_used_with_a_mounting(tmp_path, capsys):
    entries = [item for index in range(3) for item in (info(index), image(index))]
    bag = write_bag(tmp_path / "in", entries)
    code, content = look(bag, capsys)
    assert code == 1
    assert any("the bag has no TF" in row["remedy"] for row in rows(content, "navcam TF"))
    code, content = look(bag, capsys, *params(tmp_path, "mounting: {use_tf: false, z_m: 1.5}"))
    assert code == 0
    assert [row["state"] for row in rows(content, "navcam TF")] == ["usable", "doubtful"]
    assert "assumed to stand still" in rows(content, "navcam TF")[1]["detail"]


def test_transforms_that_end_early_are_counted(tmp_path, capsys):
    entries = drive(20)
    entries = [item for item in entries if item.topic != "/tf" or item.log_ns < stamp(10)]
    code, content = look(write_bag(tmp_path / "in", entries), capsys)
    row = rows(content, "navcam TF")[1]
    assert (code, row["state"]) == (0, "doubtful")
    assert "motion: 10 of 20 images lack it" in row["detail"]
    assert "before, during and after the images" in row["remedy"]


def test_a_camera_that_looks_into_the_sky_is_missing(tmp_path, capsys):
    bag = write_bag(tmp_path / "in", drive(3))
    values = "mounting: {use_tf: false, z_m: 1.5, pitch_rad: -1.2}"
    code, content = look(bag, capsys, *params(tmp_path, values))
    (row,) = rows(content, "navcam view")
    assert (code, row["state"]) == (1, "missing")
    assert "above the horizon" in row["detail"]


def test_zero_and_swapped_stamps_and_late_recording_are_told(tmp_path, capsys):
    entries = drive(6)
    for entry in entries:
        if entry.topic == "/navcam/image_raw" and entry.log_ns == stamp(2):
            entry.message.header = header(0)
    entries.append(image(5, late_ns=3_000_000_000))
    _, content = look(write_bag(tmp_path / "in", entries), capsys)
    told = " ".join(row["detail"] for row in rows(content, "navcam time"))
    assert "1 of 7 images have a zero stamp" in told
    assert "1 of 7 stamps are not after the one before" in told
    assert "recorded 0.000 to 3.000 s after the images' stamps" in told


def test_sixteen_bits_are_told_with_their_parameter(tmp_path, capsys):
    def deep(index):
        message = encode_image(message_class, picture(index), "mono8", header(stamp(index)))
        wide = (picture(index).astype("<u2") << 4).view(np.uint8).reshape(-1)
        message.encoding, message.step, message.data = "mono16", message.step * 2, wide
        return Entry("/navcam/image_raw", IMAGE, stamp(index), message)

    code, content = look(write_bag(tmp_path / "in", drive(3, make_image=deep)), capsys)
    (row,) = rows(content, "navcam bits")
    assert (code, row["state"]) == (0, "doubtful")
    assert "use 12 bits" in row["detail"]
    assert "image_bits: 12" in row["remedy"]


def test_depth_that_is_not_used_is_offered_and_that_which_is_not_there_is_missing(tmp_path, capsys):
    measured = [depth_image(index, topic="/navcam/stereo/depth") for index in range(3)]
    bag = write_bag(tmp_path / "in", [*drive(3), *measured])
    code, content = look(bag, capsys)
    (row,) = rows(content, "depth")
    assert (code, row["state"]) == (0, "absent")
    assert "depth: {source: image, topic: stereo/depth}" in row["remedy"]
    values = "ground: {source: depth}\n    depth: {source: image, topic: range}"
    code, content = look(bag, capsys, *params(tmp_path, values))
    (row,) = rows(content, "depth")
    assert (code, row["state"]) == (1, "missing")
    assert "/navcam/stereo/depth" in row["detail"]


def test_a_cloud_is_offered_too(tmp_path, capsys):
    bag = write_bag(tmp_path / "in", [*drive(3), cloud(1, topic="/lidar/points")])
    _, content = look(bag, capsys)
    assert "depth: {source: cloud, topic: points}" in rows(content, "depth")[0]["remedy"]


def test_a_bag_without_camera_images_says_what_it_has(tmp_path, capsys):
    bag = write_bag(tmp_path / "in", [depth_image(0), text(0)])
    code, content = look(bag, capsys)
    (row,) = rows(content, "camera")
    assert (code, row["state"]) == (1, "missing")
    assert "no camera images, but /navcam/depth" in row["detail"]
    assert "record a topic of type sensor_msgs/msg/Image" in row["detail"]
    bag = write_bag(tmp_path / "grey", [image(0, topic="/navcam/depth")])
    _, content = look(bag, capsys)
    (row,) = rows(content, "camera")
    assert row["remedy"] == "if it is a camera's after all: --image-topic /navcam/depth"


def test_a_folder_without_metadata_and_a_recorder_that_was_killed_are_told(tmp_path, capsys):
    bag = write_bag(tmp_path / "in", drive(3))
    (bag / "metadata.yaml").unlink()
    code, content = look(bag, capsys)
    assert code == 0
    assert "no metadata.yaml" in rows(content, "bag")[1]["detail"]


def test_damaged_pictures_are_counted(tmp_path, capsys):
    entries = drive(6, make_image=compressed)
    for entry in entries:
        if entry.type == COMPRESSED and entry.log_ns >= stamp(3):
            entry.message.data = entry.message.data[:-40]
    code, content = look(write_bag(tmp_path / "in", entries), capsys)
    (row,) = rows(content, "navcam images")
    assert (code, row["state"]) == (0, "doubtful")
    assert row["detail"].startswith("3 of 6 images: ")
    assert "cut off" in row["detail"]


def test_only_the_beginning_of_a_large_bag_is_read_unless_all_is_asked_for(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(survey_module, "READ_LIMIT_MESSAGES", 20)
    bag = write_bag(tmp_path / "in", drive(20))
    code, content = look(bag, capsys)
    assert code == 0
    assert content["bag"]["read_share"] == pytest.approx(20 / 62)
    assert rows(content, "bag")[1]["remedy"] == "--whole reads the rest too"
    assert content["bag"]["work"]["images"] == 20
    code, content = look(bag, capsys, "--whole")
    assert content["bag"]["read_share"] == 1.0
    assert len(rows(content, "bag")) == 1


def test_memory_stays_bounded_by_bytes_too(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(survey_module, "READ_LIMIT_BYTES", 30_000)
    _, content = look(write_bag(tmp_path / "in", drive(20)), capsys)
    assert 0.0 < content["bag"]["read_share"] < 0.5


def test_one_of_two_cameras_that_lacks_all_is_told_with_how_to_leave_it_out(tmp_path, capsys):
    entries = drive(3)
    entries += [image(i, topic="/rear/image_raw", frame_id="rear_optical") for i in range(3)]
    code, content = look(write_bag(tmp_path / "in", entries), capsys)
    assert code == 1
    assert "the bag has /navcam/camera_info" in rows(content, "rear lens")[0]["detail"]
    states = [row["state"] for row in rows(content, "rear TF")]
    assert states == ["missing", "usable"], "transforms are checked although there is no lens"
    (row,) = rows(content, "replay")
    assert "3 grids of 6 images; no grid from rear" in row["detail"]
    assert row["remedy"] == "to leave rear out: --image-topic /navcam/image_raw"
    code, content = look(tmp_path / "in", capsys, "--image-topic", "/navcam/image_raw")
    assert code == 0


@pytest.mark.parametrize(
    "entries",
    [
        drive(5),
        drive(5, with_info=False),
        drive(5, transforms_late_ns=200_000_000),
        drive(12, transforms_late_ns=800_000_000),
        [item for item in drive(9) if item.topic != "/tf" or item.log_ns < stamp(4)],
        [*drive(5), image(2, late_ns=650_000_000), image(1, late_ns=700_000_000)],
        drive(5, make_image=lambda index: image(index, frame_id="")),
        drive(5, make_image=compressed),
    ],
)
def test_the_doctor_counts_what_a_replay_then_refuses(tmp_path, capsys, entries):
    raw = [("/navcam/image_raw", IMAGE, stamp(1) + 1, b"\x00\x01\x00\x00\xff")]
    raw += [("/navcam/camera_info", INFO, stamp(1) + 2, b"\x00\x01\x00\x00\xff")]
    if any(item.type == COMPRESSED for item in entries):
        raw = []
    bag = write_bag(tmp_path / "in", entries, raw=raw)
    scores = tmp_path / "scores.json"
    words = [str(bag), str(tmp_path / "out"), "--backend", "constant", "--json", str(scores)]
    replayed = main(["replay", *QUICK, *words])
    expected = json.loads(scores.read_text())
    capsys.readouterr()
    code, content = look(bag, capsys)
    refused = {key: n for key, n in expected["refused"].items() if key != "total"}
    assert content["bag"]["refused"] == refused
    (camera,) = content["bag"]["cameras"].values()
    assert (camera["masks"], camera["grids"]) == (expected["images_out"], expected["grids_out"])
    assert code == replayed


def test_control_characters_and_long_names_do_not_reach_the_terminal(tmp_path, capsys):
    hostile = "\x1b[2J" + "x" * 5000
    entries = drive(3, make_image=lambda index: image(index, frame_id=hostile))
    assert main(["doctor", str(write_bag(tmp_path / "in", entries)), *QUICK]) == 1
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "mounting: 3 of 3 images lack it" in out


def write_bad_bags(folder):
    whole = write_bag(folder / "whole", drive(20))
    data = next(whole.glob("*.mcap")).read_bytes()
    (folder / "cut.mcap").write_bytes(data[: len(data) // 2])
    (folder / "broken.mcap").write_bytes(data[:2000] + bytes(4000) + data[6000:])
    (folder / "empty.mcap").touch()
    (folder / "folder").mkdir()
    params(folder, "own_body: {masks: [none.png]}")[1].rename(folder / "mask.yaml")
    (folder / "ros1.bag").write_bytes(b"#ROSBAG V2.0\n")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["none"], "does not exist"),
        ([""], "the name of the bag is '', which is empty"),
        (["cut.mcap"], "mcap recover"),
        (["broken.mcap"], "bag 'broken.mcap' is damaged"),
        (["empty.mcap"], "cannot be opened"),
        (["folder"], "no metadata.yaml"),
        (["ros1.bag"], "ROS 1"),
        (["whole", "--image-topic", "/none"], "no images on '/none'"),
        (["whole", "--params", "none.yaml"], "none.yaml"),
        (["whole", "--model", "none"], "none"),
        (["whole", "--params", "mask.yaml"], "none.png"),
        (["--whole"], "--whole is for a bag"),
        (["--params", "my.yaml"], "--params is for a bag"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, words, error):
    write_bad_bags(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("terrain-seg: error: ")
    assert error in line
