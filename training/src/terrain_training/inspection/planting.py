"""Foreign images among those of a set, to measure how many an inspection finds."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import Sample, Source
from terrain_training.data.files import find_pictures, read_picture
from terrain_training.data.parted_source import PartedSource
from terrain_training.data.splits import part_of
from terrain_training.inspection.foreign_pictures import KINDS, maker_of

SPLIT = "train"


@dataclass(frozen=True)
class Kind:
    """A kind of foreign image: drawn, or the pictures of a folder."""

    name: str
    files: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Planted:
    """A foreign image: its kind, its number within it, and the sample in whose place it is."""

    kind: Kind
    number: int
    host: str


def kinds_of(folders: Sequence[Path]) -> list[Kind]:
    """Return the kinds that are drawn, and one per folder of pictures.

    Raises:
        ConfigError: a folder has no pictures, or two have one name.
    """
    kinds = [Kind(name) for name in KINDS]
    for folder in folders:
        if folder.name in {kind.name for kind in kinds}:
            raise ConfigError(f"--foreign {folder}: there is a kind {folder.name!r}; rename it")
        kinds.append(Kind(folder.name, tuple(find_pictures(folder).values())))
    return kinds


class PlantedSource:
    """Foreign images as samples of one split, as large and as grey as the set's own."""

    def __init__(self, source: Source, planted: Sequence[Planted], *, seed: int) -> None:
        """Take the set and what to plant.

        Args:
            source: of the samples that foreign images replace.
            planted: the foreign images.
            seed: of what is drawn.
        """
        self._source = source
        self._seed = seed
        self._planted = {f"planted_{n:04d}_{one.kind.name}": one for n, one in enumerate(planted)}

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the classes of the set."""
        return self._source.taxonomy

    def splits(self) -> tuple[str, ...]:
        """Return the one split."""
        return (SPLIT,)

    def names(self, split: str) -> list[str]:
        """Return the names of the foreign images."""
        return part_of({SPLIT: list(self._planted)}, split)

    def load(self, name: str) -> Sample:
        """Return a foreign image with the mask of its host, or another sample of the set."""
        planted = self._planted.get(name)
        if planted is None:
            return self._source.load(name)
        host = self._source.load(planted.host)
        grey = host.image.ndim == 2
        picture = np.repeat(host.image[..., None], 3, axis=2) if grey else host.image
        foreign = self._foreign(planted, picture)
        if grey:
            foreign = np.asarray(cv2.cvtColor(foreign, cv2.COLOR_RGB2GRAY), np.uint8)
        return Sample(name, foreign, host.mask)

    def kind_of(self, name: str) -> str:
        """Return the kind of a foreign image."""
        return self._planted[name].kind.name

    def _foreign(self, planted: Planted, picture: U8) -> U8:
        kind = planted.kind
        if kind.files:
            values = read_picture(kind.files[planted.number % len(kind.files)])
            colour = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
            return _fitted(colour, picture.shape[0], picture.shape[1])
        number = zlib.crc32(kind.name.encode())
        maker = maker_of(kind.name, np.random.default_rng([self._seed, number]))
        return maker(np.random.default_rng([self._seed, number, planted.number]), picture)


class Subset(PartedSource):
    """A source reduced to some of its samples, in one split."""

    def __init__(self, source: Source, names: Sequence[str]) -> None:
        """Take the names of the samples."""
        super().__init__(source, {SPLIT: names})


def _fitted(picture: U8, height: int, width: int) -> U8:
    """Return the middle of a picture at another size, without distortion."""
    factor = min(picture.shape[0] / height, picture.shape[1] / width)
    rows, columns = max(1, int(height * factor)), max(1, int(width * factor))
    top, left = (picture.shape[0] - rows) // 2, (picture.shape[1] - columns) // 2
    part = picture[top : top + rows, left : left + columns]
    method = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, (width, height), interpolation=method), np.uint8)
