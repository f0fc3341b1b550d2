from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torchmetrics import classification

from evaluation_cases import GROUND, ROCK, SOIL, TWO, certain, counted, figures_of, ids, random_pair
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_training.metrics.counts import EvaluationCounts, Prediction
from terrain_training.metrics.reliability import ReliabilityCounts

TRUTH = ids([[0, 0, 0, 1], [1, 2, 2, 255]])
MASK = ids([[0, 0, 1, 1], [2, 2, 255, 0]])
"""Seven labelled pixels, four right, one without a prediction; the ignored one would be wrong."""


def test_the_hand_computed_scores():
    figures = figures_of([(TRUTH, certain(MASK))])
    assert (figures.images, figures.labelled_px, figures.unpredicted_px) == (1, 7, 1)
    assert figures.confusion == ((2, 1, 0), (0, 1, 1), (0, 0, 1))
    assert figures.truth_px == {"soil": 3, "slope": 2, "rock": 2}
    assert figures.iou == pytest.approx({"soil": 2 / 3, "slope": 1 / 3, "rock": 1 / 3})
    assert figures.precision == pytest.approx({"soil": 1.0, "slope": 0.5, "rock": 0.5})
    assert figures.recall == pytest.approx({"soil": 2 / 3, "slope": 0.5, "rock": 0.5})
    assert figures.dice == pytest.approx({"soil": 0.8, "slope": 0.5, "rock": 0.5})
    assert figures.mean_iou == pytest.approx(4 / 9)
    assert figures.pixel_accuracy == pytest.approx(4 / 7)


def test_the_hand_computed_figures_of_one_image():
    _, (image,) = counted([(TRUTH, certain(MASK))])
    assert image.name == "image 0"
    assert (image.labelled_px, image.hazardous_px, image.called_safe_px) == (7, 2, 4)
    assert image.mean_iou == pytest.approx(4 / 9)
    assert image.pixel_accuracy == pytest.approx(4 / 7)
    assert (image.false_safe_px, image.ood_score) == (0, 0.0)


def test_torchmetrics_agrees_on_random_masks():
    pairs = [random_pair(seed, unpredicted=False) for seed in range(4)]
    figures = figures_of(pairs)
    truth = torch.from_numpy(np.stack([truth for truth, _ in pairs])).long()
    masks = torch.from_numpy(np.stack([item.mask for _, item in pairs])).long()
    options = {"num_classes": 3, "ignore_index": 255}
    for metric, ours in (
        (classification.MulticlassJaccardIndex(average="none", **options), figures.iou),
        (classification.MulticlassPrecision(average="none", **options), figures.precision),
        (classification.MulticlassRecall(average="none", **options), figures.recall),
        (classification.MulticlassF1Score(average="none", **options), figures.dice),
    ):
        assert list(ours.values()) == pytest.approx(metric(masks, truth).tolist())
    accuracy = classification.MulticlassAccuracy(average="micro", **options)(masks, truth)
    confusion = classification.MulticlassConfusionMatrix(**options)(masks, truth)
    assert figures.pixel_accuracy == pytest.approx(accuracy.item())
    assert [list(row) for row in figures.confusion] == confusion.tolist()
    assert figures.mean_iou == pytest.approx(np.mean(list(figures.iou.values())))


def test_images_are_pooled_by_pixels():
    right, wrong = ids([[0] * 9]), ids([[0]])
    figures = figures_of([(right, certain(right)), (wrong, certain(ids([[1]])))])
    assert figures.pixel_accuracy == pytest.approx(0.9)
    assert figures.iou["soil"] == pytest.approx(0.9)


def test_ignored_pixels_count_nowhere():
    truth, prediction = random_pair(5)
    ignored = truth == 255
    other_mask, other = prediction.mask.copy(), prediction.probabilities.copy()
    other_mask[ignored], other[:, ignored] = SOIL, np.array([[250], [0], [5]])
    one, two = (
        figures_of([(truth, item)]).to_json()
        for item in (prediction, Prediction(other_mask, other))
    )
    for figures in (one, two):
        del figures["boundary_f1"], figures["mean_boundary_f1"], figures["out_of_distribution"]
    assert one == two
    assert one["labelled_px"] == int((~ignored).sum())


def test_an_unlabelled_image_has_no_figures_and_changes_none():
    pair = (TRUTH, certain(MASK))
    unlabelled = (np.full((2, 4), 255, np.uint8), certain(MASK))
    _, each = counted([pair, unlabelled])
    assert (each[1].labelled_px, each[1].mean_iou, each[1].pixel_accuracy) == (0, None, None)
    assert figures_of([pair, unlabelled]).iou == figures_of([pair]).iou


def test_a_class_in_neither_truth_nor_prediction_has_no_score():
    truth = ids([[0, 0, 1, 1]])
    figures = figures_of([(truth, certain(ids([[0, 1, 1, 1]])))])
    for scores in (figures.iou, figures.precision, figures.recall, figures.dice):
        assert scores["rock"] is None
    assert figures.mean_iou == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert figures.truth_px["rock"] == 0
    assert figures.boundary_images["rock"] == 0


def test_a_class_only_predicted_has_no_iou_and_no_part_in_the_mean():
    figures = figures_of([(ids([[0, 0, 0, 0]]), certain(ids([[0, 0, 0, ROCK]])))])
    assert (figures.iou["rock"], figures.precision["rock"]) == (None, 0.0)
    assert figures.recall["rock"] is None
    assert figures.mean_iou == pytest.approx(0.75)


def test_a_pixel_without_a_prediction_is_wrong_in_the_recall_but_not_in_any_precision():
    figures = figures_of([(ids([[0, 0, 1, 1]]), certain(ids([[0, 255, 1, 1]])))])
    assert figures.unpredicted_px == 1
    assert figures.recall["soil"] == 0.5
    assert figures.precision == {"soil": 1.0, "slope": 1.0, "rock": None}
    assert sum(map(sum, figures.confusion)) == 3
    assert figures.expected_calibration_error == 0.0


def test_boundary_f1_is_the_mean_over_images_that_outline_the_class():
    split = np.where(np.arange(40) < 20, 0, 1).astype(np.uint8)[None].repeat(40, axis=0)
    moved = np.roll(split, 2, axis=1)
    moved[:, :2] = 0
    plain = np.zeros((40, 40), np.uint8)
    figures = figures_of(
        [(split, certain(split)), (split, certain(moved)), (plain, certain(plain))]
    )
    assert figures.boundary_f1 == pytest.approx({"soil": 0.5, "slope": 0.5, "rock": None})
    assert figures.boundary_images == {"soil": 2, "slope": 2, "rock": 0}
    assert figures.mean_boundary_f1 == pytest.approx(0.5)
    assert figures_of([(plain, certain(plain))]).mean_boundary_f1 is None


def test_the_hand_computed_calibration_error():
    counts = ReliabilityCounts()
    truth = ids([[0, 0, 0, 0, 1, 1, 255, 1]])
    mask = ids([[0, 0, 0, 1, 1, 0, 0, 255]])
    counts.add(truth, mask, ids([[255, 255, 255, 255, 51, 51, 51, 51]]))
    low, high = counts.bins()
    assert (low.confidence, low.accuracy, low.count) == (pytest.approx(0.2), 0.5, 2)
    assert (high.confidence, high.accuracy, high.count) == (1.0, 0.75, 4)
    assert counts.expected_error() == pytest.approx((4 * 0.25 + 2 * 0.3) / 6)


def test_bins_are_a_fifteenth_wide():
    counts = ReliabilityCounts()
    levels = np.arange(256, dtype=np.uint8)[None]
    counts.add(np.zeros_like(levels), np.zeros_like(levels), levels)
    assert [item.count for item in counts.bins()] == [17] * 14 + [18]
    assert counts.bins()[1].confidence == pytest.approx(25 / 255)


def test_torchmetrics_agrees_on_the_calibration_error():
    random = np.random.default_rng(11)
    levels = random.choice(np.setdiff1d(np.arange(128, 255), np.arange(0, 256, 17)), 4000)
    mask = random.integers(0, 2, 4000).astype(np.uint8)
    truth = np.where(random.random(4000) > levels / 300, 1 - mask, mask).astype(np.uint8)
    counts = ReliabilityCounts()
    counts.add(truth, mask, levels.astype(np.uint8))
    claims = np.where(mask == 1, levels, 255 - levels) / 255.0
    both = torch.from_numpy(np.stack([1.0 - claims, claims], axis=1))
    metric = classification.MulticlassCalibrationError(num_classes=2, n_bins=15, norm="l1")
    expected = metric(both, torch.from_numpy(truth).long())
    assert counts.expected_error() == pytest.approx(expected.item(), abs=1e-6)
    assert counts.expected_error() > 0.05


def test_the_confidence_is_that_of_the_predicted_class():
    probabilities = ids([[60], [195]])[:, None]
    figures = figures_of([(ids([[0]]), Prediction(ids([[0]]), probabilities))], TWO)
    (only,) = figures.reliability
    assert (only.confidence, only.accuracy) == (pytest.approx(60 / 255), 1.0)


def test_no_confidence_without_a_counted_pixel():
    with pytest.raises(ModelError, match="both labelled and predicted"):
        ReliabilityCounts().expected_error()


@pytest.mark.parametrize(
    ("mask", "probabilities", "message"),
    [
        (np.zeros((2, 2), np.int64), np.zeros((3, 2, 2), np.uint8), "predicted mask has shape"),
        (np.zeros(4, np.uint8), np.zeros((3, 4), np.uint8), "predicted mask has shape"),
        (np.zeros((0, 2), np.uint8), np.zeros((3, 0, 2), np.uint8), "not empty"),
        (np.zeros((2, 2), np.uint8), np.zeros((3, 2, 3), np.uint8), "resize both"),
        (np.zeros((2, 2), np.uint8), np.zeros((3, 2, 2), np.float32), "dtype float32"),
        (np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), "resize both"),
    ],
)
def test_a_misshapen_prediction_is_refused(mask, probabilities, message):
    with pytest.raises(ModelError, match=message):
        Prediction(mask, probabilities)


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        (ids([[0, 0]]), certain(MASK), "truth has shape"),
        (TRUTH.astype(np.int64), certain(MASK), "dtype int64"),
        (TRUTH, certain(MASK, classes=4), "has 4 classes, expected 3"),
        (ids([[0, 3]]), certain(ids([[0, 0]])), "truth holds class id 3"),
        (ids([[0, 0]]), Prediction(ids([[0, 7]]), np.full((3, 1, 2), 85, np.uint8)), "id 7"),
        (TRUTH, Prediction(MASK, np.zeros((3, 2, 4), np.uint8)), "0 everywhere"),
    ],
)
def test_what_does_not_fit_is_refused_and_not_counted(truth, prediction, message):
    counts, _ = counted([(TRUTH, certain(MASK))])
    before = counts.figures(seed=1, resamples=5)
    with pytest.raises(ModelError, match=message):
        counts.add("bad", truth, prediction)
    assert counts.figures(seed=1, resamples=5) == before


def test_there_are_no_figures_of_nothing():
    with pytest.raises(ModelError, match="no labelled pixel"):
        EvaluationCounts(GROUND).figures(seed=1)
    unlabelled = np.full((2, 4), 255, np.uint8)
    with pytest.raises(ModelError, match="no labelled pixel"):
        figures_of([(unlabelled, certain(MASK))])
    unpredicted = (ids([[0, 255]]), certain(ids([[255, 0]])))
    with pytest.raises(ModelError, match="both labelled and predicted"):
        figures_of([unpredicted])


def test_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="hazard_threshold is 0"):
        EvaluationCounts(GROUND, hazard_threshold=0.0)
    counts, _ = counted([(TRUTH, certain(MASK))])
    with pytest.raises(ConfigError, match="resamples is 0"):
        counts.figures(seed=1, resamples=0)
    with pytest.raises(ConfigError, match="false_alarm_rate is 1"):
        counts.figures(seed=1, false_alarm_rate=1.0)


def test_figures_are_strict_json_even_with_absent_classes():
    truth = ids([[0, 0, 1, 255]])
    figures = figures_of([(truth, certain(ids([[0, 255, 1, 1]])))])
    plain = figures.to_json()

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    again = json.loads(json.dumps(plain, allow_nan=False), parse_constant=refuse)
    assert again == plain
    assert again["iou"] == {"soil": 0.5, "slope": 1.0, "rock": None}
    assert again["confusion"] == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert again["intervals"]["iou"]["rock"] is None
    assert again["hazard_recall"]["recall"] is None
