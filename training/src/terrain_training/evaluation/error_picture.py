"""Where a prediction is wrong, and how badly, in colours."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_training.metrics.counts import Prediction
from terrain_training.metrics.hazard import false_safe, truly_hazardous


class Verdict(IntEnum):
    """The verdict on one pixel; the larger, the worse for the vehicle."""

    IGNORED = 0
    RIGHT = 1
    UNPREDICTED = 2
    CONFUSED = 3
    FALSE_ALARM = 4
    FALSE_SAFE = 5


VERDICT_RGB: dict[Verdict, tuple[int, int, int]] = {
    Verdict.FALSE_SAFE: (230, 36, 36),
    Verdict.FALSE_ALARM: (245, 176, 40),
    Verdict.CONFUSED: (116, 138, 164),
    Verdict.UNPREDICTED: (104, 78, 128),
    Verdict.RIGHT: (42, 46, 44),
    Verdict.IGNORED: (0, 0, 0),
}
VERDICT_NAMES: dict[Verdict, str] = {
    Verdict.FALSE_SAFE: "hazardous, but called safe",
    Verdict.FALSE_ALARM: "safe, but called hazardous",
    Verdict.CONFUSED: "other confusion",
    Verdict.UNPREDICTED: "no prediction",
    Verdict.RIGHT: "right",
    Verdict.IGNORED: "ignored",
}


def verdicts_of(truth: U8, prediction: Prediction, *, rule: HazardRule) -> U8:
    """Return the verdict (H, W) on each pixel.

    A pixel whose class is right is still a false alarm or falsely safe if its hazard score, which
    sums over all classes, says so.

    Args:
        truth: (H, W) class ids, 255 where nothing counts.
        prediction: of the same size.
        rule: what is hazardous.
    """
    mask, probabilities = prediction.mask, prediction.probabilities
    predicted = mask < len(rule.hazards)
    alarms = rule.is_hazard(probabilities) & predicted
    verdicts = np.where(truth == mask, Verdict.RIGHT, Verdict.CONFUSED).astype(np.uint8)
    verdicts[~predicted] = Verdict.UNPREDICTED
    verdicts[alarms & ~truly_hazardous(rule, truth)] = Verdict.FALSE_ALARM
    verdicts[false_safe(rule, truth, mask, probabilities)] = Verdict.FALSE_SAFE
    verdicts[truth == IGNORE] = Verdict.IGNORED
    return verdicts


def error_picture(verdicts: U8) -> U8:
    """Return verdicts (H, W) in colours (H, W, 3) RGB."""
    table = np.zeros((256, 3), dtype=np.uint8)
    for verdict, rgb in VERDICT_RGB.items():
        table[verdict] = rgb
    return table[verdicts]
