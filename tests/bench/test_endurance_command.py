"""`make endurance`: samples of a process, what counts as growth, and a short live run."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from support.buses import free_domain
from terrain_seg_ros.bench import endurance
from terrain_seg_ros.bench.endurance import Course, Outcome, main, page, run_course
from terrain_seg_ros.bench.watched_process import Holding, judge, look_at
from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL
from terrain_seg_ros.core.types import Transform

SUMMARY = {
    "backend": "onnxruntime",
    "precision": "fp32",
    "grids_out": 99,
    "dropped": {"replaced by a newer one": 1},
    "refused": {},
    "latency_ms": {"total": {"p50": 10.0, "p90": 11.0, "p99": 12.0}},
}
RESULT = {
    "minutes": 10.0,
    "rate_hz": 10.0,
    "machine": "this one",
    "date": "2026-01-01",
    "load": "1",
}


def samples(count=30, *, memory=lambda n: 500.0, threads=lambda n: 12, files=lambda n: 20):
    return [Holding(2.0 * n, memory(n), threads(n), files(n)) for n in range(count)]


def outcome(found):
    return Outcome("drive", 600.0, 100, 98, found, judge(found), SUMMARY)


def test_a_process_holds_its_memory_threads_and_files():
    before = look_at(os.getpid(), 0.0)
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    with Path(os.devnull).open():
        after = look_at(os.getpid(), 1.0)
    end.set()
    thread.join()
    assert after.threads == before.threads + 1
    assert after.files == before.files + 1
    assert 10.0 < before.memory_mib < 1e6


def test_a_process_that_has_ended_is_an_error():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(InferenceError, match=str(process.pid)):
        look_at(process.pid, 0.0)


def test_what_stays_and_what_goes_up_and_down_is_flat():
    found = samples(memory=lambda n: 500.0 + 5.0 * (n % 3), threads=lambda n: 12 + (n == 20))
    assert all(item.is_flat for item in judge(found))


def test_a_slow_leak_is_growth_and_one_jump_is_not():
    """Both grow by less than the thirds may: 6 MiB an hour, and 3 MiB at once."""
    leak, jump, *_ = (
        judge(samples(1800, memory=memory))[0]
        for memory in (lambda n: 500.0 + 6.0 * n / 1800, lambda n: 500.0 + 3.0 * (n > 600))
    )
    assert leak.growth < leak.limit
    assert leak.per_hour == pytest.approx(6.0, abs=0.1)
    assert not leak.is_flat
    assert jump.growth > 2.0
    assert jump.is_flat


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"memory": lambda n: 500.0 + n}, "memory MiB"),
        ({"threads": lambda n: 12 + n // 15}, "threads"),
        ({"files": lambda n: 20 + n // 9}, "open files"),
    ],
)
def test_what_grows_is_named_on_the_page(changes, name):
    found = outcome(samples(**changes))
    assert [item.name for item in found.drifts if not item.is_flat] == [name]
    text = page(RESULT, [found])
    assert "**Not passed**" in text
    assert f"drive: {name} grew" in text


def test_a_flat_run_says_so_and_one_that_answered_too_little_does_not():
    good = outcome(samples())
    assert "**Flat.**" in page(RESULT, [good])
    idle = Outcome("drive", 600.0, 1000, 98, good.samples, good.drifts, SUMMARY)
    assert "only 99 grids came of 1000 pictures" in page(RESULT, [idle])


def test_too_few_samples_are_not_judged():
    with pytest.raises(InferenceError, match="run longer"):
        judge(samples(8))


@pytest.mark.parametrize("words", [["--minutes", "0"], ["--rate", "0"]])
def test_numbers_out_of_range_are_refused(words, capsys):
    assert main(words) == 2
    assert "expected 2 to 10000" in capsys.readouterr().err


def test_another_page_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "notes.md").write_text("# Mine\n")
    assert main(["--markdown", str(tmp_path / "notes.md")]) == 2
    assert "not written by this command" in capsys.readouterr().err


def test_a_short_drive_of_the_live_node_is_watched(tmp_path, monkeypatch):
    monkeypatch.setattr(endurance, "SAMPLE_S", 0.2)
    picture = np.full((endurance.HEIGHT_PX, endurance.WIDTH_PX), 120, dtype=np.uint8)
    course = Course(
        "drive",
        "rover",
        Transform(BODY_R_OPTICAL, np.array([0.0, 0.0, 1.5])),
        lambda share, at_s: Transform(np.eye(3), np.array([at_s, 0.0, 0.0])),
        lambda share, at_s: picture,
    )
    found = run_course(course, seconds=6.0, rate_hz=5.0, domain=free_domain(), folder=tmp_path)
    assert len(found.samples) > 9
    assert found.summary["grids_out"] > 5
    assert found.masks > 5
    assert found.summary["refused"] == {}
    assert found.samples[0].memory_mib > 50.0
