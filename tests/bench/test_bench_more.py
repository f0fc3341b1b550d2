"""Tests of what `terrain-seg bench` measures beside the paths: starts, reports, trtexec."""

from __future__ import annotations

import json

import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.bench.start import measure_starts, peak_memory_mib
from terrain_seg_ros.bench.trtexec import read_trtexec
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.core.errors import ConfigError, InferenceError

TRTEXEC = """
[11/20/2026] [I] === Performance summary ===
[11/20/2026] [I] Throughput: 512.25 qps
[11/20/2026] [I] Latency: min = 1.5 ms, max = 3.0 ms, mean = 2.0 ms, median = 1.9 ms
[11/20/2026] [I] Enqueue Time: min = 0.1 ms, max = 0.3 ms, mean = 0.2 ms, median = 0.2 ms
[11/20/2026] [I] GPU Compute Time: min = 1.0 ms, max = 2.0 ms, mean = 1.5 ms, median = 1.4 ms
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("bench") / "tiny")


def test_starts_and_reports_come_from_one_run(model, tmp_path, capsys):
    words = ["bench", "--model", str(model), "--rounds", "3", "--size", "64x48", "--threads", "1"]
    files = {name: tmp_path / f"bench.{name}" for name in ("json", "md")}
    words += ["--json", str(files["json"]), "--markdown", str(files["md"])]
    assert main(words) == 0
    result = json.loads(files["json"].read_text())
    starts = {(row["backend"], row["precision"]): row for row in result["starts"]}
    rows = {(row["backend"], row["precision"]) for row in result["rows"]}
    assert set(starts) >= rows
    plain = starts["onnxruntime", "fp32"]
    assert plain["cached_start_s"] is None
    assert plain["start_s"] > 0.0
    assert plain["rss_mib"] > 20.0
    assert set(plain["batch_ms"]) == {"1", "2"}
    if ("openvino", "fp32") in starts:
        assert starts["openvino", "fp32"]["cached_start_s"] > 0.0
    text = files["md"].read_text()
    assert "| onnxruntime | fp32 | 64x48 |" in text
    assert "| stage, median ms |" in text
    assert result["machine"] in text
    assert "memory MiB" in capsys.readouterr().out


def test_start_that_fails_says_why(model):
    with pytest.raises(InferenceError, match="none_such"):
        measure_starts({"model": "none_such"}, "onnxruntime", "fp32", rounds=1)


def test_memory_is_this_process_s_own():
    block = bytearray(64 * 2**20)
    assert peak_memory_mib() > len(block) / 2**20


def test_trtexec_is_read_and_compared(model, tmp_path, capsys):
    log = tmp_path / "trtexec.log"
    log.write_text(TRTEXEC, encoding="utf-8")
    figures = read_trtexec(log)
    assert (figures.throughput_per_s, figures.latency_ms, figures.compute_ms) == (512.25, 1.9, 1.4)
    words = ["bench", "--model", str(model), "--backend", "onnxruntime", "--rounds", "2"]
    words += ["--size", "64x48", "--no-starts", "--no-geometry", "--against", str(log)]
    assert main(words) == 0
    assert "512.2 images/s; there are no TensorRT figures" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "Throughput: 5 qps", "&&&& FAILED TensorRT.trtexec"])
def test_log_without_summary_is_refused(tmp_path, text):
    log = tmp_path / "trtexec.log"
    log.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="performance summary"):
        read_trtexec(log)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_trtexec(tmp_path / "none.log")
