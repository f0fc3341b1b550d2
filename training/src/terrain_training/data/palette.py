"""K-means labelling: classes from the colours of masks that name none."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_seg_ros.core.types import U8
from terrain_training.data.colours import nearest_colour

DEFAULT_CLASSES = 10
SAMPLE_PIXELS = 200_000
ATTEMPTS = 4
ITERATIONS = 50
FILE_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Palette:
    """The colours (K, 3) of the classes, RGB, from the most frequent to the rarest."""

    colours: U8

    def decode(self, mask_colours: U8) -> U8:
        """Return the class ids (H, W) of a mask of colours (H, W, 3)."""
        return nearest_colour(mask_colours, self.colours)

    def save(self, path: Path) -> None:
        """Write the palette as JSON, to be kept with the model."""
        text = json.dumps({"palette_rgb": self.colours.tolist()}, indent=2)
        path.write_text(f"{text}\n", encoding="utf-8")


def load_palette(path: Path) -> Palette:
    """Read a palette.

    Raises:
        ConfigError: the file is missing or holds something else.
    """
    try:
        rows = json.loads(read_regular_file(path, FILE_LIMIT_BYTES))["palette_rgb"]
        values = np.array(rows)
    except (ConfigError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise ConfigError(f"palette {path} cannot be read: {error}; make it again") from error
    good = values.ndim == 2 and values.shape[1:] == (3,) and 2 <= len(values) <= 255
    if not good or values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise ConfigError(f"palette {path} is not a list of 2 to 255 colours of 3 x 0..255")
    return Palette(values.astype(np.uint8))


def fit_palette(masks: Iterable[U8], *, classes: int = DEFAULT_CLASSES, seed: int) -> Palette:
    """Find the colours of the classes by k-means, started by k-means++ and seeded.

    Args:
        masks: (H, W, 3) each, RGB.
        classes: how many.
        seed: of the sample of pixels and of the start.

    Raises:
        ConfigError: the masks have fewer colours than classes.
    """
    if not 2 <= classes <= 255:
        raise ConfigError(f"k-means with {classes} classes, expected 2 to 255")
    random = np.random.default_rng(seed)
    pixels = _sample([mask.reshape(-1, 3) for mask in masks], random)
    distinct = len(np.unique(pixels, axis=0))
    if distinct < classes:
        raise ConfigError(
            f"the masks have {distinct} colours, fewer than {classes} classes; ask for fewer"
        )
    cv2.setRNGSeed(seed)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, ITERATIONS, 0.1)
    _, labels, centres = cv2.kmeans(
        pixels.astype(np.float32),
        classes,
        np.empty((0, 1), dtype=np.int32),
        criteria,
        ATTEMPTS,
        cv2.KMEANS_PP_CENTERS,
    )
    counts = np.bincount(labels.reshape(-1), minlength=classes)
    order = np.argsort(-counts, kind="stable")
    return Palette(np.clip(np.rint(centres[order]), 0, 255).astype(np.uint8))


def _sample(parts: list[U8], random: np.random.Generator) -> U8:
    if not parts:
        raise ConfigError("k-means has no mask to learn from; check the split")
    share = max(SAMPLE_PIXELS // len(parts), 1)
    chosen = [
        part if len(part) <= share else part[random.choice(len(part), share, replace=False)]
        for part in parts
    ]
    return np.concatenate(chosen)
