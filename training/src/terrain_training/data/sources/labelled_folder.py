"""Any folder of images and masks: MarsData, MarsScapes, SynMars, Katwijk, ReSyRIS and one's own.

    images/STEM.jpg   masks/STEM.png   [train.txt val.txt test.txt ..., one image per line]

Masks are class ids in one channel, other values in one channel, or colours that the classes name.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_training.data.colours import Colour, ColourTable
from terrain_training.data.contract import Sample
from terrain_training.data.files import (
    find_pictures,
    is_jpeg,
    pair_up,
    read_colours,
    read_ids,
    read_picture,
)
from terrain_training.data.split_lists import read_splits
from terrain_training.data.splits import part_of
from terrain_training.data.taxonomy_file import parse_classes

log = logging.getLogger(__name__)

_REMEDY = "add them to data.options.classes, or to data.options.ignored"
_OF_A_WORLD = re.compile(r"(.+_\d{9})_\d{2,}")
DEFAULT_SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


class LabelledFolder:
    """Read images and masks that share a stem; lists of images are splits, what lacks is drawn."""

    def __init__(
        self,
        root: Path,
        taxonomy: Taxonomy,
        *,
        by_colour: bool,
        values: Sequence[int] = (),
        ignored: tuple[Colour, ...] = (),
        shares: Mapping[str, float] = DEFAULT_SHARES,
        seed: int = 42,
    ) -> None:
        """Find the files.

        Args:
            root: folder with `images` and `masks`.
            taxonomy: ids of masks in one channel, or the colours of others.
            by_colour: masks are colours.
            values: what stands for each class in masks of one channel, where it is not its id.
            ignored: colours that do not count; with `values`, a grey level is a colour of three
                equal channels.
            shares: of the splits, where the folder has no list of them.
            seed: of what is drawn.

        Raises:
            ConfigError: folders or lists cannot be used.
        """
        _check_folders(root)
        images, masks = find_pictures(root / "images"), find_pictures(root / "masks")
        self._pairs = pair_up(images, masks, folder=root / "images")
        self._taxonomy = taxonomy
        self._table = None
        if by_colour or values:
            ids = _ids_by_colour(taxonomy, values)
            self._table = ColourTable({**ids, **dict.fromkeys(ignored, IGNORE)}, remedy=_REMEDY)
            if any(is_jpeg(mask) for _, mask in self._pairs.values() if mask.is_file()):
                log.warning(
                    "masks in %s are JPEG: a pixel is of the class of the nearest colour, and one "
                    "between two colours is ignored; PNG keeps masks as they are",
                    root / "masks",
                )
        self._parts = read_splits(root, self._pairs, shares=shares, seed=seed)

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the classes of the masks."""
        return self._taxonomy

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits."""
        return tuple(self._parts)

    def names(self, split: str) -> list[str]:
        """Return the stems of a split."""
        return part_of(self._parts, split)

    def group(self, name: str) -> str:
        """Return the generated world of a picture that `render` made, else its stem."""
        found = _OF_A_WORLD.fullmatch(name)
        return found[1] if found else name

    def load(self, name: str) -> Sample:
        """Return the sample of a stem."""
        image_path, mask_path = self._pairs[name]
        image = read_picture(image_path)
        if self._table is None:
            return Sample(name, image, read_ids(mask_path))
        colours, source = read_colours(mask_path), str(mask_path)
        if is_jpeg(mask_path):
            return Sample(name, image, self._table.decode_blurred(colours, source=source))
        return Sample(name, image, self._table.decode(colours, source=source))


def _ids_by_colour(taxonomy: Taxonomy, values: Sequence[int]) -> dict[Colour, int]:
    """Return the class ids by the colours of the classes, or by grey levels where they are given.

    Raises:
        ConfigError: there is not one level for each class.
    """
    if not values:
        return {item.color_rgb: item.id for item in taxonomy}
    if len(values) != len(taxonomy) or len(set(values)) != len(values):
        raise ConfigError(
            f"recipe key data.options.values is {list(values)}, expected {len(taxonomy)} different "
            f"levels, one for each class of {list(taxonomy.names)}"
        )
    return {(level, level, level): number for number, level in enumerate(values)}


def _check_folders(root: Path) -> None:
    """Say what to do with a folder that is laid out otherwise.

    Raises:
        ConfigError: there is no folder, or none of images in it.
    """
    if not root.is_dir():
        raise ConfigError(f"'{root}' is not a folder; check --data")
    if not (root / "images").is_dir():
        raise ConfigError(
            f"'{root}' has no folder images/; of a set in another layout, `terrain-train init` "
            "makes a labelled folder (RECIPE_data): give that as --data"
        )


def open_labelled_folder(
    root: Path,
    *,
    classes: Sequence[Mapping[str, Any]],
    by_colour: bool,
    values: Sequence[int] = (),
    ignored: Sequence[Sequence[int]] = (),
    shares: Mapping[str, float] = DEFAULT_SHARES,
    seed: int = 42,
) -> LabelledFolder:
    """Return a `LabelledFolder` from what a recipe says.

    Args:
        root: folder with `images` and `masks`.
        classes: name, color and hazard of each, in the order of their ids.
        by_colour: masks are colours.
        values: what stands for each class in masks of one channel, where it is not its id, such as
            [0, 255].
        ignored: colours that do not count, or levels as three equal channels.
        shares: of the splits, where the folder has no lists.
        seed: of the splits.

    Raises:
        ConfigError: a class is wrong, or the folder cannot be used.
    """
    colours = [tuple(colour) for colour in ignored]
    if not all(len(colour) == 3 for colour in colours):
        raise ConfigError(f"recipe key data.options.ignored is {ignored}, expected colours")
    if by_colour and values:
        raise ConfigError(
            "recipe key data.options.values is for masks of one channel; leave it out, or set "
            "by_colour to false"
        )
    return LabelledFolder(
        root,
        parse_classes(classes, "data.options"),
        by_colour=by_colour,
        values=values,
        ignored=tuple((int(c[0]), int(c[1]), int(c[2])) for c in colours),
        shares=shares,
        seed=seed,
    )
