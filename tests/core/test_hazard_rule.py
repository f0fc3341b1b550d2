"""One rule says what is a hazard, for bytes, evidence and truth alike."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.hazard_rule import HazardRule

SOIL, SMALL_ROCK, ROCK = 0, 1, 2


def _rule(*hazards, threshold=0.5):
    return HazardRule(np.array(hazards, np.float32), threshold)


def _says(rule, *parts):
    return bool(rule.is_hazard(np.array(parts, np.uint8)[:, None])[0])


@pytest.mark.parametrize(
    "parts", [(1, 254, 0), (2, 253, 0), (0, 255, 0), (0, 254, 0), (60, 195, 0)]
)
def test_a_class_at_the_threshold_is_a_hazard_however_bytes_were_rounded(parts):
    assert _says(_rule(0.0, 0.5, 1.0), *parts)


@pytest.mark.parametrize("total", [252, 253, 254, 255, 256])
def test_parts_are_normalised_by_their_own_sum(total):
    half = total // 2
    parts = (total - half + 10, half - 10)
    assert _says(_rule(0.0, 1.0, threshold=(half - 10) / total), *parts)
    assert not _says(_rule(0.0, 1.0, threshold=(half - 9) / total), *parts)


def test_half_of_the_probability_decides():
    rule = _rule(0.0, 0.5, 0.5)
    assert _says(rule, 100, 50, 50)
    assert not _says(rule, 101, 50, 49)


@pytest.mark.requirement("TSR-SAFE-003")
def test_safe_classes_add_up_to_a_hazard_too():
    assert _says(_rule(0.4, 1.0), 200, 40)
    assert not _says(_rule(0.4, 1.0), 230, 20)


def test_the_score_is_the_threshold_where_a_class_decides():
    rule = _rule(0.0, 0.5, 1.0)
    found = rule.score(np.array([[10, 250, 60], [245, 5, 0], [0, 0, 195]], np.uint8))
    assert found[0] == pytest.approx(0.5)
    assert found[1] == pytest.approx(0.5 * 5 / 255)
    assert found[2] == pytest.approx(195 / 255)


def test_nothing_said_is_no_hazard_and_has_no_score():
    rule = _rule(0.0, 1.0)
    parts = np.zeros((2, 3), np.uint8)
    assert np.isnan(rule.score(parts)).all()
    assert not rule.is_hazard(parts).any()


@given(
    hazards=st.lists(st.floats(0.0, 1.0, width=32), min_size=1, max_size=6),
    threshold=st.floats(0.01, 1.0),
    certain=st.integers(1, 255),
    data=st.data(),
)
def test_truth_and_a_certain_prediction_agree(hazards, threshold, certain, data):
    rule = HazardRule(np.array(hazards, np.float32), threshold)
    one_hot = (np.eye(len(hazards)) * certain).astype(np.uint8)
    expected = rule.hazardous_classes()
    np.testing.assert_array_equal(rule.is_hazard(one_hot), expected)
    evidence = one_hot.astype(np.float32) * np.float32(data.draw(st.floats(1e-5, 10.0)))
    np.testing.assert_array_equal(rule.is_hazard(evidence), expected)


@pytest.mark.requirement("TSR-SAFE-003")
@given(parts=st.lists(st.integers(0, 255), min_size=3, max_size=3).filter(any))
def test_bytes_and_evidence_follow_the_rule_by_hand(parts):
    hazards = np.array([0.0, 0.5, 1.0])
    shares = np.array(parts) / sum(parts)
    expected = shares @ hazards >= 0.5 - 1e-9 or shares[1] + shares[2] >= 0.5 - 1e-9
    rule = _rule(0.0, 0.5, 1.0)
    assert _says(rule, *parts) == expected
    assert bool(rule.is_hazard(np.array(parts, np.float32)[:, None] * 0.013)[0]) == expected


def test_more_hazard_is_never_less_of_one():
    rule = _rule(0.1, 0.5, 0.8, threshold=0.3)
    answers = [_says(rule, 255 - moved, 0, moved) for moved in range(256)]
    assert answers == sorted(answers)
    assert set(answers) == {False, True}


def test_classes_at_the_threshold_are_told():
    rule = _rule(0.0, 0.5, 1.0)
    text = rule.advice(("soil", "small_rock", "rock"))
    assert "small_rock" in text
    assert "0.5" in text
    assert _rule(0.0, 0.4, 1.0).advice(("soil", "small_rock", "rock")) == ""


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_refused(threshold):
    with pytest.raises(ConfigError, match="hazard_threshold is"):
        _rule(0.5, threshold=threshold)


@given(
    parts=st.lists(st.lists(st.integers(0, 255), min_size=4, max_size=4), min_size=1, max_size=30),
    hazards=st.lists(st.integers(0, 20).map(lambda value: value / 20), min_size=4, max_size=4),
    threshold=st.integers(1, 20).map(lambda value: value / 20),
)
def test_the_fast_way_for_bytes_says_what_the_score_says(parts, hazards, threshold):
    rule = HazardRule(np.array(hazards, np.float32), threshold)
    values = np.array(parts, np.uint8).T
    np.testing.assert_array_equal(rule.is_hazard(values), rule.reaches(rule.score(values)))
