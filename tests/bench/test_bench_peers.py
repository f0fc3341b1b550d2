"""Tests of the usual ways that `terrain-seg bench` times beside ours."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.bench.peers import (
    BARE,
    GPU_PROVIDERS,
    NUMPY,
    NumpyPeer,
    bare_call,
    gpu_providers,
    read_peers,
)
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.core.errors import ConfigError, InferenceError, ModelError
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.model_tools.wrap.logits_graph import logits_graph
from terrain_seg_ros.segmenter import Segmenter

TORCH = {
    "size": "64x48",
    "ways": [
        {"name": "terrain_seg_ros, openvino int8", "median_ms": 4.0, "error": None},
        {"name": "PyTorch eager", "median_ms": 14.0, "error": None},
        {"name": "PyTorch compiled", "median_ms": None, "error": "no compiler"},
    ],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("bench") / "tiny")


@pytest.fixture
def words(folder):
    words = ["bench", "--model", str(folder), "--rounds", "2", "--size", "64x48", "--threads", "1"]
    return [*words, "--backend", "onnxruntime", "--no-starts", "--no-geometry"]


@pytest.mark.parametrize("channels", [1, 3])
def test_the_numpy_way_gives_the_mask_that_we_give(tmp_path, channels):
    folder = write_tiny_model(tmp_path / "tiny", channels=channels)
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    with Segmenter(folder, backend="onnxruntime") as segmenter:
        ours = segmenter(image).segmentation
    mask, confidence = NumpyPeer(load_model(folder), 1)(image)
    assert np.array_equal(mask, ours.mask)
    assert np.abs(confidence.astype(int) - ours.confidence).max() <= 1
    assert len(np.unique(mask)) == 4


def test_the_numpy_way_gives_the_size_of_the_image(folder):
    image = np.zeros((48, 80, 3), dtype=np.uint8)
    assert [part.shape for part in NumpyPeer(load_model(folder), 1)(image)] == [(48, 80)] * 2


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.parametrize("provider", GPU_PROVIDERS)
def test_a_provider_that_falls_back_to_the_cpu_is_not_timed_as_itself(folder, provider):
    if provider in gpu_providers():
        pytest.skip(f"ONNX Runtime has {provider} here")
    image = np.zeros((64, 64, 3), dtype=np.uint8)
    with pytest.raises(InferenceError, match=f"in CPUExecutionProvider instead of {provider}"):
        bare_call(load_model(folder), image, 1, provider)


def test_a_graph_without_logits_is_refused(folder, monkeypatch):
    model = load_model(folder)
    data = model.graph().replace(b"Softmax", b"Sigmoid")
    monkeypatch.setattr(type(model), "graph", lambda _model: data)
    with pytest.raises(ModelError, match="no softmax"):
        logits_graph(model)


def test_all_stand_in_one_table(words, tmp_path, capsys):
    (tmp_path / "peers.json").write_text(json.dumps(TORCH))
    files = {name: tmp_path / f"bench.{name}" for name in ("json", "md")}
    words += ["--peers", str(tmp_path / "peers.json"), "--json", str(files["json"])]
    assert main([*words, "--markdown", str(files["md"])]) == 0
    result = json.loads(files["json"].read_text())
    names = [way["name"] for way in result["peers"]["ways"]]
    assert names[0].startswith("terrain_seg_ros, ")
    assert names[-2:] == [NUMPY, BARE]
    assert all(way["median_ms"] > 0.0 for way in result["peers"]["ways"])
    assert result["torch_peers"] == TORCH
    text = files["md"].read_text()
    assert f"| {NUMPY} | " in text
    assert "| PyTorch eager | 14.0 | 3.50 |" in text
    assert "| PyTorch compiled | - | no compiler |" in text
    assert "times ours" in capsys.readouterr().out


def test_without_onnx_the_rest_is_timed(words, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "terrain_seg_ros.model_tools.wrap.logits_graph", None)
    file = tmp_path / "bench.json"
    assert main([*words, "--json", str(file)]) == 0
    ways = {way["name"]: way for way in json.loads(file.read_text())["peers"]["ways"]}
    assert "pip install onnx" in ways[NUMPY]["error"]
    assert ways[NUMPY]["median_ms"] is None
    assert ways[BARE]["median_ms"] > 0.0


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"size": "1x1"}',
        '{"size": "1x1", "ways": []}',
        '{"size": "1x1", "ways": [{"name": "x", "median_ms": "fast", "error": null}]}',
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, content):
    path = tmp_path / "peers.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match="terrain-train peers --json"):
        read_peers(path)
