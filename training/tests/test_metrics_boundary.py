from __future__ import annotations

import numpy as np
import pytest

from terrain_training.metrics.boundary import boundary_f1, tolerance_px

SIDE_PX = 60
NEIGHBOURS = ((0, 1), (1, 0), (0, -1), (-1, 0))


def split(column, side_px=SIDE_PX):
    """Return class 0 left of the column and class 1 from it on."""
    return (np.arange(side_px) >= column).astype(np.uint8)[None].repeat(side_px, axis=0)


def score(truth, mask):
    return boundary_f1(truth, mask, classes=3)


def edge_pixels(labels, wanted):
    """Return the places of a class beside another, one pixel after the other."""
    places = []
    for row, column in np.argwhere(labels == wanted):
        beside = [(row + down, column + across) for down, across in NEIGHBOURS]
        inside = [
            place for place in beside if min(place) >= 0 and np.less(place, labels.shape).all()
        ]
        if any(labels[place] not in (wanted, 255) for place in inside):
            places.append((row, column))
    return np.array(places, dtype=np.float64).reshape(-1, 2)


def reaches(places, targets, reach_px):
    if not len(targets):
        return np.zeros(len(places), dtype=bool)
    away = np.linalg.norm(places[:, None] - targets[None], axis=-1).min(axis=1)
    return away <= reach_px + 1e-9


def brute_force(truth, mask, classes):
    reach_px = max(1.0, 0.0075 * np.hypot(*truth.shape))
    ignored = np.argwhere(truth == 255).astype(np.float64)
    scores = []
    for index in range(classes):
        true, predicted = (edge_pixels(each, index) for each in (truth, mask))
        judged_true, judged = (p[~reaches(p, ignored, reach_px)] for p in (true, predicted))
        if not len(judged_true):
            scores.append(np.nan)
            continue
        recall = reaches(judged_true, predicted, reach_px).mean()
        precision = reaches(judged, true, reach_px).mean() if len(judged) else 0.0
        whole = precision + recall
        scores.append(2 * precision * recall / whole if whole else 0.0)
    return np.array(scores)


def test_identical_masks_score_one():
    np.testing.assert_array_equal(score(split(20), split(20)), [1.0, 1.0, np.nan])


@pytest.mark.parametrize(("column", "expected"), [(19, 1.0), (21, 1.0), (22, 0.0), (40, 0.0)])
def test_an_outline_may_lie_one_pixel_off(column, expected):
    np.testing.assert_array_equal(score(split(20), split(column)), [expected, expected, np.nan])


def test_a_half_right_outline_by_hand():
    mask = split(20)
    mask[30:] = split(40)[30:]
    # Class 0: rows 0-28 and the first 2 pixels of the step are near; columns 22-39 of row 30
    # are not, nor rows 31-59 of column 39. Of the truth, rows 0-30 of column 19 are near.
    precision, recall = (30 + 1) / (30 + 20 + 29), 31 / 60
    expected = 2 * precision * recall / (precision + recall)
    assert score(split(20), mask)[0] == pytest.approx(expected)


def test_the_tolerance_grows_with_the_image():
    assert tolerance_px(300, 400) == pytest.approx(3.75)
    assert tolerance_px(60, 60) == 1.0
    assert score(split(150, 400), split(153, 400))[0] == 1.0
    assert tolerance_px(400, 400) == pytest.approx(4.2426, abs=1e-4)
    assert score(split(150, 400), split(154, 400))[0] == 1.0
    assert score(split(150, 400), split(155, 400))[0] == 0.0


def test_truth_without_an_outline_says_nothing():
    plain = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    assert np.isnan(score(plain, split(20))).all()


def test_a_prediction_without_an_outline_scores_zero():
    plain = np.zeros((SIDE_PX, SIDE_PX), np.uint8)
    np.testing.assert_array_equal(score(split(20), plain), [0.0, 0.0, np.nan])


def test_labels_that_leave_the_outline_open_say_nothing():
    truth = split(20)
    truth[:, 18:22] = 255
    assert np.isnan(score(truth, split(20))).all()


def test_what_lies_under_ignored_pixels_changes_nothing():
    mask = split(20)
    mask[31:] = split(40)[31:]
    truth = split(20)
    assert score(truth, mask)[0] < 0.8
    truth[30:] = 255
    np.testing.assert_array_equal(score(truth, mask), [1.0, 1.0, np.nan])


def test_the_border_of_unpredicted_pixels_is_no_outline():
    mask = split(20)
    mask[mask == 1] = 255
    np.testing.assert_array_equal(score(split(20), mask), [0.0, 0.0, np.nan])


def test_a_class_only_predicted_has_no_score():
    mask = split(20)
    mask[:, 50:] = 2
    scores = score(split(20), mask)
    assert np.isnan(scores[2])
    assert scores[0] == 1.0
    assert scores[1] == pytest.approx(2 * 0.5 / 1.5)


@pytest.mark.parametrize("seed", range(6))
def test_counting_pixel_by_pixel_agrees(seed):
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, (6, 8)).astype(np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    mask = truth.copy()
    mask[:, 3:] = np.where(random.random((24, 1)) < 0.6, truth[:, :-3], mask[:, 3:])
    mask[random.random(mask.shape) < 0.03] = 255
    truth[random.random(truth.shape) < 0.02] = 255
    ours = score(truth, mask)
    np.testing.assert_allclose(ours, brute_force(truth, mask, 3))
    assert ((ours > 0.2) & (ours < 1.0)).all()
