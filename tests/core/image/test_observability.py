"""Tests of what counts as not observed."""

import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.observability import ObservabilitySettings, unobserved_reasons
from terrain_seg_ros.core.types import Reason, Segmentation

SETTINGS = ObservabilitySettings(0.5, 8, 250, 1.0)
NAMES = ("soil", "sky")


def segmentation(mask, confidence):
    mask, confidence = (np.array([row], dtype=np.uint8) for row in (mask, confidence))
    probabilities = np.zeros((2, *mask.shape), dtype=np.uint8)
    return Segmentation(probabilities, mask, confidence, mask, confidence)


@pytest.mark.requirement("TSR-SAFE-020")
def test_every_reason_and_its_rank():
    luma = np.array([[100, 8, 9, 250, 249, 100, 0, 255]], dtype=np.uint8)[..., None]
    seen = segmentation([0, 0, 0, 0, 0, 1, 255, 255], [200, 10, 200, 10, 128, 127, 0, 0])
    assert unobserved_reasons(luma, seen, SETTINGS, class_names=NAMES).tolist()[0] == [
        Reason.OBSERVED,
        Reason.SHADOW,
        Reason.OBSERVED,
        Reason.SATURATION,
        Reason.OBSERVED,
        Reason.LOW_CONFIDENCE,
        Reason.UNLABELLED,
        Reason.UNLABELLED,
    ]


def test_colour_is_judged_by_its_luma():
    tensor = np.array([[[0, 0, 60], [255, 255, 255]]], dtype=np.uint8)
    reasons = unobserved_reasons(
        tensor, segmentation([0, 0], [255, 255]), SETTINGS, class_names=NAMES
    )
    assert reasons.tolist() == [[Reason.SHADOW, Reason.SATURATION]]


def test_input_is_left_alone():
    tensor = np.full((1, 2, 1), 5, dtype=np.uint8)
    seen = segmentation([0, 1], [9, 9])
    unobserved_reasons(tensor, seen, SETTINGS, class_names=NAMES)
    assert (tensor == 5).all()
    assert seen.tensor_mask.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    "values",
    [
        (1.1, 0, 255, 1.0),
        (0.5, 200, 100, 1.0),
        (0.5, -1, 9, 1.0),
        (0.5, 3, 256, 1.0),
        (0.5, 3, 9, -1.0),
    ],
)
def test_ranges_are_checked(values):
    with pytest.raises(ConfigError, match="expected"):
        ObservabilitySettings(*values)


def test_a_class_that_is_no_ground_is_not_observed():
    settings = ObservabilitySettings(0.5, 8, 250, 1.0, not_ground_classes=("sky", "water"))
    luma = np.full((1, 3, 1), 100, dtype=np.uint8)
    seen = segmentation([0, 1, 1], [200, 200, 10])
    reasons = unobserved_reasons(luma, seen, settings, class_names=NAMES)
    assert reasons.tolist() == [[Reason.OBSERVED, Reason.UNLABELLED, Reason.UNLABELLED]]
