from __future__ import annotations

import numpy as np
import pytest

from evaluation_cases import (
    GROUND,
    ROCK,
    SLOPE,
    SOIL,
    case,
    certain,
    figures_of,
    gather,
    ids,
    random_pair,
)
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_training.evaluation.error_picture import (
    VERDICT_NAMES,
    VERDICT_RGB,
    Verdict,
    error_picture,
    verdicts_of,
)
from terrain_training.evaluation.worst_cases import LARGEST_SIDE_PX, WorstCases
from terrain_training.metrics.counts import EvaluationCounts, Prediction

RULE = HazardRule.of(GROUND, 0.5)
RED = (230, 36, 36)


def names(cases):
    return [item.figures.name for item in cases]


def test_every_verdict_by_hand():
    truth = ids([[255, SOIL, SOIL, SOIL, SOIL, ROCK, ROCK, ROCK]])
    mask = ids([[SOIL, SOIL, 255, SLOPE, ROCK, SLOPE, ROCK, 255]])
    verdicts = verdicts_of(truth, certain(mask), rule=RULE)
    expected = "IGNORED RIGHT UNPREDICTED CONFUSED FALSE_ALARM FALSE_SAFE RIGHT UNPREDICTED"
    assert [Verdict(value).name for value in verdicts[0]] == expected.split()
    assert set(VERDICT_RGB) == set(VERDICT_NAMES) == set(Verdict)


def test_the_score_decides_even_where_the_class_is_right():
    truth = ids([[ROCK, SOIL]])
    probabilities = ids([[60, 120], [80, 20], [115, 115]])[:, None]
    verdicts = verdicts_of(truth, Prediction(truth, probabilities), rule=RULE)
    assert verdicts.tolist() == [[Verdict.RIGHT, Verdict.RIGHT]]
    probabilities = ids([[140, 128], [0, 0], [115, 127]])[:, None]
    verdicts = verdicts_of(truth, Prediction(truth, probabilities), rule=RULE)
    assert verdicts.tolist() == [[Verdict.FALSE_SAFE, Verdict.RIGHT]]
    probabilities = ids([[0, 90], [0, 60], [255, 105]])[:, None]
    verdicts = verdicts_of(truth, Prediction(truth, probabilities), rule=RULE)
    assert verdicts.tolist() == [[Verdict.RIGHT, Verdict.FALSE_ALARM]]


def test_a_planted_false_safe_pixel_is_red():
    truth = np.zeros((20, 30), np.uint8)
    truth[8:12, 8:12] = ROCK
    mask = truth.copy()
    mask[9, 10] = SOIL
    picture = error_picture(verdicts_of(truth, certain(mask), rule=RULE))
    assert picture.shape == (20, 30, 3)
    assert VERDICT_RGB[Verdict.FALSE_SAFE] == RED
    assert np.argwhere((picture == RED).all(axis=-1)).tolist() == [[9, 10]]
    assert tuple(picture[9, 9]) == VERDICT_RGB[Verdict.RIGHT]


def test_verdicts_agree_with_the_counts():
    truth, prediction = random_pair(7)
    verdicts = verdicts_of(truth, prediction, rule=RULE)
    figures = figures_of([(truth, prediction)])
    assert (verdicts == Verdict.FALSE_SAFE).sum() == figures.false_safe_px > 0
    assert (verdicts == Verdict.UNPREDICTED).sum() == figures.unpredicted_px > 0
    assert (verdicts != Verdict.IGNORED).sum() == figures.labelled_px
    assert (verdicts == Verdict.FALSE_ALARM).any()


def test_the_worst_come_first_and_no_more_than_asked():
    cases = {"b": case(5), "none": case(0), "a": case(5), "most": case(20), "some": case(2)}
    _, worst = gather(cases, limit=3)
    assert names(worst.worst()) == ["most", "a", "b"]
    assert names(worst.typical()) and set(names(worst.typical())) == {"some", "none"}


def test_among_equally_unsafe_images_the_lower_mean_iou_is_worse():
    _, worst = gather({"a": case(3), "z": case(3, confused=30)}, limit=2)
    assert names(worst.worst()) == ["z", "a"]


def test_the_share_counts_and_not_the_number():
    _, worst = gather({"small": case(10), "large": case(20, side_px=40)}, limit=2)
    assert names(worst.worst()) == ["small", "large"]


def test_the_order_of_adding_changes_nothing():
    cases = {f"image {place}": case(place % 7, confused=place % 5) for place in range(40)}
    _, forward = gather(cases, limit=5)
    _, backward = gather(dict(reversed(cases.items())), limit=5)
    assert names(forward.worst()) == names(backward.worst())
    assert names(forward.typical()) == names(backward.typical())
    assert len(forward.worst()) == 5
    assert len(forward.typical()) == 5
    assert not set(names(forward.worst())) & set(names(forward.typical()))
    _, other = gather({name + "x": item for name, item in cases.items()}, limit=5)
    assert [name + "x" for name in names(forward.typical())] != names(other.typical())


def test_an_unlabelled_image_is_passed_over():
    truth = np.full((10, 10), 255, np.uint8)
    _, worst = gather({"blank": (truth, certain(np.zeros((10, 10), np.uint8)))})
    assert worst.worst() == worst.typical() == ()


def test_a_large_image_is_shrunk_but_keeps_its_lone_error():
    truth = np.zeros((600, 1100), np.uint8)
    truth[301, 501] = ROCK
    _, worst = gather({"large": (truth, certain(np.zeros_like(truth)))})
    (kept,) = worst.worst()
    assert kept.image.shape == (200, 367, 3)
    assert kept.truth.shape == kept.prediction.shape == kept.verdicts.shape == (200, 367)
    assert max(kept.verdicts.shape) <= LARGEST_SIDE_PX
    assert np.argwhere(kept.verdicts == Verdict.FALSE_SAFE).tolist() == [[100, 167]]
    assert (kept.image == 90).all()


def test_kept_images_are_copies():
    truth, prediction = case(4)
    image = np.full((10, 10), 30, np.uint8)
    worst = WorstCases(1, rule=RULE)
    worst.add(image, truth, prediction, EvaluationCounts(GROUND).add("a", truth, prediction))
    image[:], truth[:] = 0, 255
    assert (worst.worst()[0].image == 30).all()
    assert (worst.worst()[0].truth != 255).all()


@pytest.mark.parametrize("limit", [0, -2])
def test_no_worst_images_are_refused(limit):
    with pytest.raises(ConfigError, match=f"number of worst images is {limit}"):
        WorstCases(limit, rule=RULE)


def test_sizes_that_differ_are_refused():
    truth, prediction = case(4)
    figures = EvaluationCounts(GROUND).add("odd", truth, prediction)
    worst = WorstCases(1, rule=RULE)
    with pytest.raises(ModelError, match="odd: image"):
        worst.add(np.zeros((9, 10), np.uint8), truth, prediction, figures)
    with pytest.raises(ModelError, match="differ in size"):
        worst.add(np.zeros((9, 10), np.uint8), truth[:9], prediction, figures)
    assert worst.worst() == ()
