"""Count predictions against truth, image by image, and draw the figures from the counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.scores.segmentation_metrics import (
    IGNORE,
    ConfusionMatrix,
    accuracy_of,
    confusion_of,
    mean_iou_of,
)
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F64, U8
from terrain_training.metrics import ood
from terrain_training.metrics.bootstrap import ImageCounts, bootstrap
from terrain_training.metrics.boundary import boundary_f1
from terrain_training.metrics.figures import (
    AlarmCurve,
    EvaluationFigures,
    HazardRecall,
    ImageFigures,
    OutOfDistribution,
    PerClass,
)
from terrain_training.metrics.hazard import (
    LEVELS,
    HazardCounts,
    add_hazards,
    alarm_rates,
    best_level,
    count_hazards,
)
from terrain_training.metrics.reliability import ReliabilityCounts


@dataclass(frozen=True)
class Prediction:
    """What a network says of one image, at the size of its truth.

    `mask` is (H, W) class ids, 255 where nothing is predicted; `probabilities` (K, H, W),
    probability x 255.
    """

    mask: U8
    probabilities: U8

    def __post_init__(self) -> None:
        """Check shapes and dtypes."""
        mask, probabilities = self.mask, self.probabilities
        if mask.ndim != 2 or mask.dtype != np.uint8 or not mask.size:
            raise ModelError(
                f"predicted mask has shape {mask.shape} and dtype {mask.dtype}, "
                "expected (H, W) of uint8, not empty"
            )
        fits = probabilities.ndim == 3 and probabilities.shape[1:] == mask.shape
        if not fits or probabilities.dtype != np.uint8:
            raise ModelError(
                f"probabilities have shape {probabilities.shape} and dtype "
                f"{probabilities.dtype}, expected (K, {mask.shape[0]}, {mask.shape[1]}) of "
                "uint8 as the mask; resize both to the truth"
            )


class EvaluationCounts:
    """Gather counts of any number of images; of each one, only small arrays are kept."""

    def __init__(self, taxonomy: Taxonomy, *, hazard_threshold: float = 0.5) -> None:
        """Start empty.

        Args:
            taxonomy: the classes, with the hazards that the vehicle uses.
            hazard_threshold: from which hazard on ground is hazardous, as the vehicle's
                `cost.hazard_threshold`.

        Raises:
            ConfigError: the threshold is out of range.
        """
        self._taxonomy = taxonomy
        self._rule = HazardRule.of(taxonomy, hazard_threshold)
        self._pooled = ConfusionMatrix(taxonomy.names)
        self._reliability = ReliabilityCounts()
        self._confusions: list[NDArray[np.int32]] = []
        self._hazards: list[HazardCounts] = []
        self._boundaries: list[F64] = []
        self._ood_scores: list[float] = []

    def ood_scores(self) -> F64:
        """Return the out-of-distribution score of each image, in the order of adding."""
        return np.array(self._ood_scores, dtype=np.float64)

    def add(self, name: str, truth: U8, prediction: Prediction) -> ImageFigures:
        """Count one image.

        Args:
            name: for messages and the report.
            truth: (H, W) class ids, 255 where nothing counts.
            prediction: of the same size.

        Raises:
            ModelError: truth, prediction and classes do not fit each other; nothing is counted.
        """
        self._check(name, truth, prediction)
        mask, probabilities = prediction.mask, prediction.probabilities
        score = ood.ood_score(probabilities)
        confusion = confusion_of(truth, mask, classes=len(self._taxonomy)).astype(np.int32)
        hazards = count_hazards(truth, mask, probabilities=probabilities, rule=self._rule)
        self._pooled.add(truth, mask)
        self._reliability.add(truth, mask, _confidence(mask, probabilities))
        self._confusions.append(confusion)
        self._hazards.append(hazards)
        self._boundaries.append(boundary_f1(truth, mask, classes=len(self._taxonomy)))
        self._ood_scores.append(score)
        return ImageFigures(
            name=name,
            labelled_px=hazards.labelled,
            mean_iou=_known(mean_iou_of(confusion)),
            pixel_accuracy=_known(accuracy_of(confusion)),
            hazardous_px=hazards.hazardous,
            called_safe_px=hazards.called_safe,
            false_safe_px=hazards.false_safe,
            ood_score=score,
        )

    def merge(self, other: EvaluationCounts) -> None:
        """Add the counts of further images, of the same classes and threshold, after the own."""
        self._pooled.merge(other._pooled)
        self._reliability.merge(other._reliability)
        self._confusions += other._confusions
        self._hazards += other._hazards
        self._boundaries += other._boundaries
        self._ood_scores += other._ood_scores

    def figures(
        self,
        *,
        seed: int,
        resamples: int = 1000,
        false_alarm_rate: float = 0.05,
        outside: Sequence[float] | F64 | None = None,
    ) -> EvaluationFigures:
        """Return the figures of everything added so far.

        Args:
            seed: of the bootstrap.
            resamples: of the bootstrap.
            false_alarm_rate: share of safe pixels that may be alarmed, for the hazard recall.
            outside: out-of-distribution scores of images unlike these, if there are any.

        Raises:
            ModelError: nothing labelled was added, or nothing labelled is predicted.
            ConfigError: there are no resamples, or the rate is out of range.
        """
        scores = self._pooled.scores()
        hazard = add_hazards(self._hazards)
        boundaries, mean_boundary, outlined = self._boundary_figures()
        return EvaluationFigures(
            images=scores.images,
            labelled_px=hazard.labelled,
            unpredicted_px=int(hazard.levels[:, LEVELS].sum()),
            hazard_threshold=self._rule.threshold,
            hazardous_classes=self._hazardous_names(),
            hazard_unavailable=self._rule.undivided() or None,
            false_safe_rate=_false_safe_rate(hazard, self._rule),
            false_safe_px=hazard.false_safe,
            called_safe_px=hazard.called_safe,
            missed_hazard_share=self._divided(hazard.false_safe, hazard.hazardous),
            hazard_recall=_hazard_recall(hazard, false_alarm_rate),
            hazard_dice=self._divided(2 * hazard.hits, hazard.alarms + hazard.hazardous),
            hazard_iou=self._divided(hazard.hits, hazard.alarms + hazard.hazardous - hazard.hits),
            alarm_curve=_alarm_curve(hazard),
            mean_iou=scores.mean_iou,
            pixel_accuracy=scores.pixel_accuracy,
            iou=scores.iou,
            precision=scores.precision,
            recall=scores.recall,
            dice={name: _dice(iou) for name, iou in scores.iou.items()},
            truth_px=dict(zip(self._taxonomy.names, self._truth_px())),
            confusion=tuple(tuple(row) for row in scores.confusion),
            boundary_f1=boundaries,
            mean_boundary_f1=mean_boundary,
            boundary_images=outlined,
            expected_calibration_error=self._reliability.expected_error(),
            reliability=self._reliability.bins(),
            out_of_distribution=self._ood_figures(outside),
            intervals=bootstrap(
                self._image_counts(),
                self._taxonomy.names,
                seed=seed,
                resamples=resamples,
                false_alarm_rate=false_alarm_rate,
            ),
            resamples=resamples,
            seed=seed,
        )

    def _check(self, name: str, truth: U8, prediction: Prediction) -> None:
        classes = len(self._taxonomy)
        if truth.shape != prediction.mask.shape or truth.dtype != np.uint8:
            raise ModelError(
                f"{name}: truth has shape {truth.shape} and dtype {truth.dtype}, expected "
                f"{prediction.mask.shape} of uint8 as the prediction; resize the prediction"
            )
        if len(prediction.probabilities) != classes:
            raise ModelError(
                f"{name}: prediction has {len(prediction.probabilities)} classes, expected "
                f"{classes}: {list(self._taxonomy.names)}; evaluate with the model's own classes"
            )
        for what, ids in (("truth", truth), ("predicted mask", prediction.mask)):
            wrong = ids[(ids >= classes) & (ids != IGNORE)]
            if wrong.size:
                raise ModelError(
                    f"{name}: {what} holds class id {int(wrong.max())}, but there are only "
                    f"{classes} classes; map the values by name"
                )

    def _image_counts(self) -> ImageCounts:
        divided = not self._rule.undivided()
        safe = [(item.called_safe * divided, item.false_safe) for item in self._hazards]
        return ImageCounts(
            confusions=np.stack(self._confusions),
            levels=np.stack([item.levels for item in self._hazards]),
            safe=np.array(safe, dtype=np.int32),
        )

    def _divided(self, part: float, whole: float) -> float | None:
        """Return a share of hazards; None where classes do not tell hazards from safe ground."""
        return None if self._rule.undivided() else _ratio(part, whole)

    def _truth_px(self) -> list[int]:
        per_image = [confusion.sum(axis=1) for confusion in self._confusions]
        return [int(count) for count in np.stack(per_image).sum(axis=0, dtype=np.int64)]

    def _hazardous_names(self) -> tuple[str, ...]:
        flags = self._rule.hazardous_classes()
        return tuple(name for name, flag in zip(self._taxonomy.names, flags) if flag)

    def _boundary_figures(self) -> tuple[PerClass, float | None, dict[str, int]]:
        """Return the mean over images per class, the mean over classes, and how many images."""
        table = np.stack(self._boundaries)
        known = ~np.isnan(table)
        sums, images = np.where(known, table, 0.0).sum(axis=0).tolist(), known.sum(axis=0).tolist()
        means = [_ratio(*pair) for pair in zip(sums, images)]
        present = [mean for mean in means if mean is not None]
        mean = float(np.mean(present)) if present else None
        names = self._taxonomy.names
        return dict(zip(names, means)), mean, dict(zip(names, images))

    def _ood_figures(self, outside: Sequence[float] | F64 | None) -> OutOfDistribution:
        inside = self.ood_scores()
        values = np.percentile(inside, ood.PERCENTILES).tolist()
        return OutOfDistribution(
            score=ood.SCORE,
            mean=float(inside.mean()),
            percentiles=dict(zip(map(str, ood.PERCENTILES), values)),
            auroc=None if outside is None else ood.ood_auroc(inside, outside),
            outside_images=0 if outside is None else len(outside),
        )


def _confidence(mask: U8, probabilities: U8) -> U8:
    """Return the probability (H, W) of the predicted class; meaningless where there is none."""
    chosen = np.minimum(mask, len(probabilities) - 1)[None]
    confidence: U8 = np.take_along_axis(probabilities, chosen, axis=0)[0]
    return confidence


def _false_safe_rate(hazard: HazardCounts, rule: HazardRule) -> float | None:
    if rule.undivided():
        return None
    return _ratio(hazard.false_safe, hazard.called_safe)


def _hazard_recall(hazard: HazardCounts, wanted: float) -> HazardRecall:
    false_alarms, recalls = alarm_rates(hazard.levels)
    if np.isnan(false_alarms[0]) or np.isnan(recalls[0]):
        return HazardRecall(None, None, None, wanted)
    level = int(best_level(false_alarms, wanted))
    threshold = level / (LEVELS - 1) if level < LEVELS else None
    return HazardRecall(float(recalls[level]), threshold, float(false_alarms[level]), wanted)


def _alarm_curve(hazard: HazardCounts) -> AlarmCurve:
    false_alarms, recalls = alarm_rates(hazard.levels)
    if np.isnan(false_alarms[0]) or np.isnan(recalls[0]):
        return AlarmCurve((), ())
    return AlarmCurve(tuple(false_alarms.tolist()), tuple(recalls.tolist()))


def _dice(iou: float | None) -> float | None:
    return None if iou is None else 2.0 * iou / (1.0 + iou)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _known(value: F64) -> float | None:
    return None if np.isnan(value) else float(value)
