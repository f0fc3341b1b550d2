"""Whether runtimes agree on one exported model, and what a lower precision costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.backend import Backend, NetworkOutput
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.scores.segmentation_metrics import ConfusionMatrix, SegmentationScores
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.self_test import CLEAR_MARGIN, MAX_CLEAR_CHANGED, MAX_PARITY_LOSS
from terrain_training.data.dataset import LabelledImages
from terrain_training.metrics.counts import EvaluationCounts, Prediction
from terrain_training.metrics.figures import EvaluationFigures

MIN_MASK_AGREEMENT = 0.999
MAX_PROBABILITY_STEP = 2
"""Tolerances at float32: share of equal mask pixels, and bytes of probability (x 255)."""

Run = Callable[[U8], NetworkOutput]
Batch = tuple[U8, U8]
"""Tensors (N, h, w, C) and masks (N, h, w) with 255 where unlabelled."""


@dataclass(frozen=True)
class ParityRow:
    """What one backend and precision loses against float32 in ONNX Runtime."""

    backend: str
    precision: str
    images: int
    mean_iou_loss: float
    dangerous_recall_loss: float
    clear_margin_changed: float
    mask_agreement: float

    def keeps_rule(self) -> bool:
        """Return whether the vehicle would take this, were there enough images."""
        losses = (self.mean_iou_loss, self.dangerous_recall_loss)
        return max(losses) <= MAX_PARITY_LOSS and self.clear_margin_changed <= MAX_CLEAR_CHANGED


@dataclass(frozen=True)
class Expected:
    """Float32's masks (N, h, w) and where it is sure of them."""

    mask: U8
    clear: NDArray[np.bool_]


@dataclass(frozen=True)
class ModelScores:
    """The reference figures of an exported model and its parity table."""

    figures: EvaluationFigures
    parity: tuple[ParityRow, ...]


def check_float32(reference: Run, others: Mapping[str, Run], images: U8) -> None:
    """Check that other float32 runs give what the reference gives.

    Raises:
        ModelError: masks agree on too few pixels, or a probability is too far off.
    """
    expected = [_copied(reference(image[None])) for image in images]
    for name, run in others.items():
        given = [_copied(run(image[None])) for image in images]
        agreement = float(np.mean([np.mean(a.mask == b.mask) for a, b in zip(expected, given)]))
        step = max(_largest_step(a, b) for a, b in zip(expected, given))
        if agreement < MIN_MASK_AGREEMENT or step > MAX_PROBABILITY_STEP:
            raise ModelError(
                f"{name} agrees with the reference on {agreement:.5f} of the mask and is up to "
                f"{step}/255 off in probability, expected at least {MIN_MASK_AGREEMENT} and at "
                f"most {MAX_PROBABILITY_STEP}/255, over {len(images)} images; do not ship this file"
            )


def check_batch(run: Run, images: U8) -> None:
    """Check that two images at once give what they give one by one.

    Raises:
        ModelError: they do not; the graph has one batch size inside.
    """
    both = _copied(run(images[:2]))
    for place, image in enumerate(images[:2]):
        alone = _copied(run(image[None]))
        given = NetworkOutput(
            both.mask[place : place + 1],
            both.confidence[place : place + 1],
            both.probabilities[place : place + 1],
        )
        agreement = float(np.mean(alone.mask == given.mask))
        if agreement < MIN_MASK_AGREEMENT or _largest_step(alone, given) > MAX_PROBABILITY_STEP:
            raise ModelError(
                f"of two images at once, number {place} agrees on {agreement:.5f} of the mask with "
                "itself alone; set export.batch to 1 in the recipe"
            )


def check_rounding(trained: Run, rounded: Run, images: U8) -> float:
    """Check that rounded weights mean what the trained ones did.

    Returns:
        The share of the pixels with a clear margin that change class.

    Raises:
        ModelError: the share is above one in a thousand.
    """
    clear = changed = 0
    for image in images:
        expected, given = trained(image[None]), rounded(image[None])
        sure = _margin(expected.probabilities) > CLEAR_MARGIN
        clear += int(sure.sum())
        changed += int((sure & (expected.mask != given.mask)).sum())
    share = changed / max(clear, 1)
    if share > MAX_CLEAR_CHANGED:
        raise ModelError(
            f"rounding the weights to bfloat16 changes {share:.5f} of the clear pixels, expected "
            f"at most {MAX_CLEAR_CHANGED}; train longer or with stronger weight decay"
        )
    return share


def score_model(
    reference: Backend,
    others: Iterable[Backend],
    batches: Iterable[Batch],
    *,
    taxonomy: Taxonomy,
    seed: int,
) -> ModelScores:
    """Score an exported model over labelled images, once per backend.

    Args:
        reference: float32.
        others: what is compared with the reference, at any precision.
        batches: tensors and masks, all labelled at tensor size.
        taxonomy: names and hazards; the class of the largest hazard is the dangerous one.
        seed: of the intervals' bootstrap.
    """
    counts = EvaluationCounts(taxonomy)
    rows = [Comparison(backend, taxonomy) for backend in others]
    for tensors, masks in batches:
        output = _copied(reference(tensors))
        for truth, mask, probabilities in zip(masks, output.mask, output.probabilities):
            counts.add("image", truth, Prediction(mask, probabilities))
        for row in rows:
            row.add(tensors, masks, expected_of(output))
    figures = counts.figures(seed=seed)
    return ModelScores(figures, tuple(row.result(figures) for row in rows))


def expected_of(output: NetworkOutput) -> Expected:
    """Return what a lower precision is compared with, copied."""
    return Expected(np.array(output.mask), _margin(output.probabilities) > CLEAR_MARGIN)


def batches(images: LabelledImages, *, size: int) -> Iterator[Batch]:
    """Group images into tensors and stacks of masks."""
    for start in range(0, len(images), size):
        places = range(start, min(start + size, len(images)))
        part = [images.pair(place) for place in places]
        yield np.stack([image for image, _ in part]), np.stack([mask for _, mask in part])


def stacked(images: LabelledImages, places: Sequence[int]) -> U8:
    """Return tensors (N, h, w, C) of some images."""
    return np.stack([images.pair(place)[0] for place in places])


class Comparison:
    """Count what one backend does otherwise than float32."""

    def __init__(self, backend: Backend, taxonomy: Taxonomy) -> None:
        """Take a backend that computes in a lower precision, or a model of one."""
        self._backend = backend
        self._confusion = ConfusionMatrix(taxonomy.names)
        self._dangerous = taxonomy.names[int(np.argmax(taxonomy.hazards()))]
        self._pixels = self._equal = self._clear = self._changed = 0

    def add(self, tensors: U8, masks: U8, expected: Expected) -> None:
        """Run images (N, h, w, C) with masks (N, h, w)."""
        given = self._backend(tensors)
        self._confusion.add(masks, given.mask, images=len(masks))
        equal = given.mask == expected.mask
        self._pixels += equal.size
        self._equal += int(equal.sum())
        self._clear += int(expected.clear.sum())
        self._changed += int((expected.clear & ~equal).sum())

    def result(self, reference: EvaluationFigures | SegmentationScores) -> ParityRow:
        """Return what is lost against float32's figures over the same images."""
        own = self._confusion.scores()
        recall = (reference.recall[self._dangerous], own.recall[self._dangerous])
        return ParityRow(
            backend=self._backend.name,
            precision=self._backend.precision,
            images=own.images,
            mean_iou_loss=round(reference.mean_iou - own.mean_iou, 6),
            dangerous_recall_loss=round((recall[0] or 0.0) - (recall[1] or 0.0), 6),
            clear_margin_changed=round(self._changed / max(self._clear, 1), 6),
            mask_agreement=round(self._equal / self._pixels, 6),
        )


def _margin(probabilities_nkhw: U8) -> NDArray[np.float32]:
    ordered = np.sort(probabilities_nkhw, axis=1).astype(np.float32)
    return np.asarray((ordered[:, -1] - ordered[:, -2]) / np.float32(255.0), dtype=np.float32)


def _largest_step(first: NetworkOutput, second: NetworkOutput) -> int:
    difference = first.probabilities.astype(np.int16) - second.probabilities.astype(np.int16)
    return int(np.abs(difference).max())


def _copied(output: NetworkOutput) -> NetworkOutput:
    return NetworkOutput(
        mask=np.array(output.mask),
        confidence=np.array(output.confidence),
        probabilities=np.array(output.probabilities),
    )
