"""Score a checkpoint or an exported model on the rover-clock validation split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.checkpoint import load_network
from terrain_training.datasets import ai4mars
from terrain_training.folding import fold_network
from terrain_training.onnx_graph import DeployedNetwork
from terrain_training.parity import Runner, batches, score_model
from terrain_training.recipe import Recipe
from terrain_training.runtimes import OnnxRuntimeFloat32, TorchFloat32


def evaluate(path: Path, recipe: Recipe, *, data: Path) -> dict[str, Any]:
    """Return the scores of a .safetensors checkpoint or of an exported model at float32.

    Args:
        path: a .safetensors file, an .onnx file or the folder of an exported model.
        recipe: of the training run; names the split and the network.
        data: the data set.

    Returns:
        The keys of `terrain-seg evaluate --json` and `expected_calibration_error`.

    Raises:
        ConfigError: the model or the data cannot be read.
    """
    split = ai4mars.read_split(data, seed=recipe.seed)
    pairs = ai4mars.read_pairs(data, split.validation, size_px=recipe.input_size_px)
    scored = score_model(_runner(path, recipe), (), batches(pairs), taxonomy=ai4mars.TAXONOMY)
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


def _runner(path: Path, recipe: Recipe) -> Runner:
    if path.suffix == ".safetensors":
        return TorchFloat32(
            DeployedNetwork(fold_network(load_network(path, recipe)), temperature=1.0)
        )
    model = path / "model.onnx" if path.is_dir() else path
    if not model.is_file():
        raise ConfigError(
            f"model {path} does not exist; give a .safetensors checkpoint, an .onnx file or a "
            "folder with model.onnx"
        )
    return OnnxRuntimeFloat32(model)
