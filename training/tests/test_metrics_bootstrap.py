from __future__ import annotations

import numpy as np
import pytest

from evaluation_cases import GROUND, certain, figures_of, ids, random_pair
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import accuracy_of, mean_iou_of
from terrain_training.metrics import bootstrap as module
from terrain_training.metrics.bootstrap import ImageCounts, bootstrap


def mixed_pairs(count):
    """Return images of which some went well and some badly."""
    pairs = []
    for seed in range(count):
        truth, prediction = random_pair(seed, size_px=12)
        if seed % 3 == 0:
            prediction = certain(np.where(truth == 255, 0, truth).astype(np.uint8))
        pairs.append((truth, prediction))
    return pairs


def bounds_of(figures):
    """Return every interval beside the figure that it is of."""
    intervals = figures.intervals
    yield intervals.mean_iou, figures.mean_iou
    yield intervals.pixel_accuracy, figures.pixel_accuracy
    yield intervals.hazard_recall, figures.hazard_recall.recall
    yield intervals.false_safe_rate, figures.false_safe_rate
    for name, interval in intervals.iou.items():
        yield interval, figures.iou[name]


def test_one_seed_gives_one_interval():
    pairs = mixed_pairs(6)
    first, again, other = (figures_of(pairs, seed=seed).intervals for seed in (1, 1, 2))
    assert first == again
    assert first.mean_iou != other.mean_iou


def test_the_interval_holds_the_point_value():
    found = list(bounds_of(figures_of(mixed_pairs(12), resamples=400)))
    assert len(found) == 7
    for (low, high), value in found:
        assert 0.0 <= low < value < high <= 1.0


def test_fewer_images_give_wider_intervals():
    few = figures_of(mixed_pairs(6), resamples=400).intervals
    many = figures_of(mixed_pairs(6) * 8, resamples=400).intervals
    for name in ("mean_iou", "pixel_accuracy", "false_safe_rate"):
        (low, high), (lower, higher) = getattr(many, name), getattr(few, name)
        assert higher - lower > 2.0 * (high - low) > 0.0


def test_one_image_has_an_interval_without_width():
    figures = figures_of([random_pair(3)])
    for interval, value in bounds_of(figures):
        assert interval == pytest.approx((value, value))


@pytest.mark.parametrize("values_at_once", [4_000_000, 21])
def test_resamples_agree_with_evaluating_each_of_them(monkeypatch, values_at_once):
    monkeypatch.setattr(module, "_CHUNK_VALUES", values_at_once)
    pairs = mixed_pairs(3)
    ours = figures_of(pairs, seed=9, resamples=40).intervals
    drawn = np.random.default_rng(9).integers(0, 3, (40, 3))
    each = [figures_of([pairs[place] for place in places], resamples=1) for places in drawn]
    for wanted, values in (
        (ours.mean_iou, [item.mean_iou for item in each]),
        (ours.pixel_accuracy, [item.pixel_accuracy for item in each]),
        (ours.hazard_recall, [item.hazard_recall.recall for item in each]),
        (ours.false_safe_rate, [item.false_safe_rate for item in each]),
        (ours.iou["rock"], [item.iou["rock"] for item in each]),
    ):
        assert wanted == pytest.approx(tuple(np.percentile(values, [2.5, 97.5])))
        assert wanted[0] < wanted[1]


def test_a_class_that_no_image_has_gets_no_interval():
    truth = ids([[0, 1, 1, 1]])
    intervals = figures_of([(truth, certain(ids([[0, 0, 1, 1]])))] * 3).intervals
    assert intervals.iou["rock"] is None
    assert intervals.iou["soil"] == (0.5, 0.5)
    assert intervals.hazard_recall is None


def test_resamples_without_the_class_are_left_out():
    common, rare = ids([[0, 0, 0, 0]]), ids([[0, 0, 2, 2]])
    pairs = [(common, certain(common))] * 5 + [(rare, certain(ids([[0, 0, 2, 0]])))]
    assert figures_of(pairs, resamples=200).intervals.iou["rock"] == (0.5, 0.5)


@pytest.mark.parametrize("resamples", [0, -3])
def test_no_resamples_are_refused(resamples):
    counts = ImageCounts(
        confusions=np.ones((1, 3, 4), np.int32),
        levels=np.ones((1, 2, 257), np.int32),
        safe=np.ones((1, 2), np.int32),
    )
    with pytest.raises(ConfigError, match=f"resamples is {resamples}"):
        bootstrap(counts, GROUND.names, seed=1, resamples=resamples, false_alarm_rate=0.1)
    with pytest.raises(ConfigError, match="false_alarm_rate is -1"):
        bootstrap(counts, GROUND.names, seed=1, resamples=1, false_alarm_rate=-1)


def test_figures_of_stacked_matrices_by_hand():
    confusions = np.array([[[3, 1, 0], [0, 2, 2]], [[0, 0, 0], [1, 1, 0]], [[0] * 3] * 2], float)
    assert mean_iou_of(confusions) == pytest.approx([(3 / 4 + 2 / 5) / 2, 0.5, np.nan], nan_ok=True)
    assert accuracy_of(confusions) == pytest.approx([5 / 8, 0.5, np.nan], nan_ok=True)
