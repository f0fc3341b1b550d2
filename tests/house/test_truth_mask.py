"""The shipped decoder of true masks is what its script makes, and says what it is."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from make_truth_mask import FOLDER, SIDE_PX, golden_mask, read_me, truth_mask_card, truth_mask_model

from terrain_seg_ros.core.model_card import card_content
from terrain_seg_ros.core.types import UNLABELLED
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from terrain_seg_ros.inference.backends.openvino_backend import OpenVinoBackend
from terrain_seg_ros.inference.backends.openvino_backend import (
    usable_precisions as openvino_precisions,
)
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.segmenter import Segmenter
from terrain_seg_ros.worlds.coded_image import coded_image
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY

MODEL = load_model("truth_mask")
KINDS = [(OnnxRuntimeBackend, "fp32")] + [(OpenVinoBackend, item) for item in openvino_precisions()]


def test_the_files_are_those_that_the_script_makes():
    assert onnx.load(FOLDER / "model.onnx") == truth_mask_model()
    card = truth_mask_card((FOLDER / "model.onnx").read_bytes())
    assert json.loads((FOLDER / "card.json").read_text()) == card_content(card)
    assert (FOLDER / "README.md").read_text() == read_me(card)
    assert np.array_equal(MODEL.golden.mask, golden_mask())
    assert np.array_equal(MODEL.golden.image[..., 0], coded_image(golden_mask()))


@pytest.mark.parametrize(("kind", "precision"), KINDS)
def test_every_backend_and_precision_reads_the_codes_without_doubt(kind, precision):
    mask = np.random.default_rng(3).integers(0, len(WORLD_TAXONOMY), (2, SIDE_PX, SIDE_PX))
    backend = kind(MODEL, BackendOptions(precision=precision))
    output = backend(coded_image(mask.astype(np.uint8))[..., None])
    assert np.array_equal(output.mask, mask)
    assert output.confidence.min() == 255
    one_hot = mask[:, None] == np.arange(len(WORLD_TAXONOMY))[:, None, None]
    assert np.array_equal(output.probabilities, 255 * one_hot)
    backend.close()


def test_a_value_half_way_is_no_confident_class():
    backend = OnnxRuntimeBackend(MODEL, BackendOptions(precision="fp32"))
    between = np.full((1, SIDE_PX, SIDE_PX, 1), 60, np.uint8)
    assert backend(between).confidence.max() <= 128
    backend.close()


def test_the_shipped_limits_take_no_code_for_shadow_or_glare():
    settings = load_parameters().pipeline
    codes = coded_image(np.arange(len(WORLD_TAXONOMY), dtype=np.uint8))
    assert codes.min() > settings.observability.shadow_level
    assert codes.max() < settings.observability.saturation_level
    assert coded_image(np.array([UNLABELLED], np.uint8)) <= settings.observability.shadow_level


def test_an_image_of_the_tensors_size_passes_unchanged():
    segmenter = Segmenter("truth_mask")
    mask = golden_mask()
    assert np.array_equal(segmenter(coded_image(mask)).mask, mask)


def test_the_card_says_that_it_is_no_network():
    assert MODEL.card.taxonomy == WORLD_TAXONOMY
    assert "no network" in MODEL.card.limits[0]
    assert MODEL.card.metrics == {}
