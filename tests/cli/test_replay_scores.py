"""`terrain-seg replay` with truth, limits and several bags, as users call it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from support.bags import (
    IMAGE,
    Entry,
    drive,
    encode_image,
    header,
    message_class,
    picture,
    stamp,
    write_bag,
)
from support.tiny_model import write_tiny_model
from terrain_seg_ros.bag.limits import read_limits
from terrain_seg_ros.cli.main import main

LIMITS = Path(__file__).parents[2] / "config" / "replay_limits.yaml"
TRUTH = "/truth/labels"
REPLAY = (sys.executable, "-m", "terrain_seg_ros.cli.main", "replay")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=(64, 96))
    return ["--model", str(folder), "--backend", "onnxruntime"]


def classes(index):
    """Return what the tiny model sees in a picture: its brightness in four steps."""
    return np.minimum(picture(index) // 64, 3).astype(np.uint8)


def truth(index, values=None):
    values = classes(index) if values is None else values
    message = encode_image(message_class, values, "mono8", header(stamp(index)))
    return Entry(TRUTH, IMAGE, stamp(index), message)


def bag(path, count=3, **changes):
    return str(
        write_bag(path, [*drive(count), *(truth(index, **changes) for index in range(count))])
    )


def replay(tmp_path, model, *words):
    scores = tmp_path / "scores.json"
    code = main(["replay", *words, "--json", str(scores), *model])
    return code, json.loads(scores.read_text())


def test_perfect_truth_scores_one_and_the_json_holds_everything(tmp_path, model, capsys):
    code, scores = replay(
        tmp_path, model, bag(tmp_path / "in"), str(tmp_path / "out"), "--truth", TRUTH
    )
    assert code == 0
    assert scores["mean_iou"] > 0.97
    assert scores["missed_hazard_rate"] < 0.03
    assert scores["truth"]["matched"] == scores["images"] == scores["images_in"] == 3
    assert scores["grid_availability"] == 1.0
    assert scores["latency_ms"]["total"].keys() == {"p50", "p90", "p99"}
    assert scores["dropped"] == scores["refused"] == {"total": 0}
    assert scores["precision"].keys() == scores["iou"].keys()
    assert (scores["backend"], scores["backend_precision"]) == ("onnxruntime", "fp32")
    assert "mean IoU" in capsys.readouterr().out


def test_wrong_masks_score_what_numpy_says(tmp_path, model):
    rock = np.full_like(classes(0), 3)
    code, scores = replay(
        tmp_path, model, bag(tmp_path / "in", values=rock), str(tmp_path / "out"), "--truth", TRUTH
    )
    expected = np.mean([(classes(index) == 3).mean() for index in range(3)])
    assert scores["recall"]["big_rock"] == pytest.approx(expected, abs=0.02)
    # Sand of the tiny model is a hazard too, so that it is not called safe.
    missed = np.mean([(classes(index) < 2).mean() for index in range(3)])
    assert scores["missed_hazard_rate"] == pytest.approx(missed, abs=0.02)
    assert code == 0


def test_where_all_classes_have_one_hazard_no_figure_of_hazards_is_given(tmp_path, model, capsys):
    names = ["soil", "bedrock", "sand", "big_rock"]
    params = tmp_path / "params.yaml"
    hazards = {"hazard": dict.fromkeys(names, 0.5)}
    params.write_text(yaml.safe_dump({"/**": {"ros__parameters": hazards}}))
    words = [bag(tmp_path / "in"), str(tmp_path / "out"), "--truth", TRUTH, "--params", str(params)]
    _, scores = replay(tmp_path, model, *words)
    assert scores["missed_hazard_rate"] is None
    assert "all classes have hazard 0.5" in scores["hazard_unavailable"]
    assert "no class is safe" in scores["assumed"]["hazards"]
    assert "missed hazard is not available: no class is safe" in capsys.readouterr().out


def test_a_class_at_the_threshold_is_told(tmp_path, model, capsys):
    params = tmp_path / "params.yaml"
    hazards = {"hazard": {"sand": 0.5}}
    params.write_text(yaml.safe_dump({"/**": {"ros__parameters": hazards}}))
    words = [bag(tmp_path / "in"), str(tmp_path / "out"), "--truth", TRUTH, "--params", str(params)]
    _, scores = replay(tmp_path, model, *words)
    assert "hazard of sand is exactly cost.hazard_threshold 0.5" in scores["assumed"]["hazards"]
    assert scores["missed_hazard_rate"] is not None
    assert "hazard of sand is exactly" in capsys.readouterr().out


@pytest.mark.parametrize("shape", [(32, 48), (128, 192), (64, 96)])
def test_truth_of_another_resolution_is_scored(tmp_path, model, shape):
    source = bag(tmp_path / "in", values=np.zeros(shape, np.uint8))
    assert replay(tmp_path, model, source, str(tmp_path / "out"), "--truth", TRUTH)[0] == 0


@pytest.mark.parametrize("shape", [(96, 64), (40, 96), (64, 64)])
def test_truth_of_other_sides_is_refused_with_both_sizes(tmp_path, model, capsys, shape):
    source = bag(tmp_path / "in", values=np.zeros(shape, np.uint8))
    words = ["replay", source, str(tmp_path / "out"), "--truth", TRUTH, *model]
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"the truth is {shape[1]} x {shape[0]} px" in said
    assert "the mask of its stamp 96 x 64 px" in said


def test_limits_decide_the_exit_code_and_name_what_they_miss(tmp_path, model, capsys):
    source = bag(tmp_path / "in")
    limits = tmp_path / "limits.yaml"
    for number, (minimum, expected) in enumerate([(0.5, 0), (1.5, 1)]):
        limits.write_text(yaml.safe_dump({"minimum": {"mean_iou": minimum}}))
        out = str(tmp_path / f"out{number}")
        words = [source, out, "--truth", TRUTH, "--limits", str(limits)]
        assert replay(tmp_path, model, *words)[0] == expected
    said = capsys.readouterr().out
    assert said.count("missed: ") == 1
    assert "expected at least 1.5" in said


def test_without_truth_there_are_counts_and_times(tmp_path, model):
    limits = tmp_path / "limits.yaml"
    limits.write_text("minimum: {grid_availability: 1}\nmaximum: {dropped.total: 0}\n")
    source = str(write_bag(tmp_path / "in", drive(3)))
    code, scores = replay(tmp_path, model, source, str(tmp_path / "out"), "--limits", str(limits))
    assert code == 0
    assert "mean_iou" not in scores
    assert scores["images_out"] == 3


def test_several_bags_give_one_table_and_one_bad_one_does_not_lose_the_others(
    tmp_path, model, capfd
):
    good = [bag(tmp_path / name, count) for name, count in (("a", 2), ("b", 3))]
    (tmp_path / "broken.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100))
    words = [*good, str(tmp_path / "broken.mcap"), str(tmp_path / "out")]
    code, scores = replay(tmp_path, model, *words, "--truth", TRUTH)
    assert code == 2
    assert [scores["bags"][name]["images_in"] for name in ("a", "b")] == [2, 3]
    assert scores["bags"]["broken.mcap"] is None
    said = capfd.readouterr()
    rows = {line.split()[0]: line.split()[-1] for line in said.out.splitlines() if line}
    assert (rows["a"], rows["b"], rows["broken.mcap"]) == ("passed", "passed", "failed")
    assert "terrain-seg: broken.mcap: " in said.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b"]


def test_the_table_of_several_bags_says_where_nothing_came_and_counts_grids(tmp_path, model, capfd):
    raw = [("/navcam/image_raw", IMAGE, stamp(0), b"bad")]
    mute = write_bag(tmp_path / "mute", [], raw=raw)
    blind = write_bag(tmp_path / "blind", drive(3, with_info=False))
    words = [bag(tmp_path / "good", 3), str(mute), str(blind), str(tmp_path / "out")]
    assert replay(tmp_path, model, *words)[0] == 1
    lines = [line.split() for line in capfd.readouterr().out.splitlines()]
    rows = {cells[0]: (cells[2], " ".join(cells[8:])) for cells in lines if len(cells) > 8}
    assert rows["good"] == ("3", "passed")
    assert rows["mute"] == ("0", "no masks")
    assert rows["blind"] == ("0", "no grids")


def test_a_limit_missed_by_one_of_several_bags_is_named_with_it(tmp_path, model, capfd):
    sources = [bag(tmp_path / "a"), bag(tmp_path / "b", values=np.full_like(classes(0), 3))]
    limits = tmp_path / "limits.yaml"
    limits.write_text("minimum: {mean_iou: 0.9}\n")
    words = [*sources, str(tmp_path / "out"), "--truth", TRUTH, "--limits", str(limits)]
    assert replay(tmp_path, model, *words)[0] == 1
    lines = [line for line in capfd.readouterr().out.splitlines() if line.startswith("missed in")]
    assert len(lines) == 1
    assert lines[0].startswith("missed in b: mean_iou")


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["a", "out", "--truth", "/none"], "/none"),
        (["a", "out", "--truth", TRUTH, "--map", "0=lava"], "lava"),
        (["a", "out", "--limits", "none.yaml"], "none.yaml"),
        (["a", "out", "--json", "none/scores.json"], "none"),
        (["a", "out", "--json", "a/metadata.yaml"], "lies in IN 'a'"),
        (["a", "out", "--json", "mine"], "was not written by this command"),
        (["a", "out", "--json", "b"], "is a folder"),
        (["a", "a", "out"], "'a'"),
        (["a", "b", "mine"], "is a file"),
        (["a", "b", "out", "--jobs", "-1"], "--jobs"),
    ],
)
def test_wrong_input_is_told_before_anything_is_written(
    tmp_path, model, monkeypatch, capsys, words, named
):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        bag(tmp_path / name, 1)
    (tmp_path / "mine").write_text("notes")
    assert main(["replay", *words, *model]) == 2
    assert named in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_is_asked_for_is_written_though_nobody_reads_the_output(tmp_path, model):
    """A closed pipe, as after `| head -1`, ends the printing, not the work."""
    source = write_bag(tmp_path / "in", drive(3))
    words = [str(source), str(tmp_path / "out"), "--page", str(tmp_path / "page")]
    reading, writing = os.pipe()
    os.close(reading)
    try:
        code = subprocess.run(
            [*REPLAY, *words, "--json", str(tmp_path / "scores.json"), *model],
            stdout=writing,
            stderr=subprocess.DEVNULL,
            check=False,
        ).returncode
    finally:
        os.close(writing)
    assert code == 141
    assert json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert (tmp_path / "page" / "index.html").is_file()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_replay_that_is_ended_leaves_nothing_behind(tmp_path, number):
    source = write_bag(tmp_path / "in", drive(400))
    process = subprocess.Popen(
        [*REPLAY, str(source), str(tmp_path / "out"), "--model", "mars_navcam", "--threads", "1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    end = time.monotonic() + 60.0
    while not list(tmp_path.glob(".bag-*")) and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(number)
    # Python turns an interrupt that crosses an `exec` of a library into its own death by SIGINT.
    assert process.wait(60.0) in {130, 128 + number, -signal.SIGINT}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_the_shipped_limits_are_limits():
    limits = {limit.path for limit in read_limits(LIMITS)}
    assert {"mean_iou", "missed_hazard_rate", "latency_ms.total.p99"} <= limits
