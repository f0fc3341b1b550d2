"""Tests of `terrain-seg demo` when something goes wrong: one clear line, nobody left behind."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from rosbags.highlevel import AnyReader

from support.buses import free_domain, wait_until
from support.demo_runs import Demo, ros_processes, running
from support.tiny_model import write_tiny_model
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.demo.frames import HOLD, demo_frames

CONSTANT = ["--model", "synthetic", "--backend", "constant"]


def test_an_interrupted_demo_leaves_no_process_and_a_sound_bag(tmp_path):
    demo = Demo(tmp_path, *CONSTANT)
    demo.said("played 6 of")
    assert set(running(demo.domain)) == {"player", "recorder", "main"}
    demo.process.send_signal(signal.SIGINT)
    code, _, errors = demo.end()
    assert code == 130
    assert "Traceback" not in errors
    assert running(demo.domain) == {}
    (bag,) = tmp_path.glob("bag_*")
    with AnyReader([bag]) as reader:
        assert reader.message_count > HOLD


def test_a_process_that_is_killed_ends_the_demo_with_one_line(tmp_path):
    demo = Demo(tmp_path, *CONSTANT)
    demo.said("played 6 of")
    os.kill(running(demo.domain)["main"], signal.SIGKILL)
    code, output, errors = demo.end()
    assert code == 2
    assert output == ""
    (line,) = [line for line in errors.splitlines() if "played" not in line]
    assert line.startswith("terrain-seg: error: the node ended early by signal 9: ")
    assert "node.log" in line
    assert running(demo.domain) == {}


def test_player_and_recorder_end_when_the_demo_is_killed(tmp_path):
    demo = Demo(tmp_path, *CONSTANT)
    demo.said("played 6 of")
    node = running(demo.domain)["main"]
    demo.process.kill()
    demo.end()
    wait_until(lambda: set(running(demo.domain)) == {"main"}, "the end of player and recorder")
    os.kill(node, signal.SIGTERM)
    wait_until(lambda: running(demo.domain) == {}, "the end of the node")


def test_a_node_that_cannot_start_is_told_in_its_own_words(tmp_path, capsys):
    model = write_tiny_model(tmp_path / "tampered")
    with (model / "model.onnx").open("ab") as file:
        file.write(b"more")
    domain = free_domain()
    words = ["--model", str(model), "--out", str(tmp_path / "out"), "--domain", str(domain)]
    assert main(["demo", *words, "--no-ros"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("terrain-seg: error: the node ended early with code 2: ")
    assert "sha256" in line
    assert running(domain) == {}


def test_a_ros_2_node_that_cannot_be_configured_is_told_in_its_own_words(tmp_path, capsys):
    pytest.importorskip("rclpy", reason="no ROS 2 here")
    model = write_tiny_model(tmp_path / "tampered")
    with (model / "model.onnx").open("ab") as file:
        file.write(b"more")
    domain = free_domain()
    words = ["--model", str(model), "--out", str(tmp_path / "out"), "--domain", str(domain)]
    assert main(["demo", *words]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "configure failed" in line
    assert "sha256" in line
    assert ros_processes(domain) == []
    assert running(domain) == {}


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--pictures", "0"], "--pictures is 0, expected 1 to"),
        (["--pictures", str(len(demo_frames()) + 1)], "--pictures is"),
        (["--domain", "233"], "domain id is 233"),
        (["--model", "none_such"], "none_such"),
    ],
)
def test_wrong_input_is_one_line_and_starts_nothing(words, text, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["demo", *words]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("terrain-seg: error: ")
    assert text in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("inside", ["", "below"])
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path, inside, capsys):
    taken = tmp_path / "taken"
    taken.write_text("a file")
    assert main(["demo", *CONSTANT, "--out", str(taken / inside)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"terrain-seg: error: cannot use '{taken}")


def test_a_folder_without_write_permission_is_one_line(tmp_path, monkeypatch, capsys):
    def refuse(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    # Root may write everywhere, so the refusal is made here.
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert main(["demo", *CONSTANT, "--out", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"terrain-seg: error: cannot use '{tmp_path}': Permission denied"


def test_missing_cyclone_names_the_remedy(tmp_path, monkeypatch, capsys):
    for name in [n for n in sys.modules if n.startswith(("cyclonedds", "terrain_seg_ros.dds"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cyclonedds", None)
    monkeypatch.setitem(sys.modules, "cyclonedds.core", None)
    assert main(["demo", *CONSTANT, "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install cyclonedds" in line
    assert "terrain-seg replay" in line
    assert not (tmp_path / "out").exists()
