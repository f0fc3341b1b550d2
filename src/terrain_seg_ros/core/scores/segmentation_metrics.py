"""A pooled confusion matrix and the scores computed from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ModelError

IGNORE = 255


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
        truth_ids = truth[counted].astype(np.int64)
        if truth_ids.size and int(truth_ids.max()) >= size:
            raise ModelError(
                f"truth contains class id {int(truth_ids.max())}, but the model has only "
                f"{size} classes; map the values to classes or set the ignored value"
            )
        predicted = np.minimum(prediction[counted].astype(np.int64), size)
        flat = np.bincount(truth_ids * (size + 1) + predicted, minlength=size * (size + 1))
        self._counts += flat.reshape(size, size + 1)
        self._images += images
        self._pixels += truth.size

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
        union = in_truth + predicted - hits
        iou = [
            _ratio(hit, whole) if count > 0 else None
            for hit, whole, count in zip(hits, union, in_truth)
        ]
        present = [value for value in iou if value is not None]
        return SegmentationScores(
            mean_iou=float(np.mean(present)),
            pixel_accuracy=float(hits.sum() / total),
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
