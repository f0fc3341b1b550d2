"""Score a checkpoint or an exported model on the rover-clock validation split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terrain_seg_ros.core.tensor_to_probabilities import Backend
from terrain_seg_ros.inference.model_store import load_model
from terrain_training.checkpoint import load_network
from terrain_training.datasets import ai4mars
from terrain_training.folding import fold_network
from terrain_training.onnx_graph import DeployedNetwork
from terrain_training.parity import batches, score_model
from terrain_training.recipe import Recipe
from terrain_training.runtimes import TorchFloat32, reference_backend


def evaluate(path: Path, recipe: Recipe, *, data: Path) -> dict[str, Any]:
    """Return the scores of a .safetensors checkpoint or of an exported model at float32.

    Args:
        path: a .safetensors file, or an exported model as `load_model` takes it.
        recipe: of the training run; names the split and the network.
        data: the data set.

    Returns:
        The keys of `terrain-seg evaluate --json` and `expected_calibration_error`.

    Raises:
        ConfigError: the weights or the data cannot be read.
        ModelError: the exported model cannot be used.
    """
    split = ai4mars.read_split(data, seed=recipe.seed)
    pairs = ai4mars.read_pairs(data, split.validation, size_px=recipe.input_size_px)
    scored = score_model(_backend(path, recipe), (), batches(pairs), taxonomy=ai4mars.TAXONOMY)
    scores = scored.scores
    return {
        "mean_iou": scores.mean_iou,
        "pixel_accuracy": scores.pixel_accuracy,
        "iou": scores.iou,
        "precision": scores.precision,
        "recall": scores.recall,
        "expected_calibration_error": scored.calibration_error,
        "confusion": scores.confusion,
        "images": scores.images,
    }


def _backend(path: Path, recipe: Recipe) -> Backend:
    if path.suffix == ".safetensors":
        return TorchFloat32(
            DeployedNetwork(fold_network(load_network(path, recipe)), temperature=1.0)
        )
    return reference_backend(load_model(path))
