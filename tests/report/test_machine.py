"""Tests of what is said about the machine."""

from __future__ import annotations

import pytest

from terrain_seg_ros.report import machine


def test_gpu_and_power_mode_are_named_where_the_tools_are(tmp_path, monkeypatch):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'Some GPU, 999.1'\n")
    (tmp_path / "nvpmodel").write_text("#!/bin/sh\necho 'NV Power Mode: MAXN'\necho 0\n")
    release = tmp_path / "nv_tegra_release"
    release.write_text("# R36 (release)\n")
    for name in ("nvidia-smi", "nvpmodel"):
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(machine, "JETSON_RELEASE", release)
    assert machine.accelerators() == {
        "gpu": "Some GPU, 999.1",
        "jetson": "R36 (release)",
        "power_mode": "NV Power Mode: MAXN 0",
    }


def test_gpu_memory_is_that_of_the_process(tmp_path, monkeypatch):
    answer = "12, 300\\n4711, 512\\n4711, 256\\n99, [N/A]\\nno, line, of it"
    (tmp_path / "nvidia-smi").write_text(f"#!/bin/sh\nprintf '{answer}'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert machine.vram_mib(4711) == pytest.approx(768.0)
    assert machine.vram_mib(99) is None
    assert machine.vram_mib(471) is None
