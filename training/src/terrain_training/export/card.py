"""The card of an exported model, from its scores and its recipe."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import ModelCard, Precision
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_training.data.rover_clock import ClockSplit, smallest_gap_s
from terrain_training.export.onnx_graph import OPSET
from terrain_training.export.parity import ModelScores
from terrain_training.learning.loaders import OpenData
from terrain_training.learning.scores import network_size
from terrain_training.metrics.ood import PERCENTILES, SCORE
from terrain_training.settings.recipe import Recipe


def unscored_card(
    recipe: Recipe, model: Path, *, taxonomy: Taxonomy, opened: OpenData, temperature: float
) -> ModelCard:
    """Return the card of an ONNX file, without metrics."""
    return ModelCard(
        name=recipe.name,
        version=recipe.version,
        sha256=hashlib.sha256(model.read_bytes()).hexdigest(),
        height_px=recipe.data.height_px,
        width_px=recipe.data.width_px,
        channels=recipe.data.channels,
        resize=recipe.data.resize,
        taxonomy=taxonomy,
        temperature=round(temperature, 4),
        opset=OPSET,
        metrics={},
        training=_training(recipe, opened),
        limits=tuple(recipe.limits),
    )


def lowered_card(card: ModelCard, model: Path, *, precision: Precision) -> ModelCard:
    """Return the card of a file of lower precision, from that of the float32 file."""
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    return dataclasses.replace(
        card,
        name=lowered_name(card.name, precision),
        sha256=digest,
        precision=precision,
        lowered_from_sha256=card.sha256,
    )


def lowered_name(name: str, precision: Precision) -> str:
    """Return the name of a model's file of some precision."""
    return name if precision == "fp32" else f"{name}_{precision}"


def reference_figures(scored: ModelScores, sha256: str) -> dict[str, Any]:
    """Return the figures of the float32 file that a file of lower precision was made from."""
    figures = scored.figures.to_json()
    return {
        "precision": "fp32",
        "sha256": sha256,
        "images": scored.figures.images,
        **_rounded({name: figures[name] for name in _FIGURES}),
    }


def card_metrics(
    scored: ModelScores,
    recipe: Recipe,
    *,
    precision: Precision,
    training_ood: Sequence[float],
    rounding_changed: float | None,
) -> dict[str, Any]:
    """Return the `metrics` of a card.

    Args:
        scored: on the validation split.
        recipe: of the run.
        precision: of the file.
        training_ood: out-of-distribution scores of training images.
        rounding_changed: share of the clear pixels that rounding to bfloat16 changed; None
            where the weights were not rounded.
    """
    figures = scored.figures.to_json()
    result = {
        "data": f"{recipe.data.source}, validation split, {_NAMES[precision]}",
        "scored_at": network_size(recipe),
        "images": scored.figures.images,
        **_rounded({name: figures[name] for name in _FIGURES}),
        "intervals": _rounded(figures["intervals"]),
        "calibration": "temperature fitted on a sample of the pixels of the same images",
        "selection": "the epoch of the best mean IoU on the same images",
        "out_of_distribution": {
            "score": SCORE,
            "images": len(training_ood),
            "training_percentiles": _rounded(
                dict(zip(map(str, PERCENTILES), np.percentile(training_ood, PERCENTILES).tolist()))
            ),
        },
        "parity": [dataclasses.asdict(row) for row in scored.parity],
    }
    if rounding_changed is not None:
        result["rounding"] = (
            "weights and biases are bfloat16 numbers, so that every precision computes with the "
            f"same ones; {rounding_changed:.2%} of the pixels with a clear margin changed class"
        )
    return result


_NAMES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "int8": "int8"}

_FIGURES = (
    "mean_iou",
    "pixel_accuracy",
    "iou",
    "precision",
    "recall",
    "dice",
    "boundary_f1",
    "expected_calibration_error",
    "hazard_threshold",
    "false_safe_rate",
    "missed_hazard_share",
    "hazard_recall",
)


def split_text(opened: OpenData) -> str:
    """Return how training and validation were split, with the clock distance if names have it."""
    counts = f"{len(opened.train)} training and {len(opened.validation)} validation images"
    try:
        gap_s = smallest_gap_s(ClockSplit(opened.train, opened.validation))
    except ConfigError:  # the names carry no clock
        return f"{counts}, as the source parts them"
    return f"by rover clock: {counts}, none of the latter closer than {gap_s} s to the former"


def _training(recipe: Recipe, opened: OpenData) -> dict[str, Any]:
    return {
        "credits": list(recipe.credits),
        "images": len(opened.train),
        "split": split_text(opened),
        "renderers": list(recipe.data.renderers),
        "bodies": list(recipe.data.bodies),
        "epochs": recipe.training.epochs,
        "seed": recipe.training.seed,
        "recipe": _kept_recipe(recipe),
    }


def _kept_recipe(recipe: Recipe) -> dict[str, Any]:
    """Return every setting, of own parts the file's name alone: a model brings no code."""
    content = dataclasses.asdict(recipe)
    content["parts"] = [
        {"file": Path(item.file).name, "sha256": item.sha256} for item in recipe.parts
    ]
    return content


def _rounded(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {name: _rounded(value) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_rounded(value) for value in values]
    return round(values, 4) if isinstance(values, float) else values
