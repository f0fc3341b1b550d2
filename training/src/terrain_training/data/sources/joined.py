"""Several data sets as one, each with its own classes, of which some leave a choice.

    NAME/...   each member's folder below the root, laid out as its own source expects

A member's `map` gives each of its classes one of the joined classes, a list of those that the label
may mean, the first of which it counts as in scores, or `ignore`. `unlabelled` is the list of what
its unlabelled pixels may be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import Sample, Source, check_classes
from terrain_training.data.folds import group_of
from terrain_training.data.label_sets import SEPARATOR, LabelSets
from terrain_training.data.splits import part_of
from terrain_training.yaml_file import as_yaml

IGNORED = "ignore"
_KEYS = {"name", "source", "options", "map", "unlabelled"}
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Member:
    """One data set, and what its labels mean.

    `meanings` gives each of its classes the joined classes that the label may mean, the main one
    first, or none where it is ignored; `unlabelled` those that an unlabelled pixel may be of.
    """

    name: str
    source: Source
    meanings: Mapping[str, tuple[str, ...]]
    unlabelled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that every class of the source has a meaning, and only those."""
        theirs = self.source.taxonomy.names
        lacking = sorted(set(theirs) - set(self.meanings))
        unknown = sorted(set(self.meanings) - set(theirs))
        if lacking or unknown:
            raise ConfigError(
                f"member {self.name}: map names {unknown or 'nothing unknown'} and leaves out "
                f"{lacking or 'nothing'}; its source has {list(theirs)}"
            )


@dataclass(frozen=True)
class MemberRow:
    """What a recipe says of a member; the source is not open yet."""

    name: str
    source: str
    options: Mapping[str, Any]
    meanings: Mapping[str, tuple[str, ...]]
    unlabelled: tuple[str, ...]

    def opened(self, source: Source) -> Member:
        """Return the member with its source."""
        return Member(self.name, source, self.meanings, self.unlabelled)


def parse_members(rows: object) -> list[MemberRow]:
    """Return the members of a recipe.

    Raises:
        ConfigError: a key or value is wrong.
    """
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise ConfigError(f"recipe key data.options.members is {as_yaml(rows)}, expected a list")
    return [_parse_member(number, row) for number, row in enumerate(rows)]


def _parse_member(number: int, row: object) -> MemberRow:
    key = f"recipe key data.options.members[{number}]"
    if not isinstance(row, Mapping) or not {"name", "source", "map"} <= set(row) <= _KEYS:
        raise ConfigError(
            f"{key} is {as_yaml(row)}, expected name, source and map, perhaps options and "
            "unlabelled"
        )
    name, source, options, meanings = (row.get(k, {}) for k in ("name", "source", "options", "map"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigError(f"{key}.name is {name!r}, expected letters, digits, _ and -")
    if not isinstance(options, Mapping) or not isinstance(meanings, Mapping):
        raise ConfigError(f"{key} has options or a map that is not a mapping")
    return MemberRow(
        name=name,
        source=str(source),
        options={str(k): v for k, v in options.items()},
        meanings={str(k): _names(v, f"{key}.map.{k}") for k, v in meanings.items()},
        unlabelled=_names(row.get("unlabelled", IGNORED), f"{key}.unlabelled"),
    )


def _names(value: object, key: str) -> tuple[str, ...]:
    """Return the classes of a name, a list of names or `ignore`."""
    if value == IGNORED:
        return ()
    names = [value] if isinstance(value, str) else value
    if (
        isinstance(names, Sequence)
        and names
        and all(isinstance(name, str) for name in names)
        and len(set(names)) == len(names)
    ):
        return tuple(names)
    raise ConfigError(
        f"{key} is {as_yaml(value)}, expected a class, a list of different ones, or {IGNORED}"
    )


class JoinedSource:
    """The samples of several sources, named MEMBER/NAME, with one taxonomy."""

    def __init__(self, taxonomy: Taxonomy, members: Sequence[Member]) -> None:
        """Take the members.

        Raises:
            ConfigError: a name of a member is taken twice, a class is unknown, or a member's
                classes with one main class differ in the others.
        """
        self._taxonomy = taxonomy
        self._members = {member.name: member for member in members}
        if len(self._members) != len(members):
            raise ConfigError(
                f"members are named {[item.name for item in members]}; give each another name"
            )
        self._tables = {item.name: _main_table(item, taxonomy) for item in members}
        self.label_sets = _label_sets(members, taxonomy)

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the joined classes."""
        return self._taxonomy

    def splits(self) -> tuple[str, ...]:
        """Return the splits that a member has."""
        found = (split for item in self._members.values() for split in item.source.splits())
        return tuple(dict.fromkeys(found))

    def names(self, split: str) -> list[str]:
        """Return the names of a split, member by member.

        Raises:
            ConfigError: no member has that split.
        """
        parts = {
            one: [
                f"{item.name}{SEPARATOR}{name}"
                for item in self._members.values()
                if one in item.source.splits()
                for name in item.source.names(one)
            ]
            for one in self.splits()
        }
        return part_of(parts, split)

    def group(self, name: str) -> str:
        """Return what a sample belongs to in its member."""
        member, inner = self._find(name)
        return f"{member.name}{SEPARATOR}{group_of(member.source, inner)}"

    def load(self, name: str) -> Sample:
        """Return a sample whose mask holds main classes.

        Raises:
            BadSampleError: its files cannot be used.
        """
        member, inner = self._find(name)
        sample = member.source.load(inner)
        check_classes(sample, member.source.taxonomy)
        return Sample(name, sample.image, self._tables[member.name][sample.mask])

    def _find(self, name: str) -> tuple[Member, str]:
        member, _, inner = name.partition(SEPARATOR)
        if member not in self._members:
            raise ConfigError(f"{name!r} is of none of the members {list(self._members)}")
        return self._members[member], inner


def _main_table(member: Member, taxonomy: Taxonomy) -> U8:
    table = np.full(256, IGNORE, np.uint8)
    for item in member.source.taxonomy:
        meanings = member.meanings[item.name]
        if meanings:
            table[item.id] = _ids(member, meanings, taxonomy)[0]
    return table


def _label_sets(members: Sequence[Member], taxonomy: Taxonomy) -> LabelSets | None:
    """Return the sets of all members, None where every label names one class."""
    sets: dict[tuple[int, ...], int] = {}
    tables = {}
    for member in members:
        table = np.arange(256, dtype=np.uint8)
        seen: dict[int, tuple[int, ...]] = {}
        values: list[tuple[tuple[int, ...], int | None]] = [
            (_ids(member, names, taxonomy), None) for names in member.meanings.values() if names
        ]
        if member.unlabelled:
            values.append((_ids(member, member.unlabelled, taxonomy), IGNORE))
        for ids, value in values:
            place = ids[0] if value is None else value
            if seen.setdefault(place, ids) != ids:
                raise ConfigError(
                    f"member {member.name}: two of its classes count as "
                    f"{taxonomy.names[ids[0]]}, but differ in what else they may mean; give both "
                    "the same list"
                )
            if len(ids) > 1:
                table[place] = len(taxonomy) + sets.setdefault(ids, len(sets))
            elif value is not None:
                table[place] = ids[0]
        tables[member.name] = table
    if not sets:
        return None
    if len(taxonomy) + len(sets) > IGNORE:
        raise ConfigError(f"{len(taxonomy)} classes and {len(sets)} lists of them exceed {IGNORE}")
    return LabelSets(tuple(sets), tables)


def _ids(member: Member, names: Sequence[str], taxonomy: Taxonomy) -> tuple[int, ...]:
    unknown = [name for name in names if name not in taxonomy.names]
    if unknown:
        raise ConfigError(
            f"member {member.name}: map or unlabelled names {unknown}, expected classes of "
            f"{list(taxonomy.names)}"
        )
    return tuple(taxonomy.names.index(name) for name in names)
