from __future__ import annotations

import numpy as np
import pytest

from evaluation_cases import (
    GROUND,
    ROCK,
    SLOPE,
    SOIL,
    TWO,
    certain,
    counted,
    dangerous,
    figures_of,
    ids,
    random_pair,
)
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.metrics.counts import EvaluationCounts, Prediction
from terrain_training.metrics.hazard import (
    add_hazards,
    alarm_rates,
    best_level,
    byte_scores,
    count_hazards,
    false_safe,
    recall_at,
    truly_hazardous,
)

SAFE = np.arange(0, 200, 10, dtype=np.uint8)
DANGER = np.array([100, 185, 195, 250], dtype=np.uint8)
"""Hazard scores of 20 safe and 4 hazardous pixels."""


def planted(safe=SAFE, danger=DANGER):
    truth = np.repeat([0, 1], [len(safe), len(danger)]).astype(np.uint8)
    return truth[None], dangerous(np.concatenate([safe, danger]).astype(np.uint8)[None])


@pytest.mark.parametrize(
    ("rate", "recall", "level", "false_alarms"),
    [
        (0.0, 0.5, 191, 0.0),
        (0.05, 0.75, 181, 0.05),
        (0.06, 0.75, 181, 0.05),
        (0.1, 0.75, 171, 0.1),
        (0.5, 1.0, 91, 0.5),
        (0.99, 1.0, 1, 0.95),
    ],
)
def test_hazard_recall_within_a_false_alarm_rate(rate, recall, level, false_alarms):
    found = figures_of([planted()], TWO, false_alarm_rate=rate).hazard_recall
    assert found.recall == pytest.approx(recall)
    assert found.threshold == pytest.approx(level / 255)
    assert found.false_alarm_rate == pytest.approx(false_alarms)
    assert found.wanted == rate


def test_only_silence_keeps_to_the_rate_if_safe_ground_is_called_hazardous():
    figures = figures_of([planted(safe=np.array([255, 0]))], TWO, false_alarm_rate=0.1)
    found = figures.hazard_recall
    assert (found.recall, found.threshold, found.false_alarm_rate) == (0.0, None, 0.0)
    assert figures.intervals.hazard_recall == (0.0, 0.0)


def test_the_threshold_is_found_over_all_images_together():
    truth, prediction = planted()
    halves = [
        (truth[:, part], Prediction(prediction.mask[:, part], prediction.probabilities[:, :, part]))
        for part in (np.s_[:11], np.s_[11:])
    ]
    assert figures_of(halves, TWO).hazard_recall == figures_of([planted()], TWO).hazard_recall


def test_false_safety_by_hand():
    figures = figures_of([planted()], TWO)
    assert (figures.called_safe_px, figures.false_safe_px) == (14, 1)
    assert figures.false_safe_rate == pytest.approx(1 / 14)
    assert figures.missed_hazard_share == pytest.approx(1 / 4)
    assert figures.hazard_iou == pytest.approx(3 / (10 + 4 - 3))
    assert figures.hazard_dice == pytest.approx(2 * 3 / (10 + 4))
    assert figures.hazardous_classes == ("danger",)


@pytest.mark.parametrize(
    ("soil", "slope", "rock", "safe"),
    [
        (140, 0, 115, True),
        (0, 200, 55, False),
        (0, 212, 43, False),
        (0, 213, 42, True),
        (60, 95, 100, False),
        (128, 0, 127, True),
    ],
)
def test_the_score_sums_the_hazard_of_all_classes(soil, slope, rock, safe):
    probabilities = ids([[soil], [slope], [rock]])[:, None]
    mask = probabilities.argmax(axis=0).astype(np.uint8)
    _, (image,) = counted([(ids([[ROCK]]), Prediction(mask, probabilities))])
    assert 0.4 * slope + rock < 127.5 if safe else 0.4 * slope + rock >= 127.5
    assert image.called_safe_px == image.false_safe_px == int(safe)


def test_the_threshold_sets_which_classes_are_hazardous():
    truth = ids([[SLOPE, SLOPE, ROCK, SOIL]])
    prediction = certain(ids([[SOIL, SLOPE, SLOPE, SOIL]]))
    names, false_safe = [], []
    for threshold in (0.3, 0.4, 0.5, 1.0):
        counts = EvaluationCounts(GROUND, hazard_threshold=threshold)
        counts.add("image", truth, prediction)
        figures = counts.figures(seed=1, resamples=2)
        assert figures.hazard_threshold == threshold
        names.append(figures.hazardous_classes)
        false_safe.append(figures.false_safe_px)
    assert names == [("slope", "rock"), ("slope", "rock"), ("rock",), ("rock",)]
    assert false_safe == [1, 1, 1, 1]


@pytest.mark.parametrize("hazard", [0.1, 0.3, 0.6, 0.7, 0.9])
def test_a_certain_class_is_alarmed_at_its_own_hazard(hazard):
    taxonomy = Taxonomy((TerrainClass(0, "only", (1, 2, 3), hazard),))
    rule = HazardRule.of(taxonomy, hazard)
    assert rule.hazardous_classes().tolist() == [True]
    assert rule.is_hazard(np.full((1, 1, 1), 255, np.uint8)).all()
    above = HazardRule.of(taxonomy, hazard + 0.01)
    assert above.hazardous_classes().tolist() == [False]
    assert not above.is_hazard(np.full((1, 1, 1), 255, np.uint8)).any()


def test_a_score_a_rounding_below_its_level_counts_in_it():
    hazards = (0.01, 0.05, 0.0)
    taxonomy = Taxonomy(
        tuple(TerrainClass(i, f"class {i}", (i, i, i), hazard) for i, hazard in enumerate(hazards))
    )
    rule = HazardRule.of(taxonomy, 0.5)
    probabilities = ids([[80], [4], [171]])[:, None]
    assert byte_scores(rule, probabilities)[0, 0] < 1.0
    found = count_hazards(ids([[2]]), ids([[2]]), probabilities=probabilities, rule=rule)
    assert np.argwhere(found.levels).tolist() == [[0, 1]]


def test_unpredicted_hazards_are_neither_called_safe_nor_found():
    truth = ids([[0, 0, 1, 1]])
    probabilities = ids([[255, 255, 0, 0], [0, 0, 255, 255]])[:, None]
    figures = figures_of([(truth, Prediction(ids([[0, 255, 1, 255]]), probabilities))], TWO)
    assert (figures.called_safe_px, figures.false_safe_px) == (1, 0)
    assert figures.missed_hazard_share == 0.0
    assert figures.hazard_recall.recall == 0.5
    assert figures.hazard_iou == 0.5
    assert figures.alarm_curve.recalls[0] == 0.5
    assert figures.alarm_curve.false_alarm_rates[0] == 0.5


def test_ignored_pixels_are_neither_safe_nor_hazardous():
    truth, prediction = planted()
    hidden = truth.copy()
    hidden[0, [19, 20]] = 255
    figures = figures_of([(hidden, prediction)], TWO)
    assert (figures.called_safe_px, figures.false_safe_px, figures.labelled_px) == (13, 0, 22)
    assert figures.hazard_recall.false_alarm_rate == pytest.approx(0.0)
    assert figures.hazard_recall.recall == pytest.approx(1.0)


def test_truth_without_hazard_has_no_recall():
    figures = figures_of([planted(danger=np.array([], np.uint8))], TWO)
    found = figures.hazard_recall
    assert (found.recall, found.threshold, found.false_alarm_rate) == (None, None, None)
    assert figures.missed_hazard_share is None
    assert figures.false_safe_rate == 0.0
    assert figures.alarm_curve.recalls == figures.alarm_curve.false_alarm_rates == ()
    assert figures.intervals.hazard_recall is None


def test_truth_without_safe_ground_has_no_false_alarm_rate():
    figures = figures_of([planted(safe=np.array([], np.uint8))], TWO)
    assert figures.hazard_recall.recall is None
    assert figures.false_safe_rate == 1.0
    assert figures.missed_hazard_share == 0.25


def test_without_a_hazardous_class_no_rate_is_made_up():
    harmless = TWO.with_hazards({"danger": 0.2})
    figures = figures_of([planted()], harmless)
    assert figures.hazardous_classes == ()
    assert figures.false_safe_rate is None
    assert figures.intervals.false_safe_rate is None
    assert figures.missed_hazard_share is None
    assert figures.hazard_iou is None
    assert figures.hazard_dice is None


@pytest.mark.parametrize("hazard", [0.5, 1.0, 0.0])
def test_classes_of_one_hazard_give_no_figures_of_hazards_and_no_red_picture(hazard):
    alike = GROUND.with_hazards(dict.fromkeys(GROUND.names, hazard))
    figures = figures_of([random_pair(1), random_pair(2)], alike)
    assert "no class is" in figures.hazard_unavailable
    assert f"all classes have hazard {hazard:g}" in figures.hazard_unavailable
    for name in ("false_safe_rate", "missed_hazard_share", "hazard_iou", "hazard_dice"):
        assert getattr(figures, name) is None
        assert figures.to_json()[name] is None
    assert figures.hazard_recall.recall is None
    assert figures.intervals.false_safe_rate is None
    rule = HazardRule.of(alike, 0.5)
    truth, prediction = random_pair(1)
    assert not false_safe(rule, truth, prediction.mask, prediction.probabilities).any()


def test_a_class_at_the_threshold_is_found_however_its_bytes_were_rounded():
    at = GROUND.with_hazards({"slope": 0.5})
    probabilities = ids([[2, 0], [252, 255], [0, 0]])[:, None]
    figures = figures_of(
        [(ids([[SLOPE, SLOPE]]), Prediction(ids([[SLOPE, SLOPE]]), probabilities))], at
    )
    assert figures.missed_hazard_share == 0.0
    assert figures.false_safe_px == 0


def test_the_alarm_curve_agrees_with_counting_at_every_threshold():
    pairs = [random_pair(seed) for seed in range(3)]
    curve = figures_of(pairs).alarm_curve
    rule = HazardRule.of(GROUND, 0.5)
    truth = np.stack([truth for truth, _ in pairs])
    mask = np.stack([item.mask for _, item in pairs])
    scores = np.stack([byte_scores(rule, item.probabilities) for _, item in pairs]) + 1e-3
    scores[mask == 255] = -1.0
    for level in range(256):
        alarms = scores >= level if level else mask != 255
        for danger, rates in (
            (truth == ROCK, curve.recalls),
            ((truth == SOIL) | (truth == SLOPE), curve.false_alarm_rates),
        ):
            assert rates[level] == pytest.approx(alarms[danger].mean())


def test_the_alarm_curve_falls_to_silence():
    curve = figures_of([random_pair(1), random_pair(2)]).alarm_curve
    for rates in (curve.false_alarm_rates, curve.recalls):
        assert len(rates) == 257
        assert (np.diff(rates) <= 0.0).all()
        assert 0.8 < rates[0] < 1.0
        assert rates[-1] == 0.0


def test_counts_add_up_over_images():
    rule = HazardRule.of(GROUND, 0.5)
    pairs = [random_pair(seed) for seed in (3, 4)]
    each = [
        count_hazards(truth, item.mask, probabilities=item.probabilities, rule=rule)
        for truth, item in pairs
    ]
    both = add_hazards(each)
    truth = np.stack([truth for truth, _ in pairs])
    assert both.labelled == int((truth != 255).sum()) == int(both.levels.sum())
    assert both.hazardous == int((truth == ROCK).sum()) == int(both.levels[1].sum())
    assert both.hits == sum(
        int((truly_hazardous(rule, truth) & (item.mask != 255)).sum())
        - int(false_safe(rule, truth, item.mask, item.probabilities).sum())
        for truth, item in pairs
    )
    assert both.false_safe == each[0].false_safe + each[1].false_safe > 0


def test_recall_of_many_sets_at_once_is_that_of_each():
    rule = HazardRule.of(GROUND, 0.5)
    levels = np.stack(
        [
            count_hazards(truth, item.mask, probabilities=item.probabilities, rule=rule).levels
            for truth, item in map(random_pair, range(5))
        ]
    )
    levels[4, 0] = 0
    together = recall_at(levels, 0.1)
    assert np.isnan(together[4])
    for one, recall in zip(levels[:4], together):
        false_alarms, recalls = alarm_rates(one)
        allowed = [found for alarms, found in zip(false_alarms, recalls) if alarms <= 0.1]
        assert recall == max(allowed) > 0.0


@pytest.mark.parametrize("threshold", [0.0, -0.1, 1.01, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ConfigError, match="hazard_threshold is"):
        HazardRule.of(GROUND, threshold)


@pytest.mark.parametrize("rate", [-0.01, 1.0, 2.0, float("nan")])
def test_a_rate_out_of_range_is_refused(rate):
    with pytest.raises(ConfigError, match="false_alarm_rate is"):
        best_level(np.zeros(257), rate)
