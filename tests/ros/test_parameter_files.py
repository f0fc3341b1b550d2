"""The node with ROS and the one without take the same values from one file, or both refuse it."""

from __future__ import annotations

import subprocess
import sys
from itertools import permutations

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

import rclpy
from rclpy.parameter import Parameter

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.ros.main import main
from terrain_seg_ros.ros.node import TerrainSegNode

KEYS = ["/**", "/terrain/terrain_seg", "/*/terrain_seg", "/**/terrain_seg", "/terrain/*"]


def by_ros(path, domain):
    """Return the values that the ROS node would work with."""
    context = rclpy.Context()
    words = ["--ros-args", "-r", "__ns:=/terrain", "--params-file", str(path)]
    rclpy.init(args=words, context=context, domain_id=domain)
    try:
        node = TerrainSegNode(context=context)
        try:
            return node._parameters_of_node.read()
        finally:
            node.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


@pytest.mark.parametrize("keys", list(permutations(KEYS, 2)), ids=" then ".join)
def test_blocks_are_merged_alike(tmp_path, domain, keys):
    path = tmp_path / "user.yaml"
    first, second = keys
    path.write_text(
        f"{first}: {{ros__parameters: {{threads: 1, grid: {{size_m: 7.5}}}}}}\n"
        f"{second}: {{ros__parameters: {{threads: 2, input_depth: 3}}}}\n"
    )
    theirs = by_ros(path, domain)
    try:
        ours = load_parameters(path, namespace="/terrain")
    except ConfigError as error:
        assert "general block first" in str(error)
        assert theirs.inference.threads == 2
        return
    assert ours == theirs


def test_nested_names_and_values_are_read_alike(tmp_path, domain):
    path = tmp_path / "user.yaml"
    path.write_text(
        "terrain:\n  terrain_seg:\n    ros__parameters:\n      grid: {size_m: 8.0}\n"
        "      cameras: [left, right]\n      footprint.radius_m: 0.75\n"
    )
    assert load_parameters(path, namespace="/terrain") == by_ros(path, domain)


TWICE = {
    "key": "/**:\n  ros__parameters:\n    threads: 1\n    threads: 2\n",
    "block": "/**:\n ros__parameters:\n  footprint: {radius_m: 2.0}\n  footprint: {sigmas: 1.0}\n",
    "node": "/**:\n  ros__parameters: {threads: 1}\n/**:\n  ros__parameters: {input_depth: 2}\n",
}


@pytest.mark.parametrize("kind", TWICE)
def test_what_is_given_twice_is_refused_by_both_with_one_line(tmp_path, domain, kind):
    path = tmp_path / "user.yaml"
    path.write_text(TWICE[kind])
    with pytest.raises(ConfigError, match="again in line"):
        load_parameters(path)
    command = [sys.executable, "-m", "terrain_seg_ros.ros.main", "--ros-args"]
    done = subprocess.run(
        [*command, "--params-file", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "again in line" in line
    assert rclpy.ok(context=rclpy.get_default_context()) is False


@pytest.mark.requirement("TSR-CONF-004")
def test_a_file_for_other_nodes_is_warned_of(tmp_path, capsys, monkeypatch):
    path = tmp_path / "user.yaml"
    path.write_text("segmenter: {ros__parameters: {threads: 1}}\n")
    monkeypatch.setattr("terrain_seg_ros.ros.process.rclpy.init", stop)
    with pytest.raises(InterruptedError):
        main(["--ros-args", "--params-file", str(path)])
    assert "none of it is for 'terrain_seg'" in capsys.readouterr().err


def stop(**_):
    raise InterruptedError


def test_too_many_cameras_are_refused_by_both(domain):
    cameras = [f"c{number}" for number in range(17)]
    with pytest.raises(ConfigError, match="at most 16"):
        load_parameters(overrides={"cameras": cameras})
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    node = TerrainSegNode(
        context=context, parameter_overrides=[Parameter("cameras", value=cameras)]
    )
    with pytest.raises(ConfigError, match="at most 16"):
        node._parameters_of_node.read()
    node.destroy_node()
    rclpy.try_shutdown(context=context)
