"""The doctor names what is there, what is not, and what to do about it."""

from __future__ import annotations

import importlib.util
import json
import stat

import pytest

from support.engine_keys import KEY
from support.tensorrt_stand_in import install
from terrain_seg_ros.cli import doctor as command
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.doctor import checks
from terrain_seg_ros.doctor import ros as doctor_ros
from terrain_seg_ros.doctor.finding import Finding, State
from terrain_seg_ros.inference.engines.engine_cache import EngineCache, default_cache_folder


def finding(item):
    return next(row for row in checks.examine() if row.item == item)


@pytest.fixture(autouse=True)
def quiet_machine(monkeypatch):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.setenv("ROS_DOMAIN_ID", "87")


def test_json_holds_every_finding(capsys):
    code = main(["doctor", "--json"])
    rows = json.loads(capsys.readouterr().out)["findings"]
    assert [row["item"] for row in rows][:3] == ["Python", "numpy", "OpenCV"]
    assert {row["state"] for row in rows} <= {"usable", "absent", "missing"}
    assert code == int(any(row["state"] == "missing" for row in rows))


def test_text_has_a_line_per_finding_and_its_remedy(capsys, monkeypatch):
    rows = [
        Finding("this", State.USABLE, "1.0"),
        Finding("that", State.MISSING, "gone", "bring it back"),
    ]
    monkeypatch.setattr(command, "examine", lambda: rows)
    assert main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["usable", "this", "1.0"]
    assert lines[1].split() == ["missing", "that", "gone"]
    assert lines[2].split() == ["->", "bring", "it", "back"]


@pytest.mark.parametrize("item", ["Python", "numpy", "OpenCV", "onnxruntime", "openvino", "bags"])
def test_what_the_tests_themselves_need_is_usable(item):
    assert finding(item).state is State.USABLE


def test_backends_name_their_precisions():
    assert "precisions fp32" in finding("openvino").detail
    assert "precisions fp32" in finding("onnxruntime").detail


def test_missing_backend_has_a_remedy(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "openvino" else found(name)
    )
    row = finding("openvino")
    assert row.state is State.MISSING
    assert row.remedy == "pip install openvino"


def test_wrong_python_is_missing(monkeypatch):
    monkeypatch.setattr(checks, "PYTHON_RANGE", ((3, 99), (4, 0)))
    assert finding("Python").state is State.MISSING


def test_dds_joins_the_domain():
    row = finding("DDS")
    assert row.state is State.USABLE
    assert "domain 87" in row.detail


def test_dds_with_a_bad_domain_id_names_the_variable(monkeypatch):
    monkeypatch.setenv("ROS_DOMAIN_ID", "many")
    row = finding("DDS")
    assert row.state is State.MISSING
    assert "ROS_DOMAIN_ID" in row.detail


def test_ros_that_is_sourced_for_another_python_is_missing(monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    monkeypatch.setattr(doctor_ros, "import_error", lambda module: f"{module} does not import: why")
    assert doctor_ros.ros_findings()[0].state is State.MISSING


def test_ros_that_is_not_sourced_is_found(monkeypatch, tmp_path):
    (tmp_path / "jazzy").mkdir()
    (tmp_path / "jazzy" / "setup.bash").touch()
    monkeypatch.setattr(doctor_ros, "ROS_ROOT", tmp_path)
    row = doctor_ros.ros_findings()[0]
    assert row.state is State.ABSENT
    assert row.remedy == f"source {tmp_path}/jazzy/setup.bash"


@pytest.mark.parametrize(
    ("script", "state"),
    [("echo 'Board, 1.0, 8 GiB'", State.USABLE), ("exit 9", State.ABSENT)],
)
def test_gpu_is_what_the_driver_says(monkeypatch, tmp_path, script, state):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path))
    row = finding("GPU")
    assert row.state is state
    assert ("Board" in row.detail) == (state is State.USABLE)


def test_tensorrt_without_a_gpu_is_absent(monkeypatch):
    install(monkeypatch, devices=0)
    row = finding("tensorrt")
    assert row.state is State.ABSENT
    assert "there is no GPU" in row.detail


def test_tensorrt_names_its_precisions(monkeypatch):
    install(monkeypatch)
    row = finding("tensorrt")
    assert row.state is State.USABLE
    assert "fp32" in row.detail
    assert "fp16" in row.detail


def test_engines_are_counted(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "terrain-seg prepare" in finding("engines").remedy
    EngineCache(default_cache_folder()).load_or_build(KEY, lambda: b"engine")
    row = finding("engines")
    assert row.state is State.USABLE
    assert row.detail.startswith("1 cached in")


def test_engines_are_not_advised_where_no_backend_has_them(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name in {"openvino", "tensorrt"} else found(name),
    )
    row = finding("engines")
    assert row.state is State.ABSENT
    assert row.remedy == ""
    assert row.detail == "no installed backend has engines to prepare"


def test_no_model_is_missing(monkeypatch):
    monkeypatch.setattr("terrain_seg_ros.model_store.model_store.shipped_models", list)
    assert finding("models").state is State.MISSING


def test_a_broken_model_is_missing(monkeypatch):
    monkeypatch.setattr(
        "terrain_seg_ros.model_store.model_store.shipped_models", lambda: ["no_such_model"]
    )
    row = finding("models")
    assert row.state is State.MISSING
    assert "no_such_model" in row.detail


@pytest.mark.parametrize(
    ("environment", "reach"),
    [
        ({}, "SUBNET"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, "OFF"),
        ({"ROS_LOCALHOST_ONLY": "0", "ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, "OFF"),
        ({"ROS_LOCALHOST_ONLY": "1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, "LOCALHOST"),
    ],
)
def test_the_reach_of_discovery_is_that_of_both_of_ros_s_variables(environment, reach):
    assert doctor_ros.discovery_range(environment) == reach
