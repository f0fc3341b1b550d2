"""`terrain-seg replay` as users call it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from terrain_seg_ros.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "bag"))
from bags import drive, image, read_bag, write_bag

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


def test_the_shipped_model_sees_what_it_is_shown(tmp_path, capsys):
    source = write_bag(tmp_path / "in", drive(2))
    assert main(["replay", str(source), str(tmp_path / "out.mcap"), "--threads", "1"]) == 0
    assert "mars_navcam" in capsys.readouterr().out
    assert (tmp_path / "out.mcap").is_file()


def test_parameters_and_topics_can_be_given(tmp_path, capsys):
    entries = [*drive(2, with_info=False), image(0, topic="/rear/image_raw")]
    source = write_bag(tmp_path / "in", entries)
    (tmp_path / "own.yaml").write_text("/**:\n  ros__parameters: {horizontal_fov_rad: 1.0}\n")
    words = ["--params", str(tmp_path / "own.yaml"), "--image-topic", "/navcam/image_raw"]
    words += ["--namespace", "ours"]
    assert main(["replay", str(source), str(tmp_path / "out"), *QUICK, *words]) == 0
    assert len(read_bag(tmp_path / "out")["/ours/hazard_grid"]) == 2
    assert "horizontal_fov_rad" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["none", "out"], "does not exist"),
        (["bag", "bag"], "exists already"),
        (["bag", "out.db3"], "written as MCAP"),
        (["bag", "out", "--image-topic", "/none"], "no images on '/none'"),
        (["bag", "out", "--params", "none.yaml"], "none.yaml"),
        (["bag", "out", "--skip", "mask"], "--skip"),
        (["bag", "out", "--backend", "none"], "none"),
        (["bag", "out", "--model", "none"], "none"),
        (["broken.mcap", "out"], "cannot be opened"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, words, text):
    monkeypatch.chdir(tmp_path)
    write_bag(tmp_path / "bag", drive(2))
    (tmp_path / "broken.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100))
    code = 0
    try:
        code = main(["replay", *QUICK, *words])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    errors = capsys.readouterr().err
    assert text in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "out").exists()
