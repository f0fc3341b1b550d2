"""Any folder of images and masks: MarsData, MarsScapes, SynMars, Katwijk, ReSyRIS and one's own.

    images/STEM.jpg   masks/STEM.png   [train.txt validation.txt ... one STEM per line]

Masks are class ids in one channel, or colours that the classes name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_training.data.colours import Colour, ColourTable
from terrain_training.data.contract import Sample
from terrain_training.data.files import (
    find_pictures,
    pair_up,
    read_colours,
    read_ids,
    read_picture,
)
from terrain_training.data.splits import part_of, random_split
from terrain_training.data.taxonomy_file import parse_classes

LIST_LIMIT_BYTES = 16 * 2**20
DEFAULT_SHARES = {"train": 0.7, "validation": 0.15, "test": 0.15}


class LabelledFolder:
    """Read images and masks that share a stem; lists of stems are splits, else one is drawn."""

    def __init__(
        self,
        root: Path,
        taxonomy: Taxonomy,
        *,
        by_colour: bool,
        ignored: tuple[Colour, ...] = (),
        shares: Mapping[str, float] = DEFAULT_SHARES,
        seed: int = 42,
    ) -> None:
        """Find the files.

        Args:
            root: folder with `images` and `masks`.
            taxonomy: ids of masks in one channel, or the colours of others.
            by_colour: masks are colours.
            ignored: colours that do not count.
            shares: of the splits, where the folder has no lists.
            seed: of the splits.

        Raises:
            ConfigError: folders or lists cannot be used.
        """
        images, masks = find_pictures(root / "images"), find_pictures(root / "masks")
        self._pairs = pair_up(images, masks, folder=root / "images")
        self._taxonomy = taxonomy
        self._table = None
        if by_colour:
            ids = {item.color_rgb: item.id for item in taxonomy}
            self._table = ColourTable({**ids, **dict.fromkeys(ignored, IGNORE)})
        self._parts = read_lists(root, self._pairs) or random_split(self._pairs, shares, seed=seed)

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

    def load(self, name: str) -> Sample:
        """Return the sample of a stem."""
        image_path, mask_path = self._pairs[name]
        image = read_picture(image_path)
        if self._table is None:
            return Sample(name, image, read_ids(mask_path))
        return Sample(
            name, image, self._table.decode(read_colours(mask_path), source=str(mask_path))
        )


def read_lists(root: Path, known: Mapping[str, object]) -> dict[str, list[str]]:
    """Return the lists SPLIT.txt of a folder by split; empty where there is none.

    Raises:
        ConfigError: a list names what is not there, names something twice, or is too large.
    """
    parts: dict[str, list[str]] = {}
    seen: dict[str, str] = {}
    for path in sorted(root.glob("*.txt")):
        if path.stat().st_size > LIST_LIMIT_BYTES:
            raise ConfigError(
                f"{path}: larger than {LIST_LIMIT_BYTES} bytes; is it a list of names?"
            )
        stems = path.read_text(encoding="utf-8").split()
        unknown = [stem for stem in stems if stem not in known]
        if unknown:
            raise ConfigError(
                f"{path}: names {len(unknown)} images that are not there, such as {unknown[:3]}"
            )
        for stem in stems:
            if stem in seen:
                raise ConfigError(f"{path}: {stem!r} is in {seen[stem]}.txt already; keep it once")
            seen[stem] = path.stem
        parts[path.stem] = stems
    return parts


def open_labelled_folder(
    root: Path,
    *,
    classes: Sequence[Mapping[str, Any]],
    by_colour: bool,
    ignored: Sequence[Sequence[int]] = (),
    shares: Mapping[str, float] = DEFAULT_SHARES,
    seed: int = 42,
) -> LabelledFolder:
    """Return a `LabelledFolder` from what a recipe says.

    Args:
        root: folder with `images` and `masks`.
        classes: name, color and hazard of each, in the order of their ids.
        by_colour: masks are colours.
        ignored: colours that do not count.
        shares: of the splits, where the folder has no lists.
        seed: of the splits.

    Raises:
        ConfigError: a class is wrong, or the folder cannot be used.
    """
    colours = [tuple(colour) for colour in ignored]
    if not all(len(colour) == 3 for colour in colours):
        raise ConfigError(f"recipe key data.options.ignored is {ignored}, expected colours")
    return LabelledFolder(
        root,
        parse_classes(classes, "data.options"),
        by_colour=by_colour,
        ignored=tuple((int(c[0]), int(c[1]), int(c[2])) for c in colours),
        shares=shares,
        seed=seed,
    )
