"""`ros2 launch` runs in ROS's own interpreter: NumPy, OpenCV and YAML, but none of our wheels."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

LAUNCH = sorted((Path(__file__).resolve().parents[2] / "launch").glob("*.launch.py"))
WHEELS = ("pydantic", "onnxruntime", "openvino", "rosbags", "cyclonedds", "pooch", "tqdm", "lz4")


@pytest.mark.parametrize("path", LAUNCH, ids=lambda path: path.name)
def test_a_launch_file_imports_none_of_the_wheels(path):
    modules = re.findall(r"^from (terrain_seg_ros[\w.]*) import", path.read_text(), re.MULTILINE)
    modules = [name for name in modules if not name.startswith("terrain_seg_ros.ros")]
    absent = "".join(f"sys.modules[{name!r}] = None; " for name in WHEELS)
    code = f"import sys; {absent}" + "; ".join(f"import {name}" for name in modules)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
