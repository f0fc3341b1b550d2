"""From a checkpoint to a shipped model: ONNX file, card, golden image and README."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import shutil
import tempfile
from pathlib import Path

import numpy as np
import torch

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.model_card import ModelCard, card_content, parse_model_card
from terrain_seg_ros.core.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_training.calibration import fit_temperature
from terrain_training.checkpoint import load_network
from terrain_training.datasets import ai4mars
from terrain_training.datasets.rover_clock import ClockSplit, smallest_gap_s
from terrain_training.model_readme import model_readme
from terrain_training.onnx_graph import OPSET, DeployedNetwork, write_onnx
from terrain_training.parity import ModelScores, Runner, batches, check_float32, score_model
from terrain_training.recipe import Recipe
from terrain_training.runtimes import (
    OnnxRuntimeFloat32,
    OpenVino,
    TorchFloat32,
    computes_in_bf16,
)

log = logging.getLogger(__name__)

PARITY_IMAGES = 16
_PIXELS_PER_IMAGE = 500


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
        ModelError: the runtimes disagree.
    """
    network = load_network(weights, recipe)
    split = ai4mars.read_split(data, seed=recipe.seed)
    pairs = ai4mars.read_pairs(data, split.validation, size_px=recipe.input_size_px)
    temperature = _temperature(network, pairs, seed=recipe.seed)
    log.info("temperature %.3f", temperature)
    deployed = DeployedNetwork(network, temperature=temperature)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out) as folder:
        staged = Path(folder)
        path = staged / "model.onnx"
        size_px = recipe.input_size_px
        write_onnx(deployed, path, height_px=size_px, width_px=size_px, channels=1)
        reference = OnnxRuntimeFloat32(path)
        float32 = OpenVino(path, precision="fp32")
        check_float32(
            reference,
            {"torch": TorchFloat32(deployed), "openvino": float32},
            np.stack([image[..., None] for image, _ in _spread(pairs, PARITY_IMAGES)]),
        )
        log.info("torch, ONNX Runtime and OpenVINO agree at float32; scoring %d images", len(pairs))
        others: list[Runner] = [float32]
        if computes_in_bf16():
            others.append(OpenVino(path, precision="bf16"))
        scored = score_model(reference, others, batches(pairs), taxonomy=ai4mars.TAXONOMY)
        card = _card(recipe, path, split=split, scored=scored, temperature=temperature)
        _write_golden(reference, pairs, staged / "golden.npz")
        content = card_content(card)
        parse_model_card(content, source="card.json")
        _write_text(staged / "card.json", json.dumps(content, indent=2) + "\n")
        _write_text(staged / "README.md", model_readme(card))
        for file in sorted(staged.iterdir()):
            shutil.move(str(file), str(out / file.name))
    return card


def _temperature(network: torch.nn.Module, pairs: list[tuple[U8, U8]], *, seed: int) -> float:
    random = np.random.default_rng(seed)
    logits, targets = [], []
    with torch.inference_mode():
        for tensors, masks in batches(pairs):
            output = network(torch.from_numpy(tensors).permute(0, 3, 1, 2).float() / 127.5 - 1.0)
            flat = output.permute(0, 2, 3, 1).reshape(-1, output.shape[1])
            labelled = np.flatnonzero(masks.reshape(-1) != IGNORE)
            count = min(len(labelled), _PIXELS_PER_IMAGE * len(masks))
            chosen = torch.from_numpy(random.choice(labelled, count, replace=False))
            logits.append(flat[chosen])
            targets.append(torch.from_numpy(masks.reshape(-1).astype(np.int64))[chosen])
    return fit_temperature(torch.cat(logits).clone(), torch.cat(targets).clone())


def _spread(pairs: list[tuple[U8, U8]], count: int) -> list[tuple[U8, U8]]:
    if len(pairs) < count:
        raise ConfigError(f"{len(pairs)} validation images are too few, expected {count} or more")
    return [pairs[int(i)] for i in np.linspace(0, len(pairs) - 1, count)]


def _write_golden(reference: Runner, pairs: list[tuple[U8, U8]], path: Path) -> None:
    """Write the first validation image with the most classes, and its float32 mask."""
    counts = [len(np.unique(mask[mask != IGNORE])) for _, mask in pairs]
    image = pairs[int(np.argmax(counts))][0][..., None]
    output = reference(image[None])
    if len(np.unique(output.mask)) < 2:
        raise ModelError("the golden mask has one class only; train longer before exporting")
    np.savez_compressed(path, image=image, mask=output.mask[0])


def _card(
    recipe: Recipe, path: Path, *, split: ClockSplit, scored: ModelScores, temperature: float
) -> ModelCard:
    scores = scored.scores
    metrics = {
        "data": f"{ai4mars.DATA}, rover-clock validation split, float32",
        "images": scores.images,
        "mean_iou": round(scores.mean_iou, 4),
        "pixel_accuracy": round(scores.pixel_accuracy, 4),
        **{
            key: {name: None if v is None else round(v, 4) for name, v in values.items()}
            for key, values in (
                ("iou", scores.iou),
                ("precision", scores.precision),
                ("recall", scores.recall),
            )
        },
        "expected_calibration_error": round(scored.calibration_error, 4),
        "calibration": "temperature fitted on a sample of the pixels of the same images",
        "parity": list(scored.parity),
    }
    training = {
        "data": ai4mars.DATA,
        "license": ai4mars.DATA_LICENSE,
        "credits": [ai4mars.CREDIT, recipe.encoder_credit],
        "images": len(split.train),
        "split": (
            f"by rover clock: {len(split.train)} training and {len(split.validation)} validation "
            f"images, none of the latter closer than {smallest_gap_s(split)} s to the former"
        ),
        "epochs": recipe.epochs,
        "seed": recipe.seed,
        "recipe": dataclasses.asdict(recipe),
    }
    return ModelCard(
        name=recipe.name,
        version=recipe.version,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        height_px=recipe.input_size_px,
        width_px=recipe.input_size_px,
        channels="grey",
        resize="stretch",
        taxonomy=ai4mars.TAXONOMY,
        temperature=round(temperature, 4),
        opset=OPSET,
        metrics=metrics,
        training=training,
        limits=ai4mars.LIMITS,
    )


def _write_text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
