"""From a checkpoint to a shipped model: ONNX file, card, golden image and README."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.model_card import ModelCard, card_content, parse_model_card
from terrain_seg_ros.core.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_training.calibration import fit_temperature
from terrain_training.card import ExportFacts, make_card
from terrain_training.checkpoint import load_network
from terrain_training.datasets import ai4mars
from terrain_training.folding import MIDDLE, fold_network, round_to_bfloat16
from terrain_training.model_readme import model_readme
from terrain_training.onnx_graph import DeployedNetwork, write_onnx
from terrain_training.parity import (
    ModelScores,
    Run,
    Runner,
    batches,
    check_float32,
    check_rounding,
    score_model,
)
from terrain_training.recipe import Recipe
from terrain_training.runtimes import (
    OnnxRuntimeFloat32,
    OpenVino,
    TorchFloat32,
    computes_in_bf16,
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
    folded = fold_network(load_network(weights, recipe))
    split = ai4mars.read_split(data, seed=recipe.seed)
    size_px = recipe.input_size_px
    pairs = ai4mars.read_pairs(data, split.validation, size_px=size_px)
    if len(pairs) < PARITY_IMAGES:
        raise ConfigError(f"{len(pairs)} validation images, expected {PARITY_IMAGES} or more")
    typical = ai4mars.read_pairs(data, _spread(split.train, TYPICAL_IMAGES), size_px=size_px)
    rounded = round_to_bfloat16(folded, _centred(np.stack([i[..., None] for i, _ in typical])))
    temperature = fit_temperature(*_sample_logits(rounded, pairs, seed=recipe.seed))
    log.info("temperature %.3f", temperature)
    deployed = DeployedNetwork(rounded, temperature=temperature)
    parity_images = np.stack([image[..., None] for image, _ in _spread(pairs, PARITY_IMAGES)])
    trained = TorchFloat32(DeployedNetwork(folded, temperature=temperature))
    rounding_changed = check_rounding(trained, TorchFloat32(deployed), parity_images)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(deployed, path, height_px=size_px, width_px=size_px, channels=1)
        scored = _score(deployed, path, pairs, parity_images)
        facts = ExportFacts(split, scored, temperature, rounding_changed)
        card = make_card(recipe, path, facts=facts)
        _write_golden(OnnxRuntimeFloat32(path), pairs, path.with_name("golden.npz"))
        _write_card(card, path.parent)
        for file in sorted(path.parent.iterdir()):
            shutil.move(str(file), str(out / file.name))
    return card


def _score(deployed: DeployedNetwork, path: Path, pairs: Pairs, parity_images: U8) -> ModelScores:
    reference = OnnxRuntimeFloat32(path)
    float32 = OpenVino(path, precision="fp32")
    same: dict[str, Run] = {"torch": TorchFloat32(deployed), "openvino": float32}
    check_float32(reference, same, parity_images)
    log.info("torch, ONNX Runtime and OpenVINO agree at float32; scoring %d images", len(pairs))
    others: list[Runner] = [float32]
    if computes_in_bf16():
        others.append(OpenVino(path, precision="bf16"))
    return score_model(reference, others, batches(pairs), taxonomy=ai4mars.TAXONOMY)


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


def _write_golden(reference: Runner, pairs: Pairs, path: Path) -> None:
    """Write the first validation image with the most classes, and its float32 mask."""
    counts = [len(np.unique(mask[mask != IGNORE])) for _, mask in pairs]
    image = pairs[int(np.argmax(counts))][0][..., None]
    output = reference(image[None])
    if len(np.unique(output.mask)) < 2:
        raise ModelError("the golden mask has one class only; train longer before exporting")
    np.savez_compressed(path, image=image, mask=output.mask[0])


def _write_card(card: ModelCard, folder: Path) -> None:
    content = card_content(card)
    parse_model_card(content, source="card.json")
    (folder / "card.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    (folder / "README.md").write_text(model_readme(card), encoding="utf-8")
