"""One version, complete dependencies, and everything in the wheel that must be there."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from terrain_seg_ros import __version__
from terrain_seg_ros.messages.topics import topics

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "terrain_seg_ros"
MANIFEST = ElementTree.parse(ROOT / "package.xml").getroot()
MADE = {".git", "out", "build", "dist", "training"}


def test_manifest_is_format_3_of_ament_python():
    assert MANIFEST.tag == "package"
    assert MANIFEST.get("format") == "3"
    assert MANIFEST.findtext("name") == "terrain_seg_ros"
    assert MANIFEST.findtext("export/build_type") == "ament_python"
    assert MANIFEST.findtext("license") == "Apache-2.0"


def test_maintainer_address_is_one_that_catkin_accepts():
    # catkin_pkg's own pattern; where it fails colcon silently takes this for a plain package.
    address = MANIFEST.find("maintainer").get("email")
    assert re.match(r"^[a-zA-Z0-9._%\+-]+@[a-zA-Z0-9._%-]+\.[a-zA-Z]{2,6}$", address)


def test_version_is_the_same_everywhere():
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert MANIFEST.findtext("version") == __version__
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {__version__}" in changelog
    training = (ROOT / "training" / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{__version__}"' in training


def test_manifest_names_every_message_package():
    declared = {item.text for item in MANIFEST.findall("exec_depend")}
    assert {spec.type.split("/")[0] for spec in topics()} <= declared
    assert {"rclpy", "tf2_ros_py", "launch_ros", "python3-numba", "python3-opencv"} <= declared


def test_every_requirement_is_bounded_on_both_sides():
    source = (ROOT / "setup.py").read_text(encoding="utf-8")
    requirements = re.findall(r'"([A-Za-z][\w.-]*[<>=][^"]*)"', source)
    assert len(requirements) > 15
    bounded = [text for text in requirements if "==" in text or (">=" in text and "<" in text)]
    unbounded = set(requirements) - set(bounded)
    assert unbounded == set()


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12"])
def test_constraints_pin_each_requirement_once(version):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    environment = {"python_version": version, "python_full_version": f"{version}.0"}
    names = [pin.name.lower() for pin in pins if not pin.marker or pin.marker.evaluate(environment)]
    assert len(names) == len(set(names))
    wanted = {"numpy", "opencv-python-headless", "openvino", "onnxruntime", "rosbags", "cyclonedds"}
    assert wanted | {"pytest", "mypy", "ruff", "torch", "pyyaml"} <= set(names)


@pytest.mark.parametrize("version", ["3.10", "3.11", "3.12"])
@pytest.mark.parametrize("name", ["runtime", "dev", "docs", "training"])
def test_what_is_installed_has_hashes_and_the_versions_of_the_constraints(name, version):
    environment = {
        "python_version": version,
        "python_full_version": f"{version}.9",
        "sys_platform": "linux",
    }
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    entries = [entry.split() for entry in text.replace("\\\n", " ").splitlines() if entry.strip()]
    pins = {}
    for words in entries:
        hashes = [word for word in words if word.startswith("--hash=sha256:")]
        assert hashes
        pin = Requirement(" ".join(word for word in words if not word.startswith("--")))
        if pin.marker is None or pin.marker.evaluate(environment):
            pins[pin.name.lower()] = pin.specifier
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    for line in lines:
        wanted = Requirement(line) if line and not line.startswith("#") else None
        if wanted is not None and (wanted.marker is None or wanted.marker.evaluate(environment)):
            assert pins.get(wanted.name.lower(), wanted.specifier) == wanted.specifier
    assert {"numpy", "onnxruntime", "openvino", "rosbags", "setuptools"} <= set(pins)
    assert not re.search(r"https?://|--index|--find-links", text)


def test_the_locked_requirements_cover_the_runtime_and_its_extras():
    source = (ROOT / "setup.py").read_text(encoding="utf-8")
    needed = {
        Requirement(text).name.lower()
        for text in re.findall(r'"([A-Za-z][\w.-]*[<>=][^"]*)"', source.partition('"tensorrt"')[0])
        if not text.startswith("mkdocs")  # of the extra docs, which requirements/docs.txt locks
    }
    assert len(needed) > 7
    text = (ROOT / "requirements" / "dev.txt").read_text(encoding="utf-8").lower()
    missing = [name for name in needed if f"\n{name}==" not in f"\n{text}"]
    assert missing == []


def test_the_render_environment_is_locked_with_hashes():
    folder = ROOT / "requirements"
    text = (folder / "render.txt").read_text(encoding="utf-8")
    entries = [entry.split() for entry in text.replace("\\\n", " ").splitlines() if entry.strip()]
    for words in entries:
        assert [word for word in words if word.startswith("--hash=sha256:")], words[0]
    pins = {words[0].partition("==")[0]: words[0].partition("==")[2] for words in entries}
    wanted = [
        Requirement(line)
        for line in (folder / "render.in").read_text(encoding="utf-8").splitlines()
        if not line.startswith("#")
    ]
    assert {item.name for item in wanted} == {"bpy", "numpy", "opencv-python-headless"}
    assert all(item.specifier.contains(pins[item.name]) for item in wanted)


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory):
    """Build a wheel of a copy of the tree, without the network, and return what is in it."""
    copy = tmp_path_factory.mktemp("tree") / "tree"
    shutil.copytree(
        ROOT,
        copy,
        symlinks=True,
        ignore=lambda folder, names: {
            name
            for name in names
            if name.startswith(".venv") or (Path(folder) == ROOT and name in MADE)
        },
    )
    build = "import setuptools.build_meta as b, sys; print(b.build_wheel(sys.argv[1]))"
    answer = subprocess.run(
        [sys.executable, "-c", build, str(copy)],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    with zipfile.ZipFile(next(copy.glob("*.whl"))) as wheel:
        return set(wheel.namelist())


def test_wheel_holds_every_file_of_the_package(wheel_names):
    skipped = {"__pycache__"}
    wanted = {
        str(path.relative_to(ROOT / "src"))
        for path in PACKAGE.rglob("*")
        if path.is_file() and not skipped & set(path.parts)
    }
    assert sorted(wanted - wheel_names) == []


def test_wheel_holds_the_parameter_file(wheel_names):
    # Path.rglob does not follow the link from the package to config/.
    shipped = {f"terrain_seg_ros/config/{path.name}" for path in (ROOT / "config").glob("*.yaml")}
    assert shipped
    assert shipped <= wheel_names


def test_wheel_serves_ros_too(wheel_names):
    share = f"terrain_seg_ros-{__version__}.data/data/share"
    assert f"{share}/ament_index/resource_index/packages/terrain_seg_ros" in wheel_names
    assert f"{share}/terrain_seg_ros/package.xml" in wheel_names
    shared = [path for path in (ROOT / "config").iterdir() if path.is_file()]
    assert {".yaml", ".rviz", ".json", ".xml"} == {path.suffix for path in shared}
    assert {f"{share}/terrain_seg_ros/config/{path.name}" for path in shared} <= wheel_names


def test_wheel_carries_the_licence(wheel_names):
    names = {Path(name).name for name in wheel_names if ".dist-info/" in name}
    assert {"LICENSE", "NOTICE"} <= names


def test_wheel_has_no_tests_and_no_training(wheel_names):
    roots = {name.split("/")[0] for name in wheel_names}
    assert roots == {
        "terrain_seg_ros",
        f"terrain_seg_ros-{__version__}.dist-info",
        f"terrain_seg_ros-{__version__}.data",
    }
