"""Tests of `terrain-seg bench`: figures that fit together, and wrong input."""

from __future__ import annotations

import json

import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.bench import measure
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.core.errors import InferenceError

KEYS = {"backend", "precision", "size", "bare_ms", "end_to_end_ms", "overhead_ms", "ratio"}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("bench") / "tiny")


@pytest.fixture
def words(model):
    return [
        "bench",
        "--model",
        str(model),
        "--backend",
        "onnxruntime",
        "--rounds",
        "4",
        "--no-starts",
        "--no-peers",
        "--no-geometry",
    ]


def test_rows_per_size_whose_figures_fit_together(words, tmp_path, capsys):
    path = tmp_path / "bench.json"
    sizes = ["--size", "64x48", "--size", "96x32"]
    assert main([*words, *sizes, "--threads", "1", "--json", str(path)]) == 0
    result = json.loads(path.read_text())
    assert [row["size"] for row in result["rows"]] == ["64x48", "96x32"]
    for row in result["rows"]:
        assert set(row) >= KEYS
        assert (row["backend"], row["precision"]) == ("onnxruntime", "fp32")
        assert row["bare_ms"] > 0.0
        assert row["overhead_ms"] == pytest.approx(row["end_to_end_ms"] - row["bare_ms"])
        assert row["ratio"] == pytest.approx(row["end_to_end_ms"] / row["bare_ms"])
        assert row["passes_parity"]
        for kind in ("bare", "end_to_end"):
            percentiles = row[f"{kind}_percentiles_ms"]
            assert percentiles["p50"] == pytest.approx(row[f"{kind}_ms"])
            assert percentiles["p50"] <= percentiles["p90"] <= percentiles["p99"]
        stages = row["stage_median_ms"]
        assert row["grid_ms"] == pytest.approx(sum(stages[n] for n in ("project", "fuse", "cost")))
    assert result["failed"] == []
    assert result["rounds"] == 4
    assert result["model"] == "tiny 1.0.0"
    assert result["auto"]["backend"] in {"onnxruntime", "openvino"}
    assert any(trial["backend"] == "onnxruntime" for trial in result["auto"]["trials"])


def test_the_table_shows_the_same_rows(words, capsys):
    assert main([*words, "--size", "64x48"]) == 0
    output = capsys.readouterr()
    lines = output.out.splitlines()
    assert lines[0].startswith("tiny 1.0.0 on ")
    assert lines[1].split()[:3] == ["backend", "precision", "size"]
    row = lines[3].split()
    assert row[:3] == ["onnxruntime", "fp32", "64x48"]
    bare, whole, overhead = (float(row[index]) for index in (3, 4, 6))
    assert overhead == pytest.approx(whole - bare, abs=0.011)
    assert "onnxruntime fp32 64x48 ..." in output.err.splitlines(), "long work shows progress"


def test_sizes_of_the_aim_are_the_default(words, monkeypatch, capsys):
    seen = []

    def row(_plan, backend, precision, size, _pixels):
        seen.append(size)
        return {"backend": backend, "precision": precision, "size": "x", "error": "not today"}

    monkeypatch.setattr(measure, "_row", row)
    assert main(words) == 2
    assert seen == [(640, 480), (1280, 720)]


def test_what_cannot_be_measured_is_told_apart_from_the_rows(words, monkeypatch, tmp_path, capsys):
    def refuse(*_args, **_kwargs):
        raise InferenceError("the path gave nothing")

    monkeypatch.setattr(measure, "time_path", refuse)
    path = tmp_path / "bench.json"
    assert main([*words, "--size", "64x48", "--json", str(path)]) == 2
    result = json.loads(path.read_text())
    assert result["rows"] == []
    assert [row["error"] for row in result["failed"]] == ["the path gave nothing"]
    output = capsys.readouterr()
    assert "not measured: onnxruntime fp32 64x48: the path gave nothing" in output.out
    assert output.err.splitlines()[-1].startswith("terrain-seg: error: nothing was measured")


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--size", "640X480"], "640X480"),
        (["--size", "640"], "WIDTHxHEIGHT"),
        (["--size", "640x480x3"], "WIDTHxHEIGHT"),
        (["--size=-640x480"], "WIDTHxHEIGHT"),
        (["--size", "²x³"], "WIDTHxHEIGHT"),
        (["--size", "15x480"], "16 to 8192"),
        (["--size", "640x8193"], "16 to 8192"),
        (["--size", "640x480", "--size", "0x0"], "0x0"),
        (["--rounds", "0"], "--rounds is 0"),
        (["--threads", "-1"], "threads is -1"),
        (["--backend", "warp"], "'warp' is not installed"),
        (["--model", "none_such"], "none_such"),
        (["--model", "synthetic"], "synthetic"),
        (["--json", "/none/such/bench.json"], "/none/such/bench.json"),
    ],
)
def test_wrong_input_is_one_line_before_anything_is_measured(words, more, text, capsys):
    assert main([*words, *more]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("terrain-seg: error: ")
    assert text in line


def test_a_refused_run_leaves_a_file_as_it_was(words, tmp_path):
    path = tmp_path / "bench.json"
    path.write_text("kept")
    assert main([*words, "--size", "1x1", "--json", str(path)]) == 2
    assert path.read_text() == "kept"
