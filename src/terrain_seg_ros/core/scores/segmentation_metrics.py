"""A pooled confusion matrix and the scores computed from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.types import F64, U8

IGNORE = 255
Confusions = NDArray[np.int32] | NDArray[np.int64] | F64
"""Pixels (..., K, K + 1): rows the truth, columns the prediction, the last one no prediction."""


def confusion_of(
    truth: U8, prediction: U8, *, classes: int, ignore: int = IGNORE
) -> NDArray[np.int64]:
    """Return the pixels (K, K + 1) of one image, or of a stack, by truth and prediction.

    Args:
        truth: (..., H, W) class ids, all below `classes` but the ignored one.
        prediction: same shape; an id beyond the classes is no prediction.
        classes: K.
        ignore: the truth value that does not count.
    """
    counted = truth != ignore
    predicted = np.minimum(prediction[counted].astype(np.int64), classes)
    flat = truth[counted] * np.int64(classes + 1) + predicted
    return np.bincount(flat, minlength=classes * (classes + 1)).reshape(classes, classes + 1)


def iou_of(confusions: Confusions) -> F64:
    """Return the IoU per class (..., K); NaN for a class that the truth lacks."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1)
    in_truth = confusions.sum(axis=-1)
    union = in_truth + confusions.sum(axis=-2)[..., :-1] - hits
    return ratio(hits, np.where(in_truth > 0, union, 0))


def mean_iou_of(confusions: Confusions) -> F64:
    """Return the mean IoU (...) over the classes in the truth; NaN without any."""
    iou = iou_of(confusions)
    present = ~np.isnan(iou)
    return ratio(np.where(present, iou, 0.0).sum(axis=-1), present.sum(axis=-1))


def accuracy_of(confusions: Confusions) -> F64:
    """Return the share (...) of labelled pixels that are right; NaN without any."""
    hits = np.diagonal(confusions, axis1=-2, axis2=-1).sum(axis=-1)
    return ratio(hits, confusions.sum(axis=(-2, -1)))


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> F64:
    """Return part / whole, element by element; NaN where the whole is 0."""
    result: F64 = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=result, where=np.asarray(whole) > 0)
    return result


@dataclass(frozen=True)
class SegmentationScores:
    """The scores of a pooled confusion matrix, per class name.

    A class that is absent from the truth has neither IoU nor recall (None) and is excluded from the
    mean; a class that is never predicted has no precision. `ignored` is the share of all pixels
    that were ignored, `unpredicted` the share of the remaining ones without a prediction.
    """

    mean_iou: float
    pixel_accuracy: float
    iou: dict[str, float | None]
    precision: dict[str, float | None]
    recall: dict[str, float | None]
    confusion: list[list[int]] = field(repr=False)
    images: int
    truth_px: dict[str, int]
    ignored: float
    unpredicted: float

    @property
    def absent(self) -> list[str]:
        """Return the classes that never occur in the truth."""
        return [name for name, count in self.truth_px.items() if not count]


class ConfusionMatrix:
    """Counts of predictions against truth, pooled over all pixels.

    Rows are the truth, columns the prediction. A labelled pixel whose prediction is unlabelled (or
    an id beyond the classes) counts as missed.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        """Start empty.

        Args:
            class_names: one name per class id, in the order of the ids.
        """
        self._names = list(class_names)
        size = len(self._names)
        self._counts: NDArray[np.int64] = np.zeros((size, size + 1), dtype=np.int64)
        self._images = 0
        self._pixels = 0

    def add(
        self,
        truth: NDArray[np.uint8],
        prediction: NDArray[np.uint8],
        *,
        ignore: int = IGNORE,
        images: int = 1,
    ) -> None:
        """Count one image, or a stack of them.

        Args:
            truth: (..., H, W) class ids.
            prediction: same shape, class ids.
            ignore: the truth value to ignore.
            images: the number of images in the arrays.

        Raises:
            ModelError: the shapes differ, or the truth contains an unknown class id.
        """
        if truth.shape != prediction.shape:
            raise ModelError(
                f"truth {truth.shape} and prediction {prediction.shape} differ in shape; "
                "resize the prediction to the mask"
            )
        size = len(self._names)
        counted = truth != ignore
        highest = int(truth[counted].max(initial=0))
        if highest >= size:
            raise ModelError(
                f"truth holds class id {highest}, but the model has only "
                f"{size} classes; map the values by name or name the ignored one"
            )
        self._counts += confusion_of(truth, prediction, classes=size, ignore=ignore)
        self._images += images
        self._pixels += truth.size

    def merge(self, other: ConfusionMatrix) -> None:
        """Add the counts of a matrix of the same classes."""
        self._counts += other._counts
        self._images += other._images
        self._pixels += other._pixels

    def missed_share(self, hazardous: Sequence[bool]) -> float | None:
        """Return the share of hazardous pixels that are predicted as a safe class.

        Unlabelled predictions are not safe and therefore not counted. None if the truth has no
        hazard, or if no class is safe.

        Args:
            hazardous: whether each class id is hazardous.
        """
        danger = np.asarray(hazardous, dtype=bool)
        if danger.all():
            return None
        safe = np.append(~danger, False)
        return _ratio(float(self._counts[danger][:, safe].sum()), float(self._counts[danger].sum()))

    def scores(self) -> SegmentationScores:
        """Return the scores of everything added so far; the mean is over the classes in the truth.

        Raises:
            ModelError: no labelled pixel was added.
        """
        total = int(self._counts.sum())
        if total == 0:
            raise ModelError("no labelled pixel was seen; check the masks and the ignored value")
        hits = np.diag(self._counts).astype(float)
        in_truth = self._counts.sum(axis=1).astype(float)
        predicted = self._counts.sum(axis=0)[: len(self._names)].astype(float)
        iou = [None if np.isnan(value) else float(value) for value in iou_of(self._counts)]
        return SegmentationScores(
            mean_iou=float(mean_iou_of(self._counts)),
            pixel_accuracy=float(accuracy_of(self._counts)),
            iou=dict(zip(self._names, iou)),
            precision=dict(zip(self._names, map(_ratio, hits, predicted))),
            recall=dict(zip(self._names, map(_ratio, hits, in_truth))),
            confusion=self._counts[:, : len(self._names)].tolist(),
            images=self._images,
            truth_px=dict(zip(self._names, in_truth.astype(int).tolist())),
            ignored=1.0 - total / self._pixels,
            unpredicted=float(self._counts[:, -1].sum() / total),
        )


def _ratio(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None
