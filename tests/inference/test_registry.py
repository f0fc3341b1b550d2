"""Tests of the choice of a backend by name."""

import subprocess
import sys

import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import InferenceError, ModelError
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.registry import (
    create_backend,
    installed_backends,
    try_backends,
    usable_precisions,
)
from terrain_seg_ros.model_store.loaded_model import Golden, LoadedModel
from terrain_seg_ros.model_store.model_store import load_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "constant"])
def test_by_name(model, name):
    backend = create_backend(name, model, BackendOptions(precision="fp32"))
    assert (backend.name, backend.precision) == (name, "fp32")
    backend.close()


def test_auto_takes_one_that_is_installed(model, monkeypatch):
    monkeypatch.setattr("terrain_seg_ros.inference.self_test._TIMING_S", 0.05)
    backend, trials = try_backends(model)
    assert backend.name in [name.value for name in installed_backends()]
    assert {trial.backend for trial in trials} == {"onnxruntime", "openvino"}
    timed = [trial for trial in trials if trial.median_ms is not None]
    fastest = min(timed, key=lambda trial: trial.median_ms)
    assert (backend.name, backend.precision) == (fastest.backend, fastest.precision)
    for trial in trials:
        assert trial.precision == "fp32" or "no parity figures" in trial.refusal
    backend.close()


def test_auto_keeps_to_the_precision_asked_for(model):
    with pytest.raises(InferenceError, match="no backend can run"):
        try_backends(model, BackendOptions(precision="int8"))


def test_a_named_backend_takes_no_precision_without_parity_figures(model, monkeypatch):
    monkeypatch.setattr("terrain_seg_ros.inference.self_test._TIMING_S", 0.05)
    backend = create_backend("openvino", model)
    assert (backend.name, backend.precision) == ("openvino", "fp32")
    backend.close()


def test_auto_never_takes_the_constant():
    with pytest.raises(InferenceError, match="no ONNX file"):
        create_backend("auto", load_model("synthetic"))
    create_backend("constant", load_model("synthetic")).close()


@pytest.mark.requirement("TSR-NET-002")
@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_every_backend_is_tested_when_made(model, name):
    golden = Golden(model.golden.image, 3 - model.golden.mask)
    wrong = LoadedModel(model.card, None, model.onnx_bytes, golden)
    with pytest.raises(ModelError, match="golden mask of 'tiny'"):
        create_backend(name, wrong, BackendOptions(precision="fp32"))


def test_an_unknown_name_lists_the_known_ones(model):
    with pytest.raises(InferenceError, match=r"'tpu' is unknown.*openvino"):
        create_backend("tpu", model)


def test_what_is_no_runtime_is_refused():
    with pytest.raises(InferenceError, match=r"'auto' is not a runtime.*tensorrt"):
        usable_precisions(BackendName.AUTO)


def test_a_missing_runtime_names_the_command(model, monkeypatch):
    openvino = BackendName.OPENVINO
    entry = openvino.entry._replace(module="absent_backend", needs="absent_runtime")
    monkeypatch.setattr(openvino, "entry", entry)
    assert installed_backends() == [BackendName.ONNXRUNTIME]
    with pytest.raises(InferenceError, match="pip install openvino"):
        create_backend("openvino", model)


def test_precisions_of_every_backend():
    for name in (*installed_backends(), BackendName.CONSTANT):
        assert "fp32" in usable_precisions(name)


def test_runtimes_are_imported_on_demand():
    script = (
        "import sys; import terrain_seg_ros.inference.registry; "
        "print([m for m in ('onnxruntime', 'openvino', 'torch', 'rclpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
