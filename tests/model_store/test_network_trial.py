"""Tests of the first run of a network, in a process of its own."""

import sys

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from test_onnx_safety import endless

from support.tiny_model import golden_image, onnx_bytes, write_tiny_model
from terrain_seg_ros.core.errors import InferenceError, ModelError
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.registry import create_backend, try_backends
from terrain_seg_ros.model_store import model_store, network_trial
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.model_store.model_trust import ModelTrust
from terrain_seg_ros.model_store.network_trial import try_network

IMAGE = golden_image(32, 32, 1)[None]


def attempt(data, **changes):
    given = {"name": "image", "deadline_s": 60.0, "source": "net.onnx", **changes}
    return try_network(data, IMAGE, **given)


def test_a_good_network_runs_and_tells_its_border():
    trial = attempt(onnx_bytes(32, 32, 4, 1))
    assert trial.error == ""
    assert [item.name for item in trial.border.inputs] == ["image"]
    assert trial.border.outputs[2].shape[1:] == [4, 32, 32]


def test_an_endless_network_is_ended():
    with pytest.raises(ModelError, match=r"longer than 2 s and was ended.*model_test_deadline_s"):
        attempt(endless().SerializeToString(), deadline_s=2.0)


def test_a_network_that_wants_all_memory_fails_there(tmp_path):
    size = numpy_helper.from_array(np.array([2**38], np.int64), "size")
    nodes = [
        helper.make_node("ConstantOfShape", ["size"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["out"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "large",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 32, 32, 1])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [])],
        [size],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    try:
        trial = attempt(model.SerializeToString())
    except ModelError as error:
        assert "net.onnx" in str(error)
    else:
        assert trial.error


def test_a_crash_is_a_model_error(tmp_path, monkeypatch):
    crashing = tmp_path / "crashing.py"
    crashing.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(network_trial, "_SCRIPT", crashing)
    monkeypatch.setattr(network_trial, "_known", {})
    with pytest.raises(ModelError, match="its first run ended by SIGSEGV"):
        attempt(onnx_bytes(32, 32, 4, 1))


def test_openvino_runs_elsewhere_first_too(tmp_path, monkeypatch):
    model = load_model(write_tiny_model(tmp_path / "tiny", size=32))
    create_backend("openvino", model, BackendOptions(precision="fp32")).close()
    crashing = tmp_path / "crashing.py"
    crashing.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(network_trial, "_SCRIPT", crashing)
    monkeypatch.setattr(network_trial, "_known", {})
    with pytest.raises(InferenceError, match=r"in openvino: .*SIGSEGV.*choose another backend"):
        create_backend("openvino", model, BackendOptions(precision="fp32"))
    backend, trials = try_backends(model)
    backend.close()
    assert backend.name == "onnxruntime"
    assert "SIGSEGV" in next(item.refusal for item in trials if item.backend == "openvino")


def test_the_process_takes_no_module_from_the_working_folder(tmp_path, monkeypatch):
    (tmp_path / "numpy.py").write_text("raise SystemExit(3)\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(network_trial, "_known", {})
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert attempt(onnx_bytes(32, 32, 4, 1)).error == ""


def test_shipped_models_need_no_process(tmp_path, monkeypatch):
    folder = write_tiny_model(tmp_path / "shipped" / "tiny", size=32)
    monkeypatch.setattr(network_trial, "_known", {})
    monkeypatch.setattr(network_trial, "_SCRIPT", tmp_path / "absent.py")
    with pytest.raises(ModelError, match="no answer"):
        load_model(folder)
    monkeypatch.setattr(model_store, "_shipped_folder", lambda: folder.parent)
    assert load_model("tiny").card.name == "tiny"


def test_the_deadline_reaches_the_store(tmp_path, monkeypatch):
    folder = write_tiny_model(tmp_path / "tiny", size=32)
    waiting = tmp_path / "waiting.py"
    waiting.write_text("import time\ntime.sleep(1000)\n")
    monkeypatch.setattr(network_trial, "_SCRIPT", waiting)
    monkeypatch.setattr(network_trial, "_known", {})
    with pytest.raises(ModelError, match=r"longer than 0\.5 s"):
        load_model(folder, ModelTrust(test_deadline_s=0.5))
