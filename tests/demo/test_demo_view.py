"""Tests of `terrain-seg demo --view`: the live run in the browser, then its recording."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import urllib.request

import pytest

from support.buses import free_domain, wait_until
from support.demo_runs import Demo, running
from terrain_seg_ros.demo.frames import HOLD

QUICK = ("--model", "synthetic", "--backend", "constant", "--pictures", "2", "--no-sim", "--view")
viser = pytest.importorskip("viser", reason="viser is not installed: pip install '.[view]'")


def address_in(line):
    """Return the address of the page that a line tells."""
    return line.split("live picture at ")[1].split()[0]


def is_served(address):
    try:
        return urllib.request.urlopen(address, timeout=5.0).status == 200
    except OSError:
        return False


def test_the_live_run_is_served_and_changes_neither_summary_nor_exit_code(tmp_path):
    demo = Demo(tmp_path, *QUICK)
    address = address_in(demo.said("live picture at"))
    assert is_served(address)
    code, output, errors = demo.end()
    assert code == 0
    assert "frames out" in output
    (bag,) = tmp_path.glob("bag_*")
    assert f"look at the recording with `terrain-seg view {bag}`" in errors
    assert f"played {2 * HOLD} of {2 * HOLD} frames" in errors
    assert json.loads((tmp_path / "node.json").read_text())["images_out"] > 0
    assert running(demo.domain) == {}
    assert not is_served(address)


def test_in_a_terminal_the_page_goes_on_with_the_recording_until_ctrl_c(tmp_path):
    outer, terminal = pty.openpty()
    command = [sys.executable, "-m", "terrain_seg_ros.cli.main", "demo", "--no-ros"]
    command += ["--out", str(tmp_path), "--domain", str(free_domain()), *QUICK]
    process = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = iter(process.stderr.readline, "")
        address = address_in(next(line for line in lines if "live picture at" in line))
        assert any("the page goes on with the recording" in line for line in lines)
        assert any(f"page at {address}" in line for line in lines)
        wait_until(lambda: is_served(address), "the recording")
        process.send_signal(signal.SIGINT)
        assert process.wait(30.0) == 0
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
        os.close(outer)
        os.close(terminal)
