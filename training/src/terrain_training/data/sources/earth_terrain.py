"""Earth terrain, height and segmentation maps: squares of the globe.

    NNNN_t.png terrain (RGB)   NNNN_h.png height (16 bits)   NNNN_i2.png seven colours

or terrain with a binary mask of land, where `NNNN_i2.png` is black and white.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.image_file import decode_file
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.core.types import F32
from terrain_training.data.colours import ColourTable
from terrain_training.data.contract import BadSampleError, Sample
from terrain_training.data.files import find_pictures, read_colours, read_picture
from terrain_training.data.splits import part_of, random_split

TAXONOMY = Taxonomy(
    (
        TerrainClass(0, "water", (17, 141, 215), 1.0),
        TerrainClass(1, "grassland", (225, 227, 155), 0.1),
        TerrainClass(2, "forest", (127, 173, 123), 0.6),
        TerrainClass(3, "hills", (185, 122, 87), 0.4),
        TerrainClass(4, "desert", (230, 200, 181), 0.2),
        TerrainClass(5, "mountain", (150, 150, 150), 0.9),
        TerrainClass(6, "tundra", (193, 190, 175), 0.3),
    )
)
LAND = Taxonomy(
    (TerrainClass(0, "water", (0, 0, 0), 1.0), TerrainClass(1, "land", (255, 255, 255), 0.1))
)
SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}
MIDDLE = 128
_SUFFIXES = ("_t", "_h", "_i2")


class EarthTerrain:
    """Read terrain pictures and their maps."""

    def __init__(self, root: Path, *, binary: bool = False, seed: int = 42) -> None:
        """Find the files.

        Args:
            root: folder of the squares.
            binary: masks are black and white: water and land.
            seed: of the split.

        Raises:
            ConfigError: no terrain picture is there.
        """
        files = find_pictures(root)
        self._root = root
        self._binary = binary
        numbers = [stem.removesuffix("_t") for stem in files if stem.endswith("_t")]
        if not numbers:
            raise ConfigError(f"'{root}' has no NNNN_t.png, expected {list(_SUFFIXES)} per square")
        self._parts = random_split(numbers, SHARES, seed=seed)
        self._table = ColourTable({item.color_rgb: item.id for item in TAXONOMY})

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the seven classes, or water and land."""
        return LAND if self._binary else TAXONOMY

    def splits(self) -> tuple[str, ...]:
        """Return train, validation and test."""
        return tuple(self._parts)

    def names(self, split: str) -> list[str]:
        """Return the numbers of a split."""
        return part_of(self._parts, split)

    def load(self, name: str) -> Sample:
        """Return a square."""
        path = self._root / f"{name}_i2.png"
        image = read_picture(self._root / f"{name}_t.png")
        colours = read_colours(path)
        if self._binary:
            grey = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)
            return Sample(name, image, (grey >= MIDDLE).astype(np.uint8))
        return Sample(name, image, self._table.decode(colours, source=str(path)))

    def height(self, name: str) -> F32:
        """Return the height map (H, W), 0 to 1 of the file's range.

        Raises:
            BadSampleError: it is missing or has several channels.
        """
        path = self._root / f"{name}_h.png"
        try:
            values = decode_file(path)
        except ConfigError as error:
            raise BadSampleError(str(error)) from error
        if values.ndim != 2:
            raise BadSampleError(f"{path}: height has {values.shape[2]} channels, expected one")
        return np.asarray(values / np.iinfo(values.dtype).max, dtype=np.float32)
