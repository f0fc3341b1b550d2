"""Artificial Lunar Rocky Landscape (Pessia and Ishigami): 9,766 renders and 36 real Moon images.

    images/render/renderNNNN.png  images/ground/groundNNNN.png  images/clean/cleanNNNN.png
    real_moon_images/PCAM1.png    real_moon_images/g_PCAM1.png

`clean` masks label every rock, `ground` masks leave distant ones dark.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.data.colours import ColourTable
from terrain_training.data.contract import Sample
from terrain_training.data.files import find_pictures, read_colours, read_picture
from terrain_training.data.splits import part_of, random_split

Masks = Literal["clean", "ground"]
TAXONOMY = Taxonomy(
    (
        TerrainClass(0, "ground", (0, 0, 0), 0.05),
        TerrainClass(1, "small_rock", (0, 255, 0), 0.5),
        TerrainClass(2, "large_rock", (0, 0, 255), 1.0),
        TerrainClass(3, "sky", (255, 0, 0), 0.0),
    )
)
SHARES = {"train": 0.49, "validation": 0.21, "test": 0.30}
"""As published; the real images are a test of their own."""
SEED = 42
REAL = "real"
_TRUTH_PREFIX = "g_"


class LunarLandscape:
    """Read the renders, split as published, and the real images as the split `real`."""

    def __init__(self, root: Path, *, masks: Masks = "ground", seed: int = SEED) -> None:
        """Find the files.

        Raises:
            ConfigError: the folder is not laid out so, or there are no such masks.
        """
        if masks not in get_args(Masks):
            raise ConfigError(f"masks {masks!r}, expected one of {list(get_args(Masks))}")
        renders = find_pictures(root / "images" / "render")
        folder = root / "images" / masks
        self._pairs: dict[str, tuple[Path, Path]] = {}
        for stem, path in renders.items():
            number = stem.removeprefix("render")
            self._pairs[stem] = (path, folder / f"{masks}{number}.png")
        self._parts = random_split(self._pairs, SHARES, seed=seed)
        self._parts[REAL] = self._find_real(root / "real_moon_images")
        self._table = ColourTable({item.color_rgb: item.id for item in TAXONOMY})

    @property
    def taxonomy(self) -> Taxonomy:
        """Return ground, small and large rocks, and sky."""
        return TAXONOMY

    def splits(self) -> tuple[str, ...]:
        """Return train, validation, test, and real where the real images are there."""
        return tuple(name for name, part in self._parts.items() if part)

    def names(self, split: str) -> list[str]:
        """Return the stems of a split."""
        return part_of(self._parts, split)

    def load(self, name: str) -> Sample:
        """Return a sample; colours must be the four exact ones."""
        image, mask = self._pairs[name]
        return Sample(
            name, read_picture(image), self._table.decode(read_colours(mask), source=str(mask))
        )

    def _find_real(self, folder: Path) -> list[str]:
        if not folder.is_dir():
            return []
        pictures = find_pictures(folder)
        stems = [stem for stem in pictures if f"{_TRUTH_PREFIX}{stem}" in pictures]
        for stem in stems:
            self._pairs[stem] = (pictures[stem], pictures[f"{_TRUTH_PREFIX}{stem}"])
        return stems
