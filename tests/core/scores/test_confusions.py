import numpy as np
import pytest

from terrain_seg_ros.core.scores.segmentation_metrics import (
    ConfusionMatrix,
    accuracy_of,
    confusion_of,
    iou_of,
    mean_iou_of,
)

TRUTH = np.array([[0, 0, 1], [1, 255, 0]], dtype=np.uint8)
PREDICTION = np.array([[0, 2, 1], [0, 0, 255]], dtype=np.uint8)


def test_a_confusion_counts_truth_by_prediction_and_what_has_none_last():
    counts = confusion_of(TRUTH, PREDICTION, classes=3)
    assert counts.tolist() == [[1, 0, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]


def test_a_class_that_the_truth_lacks_has_no_iou_and_no_part_in_the_mean():
    counts = confusion_of(TRUTH, PREDICTION, classes=3)
    assert iou_of(counts) == pytest.approx([1 / 4, 1 / 2, np.nan], nan_ok=True)
    assert mean_iou_of(counts) == pytest.approx(3 / 8)
    assert accuracy_of(counts) == pytest.approx(2 / 5)


def test_a_stack_of_confusions_is_scored_matrix_by_matrix():
    one = confusion_of(TRUTH, PREDICTION, classes=3)
    stack = np.stack([one, np.zeros_like(one), 2 * one])
    assert mean_iou_of(stack) == pytest.approx([3 / 8, np.nan, 3 / 8], nan_ok=True)
    assert iou_of(stack).shape == (3, 3)


def test_pooled_scores_are_those_of_the_pooled_confusion():
    matrix = ConfusionMatrix(["soil", "rock", "sky"])
    matrix.add(TRUTH, PREDICTION)
    scores = matrix.scores()
    counts = confusion_of(TRUTH, PREDICTION, classes=3)
    assert scores.mean_iou == pytest.approx(float(mean_iou_of(counts)))
    assert scores.pixel_accuracy == pytest.approx(float(accuracy_of(counts)))
    assert scores.iou == {"soil": pytest.approx(0.25), "rock": pytest.approx(0.5), "sky": None}
