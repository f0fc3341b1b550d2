"""From a source's classes to those that a model learns, by a YAML file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import Sample, Source
from terrain_training.yaml_file import as_yaml

_KEYS = {"classes", "map"}
_CLASS_KEYS = {"name", "color", "hazard"}
_IGNORE = "ignore"


@dataclass(frozen=True)
class TaxonomyFile:
    """The classes to learn, and which of the source's becomes which (None: ignored)."""

    taxonomy: Taxonomy
    mapping: Mapping[str, str | None]


class MappedSource:
    """A source with its classes renamed, joined or ignored."""

    def __init__(self, source: Source, file: TaxonomyFile) -> None:
        """Take a source whose every class the file names.

        Raises:
            ConfigError: the file leaves one out, or names one that is not there.
        """
        theirs = source.taxonomy.names
        lacking = sorted(set(theirs) - set(file.mapping))
        unknown = sorted(set(file.mapping) - set(theirs))
        if lacking or unknown:
            raise ConfigError(
                f"the taxonomy file maps {unknown or 'nothing unknown'} and leaves out "
                f"{lacking or 'nothing'}; the source has {list(theirs)}"
            )
        self.source = source
        self._taxonomy = file.taxonomy
        self._table: U8 = np.arange(256, dtype=np.uint8)
        for item in source.taxonomy:
            target = file.mapping[item.name]
            self._table[item.id] = IGNORE if target is None else _id_of(target, file.taxonomy)

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the classes to learn."""
        return self._taxonomy

    def splits(self) -> tuple[str, ...]:
        """Return the source's splits."""
        return self.source.splits()

    def names(self, split: str) -> list[str]:
        """Return the names of a split."""
        return self.source.names(split)

    def load(self, name: str) -> Sample:
        """Return a sample with the new ids."""
        sample = self.source.load(name)
        return Sample(sample.name, sample.image, self._table[sample.mask])


def parse_taxonomy_file(content: object, *, source: str) -> TaxonomyFile:
    """Return the taxonomy of decoded YAML: `classes` (name, color, hazard each) and `map`.

    Raises:
        ConfigError: a key or value is wrong.
    """
    if not isinstance(content, Mapping) or set(content) != _KEYS:
        raise ConfigError(f"{source}: expected a mapping with the keys classes and map")
    taxonomy = parse_classes(content["classes"], source)
    mapping = content["map"]
    if not isinstance(mapping, Mapping):
        raise ConfigError(
            f"{source}: map is {as_yaml(mapping)}, expected lines such as `rock: big_rock`"
        )
    checked: dict[str, str | None] = {}
    for theirs, ours in mapping.items():
        if ours != _IGNORE and ours not in taxonomy.names:
            raise ConfigError(
                f"{source}: map gives {theirs!r} the class {ours!r}, expected one of "
                f"{list(taxonomy.names)} or {_IGNORE!r}"
            )
        checked[str(theirs)] = None if ours == _IGNORE else str(ours)
    return TaxonomyFile(taxonomy, checked)


def parse_classes(rows: Any, source: str) -> Taxonomy:
    """Return the taxonomy of a list of name, color and hazard.

    Raises:
        ConfigError: one of them is wrong.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise ConfigError(f"{source}: classes is {as_yaml(rows)}, expected a list")
    classes = []
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping) or set(row) != _CLASS_KEYS:
            raise ConfigError(
                f"{source}: class {number} is {as_yaml(row)}, expected a mapping of "
                f"{', '.join(sorted(_CLASS_KEYS))}"
            )
        colour = row["color"]
        if not isinstance(colour, Sequence) or not all(isinstance(c, int) for c in colour):
            raise ConfigError(
                f"{source}: color of {row['name']!r} is {as_yaml(colour)}, expected 3 numbers"
            )
        hazard = row["hazard"]
        if isinstance(hazard, bool) or not isinstance(hazard, (int, float)):
            raise ConfigError(
                f"{source}: hazard of {row['name']!r} is {as_yaml(hazard)}, expected 0 to 1"
            )
        try:
            rgb = tuple(colour)
            classes.append(TerrainClass(number, str(row["name"]), rgb, float(hazard)))
        except ModelError as error:
            raise ConfigError(f"{source}: {error}") from error
    try:
        return Taxonomy(tuple(classes))
    except ModelError as error:
        raise ConfigError(f"{source}: {error}") from error


def _id_of(name: str, taxonomy: Taxonomy) -> int:
    return taxonomy.names.index(name)
