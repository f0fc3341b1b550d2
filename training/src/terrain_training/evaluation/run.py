"""Run a model over the labelled images of a split and gather every figure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.hazard_rule import HazardRule
from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_training import parts
from terrain_training.data.contract import Source, find_usable
from terrain_training.data.factory import open_source
from terrain_training.data.files import find_pictures
from terrain_training.data.label_sets import label_sets_of
from terrain_training.evaluation.sharpening import sharpen
from terrain_training.evaluation.subject import Subject
from terrain_training.evaluation.worst_cases import WorstCases
from terrain_training.metrics.counts import EvaluationCounts, Prediction
from terrain_training.metrics.figures import EvaluationFigures
from terrain_training.metrics.ood import ood_score
from terrain_training.metrics.rocks import RockCounts, RockFigures
from terrain_training.progress import progress_of

log = logging.getLogger(__name__)

ALL = "all"
"""The split that holds every sample of every split."""


@dataclass(frozen=True)
class EvaluationRequest:
    """On what, and how, a model is evaluated.

    `outside` is a folder of images unlike the training data; `sharpened` also evaluates what the
    recipe's sharpening makes of the output.
    """

    data: Path
    split: str
    skip_bad: bool = False
    sharpened: bool = False
    outside: Path | None = None
    hazard_threshold: float = 0.5
    false_alarm_rate: float = 0.05
    resamples: int = 1000
    seed: int = 42
    worst: int = 8


@dataclass(frozen=True)
class Evaluation:
    """What was found; `bad` names samples that could not be used, and why.

    `rocks` is None where no class is a rock.
    """

    figures: EvaluationFigures
    sharpened: EvaluationFigures | None
    worst: WorstCases
    bad: dict[str, str]
    rocks: RockFigures | None = None


class Tallies:
    """What is counted of any number of images."""

    def __init__(self, taxonomy: Taxonomy, request: EvaluationRequest) -> None:
        """Start empty."""
        threshold = request.hazard_threshold
        self.counts = EvaluationCounts(taxonomy, hazard_threshold=threshold)
        self.after = EvaluationCounts(taxonomy, hazard_threshold=threshold)
        self.rocks = RockCounts(taxonomy)
        self.worst = WorstCases(request.worst, rule=HazardRule.of(taxonomy, threshold))

    def add(self, name: str, source: Source, subject: Subject, *, sharpened: bool) -> None:
        """Count one image of a source, with `sharpened` also after sharpening."""
        sample = source.load(name)
        prediction = subject.predict(sample.image)
        counted = _as_labelled(prediction, name, sample.mask, source)
        figures = self.counts.add(name, sample.mask, counted)
        self.rocks.add(sample.mask, counted.mask)
        self.worst.add(sample.image, sample.mask, prediction, figures)
        if sharpened:
            settings = subject.recipe.sharpening
            better = sharpen(
                prediction.probabilities,
                amount=settings.amount,
                sigma_px=settings.sigma_px,
                min_area_px=settings.min_area_px,
            )
            counted = _as_labelled(better, name, sample.mask, source)
            self.after.add(name, sample.mask, counted)

    def merge(self, other: Tallies) -> None:
        """Add what was counted of further images, after the own."""
        self.counts.merge(other.counts)
        self.after.merge(other.after)
        self.rocks.merge(other.rocks)
        self.worst.merge(other.worst)


Count = Callable[[Sequence[str], Tallies], None]
"""Adds the images of these names to the tallies, in their order."""


def evaluate(
    subject: Subject, request: EvaluationRequest, *, count: Count | None = None
) -> Evaluation:
    """Evaluate a model at the size of the labels.

    Args:
        subject: the model.
        request: on what, and how.
        count: counts the images elsewhere; None: here, one after another.

    Raises:
        ConfigError: the data cannot be used, or their classes are not the model's.
        ModelError: nothing is labelled.
    """
    source = open_images(subject, request)
    usable = find_usable(source, split_names(source, request.split), skip_bad=request.skip_bad)
    tallies = Tallies(subject.taxonomy, request)
    sets = label_sets_of(source)
    if sets is not None:
        told = sets.told(subject.taxonomy.names)
        log.info("labels leave a choice: %s; any of them counts as right", told)
    if count is not None:
        count(usable.names, tallies)
    else:
        for name in progress_of(usable.names, "evaluate", unit="image"):
            tallies.add(name, source, subject, sharpened=request.sharpened)
    outside = None if request.outside is None else _outside_scores(subject, request.outside)
    return Evaluation(
        figures=tallies.counts.figures(
            seed=request.seed,
            resamples=request.resamples,
            false_alarm_rate=request.false_alarm_rate,
            outside=outside,
        ),
        sharpened=(
            tallies.after.figures(
                seed=request.seed,
                resamples=request.resamples,
                false_alarm_rate=request.false_alarm_rate,
            )
            if request.sharpened
            else None
        ),
        worst=tallies.worst,
        bad=usable.bad,
        rocks=tallies.rocks.figures(),
    )


def open_images(subject: Subject, request: EvaluationRequest) -> Source:
    """Return the labelled images of a request, as the recipe of the model reads them.

    Raises:
        ConfigError: the data cannot be used, or their classes are not the model's.
    """
    parts.activate(subject.recipe.parts)
    source = open_source(subject.recipe.data, request.data, run=subject.palette_folder)
    _check_classes(source, subject)
    return source


def _as_labelled(prediction: Prediction, name: str, mask: U8, source: Source) -> Prediction:
    """Return a prediction of a sample for scores: see `as_labelled`."""
    sets = label_sets_of(source)
    if sets is None:
        return prediction
    return as_labelled(prediction, sets.for_scores().table(name)[mask], sets.sets)


def as_labelled(prediction: Prediction, labels: U8, sets: Sequence[tuple[int, ...]]) -> Prediction:
    """Return a prediction in which any class that a label leaves open is the label's main class.

    Args:
        prediction: of one image.
        labels: (H, W), class ids, the number of classes plus the place of a set, or 255.
        sets: class ids, the main class of each first.
    """
    classes = len(prediction.probabilities)
    mask, probabilities = prediction.mask.copy(), prediction.probabilities.copy()
    for place, ids in enumerate(sets):
        open_here = labels == classes + place
        mask[open_here & np.isin(mask, ids)] = ids[0]
        whole = probabilities[list(ids)].sum(axis=0, dtype=np.uint16).clip(max=255)
        for item in ids:
            value = whole if item == ids[0] else 0
            probabilities[item] = np.where(open_here, value, probabilities[item])
    return Prediction(mask, probabilities)


def split_names(source: Source, split: str) -> list[str]:
    """Return the names of a split, or of `all`, each once.

    Raises:
        ConfigError: there is no such split.
    """
    if split != ALL or ALL in source.splits():
        return source.names(split)
    names = (name for part in source.splits() for name in source.names(part))
    return list(dict.fromkeys(names))


def _check_classes(source: Source, subject: Subject) -> None:
    if source.taxonomy.names != subject.taxonomy.names:
        raise ConfigError(
            f"the data have the classes {list(source.taxonomy.names)}, but {subject.name} has "
            f"{list(subject.taxonomy.names)}; give the recipe that it was trained with"
        )


def _outside_scores(subject: Subject, folder: Path) -> list[float]:
    pictures = find_pictures(folder)
    return [
        ood_score(subject.predict(read_image(path)).probabilities) for path in pictures.values()
    ]
