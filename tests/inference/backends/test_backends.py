"""One contract for every backend, and what is particular to each."""

import numpy as np
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.inference.backend_names import BackendName, backend_names
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.backends import openvino_backend
from terrain_seg_ros.inference.backends.constant_backend import ConstantBackend
from terrain_seg_ros.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.inference.backends.openvino_backend import OpenVinoBackend
from terrain_seg_ros.inference.backends.openvino_backend import (
    usable_precisions as openvino_precisions,
)
from terrain_seg_ros.inference.engines.engine_cache import EngineCache
from terrain_seg_ros.inference.engines.prepare import prepare_engine
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.model_store.synthetic_model import synthetic_model

FP32 = BackendOptions(precision="fp32")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=(48, 64)))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (3, 48, 64, 1), dtype=np.uint8)


class BackendContract:
    """What every backend must keep; a new one adds a subclass."""

    kind = None

    @pytest.fixture
    def backend(self, model):
        made = self.kind(model, FP32)
        yield made
        made.close()

    def test_names_itself(self, backend):
        assert backend.name
        assert backend.precision in {"fp32", "bf16", "fp16", "int8"}

    @pytest.mark.parametrize("count", [1, 3])
    def test_shapes_and_types(self, backend, images, count):
        output = backend(images[:count])
        assert output.mask.shape == (count, 48, 64)
        assert output.confidence.shape == (count, 48, 64)
        assert output.probabilities.shape == (count, 4, 48, 64)
        assert {output.mask.dtype, output.confidence.dtype} == {np.dtype(np.uint8)}
        assert output.probabilities.dtype == np.uint8

    def test_the_parts_agree(self, backend, images):
        output = backend(images)
        assert np.array_equal(output.probabilities.max(axis=1), output.confidence)
        sums = output.probabilities.sum(axis=1, dtype=int)
        assert np.abs(sums - 255).max() <= 2

    def test_a_batch_equals_its_images(self, backend, images):
        together = backend(images)
        for index in range(3):
            alone = backend(images[index : index + 1])
            assert np.array_equal(together.probabilities[index], alone.probabilities[0])

    def test_is_deterministic(self, backend, images):
        first = backend(images[:1]).probabilities.copy()
        backend(images[1:2])
        assert np.array_equal(backend(images[:1]).probabilities, first)

    def test_takes_what_is_read_only_or_strided(self, backend, images):
        expected = backend(images[:1]).mask.copy()
        frozen = images[:1].copy()
        frozen.flags.writeable = False
        assert np.array_equal(backend(frozen).mask, expected)
        strided = np.repeat(images[:1], 2, axis=2)[:, :, ::2]
        assert np.array_equal(backend(strided).mask, expected)

    def test_leaves_the_input_alone(self, backend, images):
        tensor = images[:1].copy()
        backend(tensor)
        assert np.array_equal(tensor, images[:1])

    @pytest.mark.parametrize(
        "tensor",
        [
            np.zeros((1, 64, 48, 1), dtype=np.uint8),
            np.zeros((1, 48, 64, 3), dtype=np.uint8),
            np.zeros((1, 1, 48, 64), dtype=np.uint8),
            np.zeros((48, 64, 1), dtype=np.uint8),
            np.zeros((0, 48, 64, 1), dtype=np.uint8),
            np.zeros((1, 48, 64, 1), dtype=np.float32),
        ],
        ids=lambda tensor: f"{tensor.dtype}-{tensor.shape}",
    )
    def test_what_does_not_fit_is_refused(self, backend, tensor):
        with pytest.raises(InferenceError, match="takes"):
            backend(tensor)

    def test_close_twice_and_then_refuse(self, model, images):
        backend = self.kind(model, FP32)
        backend.close()
        backend.close()
        with pytest.raises(InferenceError, match="closed"):
            backend(images[:1])

    def test_outputs_outlive_the_backend(self, model, images):
        backend = self.kind(model, FP32)
        output = backend(images[:1])
        expected = output.mask.copy()
        backend.close()
        del backend
        assert np.array_equal(output.mask, expected)


class NetworkContract(BackendContract):
    """What backends that run the network keep besides."""

    def test_equals_the_golden_mask(self, backend, model):
        assert np.array_equal(backend(model.golden.image[None]).mask[0], model.golden.mask)

    def test_equals_onnxruntime(self, backend, model, images):
        reference = OnnxRuntimeBackend(model, FP32)(images)
        output = backend(images)
        assert (output.mask == reference.mask).mean() >= 0.999
        steps = output.probabilities.astype(int) - reference.probabilities
        assert np.abs(steps).max() <= 1

    def test_runs_with_one_thread(self, model, images):
        backend = self.kind(model, BackendOptions(threads=1, precision="fp32"))
        assert backend(images[:1]).mask.shape == (1, 48, 64)
        backend.close()

    def test_runs_a_graph_of_fixed_batch(self, tmp_path, images):
        fixed = load_model(write_tiny_model(tmp_path / "fixed", size=(48, 64), batch=1))
        backend = self.kind(fixed, FP32)
        assert backend(images).mask.shape == (3, 48, 64)
        backend.close()

    def test_needs_a_graph(self):
        with pytest.raises(InferenceError, match="no ONNX file"):
            self.kind(synthetic_model(), FP32)

    def test_a_corrupt_graph_is_one_clear_error(self, model):
        broken = LoadedModel(model.card, None, model.onnx_bytes[:-40], None)
        with pytest.raises(InferenceError, match="cannot load model 'tiny'"):
            self.kind(broken, FP32)


class TestOnnxRuntime(NetworkContract):
    kind = OnnxRuntimeBackend

    def test_has_no_reduced_precision(self, model):
        with pytest.raises(InferenceError, match="fp32"):
            OnnxRuntimeBackend(model, BackendOptions(precision="bf16"))


class TestOpenVino(NetworkContract):
    kind = OpenVinoBackend

    def test_reports_the_precision_it_got(self, model):
        backend = OpenVinoBackend(model, BackendOptions())
        assert backend.precision in openvino_precisions()
        backend.close()

    def test_a_precision_the_device_lacks_is_refused(self, model):
        lacking = {"fp32", "bf16", "fp16", "int8"} - set(openvino_precisions())
        for precision in lacking:
            with pytest.raises(InferenceError, match=precision):
                OpenVinoBackend(model, BackendOptions(precision=precision))

    def test_runs_what_was_compiled_ahead(self, model, images, tmp_path, monkeypatch):
        options = BackendOptions(precision="fp32", cache_dir=tmp_path)
        expected = OpenVinoBackend(model, options)(images).probabilities
        assert list(tmp_path.iterdir()) == []
        prepare_engine(BackendName.OPENVINO, model, options)
        monkeypatch.setattr(openvino_backend, "_compile", None)
        backend = OpenVinoBackend(model, options)
        assert np.array_equal(backend(images).probabilities, expected)
        assert backend.precision == "fp32"

    @pytest.mark.parametrize("damage", ["changed", "of another library"])
    def test_what_is_damaged_is_refused_loudly_and_compiled(
        self, model, images, tmp_path, caplog, damage
    ):
        options = BackendOptions(precision="fp32", cache_dir=tmp_path)
        key = openvino_backend.engine_key(model, options)
        cache = EngineCache(tmp_path)
        cache.load_or_build(key, lambda: b"of another library")
        if damage == "changed":
            cache.path(key).write_bytes(b"x")
        backend = OpenVinoBackend(model, options)
        assert np.array_equal(backend(model.golden.image[None]).mask[0], model.golden.mask)
        assert "is refused" in caplog.text


class TestConstant(BackendContract):
    kind = ConstantBackend

    def test_gives_the_class_asked_for(self, model, images):
        output = ConstantBackend(model, BackendOptions(constant_class=2))(images)
        assert (output.mask == 2).all()
        assert (output.confidence == 255).all()
        assert (output.probabilities[:, 2] == 255).all()

    def test_needs_only_a_card(self):
        model = synthetic_model(height_px=32, width_px=16)
        output = ConstantBackend(model, BackendOptions())(np.zeros((1, 32, 16, 1), dtype=np.uint8))
        assert output.mask.shape == (1, 32, 16)

    def test_a_class_the_model_lacks_is_refused(self, model):
        with pytest.raises(ConfigError, match="constant_class is 4"):
            ConstantBackend(model, BackendOptions(constant_class=4))


@pytest.mark.parametrize(
    "wrong",
    [
        {"threads": -1},
        {"precision": "fp64"},
        {"constant_class": 255},
        {"threads": 9999},
        {"device": 64},
        {"dla_core": -2},
        {"engine_build": "perhaps"},
    ],
)
def test_options_are_checked(wrong):
    with pytest.raises(ConfigError, match="expected"):
        BackendOptions(**wrong)


def test_every_backend_that_needs_no_device_keeps_the_contract():
    contracts = {kind.kind for kind in NetworkContract.__subclasses__()}
    contracts |= {kind.kind for kind in BackendContract.__subclasses__()}
    entries = [name.entry for name in BackendName if name.entry is not None]
    assert {kind.__name__ for kind in contracts if kind} == {
        entry.kind for entry in entries if not entry.needs_device
    }


def test_no_two_backends_share_a_name_or_a_module():
    entries = [name.entry for name in BackendName if name.entry is not None]
    assert len({entry.module for entry in entries}) == len(entries)
    assert backend_names() == ("auto", "onnxruntime", "openvino", "tensorrt", "constant")
