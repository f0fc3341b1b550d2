"""Every figure of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from terrain_training.metrics.bootstrap import Intervals
from terrain_training.metrics.reliability import ReliabilityBin

PerClass = Mapping[str, float | None]
"""By class name; None where the class is neither in the truth nor predicted."""


@dataclass(frozen=True)
class HazardRecall:
    """The share of hazardous pixels that raise an alarm at a bounded false-alarm rate.

    `threshold` is the lowest hazard score, 0 to 1, that keeps to the rate `wanted`; None where
    only silence does. `false_alarm_rate` is the share of safe pixels alarmed there. Recall and
    rate are None where the truth has no hazardous, or no safe pixel.
    """

    recall: float | None
    threshold: float | None
    false_alarm_rate: float | None
    wanted: float


@dataclass(frozen=True)
class AlarmCurve:
    """Hold, for each threshold 0/255, 1/255, ... and for never, what an alarm would find.

    Both are empty where the truth has no hazardous, or no safe pixel.
    """

    false_alarm_rates: tuple[float, ...]
    recalls: tuple[float, ...]


@dataclass(frozen=True)
class OutOfDistribution:
    """How undecided the network was per image: `score` says what is measured.

    `auroc` is how well the score tells `outside_images` other images apart; None without any.
    """

    score: str
    mean: float
    percentiles: Mapping[str, float]
    auroc: float | None
    outside_images: int


@dataclass(frozen=True)
class EvaluationFigures:
    """Everything that `terrain-train evaluate` reports. Shares and rates are 0 to 1.

    `mean_iou` and `mean_boundary_f1` are over the classes in the truth; `boundary_images` counts
    the images whose truth outlines a class, over which its boundary F1 is the mean. `confusion`
    has truth in rows and prediction in columns; `unpredicted_px` labelled pixels have no
    prediction, and are what a row lacks of its class in `truth_px`.
    `false_safe_rate` is the share of the pixels called safe (hazard score below
    `hazard_threshold`) that are hazardous in truth, `missed_hazard_share` the share of the
    hazardous pixels that are called safe; None where there are no such pixels. All that is said of
    hazards is None where no class is hazardous or none is safe; `hazard_unavailable` says why then.
    """

    images: int
    labelled_px: int
    unpredicted_px: int
    hazard_threshold: float
    hazardous_classes: tuple[str, ...]
    hazard_unavailable: str | None
    false_safe_rate: float | None
    false_safe_px: int
    called_safe_px: int
    missed_hazard_share: float | None
    hazard_recall: HazardRecall
    hazard_dice: float | None
    hazard_iou: float | None
    alarm_curve: AlarmCurve
    mean_iou: float
    pixel_accuracy: float
    iou: PerClass
    precision: PerClass
    recall: PerClass
    dice: PerClass
    truth_px: Mapping[str, int]
    confusion: tuple[tuple[int, ...], ...]
    boundary_f1: PerClass
    mean_boundary_f1: float | None
    boundary_images: Mapping[str, int]
    expected_calibration_error: float
    reliability: tuple[ReliabilityBin, ...]
    out_of_distribution: OutOfDistribution
    intervals: Intervals
    resamples: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Return the figures as what JSON can hold: no tuple, no NaN."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), allow_nan=False))
        return plain


@dataclass(frozen=True)
class ImageFigures:
    """What is said of one image; None where it has no labelled pixel."""

    name: str
    labelled_px: int
    mean_iou: float | None
    pixel_accuracy: float | None
    hazardous_px: int
    called_safe_px: int
    false_safe_px: int
    ood_score: float


@dataclass(frozen=True)
class Comparison:
    """One table of the report: figures by row name, None where there is none."""

    title: str
    columns: tuple[str, ...]
    rows: Mapping[str, tuple[float | None, ...]]
