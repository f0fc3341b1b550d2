"""The card of an exported model, from its scores and its recipe."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.model_card import ModelCard
from terrain_training.datasets import ai4mars
from terrain_training.datasets.rover_clock import ClockSplit, smallest_gap_s
from terrain_training.onnx_graph import OPSET
from terrain_training.parity import ModelScores
from terrain_training.recipe import Recipe


def unscored_card(
    recipe: Recipe, model: Path, *, split: ClockSplit, temperature: float
) -> ModelCard:
    """Return the card of an ONNX file, without metrics."""
    return ModelCard(
        name=recipe.name,
        version=recipe.version,
        sha256=hashlib.sha256(model.read_bytes()).hexdigest(),
        height_px=recipe.input_size_px,
        width_px=recipe.input_size_px,
        channels="grey",
        resize="stretch",
        taxonomy=ai4mars.TAXONOMY,
        temperature=round(temperature, 4),
        opset=OPSET,
        metrics={},
        training=_training(recipe, split),
        limits=ai4mars.LIMITS,
    )


def card_metrics(scored: ModelScores, *, rounding_changed: float) -> dict[str, Any]:
    """Return the `metrics` of a card.

    Args:
        scored: on the validation split.
        rounding_changed: share of the clear pixels that rounding to bfloat16 changed.
    """
    scores = scored.scores
    return {
        "data": f"{ai4mars.DATA}, rover-clock validation split, float32",
        "images": scores.images,
        "mean_iou": round(scores.mean_iou, 4),
        "pixel_accuracy": round(scores.pixel_accuracy, 4),
        "iou": _rounded(scores.iou),
        "precision": _rounded(scores.precision),
        "recall": _rounded(scores.recall),
        "expected_calibration_error": round(scored.calibration_error, 4),
        "calibration": "temperature fitted on a sample of the pixels of the same images",
        "selection": "the epoch of the best mean IoU on the same images",
        "rounding": (
            "weights and biases are bfloat16 numbers, so that every precision computes with the "
            f"same ones; {rounding_changed:.2%} of the pixels with a clear margin changed class"
        ),
        "parity": list(scored.parity),
    }


def _training(recipe: Recipe, split: ClockSplit) -> dict[str, Any]:
    return {
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


def _rounded(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 4) for name, value in values.items()}
