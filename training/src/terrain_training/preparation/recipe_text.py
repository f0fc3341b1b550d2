"""Write the recipe of somebody's set, with comments that say what was found and assumed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from terrain_training.preparation.propose import Proposal
from terrain_training.preparation.survey import FolderSurvey

MULTIPLE_PX = 32
AREA_PX = 256 * 256
IMAGES_TO_SEE = 5000
"""Pictures that a network sees in a training of a few minutes on a CPU."""


@dataclass(frozen=True)
class Sizes:
    """What follows from the size of the images and their number."""

    height_px: int
    width_px: int
    epochs: int
    batch_size: int
    ema_decay: float


def fitted_sizes(survey: FolderSurvey, training_images: int) -> Sizes:
    """Return an input of about 256 x 256 pixels, shaped as the images, and a short schedule."""
    scale = min(1.0, (AREA_PX / (survey.height_px * survey.width_px)) ** 0.5)
    epochs = min(60, max(8, round(IMAGES_TO_SEE / training_images)))
    batch = min(16, max(2, training_images // 4))
    steps = epochs * max(1, training_images // batch)
    return Sizes(
        _multiple(survey.height_px * scale),
        _multiple(survey.width_px * scale),
        epochs,
        batch,
        round(min(0.998, max(0.0, 1.0 - 20.0 / steps)), 3),
    )


def recipe_text(  # noqa: PLR0913  (one for each part of the recipe)
    *,
    name: str,
    base: str,
    layout: str,
    data: str,
    options: Mapping[str, object],
    proposal: Proposal,
    survey: FolderSurvey,
    sizes: Sizes,
    splits: Mapping[str, int],
    commands: Sequence[str],
) -> str:
    """Return the recipe as YAML with comments."""
    counts = ", ".join(f"{count} {split}" for split, count in splits.items())
    lines = [
        f"# Written by `terrain-train init` from {layout}.",
        f"# Images: {counts}. Check the names and hazards of the classes, then run",
        *(f"#   {command}" for command in commands),
        f"extends: {base}   # network, optimiser and augmentation; any key can be changed here",
        f"name: {json.dumps(name)}",
        'version: "0.1.0"',
        f"description: {json.dumps(f'Trained on the images of {data}.')}",
        "# who made images and labels; the card of the model shows it",
        f"credits: [{json.dumps(f'Images and labels: {data}.')}]",
        'limits: ["Trained on one set of images; not validated on other cameras or places."]',
        "data:",
        "  source: labelled_folder",
        f"  channels: {'rgb' if survey.has_colour else 'grey'}",
        "  # of the network's input; the images are about "
        f"{survey.width_px} x {survey.height_px} px",
        f"  height_px: {sizes.height_px}",
        f"  width_px: {sizes.width_px}",
        "  options:",
        *(f"    {key}: {json.dumps(value)}" for key, value in options.items()),
        "    # hazard: probability that such ground ends a drive, 0 (safe) to 1",
        "    classes:",
        *_classes(proposal, survey),
        "training:",
        f"  epochs: {sizes.epochs}",
        f"  batch_size: {sizes.batch_size}",
        "  class_weights: inverse_sqrt   # rare classes count more",
        f"  ema_decay: {sizes.ema_decay}",
    ]
    return "\n".join(lines) + "\n"


def _classes(proposal: Proposal, survey: FolderSurvey) -> list[str]:
    lines = []
    for number, item in enumerate(proposal.classes):
        images = int(survey.balance.images[number])
        colour = ", ".join(map(str, item.colour))
        lines.append(
            f"      # {survey.share(number):.1%} of the labelled pixels, in {images} of "
            f"{survey.balance.image_count} images (hazard: {item.why})"
        )
        lines.append(
            f"      - {{name: {json.dumps(item.name)}, color: [{colour}], hazard: {item.hazard:g}}}"
        )
    return lines


def _multiple(length_px: float) -> int:
    return max(MULTIPLE_PX, round(length_px / MULTIPLE_PX) * MULTIPLE_PX)
