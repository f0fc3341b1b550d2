"""Engines are built in a process of their own while the session serves, and then taken."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from support.rover import BASE
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.inference.backends.openvino_backend import OpenVinoBackend
from terrain_seg_ros.inference.engines.prepare import cached_engine
from terrain_seg_ros.inference.engines.switching_backend import (
    TIMED_ROUNDS,
    WARM_UP_ROUNDS,
    SwitchingBackend,
)
from terrain_seg_ros.inference.registry import create_backend
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime import serving
from terrain_seg_ros.runtime.background_build import BackgroundBuild, BuildState, prepare_command
from terrain_seg_ros.runtime.session import Session

DEADLINE_S = 60.0
SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=32)


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder)


@pytest.fixture
def options(tmp_path):
    return BackendOptions(precision="fp32", cache_dir=tmp_path / "engines")


@pytest.fixture
def switching(model):
    backend = SwitchingBackend(OnnxRuntimeBackend(model, BackendOptions()), report=lambda _: None)
    yield backend
    backend.close()


@pytest.fixture
def reports():
    return []


def started(command, make, switching, reports):
    build = BackgroundBuild(command, make, switching, report=reports.append)
    build.start()
    return build


def serves(switching, model):
    mask = switching(model.golden.image[None]).mask[0]
    return np.array_equal(mask, model.golden.mask)


def test_a_real_build_is_taken_over(folder, model, options, switching, reports):
    """`terrain-seg prepare` builds OpenVINO's engine while ONNX Runtime serves."""
    command = prepare_command(
        ["--backend=openvino", f"--model={folder}", "--precision=fp32"]
        + [f"--cache-dir={options.cache_dir}"]
    )
    never = replace(options, engine_build="never")
    build = started(command, lambda: create_backend("openvino", model, never), switching, reports)
    served = 0
    while build.wait(0.0) is BuildState.BUILDING:
        assert serves(switching, model)
        served += 1
    assert build.wait() is BuildState.READY
    assert served > 0
    assert serves(switching, model)
    assert switching.name == "openvino"
    assert cached_engine(BackendName.OPENVINO, model, options).refusal == ""
    assert reports == []


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["-c", "import sys; sys.exit('error: no room on the disk')"], "no room on the disk"),
        (["-c", "import os; os._exit(3)"], "ended with code 3"),
        (["-c", "import os; os.kill(os.getpid(), 9)"], "ended with code -9"),
        (["-c", "import sys; print('x' * 9000, file=sys.stderr); sys.exit('why')"], "why"),
    ],
)
def test_a_build_that_fails_is_told_once_and_disturbs_nobody(
    model, switching, reports, command, text
):
    build = started(
        [sys.executable, *command], lambda: pytest.fail("must not be made"), switching, reports
    )
    assert build.wait(DEADLINE_S) is BuildState.FAILED
    assert len(reports) == 1
    assert text in reports[0]
    assert "onnxruntime stays in use" in reports[0]
    assert serves(switching, model)
    assert switching.name == "onnxruntime"


def test_a_command_that_is_not_there_is_told(model, switching, reports, tmp_path):
    build = started([str(tmp_path / "absent")], lambda: None, switching, reports)
    assert build.wait(DEADLINE_S) is BuildState.FAILED
    assert "No such file" in reports[0]
    assert serves(switching, model)


def test_an_engine_that_fails_its_self_test_does_not_serve(model, switching, reports):
    def make():
        raise ModelError("gives the golden mask on 3.00% of its pixels")

    build = started([sys.executable, "-c", ""], make, switching, reports)
    assert build.wait(DEADLINE_S) is BuildState.FAILED
    assert "3.00%" in reports[0]
    assert serves(switching, model)
    assert switching.name == "onnxruntime"


def test_stop_ends_the_process(model, switching, reports, tmp_path):
    note = tmp_path / "pid"
    script = f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(600)"
    build = started([sys.executable, "-c", script], lambda: None, switching, reports)
    end_s = time.monotonic() + DEADLINE_S
    while not (note.exists() and note.read_text()):
        assert time.monotonic() < end_s
        time.sleep(0.01)
    build.stop()
    build.stop()
    assert build.state is BuildState.STOPPED
    assert not Path(f"/proc/{note.read_text()}").exists()
    assert reports == []


def test_what_is_stopped_before_it_starts_does_nothing(switching, reports):
    build = BackgroundBuild(SLEEP, lambda: None, switching, report=reports.append)
    build.stop()
    assert reports == []


@pytest.fixture
def openvino_for_tensorrt(monkeypatch):
    """Let OpenVINO stand where TensorRT is, in this process and in the one that builds."""
    monkeypatch.setattr(BackendName.TENSORRT, "entry", BackendName.OPENVINO.entry)
    arguments = serving._prepare_arguments

    def for_openvino(*given):
        return [a.replace("=tensorrt", "=openvino") for a in arguments(*given)]

    monkeypatch.setattr(serving, "_prepare_arguments", for_openvino)
    monkeypatch.setattr("terrain_seg_ros.inference.self_test._TIMING_S", 0.02)


def session(folder, cache, *, live=True, **changes):
    values = {
        **BASE,
        "model": str(folder),
        "backend": "tensorrt",
        "precision": "fp32",
        "engine_cache_dir": str(cache),
        **changes,
    }
    return Session(load_parameters(overrides=values), live=live)


def test_a_live_session_serves_at_once_and_switches(
    openvino_for_tensorrt, folder, model, tmp_path, caplog
):
    with session(folder, tmp_path) as live:
        first = live.backend.serving
        assert live.describe()["engine_build"] in {"building", "ready"}
        while live.describe()["engine_build"] == "building":
            assert serves(live.backend, model)
        assert live.describe()["engine_build"] == "ready"
        assert serves(live.backend, model)
        assert live.backend.serving is not first
        assert isinstance(live.backend.serving, OpenVinoBackend)
        assert live.describe()["backend"] == "openvino"
        live.self_test()
    assert "is in use now" in caplog.text


def test_the_second_start_needs_no_build(openvino_for_tensorrt, folder, tmp_path):
    with session(folder, tmp_path) as live:
        live._build.wait()
    with session(folder, tmp_path) as live:
        assert "engine_build" not in live.describe()
        assert isinstance(live.backend, OpenVinoBackend)


@pytest.mark.parametrize(
    "changes",
    [
        {"live": False},
        {"engine_build": "wait"},
        {"engine_build": "never"},
        {"deterministic": True},
        {"backend": "onnxruntime"},
    ],
)
def test_what_builds_nothing_in_the_background(openvino_for_tensorrt, folder, tmp_path, changes):
    with session(folder, tmp_path, **changes) as made:
        assert "engine_build" not in made.describe()


def test_closing_ends_the_build(openvino_for_tensorrt, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(serving, "prepare_command", lambda _: SLEEP)
    live = session(folder, tmp_path)
    build = live._build
    live.close()
    live.close()
    assert build.state is BuildState.STOPPED


@pytest.mark.parametrize(("rival_ms", "serves_then"), [(0.0, True), (1e6, False)])
def test_auto_takes_what_it_built_only_if_that_is_faster(
    openvino_for_tensorrt, folder, model, tmp_path, monkeypatch, caplog, rival_ms, serves_then
):
    waits = {OpenVinoBackend: rival_ms, OnnxRuntimeBackend: 1e3}
    now_s = [0.0]

    def timed(kind):
        call = kind.__call__

        def run(backend, tensor):
            now_s[0] += waits[kind] * 1e-3
            return call(backend, tensor)

        return run

    kept = [item for item in serving.installed_backends() if item is not BackendName.OPENVINO]
    monkeypatch.setattr(serving, "installed_backends", lambda: kept)
    switching = partial(SwitchingBackend, clock_s=lambda: now_s[0])
    monkeypatch.setattr(serving, "SwitchingBackend", switching)
    for kind in waits:
        monkeypatch.setattr(kind, "__call__", timed(kind))
    with session(folder, tmp_path, backend="auto") as live:
        assert live.backend.name == "onnxruntime"
        assert live._build.wait(DEADLINE_S) is BuildState.READY
        for _ in range(TIMED_ROUNDS + WARM_UP_ROUNDS + 1):
            assert serves(live.backend, model)
        assert (live.backend.name == "openvino") is serves_then
    text = "openvino (fp32) is in use now" if serves_then else "which stays in use"
    assert text in caplog.text


def test_auto_builds_nothing_that_it_would_not_choose(openvino_for_tensorrt, folder, tmp_path):
    parameters = load_parameters(overrides={**BASE, "engine_cache_dir": str(tmp_path)})
    options = BackendOptions(precision="bf16", cache_dir=tmp_path)
    model = load_model(folder)
    assert not serving._builds_in_background(BackendName.AUTO, model, options, parameters)
    without = load_model("synthetic")
    options = replace(options, precision="auto")
    assert not serving._builds_in_background(BackendName.AUTO, without, options, parameters)
