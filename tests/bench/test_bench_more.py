"""Tests of what `terrain-seg bench` tells beside the paths: starts, reports, trtexec, energy."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree

import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.bench import machine as bench_machine
from terrain_seg_ros.bench.machine import EnergyMeter, parse_tegrastats
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


def test_starts_reports_and_picture_come_of_one_run(model, tmp_path, capsys):
    words = ["bench", "--model", str(model), "--rounds", "3", "--size", "64x48", "--threads", "1"]
    files = {name: tmp_path / f"bench.{name}" for name in ("json", "md", "svg")}
    words += ["--json", str(files["json"]), "--markdown", str(files["md"])]
    assert main([*words, "--plot", str(files["svg"])]) == 0
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
    root = ElementTree.fromstring(files["svg"].read_text())
    bars = [item for item in root if item.tag.endswith("rect")]
    assert len(bars) == 1 + 2 * len(result["rows"])
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
    words += ["--size", "64x48", "--no-starts", "--against", str(log)]
    assert main(words) == 0
    assert "512.2 images/s; there is no row of TensorRT" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "Throughput: 5 qps", "&&&& FAILED TensorRT.trtexec"])
def test_log_without_summary_is_refused(tmp_path, text):
    log = tmp_path / "trtexec.log"
    log.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="performance summary"):
        read_trtexec(log)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_trtexec(tmp_path / "none.log")


def test_energy_is_summed_over_packages_and_wraps(tmp_path):
    for name, energy in (("intel-rapl:0", 900), ("intel-rapl:1", 50), ("intel-rapl:0:0", 5)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(str(energy))
        (tmp_path / name / "max_energy_range_uj").write_text("1000")
    meter = EnergyMeter(tmp_path)
    meter.start()
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("100")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("80")
    assert meter.stop() == pytest.approx((200 + 30) / 1e6)


def test_counters_that_are_not_there_give_no_energy(tmp_path):
    meter = EnergyMeter(tmp_path)
    meter.start()
    assert meter.stop() is None


def test_watts_of_a_jetson_are_read():
    line = "RAM 3000/7620MB CPU [5%@729] VDD_IN 4080mW/4100mW VDD_CPU_GPU_CV 500mW/510mW"
    assert parse_tegrastats(line) == pytest.approx(4.08)
    assert parse_tegrastats("RAM 3000/7620MB") is None


def test_gpu_and_power_mode_are_named_where_the_tools_are(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'Some GPU, 999.1'\n")
    (tmp_path / "nvpmodel").write_text("#!/bin/sh\necho 'NV Power Mode: MAXN'\necho 0\n")
    release = tmp_path / "nv_tegra_release"
    release.write_text("# R36 (release)\n")
    for name in ("nvidia-smi", "nvpmodel"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(bench_machine, "JETSON_RELEASE", release)
    assert bench_machine.accelerators() == {
        "gpu": "Some GPU, 999.1",
        "jetson": "R36 (release)",
        "power_mode": "NV Power Mode: MAXN 0",
    }


def test_gpu_memory_is_that_of_the_process(tmp_path, monkeypatch):
    answer = "12, 300\\n4711, 512\\n4711, 256\\n99, [N/A]\\nno, line, of it"
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\nprintf '{answer}'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert bench_machine.vram_mib(4711) == pytest.approx(768.0)
    assert bench_machine.vram_mib(99) is None
    assert bench_machine.vram_mib(471) is None
