"""`terrain-seg replay` as users call it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin

from support.bags import (
    IMAGE,
    INFO,
    TF,
    Entry,
    drive,
    encode_camera_info,
    encode_image,
    encode_transforms,
    header,
    image,
    message_class,
    read_bag,
    stamp,
    text,
    write_bag,
)
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.demo.frames import demo_camera, demo_frames
from terrain_seg_ros.messages.transform_message import StampedTransform

PICTURES = 3
QUICK = ["--model", "synthetic", "--backend", "constant"]


def test_a_bag_goes_in_and_comes_out_with_a_summary(tmp_path, capsys):
    source = write_bag(tmp_path / "in", drive(3))
    assert main(["replay", str(source), str(tmp_path / "out"), *QUICK, "--skip", "overlay"]) == 0
    made = read_bag(tmp_path / "out")
    assert len(made["/terrain/hazard_grid"]) == 3
    assert "/terrain/overlay" not in made
    rows = {
        " ".join(line.split()[:-1]): line.split()[-1]
        for line in capsys.readouterr().out.splitlines()
        if line
    }
    assert rows["images in"] == rows["images out"] == rows["grids out"] == "3"
    assert rows["backend"] == "constant"
    assert any(name.startswith("inference") for name in rows)


def rover_entries(frames):
    for index, frame in enumerate(frames):
        pixels, stamp_ns = frame.pixels(), stamp(10 * index)
        camera = demo_camera(pixels.shape[1], pixels.shape[0])
        poses = [
            StampedTransform("odom", "base_link", stamp_ns, frame.place()),
            StampedTransform("base_link", "optical", stamp_ns, frame.mounting()),
        ]
        message = encode_image(message_class, pixels, "mono8", header(stamp_ns))
        info = encode_camera_info(message_class, camera, header(stamp_ns))
        yield Entry("/tf", TF, stamp_ns, encode_transforms(message_class, poses))
        yield Entry("/navcam/camera_info", INFO, stamp_ns, info)
        yield Entry("/navcam/image_raw", IMAGE, stamp_ns, message)


def test_the_shipped_model_sees_what_the_rover_saw(tmp_path, capsys):
    frames = demo_frames()[:PICTURES]
    source = write_bag(tmp_path / "in", rover_entries(frames))
    words = [str(source), str(tmp_path / "out.mcap"), "--backend", "onnxruntime", "--threads", "1"]
    assert main(["replay", *words]) == 0
    assert "mars_navcam" in capsys.readouterr().out
    made = read_bag(tmp_path / "out.mcap", only=["/terrain/mask", "/terrain/hazard_grid"])
    shown = [
        np.reshape(entry.message.data, (-1, entry.message.width)) for entry in made["/terrain/mask"]
    ]
    truths = [frame.truth() for frame in frames]
    right = [mask == truth for mask, truth in zip(shown, truths, strict=True)]
    labelled = np.concatenate([(truth != 255).ravel() for truth in truths])
    assert np.concatenate([item.ravel() for item in right])[labelled].mean() > 0.7
    assert [(np.asarray(e.message.data) >= 0).any() for e in made["/terrain/hazard_grid"]] == [
        True
    ] * PICTURES


def test_messages_that_are_refused_are_told_in_the_summary(tmp_path, capsys):
    raw = [("/navcam/image_raw", IMAGE, stamp(1) + 1, b"\x00\x01\x00\x00\xff")]
    source = write_bag(tmp_path / "in", drive(2, with_info=False), raw=raw)
    assert main(["replay", str(source), str(tmp_path / "out"), *QUICK]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in lines if line.startswith("images in")] == ["3"]
    assert [line.split()[-1] for line in lines if line.startswith("grids out")] == ["0"]
    assert [line.split()[-1] for line in lines if line.startswith("refused: bad image")] == ["1"]
    (bad,) = (line for line in lines if line.startswith("  bad image:"))
    assert "sensor_msgs/msg/Image of 5 bytes is malformed" in bad
    (missing,) = (line for line in lines if line.startswith("  no camera_info:"))
    assert "horizontal_fov_rad" in missing


def test_parameters_and_topics_can_be_given(tmp_path, capsys):
    entries = [*drive(2, with_info=False), image(0, topic="/rear/image_raw")]
    source = write_bag(tmp_path / "in", entries)
    (tmp_path / "own.yaml").write_text("/**:\n  ros__parameters: {horizontal_fov_rad: 1.0}\n")
    words = ["--params", str(tmp_path / "own.yaml"), "--image-topic", "/navcam/image_raw"]
    words += ["--namespace", "ours"]
    assert main(["replay", str(source), str(tmp_path / "out"), *QUICK, *words]) == 0
    assert len(read_bag(tmp_path / "out")["/ours/hazard_grid"]) == 2
    assert "horizontal_fov_rad" in capsys.readouterr().out


def test_a_mode_names_the_parameters_that_are_loaded_first(tmp_path):
    source = write_bag(tmp_path / "in", drive(2))
    assert main(["replay", str(source), str(tmp_path / "out"), *QUICK, "--mode", "lander"]) == 0
    assert len(read_bag(tmp_path / "out")["/terrain/landing_sites"]) == 2
    assert main(["replay", str(source), str(tmp_path / "rover"), *QUICK]) == 0
    assert "/terrain/landing_sites" not in read_bag(tmp_path / "rover")


def write_bad_bags(folder):
    write_bag(folder / "bag", drive(2))
    write_bag(folder / "notes", [text(0)])
    masks = [image(0, topic=name) for name in ("/terrain/mask", "/terrain/truth/mask")]
    write_bag(folder / "masks", [*drive(1), *masks])
    for storage, suffix in ((StoragePlugin.MCAP, ".mcap"), (StoragePlugin.SQLITE3, ".db3")):
        whole = write_bag(folder / f"whole{suffix}", drive(20), storage=storage)
        data = next(whole.glob(f"*{suffix}")).read_bytes()
        (folder / f"cut{suffix}").write_bytes(data[: len(data) // 2])
        (folder / f"empty{suffix}").touch()
    (folder / "broken.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100))
    (folder / "file").touch()
    (folder / "folder").mkdir()
    (folder / "own.json").write_text('{"bags": {}}')
    (folder / "link").symlink_to(folder / "whole.mcap" / "whole.mcap")


@pytest.mark.parametrize(
    ("words", "text_of_error"),
    [
        (["none", "out"], "does not exist"),
        (["", "out"], "the name of the bag is '', which is empty"),
        (["bag", "bag"], "exists already"),
        (["bag", "out.db3"], "written as MCAP"),
        (["bag", "out", "--image-topic", "/none"], "no images on '/none'"),
        (["masks", "out", "--image-topic", "/terrain/mask"], "choose another --namespace"),
        (
            ["masks", "out", "--truth", "/terrain/truth/mask", "--namespace", "terrain/truth"],
            "reads '/terrain/truth/mask' of bag 'masks', and would replace it",
        ),
        (["bag", "out", "--json", "/dev/full"], "--json '/dev/full' cannot be written"),
        (["bag", "out", "--page", "/proc/x"], "cannot be created: '/proc' cannot be written"),
        (
            ["bag", "notes", "out", "--page", "/proc/x"],
            "cannot be created: '/proc' cannot be written",
        ),
        (["bag", "out", "--params", "none.yaml"], "none.yaml"),
        (["bag", "out", "--skip", "mask"], "--skip"),
        (["bag", "out", "--backend", "none"], "none"),
        (["bag", "out", "--model", "none"], "none"),
        (["bag", "out", "--namespace", "two words"], "not a ROS name"),
        (["bag", "out", "--mode", "submarine"], "submarine"),
        (["bag/bag.mcap", "bag/bag.mcap"], "exists already"),
        (["bag", "file/out"], "'file'"),
        (["bag", "out", "--page", "out"], "--page 'out' is OUT 'out'"),
        (["bag", "out.mcap", "--json", "out.mcap"], "--json 'out.mcap' is OUT 'out.mcap'"),
        (["bag", "notes", "out", "--json", "out"], "--json 'out' is OUT 'out'"),
        (["bag", "out", "--json", "bag/s.json"], "--json 'bag/s.json' lies in IN 'bag'"),
        (["whole.mcap/whole.mcap", "out", "--json", "link"], "--json 'link' is IN 'whole.mcap/"),
        (["bag", "out", "--limits", "own.json", "--json", "own.json"], "is --limits 'own.json'"),
        (["bag", "out", "--page", "bag/p"], "--page 'bag/p' lies in IN 'bag'"),
        (["bag", "out", "--page", "p", "--json", "p/index.html"], "is a file of --page"),
        (["bag", "p/map.png", "--page", "p"], "OUT 'p/map.png' is a file of --page"),
        (["bag", "bag/out"], "OUT 'bag/out' lies in IN 'bag'"),
        (["bag", "notes", "bag"], "OUT 'bag' is IN 'bag'"),
        (["bag", "bag/bag.mcap", "out", "--page", "out/pages"], "lies in OUT"),
        (["bag", "out", "--page", "whole.mcap"], "whole.mcap"),
        (["broken.mcap", "out"], "cannot be opened"),
        (["empty.mcap", "out"], "cannot be opened"),
        (["empty.db3", "out"], "cannot be opened"),
        (["cut.mcap", "out"], "mcap recover"),
        (["cut.db3", "out"], "sqlite3 FILE .recover"),
        (["cut.mcap", "out.mcap"], "mcap recover"),
        (["folder", "out"], "no metadata.yaml"),
        (["notes", "out"], "no camera images, but /notes (1 x std_msgs/msg/String)"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(
    tmp_path, monkeypatch, capsys, words, text_of_error
):
    monkeypatch.chdir(tmp_path)
    write_bad_bags(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    code = 0
    try:
        code = main(["replay", *QUICK, *words])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    errors = capsys.readouterr().err
    assert text_of_error in errors
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("terrain-seg")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("count", [1, 2])
def test_where_no_grid_came_the_reasons_are_told_and_the_code_is_one(tmp_path, capsys, count):
    names = [f"bag{index}" for index in range(count)]
    sources = [str(write_bag(tmp_path / name, drive(3, with_info=False))) for name in names]
    scores = tmp_path / "scores.json"
    words = ["replay", *sources, str(tmp_path / "out"), *QUICK, "--json", str(scores)]
    assert main(words) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if "no grids came" in line]
    assert len(error) == count
    assert "no grids came of 3 images: 3 x no camera_info (camera 'navcam' has" in error[0]
    assert error[0].endswith("`terrain-seg doctor BAG` says what the bag lacks")
    content = json.loads(scores.read_text())
    found = content["bags"]["bag0"] if count > 1 else content
    assert (found["images_out"], found["grids_out"]) == (3, 0)
    assert found["refused"]["no camera_info"] == 3


def test_where_no_mask_came_it_is_said(tmp_path, capsys):
    def bad(index):
        entry = image(index)
        entry.message.encoding = "unheard-of" if index else "mono8"
        entry.message.step = 0
        return entry

    source = write_bag(tmp_path / "in", drive(3, make_image=bad))
    assert main(["replay", str(source), str(tmp_path / "out"), *QUICK]) == 1
    assert "no masks and no grids came of 3 images: 3 x bad image" in capsys.readouterr().err


def test_where_the_page_fails_it_is_said_that_the_bag_is_complete(tmp_path, capsys):
    source, page = write_bag(tmp_path / "in", drive(2)), tmp_path / "page"
    words = [*QUICK, "--page", str(page)]
    assert main(["replay", str(source), str(tmp_path / "first"), *words]) == 0
    (page / "map.png").unlink()
    (page / "map.png").mkdir()
    capsys.readouterr()
    assert main(["replay", str(source), str(tmp_path / "out"), *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "map.png" in line
    assert line.endswith(f"; OUT '{tmp_path / 'out'}' is complete")
    assert len(read_bag(tmp_path / "out")["/terrain/hazard_grid"]) == 2


def test_where_stdout_is_full_it_is_said_that_the_bag_is_complete(tmp_path):
    source = write_bag(tmp_path / "in", drive(2))
    command = [sys.executable, "-m", "terrain_seg_ros.cli.main", "replay", str(source)]
    command += [str(tmp_path / "out"), *QUICK]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "No space left on device" in line
    assert line.endswith(f"; OUT '{tmp_path / 'out'}' is complete")
    assert len(read_bag(tmp_path / "out")["/terrain/hazard_grid"]) == 2


def test_control_characters_of_a_bag_do_not_reach_the_terminal(tmp_path, capsys):
    def odd(index):
        entry = image(index, topic="/nav\x1b]0;owned\x07cam/image_raw")
        entry.message.encoding = "\x1b[2Jx" if index else "mono8"
        return entry

    entries = drive(2, make_image=odd)
    source = write_bag(tmp_path / "in\x1b[1m", entries)
    main(["replay", str(source), str(tmp_path / "out"), *QUICK])
    main(["replay", str(source), str(tmp_path / "more"), *QUICK, "--image-topic", "/\x1bx"])
    main(["replay", str(source), str(tmp_path / "none\x1b"), str(tmp_path / "all"), *QUICK])
    said = capsys.readouterr()
    assert "owned" in said.out
    assert "2Jx" in said.out
    assert "none" in said.err
    assert all(letter.isprintable() or letter == "\n" for letter in said.out + said.err)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_replay_works_without_its_standard_streams(tmp_path, closed):
    source = write_bag(tmp_path / "in", drive(2))
    command = [sys.executable, "-m", "terrain_seg_ros.cli.main", "replay", str(source)]
    command += [str(tmp_path / "out"), *QUICK, "--page", str(tmp_path / "page")]
    done = subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", *command], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(read_bag(tmp_path / "out")["/terrain/hazard_grid"]) == 2
    assert (tmp_path / "page" / "index.html").is_file()
