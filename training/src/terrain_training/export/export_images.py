"""The labelled images that an export measures on, at the size of the network's input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from terrain_seg_ros.core.backend import Backend
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_training.data.dataset import LabelledImages
from terrain_training.export.parity import ModelScores, batches, score_model, stacked
from terrain_training.export.runtimes import reference_backend
from terrain_training.learning.loaders import OpenData
from terrain_training.metrics.ood import ood_score
from terrain_training.settings.recipe import Recipe

OOD_IMAGES = 256
BATCH = 8


class ExportImages:
    """Serve both splits of one export: `training` calibrates, `validation` scores."""

    def __init__(self, recipe: Recipe, opened: OpenData) -> None:
        """Take the data; images are read when they are first asked for."""
        self.recipe = recipe
        self.opened = opened
        self.training = LabelledImages(opened.source, opened.train, recipe.data)
        self.validation = LabelledImages(opened.source, opened.validation, recipe.data)

    def score(self, model: LoadedModel, others: Sequence[Backend]) -> ModelScores:
        """Return the figures of a model in ONNX Runtime, and what other backends lose against it.

        Args:
            model: what to score on the validation split.
            others: closed by the caller.
        """
        free = self.recipe.export.batch == 0
        return score_model(
            reference_backend(model),
            others,
            batches(self.validation, size=BATCH if free else 1),
            taxonomy=self.opened.source.taxonomy,
            seed=self.recipe.training.seed,
        )

    def training_ood(self, model: LoadedModel) -> list[float]:
        """Return the out-of-distribution scores of some training images."""
        backend = reference_backend(model)
        tensors = (
            self.training.pair(place)[0][None] for place in spread(len(self.training), OOD_IMAGES)
        )
        return [ood_score(backend(tensor).probabilities[0]) for tensor in tensors]

    def some_training(self, count: int) -> U8:
        """Return tensors (N, h, w, C) of training images at equal distances."""
        return stacked(self.training, spread(len(self.training), count))

    def some_validation(self, count: int) -> U8:
        """Return tensors (N, h, w, C) of validation images at equal distances."""
        return stacked(self.validation, spread(len(self.validation), count))


def spread(count: int, wanted: int) -> Sequence[int]:
    """Return places at equal distances, or all where there are fewer."""
    return [int(place) for place in np.linspace(0, count - 1, min(wanted, count))]
