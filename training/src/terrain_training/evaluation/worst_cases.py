"""Keep the images that went worst, and as many others, without keeping all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.types import U8
from terrain_training.evaluation.error_picture import verdicts_of
from terrain_training.metrics.counts import Prediction
from terrain_training.metrics.figures import ImageFigures

LARGEST_SIDE_PX = 512
"""Of the pictures that are kept; larger images are shrunk by a whole factor."""


@dataclass(frozen=True)
class Case:
    """One image at bounded size: `image` is (h, w) grey or (h, w, 3) RGB.

    `truth` and `prediction` are class ids (h, w), `verdicts` as `judge` gives them.
    """

    image: U8
    truth: U8
    prediction: U8
    verdicts: U8
    figures: ImageFigures


class WorstCases:
    """Choose among any number of images; at most three times the limit are held."""

    def __init__(self, limit: int, *, rule: HazardRule) -> None:
        """Start empty.

        Args:
            limit: how many of the worst are kept, and how many typical ones.
            rule: what is hazardous.

        Raises:
            ConfigError: the limit is less than one.
        """
        if limit < 1:
            raise ConfigError(f"number of worst images is {limit}, expected 1 or more")
        self._limit = limit
        self._rule = rule
        self._worst: list[Case] = []
        self._drawn: list[Case] = []

    def add(self, image: U8, truth: U8, prediction: Prediction, figures: ImageFigures) -> None:
        """Keep an image if it is among the worst so far, or if its name is drawn.

        Args:
            image: (H, W) grey or (H, W, 3) RGB.
            truth: (H, W) class ids, 255 where nothing counts; without any label it is passed over.
            prediction: of the same size.
            figures: of this image, as `EvaluationCounts.add` returns them.

        Raises:
            ModelError: the shapes differ.
        """
        if image.shape[:2] != truth.shape or truth.shape != prediction.mask.shape:
            raise ModelError(
                f"{figures.name}: image {image.shape}, truth {truth.shape} and prediction "
                f"{prediction.mask.shape} differ in size; resize them to the truth"
            )
        if figures.mean_iou is None:
            return
        wanted = [
            (kept, key, limit)
            for kept, key, limit in (
                (self._worst, _badness, self._limit),
                (self._drawn, _draw_of, 2 * self._limit),
            )
            if len(kept) < limit or key(figures) < key(kept[-1].figures)
        ]
        if wanted:
            case = self._case(image, truth, prediction, figures)
            for kept, key, limit in wanted:
                _insert(kept, case, key, limit)

    def merge(self, other: WorstCases) -> None:
        """Keep the images that would have been kept, had one object seen those of both."""
        for case in other._worst:
            _insert(self._worst, case, _badness, self._limit)
        for case in other._drawn:
            _insert(self._drawn, case, _draw_of, 2 * self._limit)

    def worst(self) -> tuple[Case, ...]:
        """Return the worst images, the worst one first.

        That is the one with most falsely safe pixels per labelled pixel; among equals the one with
        the lowest mean IoU.
        """
        return tuple(self._worst)

    def typical(self) -> tuple[Case, ...]:
        """Return as many other images, chosen by the hash of their names alone."""
        shown = {id(case.figures) for case in self._worst}
        return tuple(case for case in self._drawn if id(case.figures) not in shown)[: self._limit]

    def _case(self, image: U8, truth: U8, prediction: Prediction, figures: ImageFigures) -> Case:
        verdicts = verdicts_of(truth, prediction, rule=self._rule)
        factor = -(-max(truth.shape) // LARGEST_SIDE_PX)
        return Case(
            image=_shrink_image(image, factor),
            truth=_shrink_labels(truth, factor),
            prediction=_shrink_labels(prediction.mask, factor),
            verdicts=_shrink_verdicts(verdicts, factor),
            figures=figures,
        )


_Key = Callable[[ImageFigures], tuple[float, float, str] | tuple[str, str]]


def _badness(figures: ImageFigures) -> tuple[float, float, str]:
    share = figures.false_safe_px / figures.labelled_px if figures.labelled_px else 0.0
    mean_iou = 1.0 if figures.mean_iou is None else figures.mean_iou
    return -share, mean_iou, figures.name


def _draw_of(figures: ImageFigures) -> tuple[str, str]:
    return hashlib.sha256(figures.name.encode()).hexdigest(), figures.name


def _insert(kept: list[Case], case: Case, key: _Key, limit: int) -> None:
    kept.append(case)
    kept.sort(key=lambda item: key(item.figures))
    del kept[limit:]


def _shrunk_shape(shape: tuple[int, ...], factor: int) -> tuple[int, int]:
    return -(-shape[0] // factor), -(-shape[1] // factor)


def _shrink_image(image: U8, factor: int) -> U8:
    if factor == 1:
        return np.array(image)
    height, width = _shrunk_shape(image.shape, factor)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _shrink_labels(labels: U8, factor: int) -> U8:
    shrunk: U8 = labels[::factor, ::factor].copy()
    return shrunk


def _shrink_verdicts(verdicts: U8, factor: int) -> U8:
    """Return the worst verdict of each block, so that no lone false-safe pixel is lost."""
    height, width = _shrunk_shape(verdicts.shape, factor)
    down, across = height * factor - verdicts.shape[0], width * factor - verdicts.shape[1]
    padded = np.pad(verdicts, ((0, down), (0, across)))
    worst: U8 = padded.reshape(height, factor, width, factor).max(axis=(1, 3))
    return worst
