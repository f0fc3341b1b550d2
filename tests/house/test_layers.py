"""What a part must not load, checked in a fresh interpreter; import-linter checks the rest."""

from __future__ import annotations

import json
import pkgutil
import subprocess
import sys

import pytest

import terrain_seg_ros.core
import terrain_seg_ros.inference
import terrain_seg_ros.messages

RUNTIMES = {"onnxruntime", "openvino", "tensorrt"}
ROS = {"rclpy", "tf2_ros", "sensor_msgs", "nav_msgs"}
TRAINING = {"torch", "torchvision", "terrain_training"}


def loaded_by(statements: str) -> set[str]:
    """Return the top-level modules that a fresh interpreter has loaded after the statements."""
    code = f"{statements}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    return {name.partition(".")[0] for name in json.loads(answer.stdout.splitlines()[-1])}


def import_all(package) -> str:
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    assert len(names) > 3
    return "\n".join(f"import {package.__name__}.{name}" for name in names)


@pytest.mark.requirement("TSR-BUS-005")
def test_core_loads_arrays_only():
    modules = loaded_by(import_all(terrain_seg_ros.core))
    assert {"numpy", "cv2", "terrain_seg_ros"} <= modules
    assert modules & (RUNTIMES | ROS | TRAINING | {"rosbags", "cyclonedds", "yaml"}) == set()


def test_registry_loads_no_runtime_before_it_is_asked_for():
    modules = loaded_by("import terrain_seg_ros.inference.registry")
    assert modules & (RUNTIMES | ROS | TRAINING) == set()


@pytest.mark.parametrize("package", [terrain_seg_ros.inference, terrain_seg_ros.messages])
def test_parts_load_neither_ros_nor_training(package):
    assert loaded_by(import_all(package)) & (ROS | TRAINING) == set()


def test_a_module_that_is_loaded_is_seen():
    assert "sqlite3" in loaded_by("import sqlite3")


@pytest.mark.parametrize(
    "statements",
    [
        "import terrain_seg_ros.core.pipeline",
        "import terrain_seg_ros.worlds.generate, terrain_seg_ros.worlds.truth",
        "from terrain_seg_ros.cli import main\ntry: main.main(['--help'])\nexcept SystemExit: pass",
    ],
)
def test_numba_is_loaded_only_where_a_loop_runs(statements):
    assert loaded_by(statements) & {"numba", "llvmlite"} == set()
