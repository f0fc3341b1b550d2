"""Tests of the parameter `cpu_affinity`, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.cpu_affinity import apply_cpu_affinity, parse_cpu_list
from terrain_seg_ros.runtime.session import Session

SCRIPT = """
import os, sys, threading
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.session import Session
overrides = {"model": "synthetic", "backend": "constant", "cpu_affinity": sys.argv[1]}
with Session(load_parameters(overrides=overrides)):
    seen = []
    thread = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
    thread.start(); thread.join()
print(*sorted(seen[0]))
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0", {0}), ("0,2-3", {0, 2, 3}), ("1-1", {1}), (" 4 , 5 ", {4, 5})],
)
def test_lists_are_read(text, expected):
    assert parse_cpu_list(text) == expected


@pytest.mark.parametrize("text", ["x", "3-1", "1,,2", "-1", "1-", "999999"])
def test_what_is_no_list_is_named(text):
    with pytest.raises(ConfigError, match="cpu_affinity"):
        parse_cpu_list(text)


def test_session_keeps_to_its_processors():
    one = str(min(os.sched_getaffinity(0)))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, one], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split() == [one]


def test_empty_list_changes_nothing():
    before = os.sched_getaffinity(0)
    apply_cpu_affinity("")
    assert os.sched_getaffinity(0) == before


def test_processor_that_is_not_there_is_named():
    before = os.sched_getaffinity(0)
    overrides = {"model": "synthetic", "backend": "constant", "cpu_affinity": "4000"}
    with pytest.raises(ConfigError, match="may use"):
        Session(load_parameters(overrides=overrides))
    assert os.sched_getaffinity(0) == before
