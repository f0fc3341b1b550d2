"""Pairs in one picture: the photograph on the left, its coloured mask on the right.

    train/1.jpg  val/1.jpg ...   (Cityscapes pairs, city maps)

What the colours mean is not told, so that classes are found by k-means (see `palette`) or given as
a palette; JPEG blurs the borders, which the nearest colour survives.
"""

from __future__ import annotations

import colorsys
from collections.abc import Collection
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import BadSampleError, Sample
from terrain_training.data.files import find_pictures, read_colours
from terrain_training.data.palette import DEFAULT_CLASSES, Palette, fit_palette
from terrain_training.data.remaining import names_to_leave_out
from terrain_training.data.splits import part_of

FIT_IMAGES = 200
_SPLIT_NAMES = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


class SideBySide:
    """Read pairs; without a palette one is found in the training masks."""

    def __init__(
        self,
        root: Path,
        *,
        palette: Palette | None = None,
        classes: int = DEFAULT_CLASSES,
        seed: int = 42,
        removed: Collection[str] = (),
    ) -> None:
        """Find the files, and the colours of the classes.

        Args:
            root: of the data set.
            palette: the colours of the classes; None finds them.
            classes: how many colours to find.
            seed: of k-means.
            removed: names of pairs whose colours do not count.

        Raises:
            ConfigError: there are no folders of pairs, too few colours, or a removed name is none.
        """
        self._files: dict[str, Path] = {}
        self._parts: dict[str, list[str]] = {}
        for folder, split in _SPLIT_NAMES.items():
            if (root / folder).is_dir():
                found = find_pictures(root / folder)
                self._files.update({f"{split}/{stem}": path for stem, path in found.items()})
                self._parts[split] = [f"{split}/{stem}" for stem in found]
        if "train" not in self._parts:
            raise ConfigError(
                f"'{root}' has no folder train; expected train, val and test of pairs"
            )
        left_out = names_to_leave_out(removed, self._files)
        fitted = [name for name in self._parts["train"] if name not in left_out][:FIT_IMAGES]
        self.palette = palette or fit_palette(
            (self._halves(name)[1] for name in fitted),
            classes=classes,
            seed=seed,
        )
        self._taxonomy = _taxonomy(self.palette)

    @property
    def taxonomy(self) -> Taxonomy:
        """Return classes without a meaning, called `class_0` and on, in their own colours."""
        return self._taxonomy

    def splits(self) -> tuple[str, ...]:
        """Return the splits that have a folder."""
        return tuple(self._parts)

    def names(self, split: str) -> list[str]:
        """Return the names of a split, such as `train/12`."""
        return part_of(self._parts, split)

    def load(self, name: str) -> Sample:
        """Return the left half as the image, the right one as class ids."""
        image, colours = self._halves(name)
        return Sample(name, image, self.palette.decode(colours))

    def _halves(self, name: str) -> tuple[U8, U8]:
        path = self._files[name]
        both = read_colours(path)
        width = both.shape[1]
        if width < 2 or width % 2:
            raise BadSampleError(
                f"{path}: is {width} pixels wide, expected two halves of one width"
            )
        return both[:, : width // 2].copy(), both[:, width // 2 :].copy()


def _taxonomy(palette: Palette) -> Taxonomy:
    """Return a class per colour; two of one colour are told apart by a shade of their own."""
    seen: set[tuple[int, int, int]] = set()
    classes = []
    for number, row in enumerate(palette.colours.tolist()):
        colour = (int(row[0]), int(row[1]), int(row[2]))
        if colour in seen:
            shade = colorsys.hsv_to_rgb(number / len(palette.colours), 1.0, 1.0)
            colour = (round(shade[0] * 255), round(shade[1] * 255), round(shade[2] * 255))
        seen.add(colour)
        classes.append(TerrainClass(number, f"class_{number}", colour, 0.5))
    return Taxonomy(tuple(classes))
