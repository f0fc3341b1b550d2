"""Tests of ONNX Runtime's own GPU providers: what is absent is said, never replaced in silence."""

from __future__ import annotations

import onnxruntime
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.model_store.model_store import load_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_provider_that_is_not_offered_is_refused(model, provider, monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(InferenceError, match="onnxruntime-gpu"):
        OnnxRuntimeBackend(model, BackendOptions(provider=provider))


@pytest.mark.requirement("TSR-NET-005")
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_silent_fallback_to_the_cpu_is_an_error(model, provider, monkeypatch):
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("a GPU package is here, which may work")
    every = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: every)
    with pytest.raises(InferenceError, match="fell back to CPUExecutionProvider"):
        OnnxRuntimeBackend(model, BackendOptions(provider=provider))


def test_gpu_gives_what_the_cpu_gives(model):
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is not installed")
    image = model.golden.image[None]
    expected = OnnxRuntimeBackend(model, BackendOptions())(image)
    given = OnnxRuntimeBackend(model, BackendOptions(provider="cuda"))(image)
    assert (expected.mask == given.mask).mean() >= 0.999


def test_unknown_provider_is_named():
    with pytest.raises(ConfigError, match="onnxruntime_provider is 'tpu'"):
        BackendOptions(provider="tpu")
