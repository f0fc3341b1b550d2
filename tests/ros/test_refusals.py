"""What the ROS processes cannot use is one line with the value and the remedy, and exit code 2."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from support.ros_peer import wait_until

BAD_WORDS = {
    "a file that is not there": (["--params-file", "nothere.yaml"], "nothere.yaml"),
    "a file without YAML": (["--params-file", "bad.yaml"], "bad.yaml"),
    "an option without a file": (["--params-file"], "the path of a parameter file"),
    "a parameter without a value": (["-p", "foo"], "'-p foo', expected NAME:=VALUE"),
    "a parameter with a space": (["-p", "bad name:=1"], "'-p bad name:=1', expected NAME:=VALUE"),
    "a value without YAML": (["-p", "grid.size_m:=[1"], "'-p grid.size_m:=[1', expected NAME"),
    "a relative namespace": (["-r", "__ns:=terrain"], "'-r __ns:=terrain', expected FROM:=TO"),
    "a node name with a space": (["-r", "__node:=a b"], "'-r __node:=a b', expected FROM:=TO"),
    "a topic with a space": (["-r", "image:=/a b"], "'-r image:=/a b', expected FROM:=TO"),
    "a level of logs": (["--log-level", "foo"], "expected debug, info, warn, error or fatal"),
    "no level of logs": (["--log-level"], "--log-level is the last word"),
    "an unknown option": (["--nonsense"], "does not know ['--nonsense']"),
}


def refused(module, *words, cwd=None):
    """Return the one line with which a process of this package ends."""
    done = subprocess.run(
        [sys.executable, "-m", f"terrain_seg_ros.ros.{module}", *words],
        capture_output=True,
        text=True,
        timeout=60.0,
        cwd=cwd,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    # rcl warns of some words by itself.
    (line,) = [item for item in done.stderr.splitlines() if not item.startswith("[WARN]")]
    return line


@pytest.mark.parametrize("kind", BAD_WORDS)
def test_words_that_ros_cannot_read_are_named(domain, tmp_path, kind):
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    words, named = BAD_WORDS[kind]
    line = refused("main", "--ros-args", *words, cwd=tmp_path)
    assert line.startswith("terrain_seg_node: error: ")
    assert named in line


@pytest.mark.parametrize("module", ["main", "operator", "probe"])
@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("ROS_DOMAIN_ID", "abc", "expected a number"),
        ("ROS_DOMAIN_ID", "300", "expected 0 to 232"),
        ("RMW_IMPLEMENTATION", "rmw_nonsense_cpp", "unset it, or give one that is installed"),
    ],
)
def test_variables_that_ros_cannot_use_are_named(domain, monkeypatch, module, name, value, remedy):
    monkeypatch.setenv(name, value)
    line = refused(module)
    assert name in line
    assert value in line
    assert remedy in line


@pytest.mark.parametrize("module", ["main", "operator", "probe"])
def test_a_ros_for_another_python_is_named(domain, monkeypatch, tmp_path, module):
    (tmp_path / "rclpy").mkdir()
    (tmp_path / "rclpy" / "__init__.py").write_text("from rclpy import _rclpy_pybind11\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    line = refused(module)
    assert f"rclpy of '{tmp_path / 'rclpy'}' cannot be used" in line
    assert "_rclpy_pybind11" in line
    assert "unset PYTHONPATH" in line or "and PYTHONPATH" in line
    assert "terrain-seg run" in line


@pytest.mark.skipif("AMENT_PREFIX_PATH" in os.environ, reason="a sourced ROS sets it itself")
def test_wheels_that_a_variable_keeps_from_loading_name_it(domain, monkeypatch):
    # The wheels set these in this process already.
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    monkeypatch.delenv("_ROS_WHEELS_BOOTSTRAP_COMPLETE", raising=False)
    monkeypatch.setenv("AMENT_PREFIX_PATH", "/nonexistent")
    line = refused("main")
    assert "librcl_action.so" in line
    assert "unset AMENT_PREFIX_PATH ('/nonexistent')" in line


@pytest.mark.parametrize("duration", ["nan", "-5", "0"])
def test_a_duration_that_is_no_time_is_refused(domain, duration):
    assert f"--duration is {float(duration)}" in refused("main", "--duration", duration)


def test_a_name_that_no_node_has_is_refused_by_the_operator(domain):
    line = refused("operator", "--node", "a b")
    assert "--node is 'a b', expected the full name of a node" in line


@pytest.fixture
def operator(domain, opened):
    """Return a function that starts the operator as a process."""

    def started():
        command = [sys.executable, "-m", "terrain_seg_ros.ros.operator"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        opened.append(_Ending(process))
        return process

    return started


class _Ending:
    def __init__(self, process):
        self.process = process

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_operator_that_waits_for_its_node_ends_at_a_signal(operator, peer, number):
    process = operator()
    wait_until(
        lambda: "terrain_seg_operator" in peer.node.get_node_names(), "the operator on the bus"
    )
    process.send_signal(number)
    _, errors = process.communicate(timeout=20.0)
    assert process.returncode == 1
    assert errors == "/terrain/terrain_seg did not appear before the signal to end\n"


def test_an_operator_takes_back_what_it_brought_up(operator, start):
    start()
    process = operator()
    assert [process.stdout.readline() for _ in range(2)] == [
        "configure: done\n",
        "activate: done\n",
    ]
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=30.0)
    assert (out, errors) == ("deactivate: done\ncleanup: done\n", "")
    assert process.returncode == 0
