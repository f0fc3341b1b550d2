"""Hazard as the vehicle decides it, against the truth: false alarms and false safety."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import F32, F64, U8

LEVELS = 256
LEVEL_ROUNDING = 1e-3
"""Rounding must not move a score of exactly a level below it."""

Flags = NDArray[np.bool_]
Counts = NDArray[np.int32] | NDArray[np.int64]


def byte_scores(rule: HazardRule, probabilities: U8) -> F32:
    """Return the rule's scores, 0 to 255, of (K, H, W) bytes; 0 where all are 0."""
    score = rule.score(probabilities)
    score[np.isnan(score)] = 0.0
    score *= np.float32(LEVELS - 1)
    return score


def truly_hazardous(rule: HazardRule, truth: U8) -> Flags:
    """Return which labelled pixels are of a class that is a hazard."""
    table = np.zeros(256, dtype=bool)
    table[: len(rule.hazards)] = rule.hazardous_classes()
    return table[truth]


def false_safe(rule: HazardRule, truth: U8, mask: U8, probabilities: U8) -> Flags:
    """Return which pixels (H, W) are called safe and are hazardous in truth.

    Pixels that the prediction leaves unlabelled are not called safe: a vehicle avoids them.
    """
    seen = mask < len(rule.hazards)
    return truly_hazardous(rule, truth) & seen & ~rule.is_hazard(probabilities)


@dataclass(frozen=True)
class HazardCounts:
    """Labelled pixels: `levels` (2, 257) by truth (safe, hazardous) and score in bytes.

    The last level is no prediction: such pixels raise no alarm at any threshold and are not called
    safe.
    """

    levels: Counts
    labelled: int
    hazardous: int
    called_safe: int
    false_safe: int
    alarms: int

    @property
    def hits(self) -> int:
        """Return the hazardous pixels that raise an alarm."""
        return int(self.levels[1, :LEVELS].sum()) - self.false_safe


def count_hazards(truth: U8, mask: U8, *, probabilities: U8, rule: HazardRule) -> HazardCounts:
    """Return the counts of one image.

    Args:
        truth: (H, W) class ids, 255 where nothing counts.
        mask: (H, W) predicted class ids.
        probabilities: (K, H, W) bytes.
        rule: what is hazardous.
    """
    labelled = truth != IGNORE
    danger = truly_hazardous(rule, truth)[labelled]
    predicted = (mask < len(rule.hazards))[labelled]
    alarm = rule.is_hazard(probabilities)[labelled] & predicted
    scores = byte_scores(rule, probabilities)[labelled]
    level = np.clip(scores + LEVEL_ROUNDING, 0, LEVELS - 1).astype(np.int64)
    level[~predicted] = LEVELS
    levels = np.bincount(danger * (LEVELS + 1) + level, minlength=2 * (LEVELS + 1))
    return HazardCounts(
        levels=levels.reshape(2, LEVELS + 1).astype(np.int32),
        labelled=len(danger),
        hazardous=int(danger.sum()),
        called_safe=int((predicted & ~alarm).sum()),
        false_safe=int((danger & predicted & ~alarm).sum()),
        alarms=int(alarm.sum()),
    )


def add_hazards(counts: list[HazardCounts]) -> HazardCounts:
    """Return the sum over images, at least one."""
    return HazardCounts(
        levels=np.stack([item.levels for item in counts]).sum(axis=0, dtype=np.int64),
        labelled=sum(item.labelled for item in counts),
        hazardous=sum(item.hazardous for item in counts),
        called_safe=sum(item.called_safe for item in counts),
        false_safe=sum(item.false_safe for item in counts),
        alarms=sum(item.alarms for item in counts),
    )


def alarm_rates(levels: Counts | F64) -> tuple[F64, F64]:
    """Return false-alarm rate and recall if an alarm is a score of 0, 1, ... 255, or never.

    Args:
        levels: (..., 2, 257) pixels by truth and score, as in `HazardCounts`.

    Returns:
        Both (..., 257); NaN where there is no safe, or no hazardous pixel.
    """
    predicted = levels[..., :LEVELS]
    from_top = np.cumsum(predicted[..., ::-1], axis=-1, dtype=np.float64)[..., ::-1]
    never = np.zeros((*from_top.shape[:-1], 1))
    alarms = np.concatenate([from_top, never], axis=-1)
    whole = levels.sum(axis=-1, keepdims=True)
    rates = np.full(alarms.shape, np.nan)
    np.divide(alarms, whole, out=rates, where=whole > 0)
    return rates[..., 0, :], rates[..., 1, :]


def best_level(false_alarms: F64, rate: float) -> NDArray[np.int64]:
    """Return the lowest level (...) whose false-alarm rate is at most `rate`; 256 is never.

    Raises:
        ConfigError: the rate is out of range.
    """
    if not 0.0 <= rate < 1.0:
        raise ConfigError(f"false_alarm_rate is {rate}, expected 0 or more, less than 1")
    return np.asarray(np.argmax(false_alarms <= rate, axis=-1))


def recall_at(levels: Counts | F64, rate: float) -> F64:
    """Return the hazard recall (...) at the lowest level within a false-alarm rate, or NaN."""
    false_alarms, recall = alarm_rates(levels)
    best = best_level(false_alarms, rate)[..., None]
    chosen = np.take_along_axis(recall, best, axis=-1)[..., 0]
    return np.asarray(np.where(np.isnan(false_alarms[..., 0]), np.nan, chosen))
