"""Terrain classes: ids, names, colours and hazards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.types import F32, U8


@dataclass(frozen=True)
class TerrainClass:
    """One terrain class; the hazard is the probability that such ground ends a drive."""

    id: int
    name: str
    color_rgb: tuple[int, int, int]
    hazard: float

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.id <= 254:
            raise ModelError(f"class {self.name!r} has id {self.id}, expected 0 to 254")
        if not self.name:
            raise ModelError(f"class {self.id} has no name")
        if len(self.color_rgb) != 3 or not all(0 <= c <= 255 for c in self.color_rgb):
            raise ModelError(f"class {self.name!r} has color {self.color_rgb}, expected 3 x 0..255")
        if not 0.0 <= self.hazard <= 1.0:
            raise ModelError(f"class {self.name!r} has hazard {self.hazard}, expected 0 to 1")


@dataclass(frozen=True)
class Taxonomy:
    """The classes of a model, with ids 0, 1, 2 ... in order."""

    classes: tuple[TerrainClass, ...]

    def __post_init__(self) -> None:
        """Check that ids are consecutive and names unique."""
        ids = [item.id for item in self.classes]
        if ids != list(range(len(ids))) or not ids:
            raise ModelError(f"class ids are {ids}, expected 0, 1, 2, ... without a gap")
        if len(set(self.names)) != len(ids):
            raise ModelError(f"class names {list(self.names)} are not unique")

    def __len__(self) -> int:
        """Return the number of classes."""
        return len(self.classes)

    def __iter__(self) -> Iterator[TerrainClass]:
        """Iterate over the classes in the order of their ids."""
        return iter(self.classes)

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names in the order of the ids."""
        return tuple(item.name for item in self.classes)

    def hazards(self) -> F32:
        """Return the hazard per class id (K,), float32."""
        return np.array([item.hazard for item in self.classes], dtype=np.float32)

    def palette_rgb(self) -> U8:
        """Return a colour per class id (256, 3); unused ids are black."""
        palette: NDArray[np.uint8] = np.zeros((256, 3), dtype=np.uint8)
        for item in self.classes:
            palette[item.id] = item.color_rgb
        return palette

    def with_hazards(self, hazards: Mapping[str, float]) -> Taxonomy:
        """Return the taxonomy with the named hazards replaced.

        Raises:
            ConfigError: a name is not a class of this model, or a hazard is out of range.
        """
        unknown = sorted(set(hazards) - set(self.names))
        if unknown:
            raise ConfigError(
                f"hazard is set for {unknown}, which are not classes of this model; "
                f"it has {list(self.names)}"
            )
        for name, value in hazards.items():
            if not 0.0 <= value <= 1.0:
                raise ConfigError(f"hazard of {name!r} is {value}, expected 0 to 1")
        return Taxonomy(
            tuple(replace(item, hazard=hazards.get(item.name, item.hazard)) for item in self)
        )

    def fingerprint(self) -> str:
        """Return the sha256 of ids and names; hazards are excluded since they are tunable."""
        text = "\n".join(f"{item.id}:{item.name}" for item in self.classes)
        return hashlib.sha256(text.encode()).hexdigest()
