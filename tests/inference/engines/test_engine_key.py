"""Every ingredient of an engine's key changes its digest."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import pytest

from support.engine_keys import KEY, key
from terrain_seg_ros.inference.engines import engine_key

CHANGES = {
    "runtime": "openvino",
    "runtime_version": "10.3.1",
    "model_sha256": "ab" * 31 + "ac",
    "device_name": "Orin NX",
    "compute_capability": "8.9",
    "precision": "fp32",
    "min_batch": 2,
    "opt_batch": 2,
    "max_batch": 4,
    "height_px": 64,
    "width_px": 48,
    "channel_count": 3,
    "flags": ("no-tf32",),
    "dla_core": 0,
}


def test_no_ingredient_is_forgotten():
    named = {field.name for field in fields(KEY)} - {"profile"} | set(asdict(KEY.profile))
    assert set(CHANGES) == named


@pytest.mark.requirement("TSR-NET-004")
@pytest.mark.parametrize("name", list(CHANGES))
def test_each_ingredient_counts(name):
    changed = key(**{name: CHANGES[name]})
    assert changed.digest != KEY.digest
    assert changed.content() != KEY.content()
    assert changed.text() != KEY.text()


@pytest.mark.requirement("TSR-NET-004")
def test_no_two_changes_give_the_same_engine():
    assert len({key(**{name: value}).digest for name, value in CHANGES.items()}) == len(CHANGES)


def test_equal_keys_are_equal_whatever_the_order_of_the_flags():
    assert key(flags=("strongly-typed", "no-tf32")).digest == KEY.digest


def test_a_newer_kind_of_key_is_another_one(monkeypatch):
    before = KEY.digest
    monkeypatch.setattr(engine_key, "KEY_VERSION", engine_key.KEY_VERSION + 1)
    assert KEY.digest != before


def test_other_processes_give_the_same_digest():
    script = "from support.engine_keys import KEY; print(KEY.digest)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert done.stdout.strip() == KEY.digest


def test_people_can_read_it():
    text = key(dla_core=1).text()
    for part in ("tensorrt 10.3.0", "Orin", "8.7", "fp16", "1/1/2", "64x48x1", "DLA core 1"):
        assert part in text
