"""`terrain-seg world` writes what Gazebo opens."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from terrain_seg_ros.cli.main import EXIT_WRONG_INPUT, main

SMALL = ("--side-m", "12", "--spacing-m", "0.5")


@pytest.mark.parametrize(("body", "gravity"), [("moon", "0 0 -1.62"), ("mars", "0 0 -3.71")])
def test_world_of_each_body_is_written(tmp_path, capsys, body, gravity):
    assert main(["world", "--body", body, "--seed", "4", "--sdf", str(tmp_path), *SMALL]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == tmp_path / f"{body}_4.sdf"
    world = ElementTree.parse(path).getroot().find("world")
    assert world.findtext("gravity") == gravity
    assert {model.get("name") for model in world.findall("model")} == {"terrain", "vehicle"}


def test_fewer_rocks_when_small_ones_are_left_out(tmp_path):
    counts = []
    for least in ("0.2", "0.5"):
        folder = tmp_path / least
        words = ["world", "--body", "mars", "--sdf", str(folder), "--min-rock-m", least, *SMALL]
        assert main([*words, "--vehicle", "none"]) == 0
        counts.append((folder / "mars_1.sdf").read_text().count("<ellipsoid>"))
    assert counts[0] > counts[1]


def test_impossible_world_is_refused(tmp_path, capsys):
    words = ["world", "--sdf", str(tmp_path / "no"), "--side-m", "-1"]
    assert main(words) == EXIT_WRONG_INPUT
    assert "-1" in capsys.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_folder_that_holds_no_world_is_refused(tmp_path, capsys):
    (tmp_path / "soil.png").write_bytes(b"mine")
    assert main(["world", "--sdf", str(tmp_path), *SMALL]) == EXIT_WRONG_INPUT
    assert "soil.png" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["soil.png"]


def test_a_second_world_may_join_the_first(tmp_path):
    for seed in ("1", "2"):
        words = ["world", "--seed", seed, "--sdf", str(tmp_path), "--vehicle", "none", *SMALL]
        assert main(words) == 0
    assert {"moon_1.sdf", "moon_2.sdf"} <= {path.name for path in tmp_path.iterdir()}
