"""Card and README of a wrapped model: what is known about it, and what is not."""

from __future__ import annotations

import hashlib
from typing import Any

from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.model_tools.wrap.own_graph import OPSET
from terrain_seg_ros.model_tools.wrap.reference import Agreement, highest_confidence
from terrain_seg_ros.model_tools.wrap.wrap_settings import WrapSettings

USUAL_THRESHOLD = 0.5
"""Of hazards, as the parameters are shipped."""


def wrapped_card(
    data: bytes, settings: WrapSettings, *, size_hw: tuple[int, int], source_sha256: str
) -> ModelCard:
    """Return the card of a wrapped model, without the results of its comparison."""
    return ModelCard(
        name=settings.name,
        version=settings.version,
        sha256=hashlib.sha256(data).hexdigest(),
        height_px=size_hw[0],
        width_px=size_hw[1],
        channels=settings.channels,
        resize=settings.resize,
        taxonomy=settings.taxonomy,
        temperature=1.0,
        opset=OPSET,
        metrics={},
        training={
            "source": f"{settings.source.name}, wrapped by `terrain-seg models wrap`",
            "source_sha256": source_sha256,
            "wrap": _wrap(settings),
        },
        limits=(),
    )


def comparison_metrics(found: list[Agreement], *, synthetic: bool) -> dict[str, Any]:
    """Return the `metrics` of a card: only the agreement with the original network."""
    return {
        "wrap_check": {
            "against": "the original network in ONNX Runtime, with preprocessing in numpy",
            "images": len(found),
            "synthetic": synthetic,
            "mask_agreement": min(item.mask_agreement for item in found),
            "largest_probability_change": max(item.probability_change for item in found) / 255.0,
        }
    }


def wrapped_limits(
    taxonomy: Taxonomy, *, given: frozenset[int], synthetic: bool, narrow_planes: int
) -> tuple[str, ...]:
    """Return the limits of a wrapped model, for its card.

    Args:
        taxonomy: the classes.
        given: ids that the masks of the images hold.
        synthetic: whether no example image was given.
        narrow_planes: of logits that never left 0 to 1; 0 where they did.
    """
    limits = [
        "Never scored here: how well it segments, and where it fails, is unknown. Score it on "
        "labelled images of your own with `terrain-seg evaluate`.",
        "What it was trained on is unknown here; other cameras, sites and light may mislead it "
        "without any warning.",
        "The hazards are those given to the wrap, not measurements.",
        "Its confidence is not calibrated (temperature 1), so `observability.min_confidence` is "
        "less meaningful than for a calibrated model.",
        "No figures of reduced precision: `auto` runs it in float32.",
        "Size, scaling, colour order and the order of the classes were given by its "
        "maker and cannot be verified here. Check the masks of a few images.",
    ]
    if synthetic:
        limits.append(
            "No example image was given: the golden image is synthetic, so the self-test only "
            "shows that backends agree, not that the classes are right."
        )
    if len(given) == 1:
        limits.append(
            f"It predicted {taxonomy.names[min(given)]!r} for every pixel that it was tried on: if "
            "your images show other classes, `--scale`, `--mean`, `--std`, `--channels` or the "
            "weights are wrong."
        )
    limits += _hazard_limits(taxonomy)
    if narrow_planes:
        limits.append(
            "Its output stayed within 0 to 1 on every image: if a sigmoid is inside already, "
            "`--activation logits` was wrong, no confidence can exceed "
            f"{highest_confidence(narrow_planes):.2f}, and the grid may stay unknown."
        )
    return tuple(limits)


def _hazard_limits(taxonomy: Taxonomy) -> list[str]:
    """Return limits that no figure shows: that no class is a hazard, or that every class is."""
    highest, lowest = (pick(item.hazard for item in taxonomy) for pick in (max, min))
    if highest < USUAL_THRESHOLD:
        return [
            f"No class has a hazard above {highest:g}, and `cost.hazard_threshold` is "
            f"{USUAL_THRESHOLD:g} as shipped: nothing that it sees becomes a hazard on the map."
        ]
    if lowest >= USUAL_THRESHOLD:
        return [
            f"No class has a hazard below {lowest:g}, and `cost.hazard_threshold` is "
            f"{USUAL_THRESHOLD:g} as shipped: everything that it sees is a hazard on the map."
        ]
    return []


def wrapped_readme(card: ModelCard) -> str:
    """Return Markdown; the card is the only source."""
    check, training = card.metrics["wrap_check"], card.training
    wrap = training["wrap"]
    lines = [
        f"# {card.name} {card.version}",
        "",
        f"Made by `terrain-seg models wrap` from `{wrap['file']}` (sha256 "
        f"{training['source_sha256']}); input {card.width_px} x {card.height_px} {card.channels}, "
        f"{card.resize}.",
        "",
        "| id | class | hazard |",
        "|---|---|---|",
        *(f"| {item.id} | {item.name} | {item.hazard:g} |" for item in card.taxonomy),
        "",
        "## Settings of the wrap",
        "",
        *(f"* {key}: {value}" for key, value in wrap.items()),
        "",
        "## Checked",
        "",
        f"On {check['images']} {'synthetic' if check['synthetic'] else 'example'} image(s), "
        f"against {check['against']}: "
        f"the same class on {check['mask_agreement']:.3%} of the pixels, "
        f"probabilities within {check['largest_probability_change']:.4f}. This shows that the "
        "wrap is correct, not that the network is.",
        "",
        "## Limits",
        "",
        *(f"* {limit}" for limit in card.limits),
    ]
    return "\n".join(lines) + "\n"


def _wrap(settings: WrapSettings) -> dict[str, Any]:
    return {
        "file": settings.source.name,
        "layout": settings.layout.value,
        "output_layout": settings.output_layout.value,
        "channels": settings.colors.value,
        "scale": settings.white,
        "mean": list(settings.mean),
        "std": list(settings.std),
        "activation": settings.activation.value,
    }
