"""The TensorRT backend's own logic, on stand-ins of its versions; see test_tensorrt_gpu.py."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest

from support.tensorrt_stand_in import VERSIONS, install
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.inference.backends.tensorrt_backend import TensorRtBackend, build, engine_key
from terrain_seg_ros.inference.engines.engine_cache import EngineCache
from terrain_seg_ros.inference.registry import (
    create_backend,
    installed_backends,
    try_backends,
    usable_precisions,
)
from terrain_seg_ros.inference.tensorrt.bindings import load_cuda, load_tensorrt
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.model_store.model_store import load_model


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=(48, 64)))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (5, 48, 64, 1), dtype=np.uint8)


@pytest.fixture
def options(tmp_path):
    return BackendOptions(precision="fp32", cache_dir=tmp_path / "engines")


@pytest.fixture(params=VERSIONS)
def trt(request, monkeypatch):
    return install(monkeypatch, version=request.param)


def changed(options, **changes):
    return BackendOptions(**{**vars(options), **changes})


def reference(model, images):
    return OnnxRuntimeBackend(model, BackendOptions())(images)


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_it_gives_what_the_model_gives(trt, model, images, options, count):
    backend = TensorRtBackend(model, options)
    output = backend(images[:count])
    assert np.array_equal(output.mask, reference(model, images[:count]).mask)
    assert (backend.name, backend.precision, backend.max_batch) == ("tensorrt", "fp32", 2)
    backend.close()


def test_an_engine_is_built_once_and_loaded_then(trt, model, options):
    for _ in range(2):
        TensorRtBackend(model, options).close()
    assert trt.builds == 1
    assert len(list(options.cache_dir.glob("*.engine"))) == 1


def test_the_engine_file_holds_the_runtime_s_bytes_alone(trt, model, options):
    TensorRtBackend(model, options).close()
    (path,) = options.cache_dir.glob("*.engine")
    assert path.read_bytes() == build(model, options)


def test_fp32_has_no_tf32(trt, model, options):
    TensorRtBackend(model, options).close()
    names = {flag.name for flag in trt.configs[-1].config.flags}
    assert names == set()
    assert "no-TF32" in engine_key(model, options).flags


def test_the_profile_goes_from_one_image_to_two(trt, model, options):
    TensorRtBackend(model, options).close()
    (profile,) = trt.configs[-1].config.profiles
    assert profile.shapes == ("image", (1, 48, 64, 1), (1, 48, 64, 1), (2, 48, 64, 1))


def test_a_graph_of_fixed_batch_runs_image_by_image(trt, images, options, tmp_path):
    fixed = load_model(write_tiny_model(tmp_path / "fixed", size=(48, 64), batch=1))
    backend = TensorRtBackend(fixed, options)
    assert backend.max_batch == 1
    assert np.array_equal(backend(images).mask, reference(fixed, images).mask)


@pytest.mark.parametrize("shape", [(0, 48, 64, 1), (1, 64, 48, 1)])
def test_a_batch_that_does_not_fit_is_refused(trt, model, options, shape):
    backend = TensorRtBackend(model, options)
    with pytest.raises(InferenceError, match="takes"):
        backend(np.zeros(shape, dtype=np.uint8))
    assert backend(np.zeros((1, 48, 64, 1), dtype=np.uint8)).mask.shape == (1, 48, 64)


def test_runs_are_graphs(trt, model, images, options):
    backend = TensorRtBackend(model, options)
    backend(images[:1])
    assert trt.cuda.launches == 1


def test_without_graphs_it_runs_all_the_same(monkeypatch, model, images, options, caplog):
    trt = install(monkeypatch, capture_fails=True)
    backend = TensorRtBackend(model, options)
    assert np.array_equal(backend(images[:2]).mask, reference(model, images[:2]).mask)
    assert trt.cuda.launches == 0
    assert "without a CUDA graph" in caplog.text


def test_close_frees_everything_and_outputs_outlive_it(trt, model, images, options):
    backend = TensorRtBackend(model, options)
    output = backend(images[:1])
    expected = output.mask.copy()
    backend(images[:2])
    backend.close()
    backend.close()
    assert trt.cuda.blocks == {}
    assert trt.cuda.streams == set()
    assert np.array_equal(output.mask, expected)
    with pytest.raises(InferenceError, match="closed"):
        backend(images[:1])
    del output, backend
    gc.collect()
    assert trt.cuda.pinned == {}


def test_full_memory_names_the_remedy_and_leaves_nothing(monkeypatch, model, options):
    trt = install(monkeypatch, memory_bytes=5000)
    with pytest.raises(InferenceError, match=r"out of memory.*end other programs"):
        TensorRtBackend(model, options)
    assert trt.cuda.blocks == {}
    assert trt.cuda.streams == set()


def test_full_memory_while_building_names_the_remedy(trt, model, options):
    trt.build_error = "Requested amount of GPU memory could not be allocated: OutOfMemory"
    with pytest.raises(InferenceError, match=r"cannot build an engine of model 'tiny'.*end other"):
        TensorRtBackend(model, options)


def test_full_memory_does_not_cost_the_engine(trt, model, options):
    TensorRtBackend(model, options).close()
    trt.read_error = "Error Code 2: OutOfMemory"
    with pytest.raises(InferenceError, match="end other programs"):
        TensorRtBackend(model, options)
    trt.read_error = ""
    TensorRtBackend(model, options).close()
    assert trt.builds == 1


def test_an_engine_that_tensorrt_does_not_read_is_built_again(trt, model, options, caplog):
    key = engine_key(model, options)
    EngineCache(options.cache_dir).load_or_build(key, lambda: b"of another library\n")
    TensorRtBackend(model, options).close()
    assert trt.builds == 1
    assert "plan file is of another version; it is removed" in caplog.text
    TensorRtBackend(model, options).close()
    assert trt.builds == 1


def test_an_engine_that_is_refused_and_may_not_be_built_names_the_command(trt, model, options):
    key = engine_key(model, options)
    EngineCache(options.cache_dir).load_or_build(key, lambda: b"of another library\n")
    with pytest.raises(InferenceError, match="terrain-seg prepare --backend tensorrt"):
        TensorRtBackend(model, changed(options, engine_build="never"))


def test_a_library_that_does_not_read_its_own_engine_is_one_clear_error(trt, model, options):
    trt.read_error = "Version tag does not match"
    with pytest.raises(InferenceError, match=r"that it built.*prepare --backend tensorrt --force"):
        TensorRtBackend(model, options)


def test_a_run_that_fails_is_one_clear_error(trt, model, images, options, monkeypatch):
    trt.cuda.capture_fails = True
    backend = TensorRtBackend(model, options)
    trt.run_fails = True
    with pytest.raises(InferenceError, match="cannot run the engine"):
        backend(images[:1])
    trt.run_fails = False
    assert backend(images[:1]).mask.shape == (1, 48, 64)


def test_a_corrupt_graph_is_one_clear_error(trt, model, options):
    broken = LoadedModel(model.card, None, model.onnx_bytes[:-40], None)
    with pytest.raises(InferenceError, match="cannot load model 'tiny'"):
        TensorRtBackend(broken, options)
    assert list(options.cache_dir.glob("*.engine")) == []


def test_the_key_knows_the_machine(trt, model, options):
    key = engine_key(model, options)
    assert key.runtime_version == trt.__version__
    assert (key.device_name, key.compute_capability) == ("Stand-in GPU", "8.7")
    assert key.model_sha256 == model.card.sha256


def test_a_gpu_that_is_not_there_is_named(trt, model, options):
    with pytest.raises(InferenceError, match=r"tensorrt_device is 3, but there are 1 GPUs"):
        TensorRtBackend(model, changed(options, device=3))


def test_an_accelerator_takes_single_images_in_reduced_precision(monkeypatch, model, options):
    trt = install(monkeypatch, version="8.5.3.1")
    with pytest.raises(ConfigError, match="DLA does not compute in fp32"):
        TensorRtBackend(model, changed(options, dla_core=1))
    backend = TensorRtBackend(model, changed(options, dla_core=1, precision="fp16"))
    assert backend.max_batch == 1
    config = trt.configs[-1].config
    assert {flag.name for flag in config.flags} == {"FP16", "GPU_FALLBACK"}
    assert (config.default_device_type, config.DLA_core) == ("dla", 1)
    with pytest.raises(ConfigError, match="2 DLA cores"):
        TensorRtBackend(model, changed(options, dla_core=2, precision="fp16"))


def test_no_gpu_is_no_backend(monkeypatch, model, options):
    install(monkeypatch, devices=0)
    assert BackendName.TENSORRT not in installed_backends()
    with pytest.raises(InferenceError, match="there is no GPU: choose backend openvino"):
        create_backend("tensorrt", model, options)


@pytest.mark.parametrize("version", ["8.4.1", "7.0", "dev"])
def test_an_old_version_is_refused(monkeypatch, version):
    install(monkeypatch)
    sys.modules["tensorrt"].__version__ = version
    with pytest.raises(InferenceError, match=r"too old.*pip install"):
        load_tensorrt()


def test_absent_packages_name_the_command(monkeypatch, model, options):
    for name in ("tensorrt", "cuda", "cuda.bindings", "cuda.bindings.runtime", "cuda.cudart"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InferenceError, match="pip install 'tensorrt"):
        create_backend("tensorrt", model, options)
    monkeypatch.undo()
    install(monkeypatch)
    for name in ("cuda", "cuda.bindings", "cuda.bindings.runtime", "cuda.cudart"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InferenceError, match=r"cuda-python .*pip install"):
        create_backend("tensorrt", model, options)


def test_a_library_that_is_missing_is_named(monkeypatch, tmp_path):
    folder = tmp_path / "tensorrt"
    folder.mkdir()
    (folder / "__init__.py").write_text("import ctypes; ctypes.CDLL('libcublas.so.11.absent')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    with pytest.raises(InferenceError, match=r"libcublas.so.11.*LD_LIBRARY_PATH"):
        load_tensorrt()


def test_older_bindings_serve(monkeypatch, model, images, options):
    """Those before cuda-python 12.6 are elsewhere, those of CUDA 11 have other arguments."""
    trt = install(monkeypatch)
    cuda = trt.cuda
    instantiate = cuda.cudaGraphInstantiate
    cuda.cudaGraphInstantiate = lambda graph, log, size: (*instantiate(graph, size), None)
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    monkeypatch.setitem(sys.modules, "cuda.cudart", cuda)
    assert load_cuda() is cuda
    backend = TensorRtBackend(model, options)
    assert np.array_equal(backend(images[:1]).mask, reference(model, images[:1]).mask)
    assert cuda.launches == 1


def test_auto_takes_a_cached_engine_only(monkeypatch, model, options):
    monkeypatch.setattr("terrain_seg_ros.inference.self_test._TIMING_S", 0.02)
    trt = install(monkeypatch)
    assert BackendName.TENSORRT in installed_backends()
    backend, trials = try_backends(model, options)
    backend.close()
    (trial,) = [item for item in trials if item.backend == "tensorrt"]
    assert "terrain-seg prepare" in trial.refusal
    assert trt.builds == 0
    TensorRtBackend(model, options).close()
    backend, trials = try_backends(model, options)
    backend.close()
    assert [item.refusal for item in trials if item.backend == "tensorrt"] == [""]
    assert trt.builds == 1


def test_auto_builds_where_it_is_told_to_wait(monkeypatch, model, options):
    monkeypatch.setattr("terrain_seg_ros.inference.self_test._TIMING_S", 0.02)
    trt = install(monkeypatch)
    try_backends(model, changed(options, engine_build="wait"))[0].close()
    assert trt.builds == 1


def test_by_name_it_is_tested_when_made(trt, model, options):
    backend = create_backend("tensorrt", model, options)
    assert backend.name == "tensorrt"
    backend.close()


def test_precisions_are_those_of_gpu_and_version(trt):
    expected = {"fp32", "fp16", "int8"}
    expected |= set() if trt.__version__.startswith("8.") else {"bf16"}
    assert set(usable_precisions(BackendName.TENSORRT)) == expected
