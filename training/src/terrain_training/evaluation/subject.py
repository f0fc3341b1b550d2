"""What is evaluated: a run, a checkpoint, or an exported model in one of the vehicle's backends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.image_to_tensor import TensorInput, image_to_tensor, tensor_geometry
from terrain_seg_ros.core.image.probabilities_to_mask import tensor_to_image
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8, UNLABELLED
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.registry import create_backend
from terrain_seg_ros.model_store.model_files import CARD_FILE
from terrain_seg_ros.model_store.model_store import load_card, load_model
from terrain_training.export.onnx_graph import DeployedNetwork
from terrain_training.export.runtimes import TorchFloat32
from terrain_training.learning.checkpoint import load_network
from terrain_training.learning.run_folder import RunFolder, check_is_model
from terrain_training.learning.weights_hdf5 import HDF5_SUFFIXES
from terrain_training.metrics.counts import Prediction
from terrain_training.recipe.load import load_recipe, recipe_of
from terrain_training.settings.recipe import Recipe

WEIGHT_SUFFIXES = (".safetensors", *HDF5_SUFFIXES)
TORCH = "torch"


@dataclass(frozen=True)
class Subject:
    """A model that runs, and the recipe that says what data it was made for.

    `backend` and `precision` say what computes; a checkpoint runs in torch at float32.
    `palette_folder` may hold the colours that k-means found.
    """

    name: str
    fitted: TensorInput
    taxonomy: Taxonomy
    run: Callable[[U8], NetworkOutput]
    backend: str
    precision: str
    recipe: Recipe
    palette_folder: Path | None

    def predict(self, image: U8) -> Prediction:
        """Return what the model says of an image (H, W) or (H, W, 3), at its size."""
        output = self.run(image_to_tensor(image, self.fitted))
        geometry = tensor_geometry(self.fitted, image.shape[1], image.shape[0])
        planes = [tensor_to_image(plane, geometry, outside=0) for plane in output.probabilities[0]]
        return Prediction(
            mask=tensor_to_image(output.mask[0], geometry, outside=UNLABELLED),
            probabilities=np.stack(planes),
        )


def open_subject(
    model: Path, *, recipe: Path | None, backend: str, precision: str, threads: int
) -> Subject:
    """Return a model that can be evaluated.

    Args:
        model: folder of a run, .safetensors or .h5 in such a folder, or an exported model as
            `load_model` takes it.
        recipe: YAML file, needed where the model does not keep its own.
        backend: of an exported model.
        precision: of an exported model.
        threads: of an exported model's backend.

    Raises:
        ConfigError: the run, its weights or the recipe cannot be used.
        ModelError: the exported model cannot be used.
        InferenceError: the backend cannot be used.
    """
    if RunFolder(model).snapshot.is_file():
        return _checkpoint(RunFolder(model), RunFolder(model).weights, recipe)
    if model.suffix in WEIGHT_SUFFIXES:
        return _checkpoint(RunFolder(model.parent), model, recipe)
    check_is_model(model)
    loaded = load_model(model)
    running = create_backend(backend, loaded, BackendOptions(threads, precision))
    return Subject(
        name=f"{loaded.card.name} {loaded.card.version}",
        fitted=loaded.card,
        taxonomy=loaded.card.taxonomy,
        run=running,
        backend=running.name,
        precision=running.precision,
        recipe=recipe_of(loaded.card, recipe),
        palette_folder=None if loaded.onnx_path is None else loaded.onnx_path.parent,
    )


def _checkpoint(folder: RunFolder, weights: Path, recipe_file: Path | None) -> Subject:
    if not weights.is_file():
        raise ConfigError(f"weights {weights} do not exist; train first")
    recipe, taxonomy = _recipe_and_classes(folder, recipe_file)
    network = load_network(weights, recipe, classes=len(taxonomy))
    deployed = DeployedNetwork(
        nn.Sequential(_Scale(recipe.data.std), network), mean=recipe.data.mean, temperature=1.0
    )
    run = TorchFloat32(deployed)
    return Subject(
        name=f"{recipe.name} ({weights.name})",
        fitted=recipe.data,
        taxonomy=taxonomy,
        run=run,
        backend=TORCH,
        precision=run.precision,
        recipe=recipe,
        palette_folder=folder.path,
    )


def _recipe_and_classes(folder: RunFolder, recipe_file: Path | None) -> tuple[Recipe, Taxonomy]:
    """Return recipe and classes of weights, from their run or from the card beside them."""
    if (folder.path / CARD_FILE).is_file():
        card = load_card(folder.path)
        return recipe_of(card, recipe_file), card.taxonomy
    if not folder.summary.is_file() or (recipe_file is None and not folder.snapshot.is_file()):
        raise ConfigError(
            f"{folder.path} is neither a run (it has no {folder.snapshot.name}) nor an exported "
            f"model (no {CARD_FILE}); weights alone do not tell their network, keep them there"
        )
    recipe = load_recipe(recipe_file) if recipe_file else folder.recipe()
    return recipe, folder.taxonomy()


class _Scale(nn.Module):
    """Divide levels minus the mean by std, one or one per channel."""

    def __init__(self, std: list[float]) -> None:
        super().__init__()
        self.std: Tensor
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1), persistent=False)

    def forward(self, levels: Tensor) -> Tensor:
        scaled: Tensor = levels / self.std
        return scaled
