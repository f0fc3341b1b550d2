from __future__ import annotations

import math

import numpy as np
import pytest

from evaluation_cases import counted, random_pair
from terrain_seg_ros.core.errors import ModelError
from terrain_training.metrics.ood import SCORE, ood_auroc, ood_score


def flat(*bytes_):
    """Return a 4 x 5 image with the same probabilities everywhere."""
    return np.array(bytes_, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 5), np.uint8)


@pytest.mark.parametrize("bytes_", [(255, 0), (0, 255, 0), (0, 0, 0, 7)])
def test_a_certain_network_scores_zero(bytes_):
    assert ood_score(flat(*bytes_)) == 0.0


@pytest.mark.parametrize("bytes_", [(127, 127), (85, 85, 85), (51,) * 5, (1, 1, 1)])
def test_a_network_that_knows_nothing_scores_one(bytes_):
    assert ood_score(flat(*bytes_)) == pytest.approx(1.0, abs=1e-6)


def test_the_entropy_by_hand():
    shares = (0.6, 0.2, 0.2)
    expected = -sum(share * math.log(share) for share in shares) / math.log(3)
    assert ood_score(flat(153, 51, 51)) == pytest.approx(expected, abs=1e-6)


def test_two_candidates_score_below_many():
    assert ood_score(flat(128, 127, 0, 0)) == pytest.approx(0.5, abs=1e-4)
    assert ood_score(flat(128, 43, 42, 42)) > 0.8


def test_the_score_is_the_mean_over_the_pixels_that_were_seen():
    image = flat(85, 85, 85)
    image[:, :1] = np.array([255, 0, 0])[:, None, None]
    assert ood_score(image) == pytest.approx(0.75, abs=1e-6)
    image[:, :1] = 0
    assert ood_score(image) == pytest.approx(1.0, abs=1e-6)


def test_a_single_class_is_always_certain():
    assert ood_score(flat(140)) == 0.0


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        (np.zeros((4, 5), np.uint8), r"shape \(4, 5\)"),
        (np.zeros((3, 4, 5), np.float32), "dtype float32"),
        (np.zeros((3, 0, 5), np.uint8), "not empty"),
        (np.zeros((3, 4, 5), np.uint8), "0 everywhere"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, message):
    with pytest.raises(ModelError, match=message):
        ood_score(probabilities)


@pytest.mark.parametrize(
    ("inside", "outside", "expected"),
    [
        ([0.1, 0.2], [0.3, 0.4], 1.0),
        ([0.3, 0.4], [0.1, 0.2], 0.0),
        ([0.5, 0.5], [0.5], 0.5),
        ([0.1, 0.5], [0.5, 0.3], 0.625),
    ],
)
def test_auroc_by_hand(inside, outside, expected):
    assert ood_auroc(inside, outside) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_auroc_agrees_with_comparing_every_pair(seed):
    random = np.random.default_rng(seed)
    inside = random.integers(0, 8, 30) / 8
    outside = random.integers(2, 10, 17) / 8
    wins = [float(b > a) + 0.5 * float(b == a) for a in inside for b in outside]
    assert ood_auroc(inside, outside) == pytest.approx(np.mean(wins))
    assert ood_auroc(outside, inside) == pytest.approx(1.0 - np.mean(wins))


@pytest.mark.parametrize("bad", [[], [0.1, float("nan")], [float("inf")]])
def test_scores_that_are_none_are_refused(bad):
    with pytest.raises(ModelError, match="inside scores are"):
        ood_auroc(bad, [0.5])
    with pytest.raises(ModelError, match="outside scores are"):
        ood_auroc([0.5], bad)


def test_the_figures_tell_how_scores_are_spread_and_how_well_they_tell_images():
    counts, each = counted([random_pair(seed) for seed in range(5)])
    scores = [image.ood_score for image in each]
    assert counts.ood_scores().tolist() == scores
    alone = counts.figures(seed=1, resamples=2).out_of_distribution
    assert (alone.score, alone.auroc, alone.outside_images) == (SCORE, None, 0)
    assert alone.mean == pytest.approx(sum(scores) / 5)
    assert list(alone.percentiles) == ["1", "5", "25", "50", "75", "95", "99"]
    assert alone.percentiles["50"] == pytest.approx(sorted(scores)[2])
    assert alone.percentiles["25"] == pytest.approx(sorted(scores)[1])
    beside = sorted(scores)[1]
    told = counts.figures(seed=1, resamples=2, outside=[1.0, beside]).out_of_distribution
    assert told.auroc == pytest.approx((5 + 1.5) / 10)
    assert told.outside_images == 2
    with pytest.raises(ModelError, match="outside scores"):
        counts.figures(seed=1, resamples=2, outside=[])
