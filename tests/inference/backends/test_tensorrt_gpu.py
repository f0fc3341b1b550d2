"""TensorRT as it is, on a GPU; skipped by name where either is absent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.inference.backends.tensorrt_backend import (
    TensorRtBackend,
    engine_key,
    is_present,
)
from terrain_seg_ros.inference.engines.engine_cache import EngineCache
from terrain_seg_ros.inference.engines.prepare import cached_engine, prepare_engine
from terrain_seg_ros.inference.registry import create_backend, usable_precisions
from terrain_seg_ros.model_store.model_store import load_model

pytestmark = pytest.mark.skipif(
    not is_present(), reason="needs tensorrt, cuda-python and an NVIDIA GPU"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=(48, 64)))


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    return BackendOptions(precision="fp32", cache_dir=tmp_path_factory.mktemp("engines"))


@pytest.fixture(scope="module")
def backend(model, options):
    made = TensorRtBackend(model, options)
    yield made
    made.close()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (5, 48, 64, 1), dtype=np.uint8)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_equals_onnxruntime(backend, model, images, count):
    expected = OnnxRuntimeBackend(model, BackendOptions())(images[:count])
    output = backend(images[:count])
    assert (output.mask == expected.mask).mean() >= 0.999
    steps = output.probabilities.astype(int) - expected.probabilities
    assert np.abs(steps).max() <= 1


def test_is_deterministic(backend, images):
    first = backend(images[:1]).probabilities.copy()
    backend(images[1:2])
    assert np.array_equal(backend(images[:1]).probabilities, first)


def test_a_graph_is_captured(model, options, caplog):
    TensorRtBackend(model, options).close()
    assert "without a CUDA graph" not in caplog.text


def test_outputs_outlive_the_backend(model, options, images):
    backend = TensorRtBackend(model, options)
    output = backend(images[:1])
    expected = output.mask.copy()
    backend.close()
    del backend
    assert np.array_equal(output.mask, expected)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "bf16"])
def test_the_shipped_model_passes_its_golden_test(options, precision):
    shipped = load_model("mars_navcam")
    exact = replace(options, precision=precision)
    if precision not in usable_precisions(BackendName.TENSORRT):
        pytest.skip(f"this GPU or TensorRT does not compute in {precision}")
    try:
        engine_key(shipped, exact)
    except InferenceError as error:
        assert f"--precision {precision}" in str(error)
        pytest.skip("this TensorRT takes the precision from the ONNX")
    backend = create_backend("tensorrt", shipped, exact)
    assert backend.precision == precision
    backend.close()


def test_a_corrupt_engine_is_built_again(model, options, images, caplog):
    TensorRtBackend(model, options).close()
    path = EngineCache(options.cache_dir).path(engine_key(model, options))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    backend = TensorRtBackend(model, options)
    assert backend(images[:1]).mask.shape == (1, 48, 64)
    backend.close()
    assert "the engine is corrupt" in caplog.text


def test_an_engine_that_tensorrt_does_not_read_is_built_again(model, options, tmp_path, caplog):
    fresh = replace(options, cache_dir=tmp_path / "engines")
    EngineCache(fresh.cache_dir).load_or_build(engine_key(model, fresh), lambda: b"no engine" * 99)
    TensorRtBackend(model, fresh).close()
    assert "it is removed" in caplog.text
    assert cached_engine(BackendName.TENSORRT, model, fresh).refusal == ""


def test_what_is_prepared_starts_without_building(options):
    shipped = load_model("mars_navcam")
    prepare_engine(BackendName.TENSORRT, shipped, options)
    TensorRtBackend(shipped, replace(options, engine_build="never")).close()


def test_a_device_that_is_not_there_is_named(model, options):
    with pytest.raises(InferenceError, match="tensorrt_device is 63"):
        TensorRtBackend(model, replace(options, device=63))
