"""`terrain-seg sim` as users call it: a bag, the summary, and what is refused."""

from __future__ import annotations

import json

import pytest
from rosbags.highlevel import AnyReader

from support.drawing import needs_drawing
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.sim import opengl

SMALL = ["--pictures", "3", "--size", "96x64", "--side-m", "24", "--rate", "2"]


@needs_drawing
def test_a_bag_and_its_summary(tmp_path, capsys):
    bag, report = tmp_path / "drive.mcap", tmp_path / "sim.json"
    words = ["--bag", str(bag), "--json", str(report), "--jpeg", "--leave-out", "depth", "odom"]
    assert main(["sim", *SMALL, *words]) == 0
    output = capsys.readouterr().out
    assert "played 3 of 3 pictures" in output
    assert str(bag) in output
    summary = json.loads(report.read_text())
    assert summary["pictures"] == 3
    assert (summary["mode"], summary["body"]) == ("rover", "mars")
    assert summary["simulated_s"] == 1.0
    with AnyReader([bag]) as reader:
        counts = {item.topic: item.msgcount for item in reader.connections}
    assert counts["/terrain/image/compressed"] == counts["/clock"] == 3
    assert counts["/terrain/truth/hazard_map"] == counts["/tf_static"] == 1
    assert not {"/terrain/image", "/terrain/depth", "/terrain/odom"} & set(counts)


@needs_drawing
def test_the_same_seed_gives_the_same_bag(tmp_path):
    contents = []
    for name in ("a", "b"):
        bag = tmp_path / f"{name}.mcap"
        assert main(["sim", *SMALL, "--seed", "5", "--bag", str(bag)]) == 0
        with AnyReader([bag]) as reader:
            contents.append([(c.topic, at, bytes(data)) for c, at, data in reader.messages()])
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--size", "640"], "--size is '640'"),
        (["--size", "8x8"], "width_px is 8"),
        (["--leave-out", "cheese"], "cheese"),
        (["--rate", "0"], "rate is 0.0 Hz"),
    ],
)
def test_wrong_arguments_are_named(words, message, capsys):
    assert main(["sim", *words]) == 2
    assert message in capsys.readouterr().err


@needs_drawing
def test_a_bag_that_exists_is_kept(tmp_path, capsys):
    bag = tmp_path / "mine.mcap"
    bag.write_text("mine")
    assert main(["sim", *SMALL, "--bag", str(bag)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert bag.read_text() == "mine"


def test_without_mujoco_the_extra_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(opengl, "mujoco_is_installed", lambda: False)
    monkeypatch.setattr("terrain_seg_ros.cli.sim.load_mujoco", opengl.load_mujoco.__wrapped__)
    assert main(["sim", "--bag", str(tmp_path / "bag")]) == 2
    assert "pip install -e '.[sim]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
