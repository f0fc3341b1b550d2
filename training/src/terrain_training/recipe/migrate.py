"""Bring a recipe that an earlier version kept to the present form, and say what was done.

Cards keep the recipe of their model permanently, while recipes gain keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from terrain_seg_ros.core.model_card import ModelCard

_FLAT_KEYS = {"dataset", "input_size_px", "decoder_channels"}
_SAME_IN_TRAINING = (
    "epochs",
    "batch_size",
    "learning_rate",
    "encoder_learning_rate",
    "weight_decay",
    "warmup_share",
    "class_weights",
    "ema_decay",
    "gradient_clip",
    "precision",
    "seed",
)
_WHOLE = {"losses", "options", "taxonomy"}
"""Mappings whose keys belong together: nothing is added to them."""


def migrated(
    content: object, base: Mapping[str, Any], card: ModelCard | None
) -> tuple[object, str | None]:
    """Return a recipe in the present form, and what was assumed; None where it is in it already.

    Args:
        content: as it was kept.
        base: the values of keys that a recipe does not say.
        card: of the model that kept it; tells the input of the oldest form.
    """
    if not isinstance(content, Mapping):
        return content, None
    if set(content) >= _FLAT_KEYS:
        return _from_flat(content, base, card), (
            "keeps a recipe of the first form (flat keys); optimiser adamw, a cosine schedule and "
            "no augmentation are assumed, none of which changes scores"
        )
    filled: list[str] = []
    whole = _filled(base, content, "", filled)
    if not filled:
        return content, None
    return whole, f"keeps a recipe of an earlier form; {', '.join(filled)} take their usual values"


def _from_flat(
    old: Mapping[str, Any], base: Mapping[str, Any], card: ModelCard | None
) -> dict[str, Any]:
    """Return a recipe of flat keys, all of whose networks were U-Nets on MobileNetV2."""
    size_px = old["input_size_px"]
    data = {
        **base["data"],
        "source": old["dataset"],
        "channels": card.channels if card is not None else "grey",
        "height_px": card.height_px if card is not None else size_px,
        "width_px": card.width_px if card is not None else size_px,
        "resize": card.resize if card is not None else base["data"]["resize"],
    }
    options = {
        "architecture": "Unet",
        "encoder": "mobilenet_v2",
        "encoder_weights": None,
        "dropout": old.get("dropout", 0.0),
        "arguments": {"decoder_channels": old["decoder_channels"]},
    }
    training = {
        **base["training"],
        "optimiser": "adamw",
        "schedule": "cosine",
        "losses": {"cross_entropy": 1.0},
        **{key: old[key] for key in _SAME_IN_TRAINING if key in old},
    }
    if old.get("dice_weight"):
        training["losses"] = {"cross_entropy": 1.0, "dice": old["dice_weight"]}
    return {
        **base,
        "name": old.get("name", card.name if card is not None else "unnamed"),
        "version": old.get("version", base["version"]),
        "credits": [old["encoder_credit"]] if "encoder_credit" in old else [],
        "data": data,
        "network": {**base["network"], "kind": "smp", "options": options},
        "training": training,
    }


def _filled(
    base: Mapping[str, Any], given: Mapping[str, Any], prefix: str, filled: list[str]
) -> dict[str, Any]:
    """Return what was given with the base's values for keys that it lacks, noting them."""
    result = dict(given)
    for key, value in base.items():
        if key not in given:
            result[key] = value
            filled.append(f"{prefix}{key}")
        elif isinstance(value, Mapping) and isinstance(given[key], Mapping) and key not in _WHOLE:
            result[key] = _filled(value, given[key], f"{prefix}{key}.", filled)
    return result
