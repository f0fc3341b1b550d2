"""From a checkpoint to a shipped model: ONNX file, card, golden image and README."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.model_card import ModelCard, card_content, parse_model_card
from terrain_seg_ros.core.segmentation_metrics import IGNORE
from terrain_seg_ros.core.tensor_to_probabilities import Backend
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import FULL_PRECISION, BackendOptions
from terrain_seg_ros.inference.loaded_model import LoadedModel
from terrain_seg_ros.inference.model_store import CARD_FILE, GOLDEN_FILE, ONNX_FILE, load_model
from terrain_seg_ros.inference.registry import create_backend
from terrain_training.calibration import fit_temperature
from terrain_training.card import card_metrics, unscored_card
from terrain_training.checkpoint import load_network
from terrain_training.datasets import ai4mars
from terrain_training.datasets.rover_clock import ClockSplit
from terrain_training.folding import MIDDLE, fold_network, round_to_bfloat16
from terrain_training.model_readme import model_readme
from terrain_training.onnx_graph import DeployedNetwork, write_onnx
from terrain_training.parity import (
    ModelScores,
    Run,
    batches,
    check_float32,
    check_rounding,
    score_model,
)
from terrain_training.recipe import Recipe
from terrain_training.runtimes import (
    TorchFloat32,
    openvino_backends,
    reference_backend,
    unscored_model,
)

log = logging.getLogger(__name__)

PARITY_IMAGES = 16
TYPICAL_IMAGES = 32
_PIXELS_PER_IMAGE = 500

Pairs = list[tuple[U8, U8]]
_Item = TypeVar("_Item")


def export_model(weights: Path, recipe: Recipe, *, data: Path, out: Path) -> ModelCard:
    """Write model.onnx, card.json, golden.npz and README.md into a folder.

    Nothing is written unless torch, ONNX Runtime and OpenVINO agree at float32.

    Args:
        weights: .safetensors of the recipe's network.
        recipe: the one that the weights were trained with.
        data: the data set, for temperature, scores and golden image.
        out: the model's folder; its name is the model's name when shipped.

    Raises:
        ConfigError: weights or data cannot be read.
        ModelError: the runtimes disagree, or rounding the weights changes too much.
    """
    split = ai4mars.read_split(data, seed=recipe.seed)
    pairs = ai4mars.read_pairs(data, split.validation, size_px=recipe.input_size_px)
    if len(pairs) < PARITY_IMAGES:
        raise ConfigError(f"{len(pairs)} validation images, expected {PARITY_IMAGES} or more")
    typical = ai4mars.read_pairs(
        data, _spread(split.train, TYPICAL_IMAGES), size_px=recipe.input_size_px
    )
    prepared = _prepare(load_network(weights, recipe), pairs, typical, seed=recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        card = _write_model(prepared, pairs, recipe, split=split, folder=Path(folder))
        for file in sorted(Path(folder).iterdir()):
            shutil.move(str(file), str(out / file.name))
    return card


@dataclass(frozen=True)
class _Prepared:
    deployed: DeployedNetwork
    temperature: float
    rounding_changed: float
    """Share of the clear pixels that rounding to bfloat16 changed."""


def _prepare(network: nn.Module, pairs: Pairs, typical: Pairs, *, seed: int) -> _Prepared:
    folded = fold_network(network)
    rounded = round_to_bfloat16(folded, _centred(np.stack([i[..., None] for i, _ in typical])))
    temperature = fit_temperature(*_sample_logits(rounded, pairs, seed=seed))
    log.info("temperature %.3f", temperature)
    deployed = DeployedNetwork(rounded, temperature=temperature)
    trained = TorchFloat32(DeployedNetwork(folded, temperature=temperature))
    changed = check_rounding(trained, TorchFloat32(deployed), _parity_images(pairs))
    return _Prepared(deployed, temperature, changed)


def _write_model(
    prepared: _Prepared, pairs: Pairs, recipe: Recipe, *, split: ClockSplit, folder: Path
) -> ModelCard:
    path = folder / ONNX_FILE
    size_px = recipe.input_size_px
    write_onnx(prepared.deployed, path, height_px=size_px, width_px=size_px, channels=1)
    card = unscored_card(recipe, path, split=split, temperature=prepared.temperature)
    model = unscored_model(path, card)
    scored = _score(prepared.deployed, model, pairs)
    metrics = card_metrics(scored, rounding_changed=prepared.rounding_changed)
    card = dataclasses.replace(card, metrics=metrics)
    _write_golden(reference_backend(model), pairs, folder / GOLDEN_FILE)
    _write_card(card, folder)
    _check_golden(folder, card)
    return card


def _score(deployed: DeployedNetwork, model: LoadedModel, pairs: Pairs) -> ModelScores:
    reference = reference_backend(model)
    others = openvino_backends(model)
    same: dict[str, Run] = {"torch": TorchFloat32(deployed), "openvino": others[0]}
    check_float32(reference, same, _parity_images(pairs))
    log.info("torch, ONNX Runtime and OpenVINO agree at float32; scoring %d images", len(pairs))
    return score_model(reference, others, batches(pairs), taxonomy=model.card.taxonomy)


def _parity_images(pairs: Pairs) -> U8:
    return np.stack([image[..., None] for image, _ in _spread(pairs, PARITY_IMAGES)])


def _centred(tensors_nhwc: U8) -> Tensor:
    return torch.from_numpy(tensors_nhwc).permute(0, 3, 1, 2).float() - MIDDLE


def _sample_logits(folded: nn.Module, pairs: Pairs, *, seed: int) -> tuple[Tensor, Tensor]:
    random = np.random.default_rng(seed)
    logits, targets = [], []
    for tensors, masks in batches(pairs):
        with torch.no_grad():
            output = folded(_centred(tensors))
        flat = output.permute(0, 2, 3, 1).reshape(-1, output.shape[1])
        labelled = np.flatnonzero(masks.reshape(-1) != IGNORE)
        count = min(len(labelled), _PIXELS_PER_IMAGE * len(masks))
        chosen = torch.from_numpy(random.choice(labelled, count, replace=False))
        logits.append(flat[chosen])
        targets.append(torch.from_numpy(masks.reshape(-1).astype(np.int64))[chosen])
    return torch.cat(logits), torch.cat(targets)


def _spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """Return `count` items at equal distances, or all where there are fewer."""
    steps = np.linspace(0, len(items) - 1, min(count, len(items)))
    return [items[int(step)] for step in steps]


def _write_golden(reference: Backend, pairs: Pairs, path: Path) -> None:
    """Write the surest of the validation images with the most classes, and its float32 mask.

    Where the network is sure, no sound runtime changes the mask, so the self-test is sharp.
    """
    counts = [len(np.unique(mask[mask != IGNORE])) for _, mask in pairs]
    images = [image[..., None] for (image, _), n in zip(pairs, counts) if n == max(counts)]
    image = max(images, key=lambda tensor: float(reference(tensor[None]).confidence.mean()))
    mask = reference(image[None]).mask[0].copy()
    if len(np.unique(mask)) < 2:
        raise ModelError("the golden mask has one class only; train longer before exporting")
    np.savez_compressed(path, image=image, mask=mask)


def _check_golden(folder: Path, card: ModelCard) -> None:
    """Run the vehicle's own self-test in every backend and precision that was scored."""
    model = load_model(folder)
    for row in card.metrics["parity"]:
        options = BackendOptions(torch.get_num_threads(), row["precision"])
        try:
            create_backend(row["backend"], model, options).close()
        except ModelError as error:
            if row["precision"] == FULL_PRECISION:
                raise
            log.warning("%s", error)


def _write_card(card: ModelCard, folder: Path) -> None:
    content = card_content(card)
    parse_model_card(content, source=CARD_FILE)
    (folder / CARD_FILE).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_readme(card), encoding="utf-8")
