"""What a model says of one image, sharpened where that is asked for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.core.image.mask_to_picture import overlay
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.segmented_files import png_of
from terrain_training.evaluation.sharpening import sharpen
from terrain_training.evaluation.subject import Subject
from terrain_training.settings.recipe import SharpeningSettings
from terrain_training.settings.validation import build

Sharpening = bool | Mapping[str, object]
"""Whether to sharpen as the recipe says, or values that replace those of the recipe."""


@dataclass(frozen=True)
class PredictedImage:
    """An image and what a network says of it, at the size of the image."""

    pixels: U8 = field(repr=False)
    """(H, W) grey or (H, W, 3) RGB."""
    mask: U8 = field(repr=False)
    """(H, W) class ids in the order of `Model.classes`; 255 outside the network's view."""
    probabilities: U8 = field(repr=False)
    """(K, H, W), probability of each class x 255."""
    taxonomy: Taxonomy = field(repr=False)

    def __repr__(self) -> str:
        """Return the size and the shares of the classes."""
        height, width = self.mask.shape
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.shares().items())
        return f"PredictedImage({width} x {height}: {shares})"

    def overlay(self, alpha: float = 0.5) -> U8:
        """Return the image blended with the colours of the classes, (H, W, 3) RGB."""
        return overlay(self.pixels, self.mask, self.taxonomy, alpha=alpha)

    def _repr_png_(self) -> bytes:
        """Return the overlay as a PNG file, which notebooks show."""
        return png_of(self.overlay())

    def shares(self) -> dict[str, float]:
        """Return the share of the image's pixels per class, 0 to 1."""
        counts = np.bincount(self.mask.reshape(-1), minlength=256) / self.mask.size
        return {name: float(counts[id_]) for id_, name in enumerate(self.taxonomy.names)}

    def mean_confidence(self) -> float:
        """Return the mean probability of the predicted classes, 0 to 1; 0 without prediction."""
        seen = self.mask < len(self.taxonomy)
        best = self.probabilities.max(axis=0)[seen]
        return float(best.mean() / 255.0) if best.size else 0.0


def predict_image(
    subject: Subject, pixels: U8, *, sharpening: SharpeningSettings | None = None
) -> PredictedImage:
    """Return what a model says of an image.

    Args:
        subject: the model.
        pixels: (H, W) grey or (H, W, 3) RGB.
        sharpening: of the output; None leaves it as it is.
    """
    given = subject.predict(pixels)
    if sharpening is not None:
        given = sharpen(given.probabilities, **asdict(sharpening))
    return PredictedImage(pixels, given.mask, given.probabilities, subject.taxonomy)


def sharpening_of(subject: Subject, wanted: Sharpening) -> SharpeningSettings | None:
    """Return the sharpening that is asked for, None for none.

    Args:
        subject: its recipe has the values.
        wanted: False, True, or values by name, such as `{"amount": 1.5}`.

    Raises:
        ConfigError: a name is unknown, or a value is out of range.
    """
    if wanted is False:
        return None
    changes = {} if wanted is True else dict(wanted)
    values = {**asdict(subject.recipe.sharpening), **changes}
    return build(SharpeningSettings, values, key="sharpening")


def is_one_image(images: object) -> bool:
    """Return whether something is one image, not several such as an array (N, H, W, 3)."""
    return isinstance(images, (str, os.PathLike)) or (
        isinstance(images, np.ndarray) and images.ndim <= 3
    )


def pixels_of(image: Any) -> U8:
    """Return an image (H, W) or (H, W, 3) of uint8 that is a file or an array.

    Raises:
        ConfigError: it cannot be read, or has another shape or type.
    """
    if isinstance(image, (str, os.PathLike)):
        return read_image(Path(image))
    if not isinstance(image, np.ndarray):
        raise ConfigError(f"an image is a {type(image).__name__}, expected a file or an array")
    shape_fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if not shape_fits or image.dtype != np.uint8 or not image.size:
        raise ConfigError(
            f"an image has shape {image.shape} and dtype {image.dtype}, expected (H, W) or "
            "(H, W, 3) of uint8; give several images as a list"
        )
    return image
