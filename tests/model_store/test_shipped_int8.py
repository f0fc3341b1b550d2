"""The int8 file that comes with `mars_navcam`: vouched for, and true on real images."""

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.core.image.image_to_tensor import image_to_tensor
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.registry import create_backend, try_backends
from terrain_seg_ros.inference.self_test import parity_refusal
from terrain_seg_ros.model_store.model_store import load_model

RUNTIMES = ("onnxruntime", "openvino")
IMAGES = sorted(Path(str(files("terrain_seg_ros"))).glob("demo_data/images/*.jpg"))


@pytest.fixture(scope="module")
def model():
    return load_model("mars_navcam")


def test_it_comes_with_the_float32_model_and_is_small(model):
    (lowered,) = model.lowered
    assert (lowered.card.name, lowered.card.precision) == ("mars_navcam_int8", "int8")
    assert lowered.card.lowered_from_sha256 == model.card.sha256
    assert len(lowered.graph()) < 0.4 * len(model.graph())
    assert np.array_equal(lowered.golden.mask, model.golden.mask)


def test_its_card_vouches_for_it_on_enough_images(model):
    (lowered,) = model.lowered
    assert [parity_refusal(lowered.card, name, "int8") for name in RUNTIMES] == ["", ""]
    assert lowered.card.metrics["reference"]["sha256"] == model.card.sha256
    assert lowered.card.metrics["reference"]["mean_iou"] == model.card.metrics["mean_iou"]
    assert lowered.card.metrics["images"] == model.card.metrics["images"]


def test_auto_times_it_and_leaves_bfloat16(model, monkeypatch):
    monkeypatch.setattr("terrain_seg_ros.inference.self_test._TIMING_S", 0.05)
    backend, trials = try_backends(model)
    backend.close()
    timed = {(item.backend, item.precision) for item in trials if item.median_ms is not None}
    assert {(name, "int8") for name in RUNTIMES} <= timed
    assert not {item for item in timed if item[1] == "bf16"}


@pytest.mark.parametrize("name", RUNTIMES)
def test_it_agrees_with_float32_where_that_is_sure(model, name):
    exact = create_backend("onnxruntime", model, BackendOptions(1, "fp32"))
    lowered = create_backend(name, model, BackendOptions(1, "int8"))
    clear = changed = 0
    for path in IMAGES:
        tensor = image_to_tensor(read_image(path), model.card)
        expected, given = exact(tensor), lowered(tensor)
        highest = np.sort(expected.probabilities[0].astype(int), axis=0)
        sure = highest[-1] - highest[-2] > 0.1 * 255
        clear += int(sure.sum())
        changed += int((sure & (expected.mask[0] != given.mask[0])).sum())
    exact.close()
    lowered.close()
    assert len(IMAGES) > 20
    assert clear > 1_000_000
    assert changed <= 0.001 * clear
