"""A source without the samples that a list leaves out."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePath

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.contract import Source
from terrain_training.data.files import IMAGE_SUFFIXES
from terrain_training.data.parted_source import PartedSource

log = logging.getLogger(__name__)

REMOVED = "removed"
"""The option of every source: names to leave out."""
_NEEDED = ("train", "validation")


class RemainingSource(PartedSource):
    """A source without some samples; every other sample stays in its split."""

    def __init__(self, source: Source, removed: Collection[str]) -> None:
        """Leave samples out, and log how many.

        Args:
            source: of the samples.
            removed: names to leave out, with or without the ending of an image file.

        Raises:
            ConfigError: a name is not a sample, or nothing is left of training or validation.
        """
        whole = {split: source.names(split) for split in source.splits()}
        left_out = names_to_leave_out(removed, (name for part in whole.values() for name in part))
        parts = {
            split: [name for name in names if name not in left_out]
            for split, names in whole.items()
        }
        emptied = [split for split, part in parts.items() if whole[split] and not part]
        needed = [split for split in emptied if split in _NEEDED]
        if needed:
            raise ConfigError(
                f"the list of removed samples leaves nothing of {needed[0]}; shorten the list"
            )
        for split in emptied:
            del parts[split]
        super().__init__(source, parts)
        self.counts = {
            split: len(names) - len(parts.get(split, ()))
            for split, names in whole.items()
            if len(names) > len(parts.get(split, ()))
        }
        """Samples left out per split, where there are any."""
        total = sum(len(names) for names in whole.values())
        log.info("removed %d of %d samples: %s", sum(self.counts.values()), total, self.told())

    def told(self) -> str:
        """Return how many samples were left out of which split."""
        return ", ".join(f"{count} {split}" for split, count in self.counts.items()) or "none"


def names_to_leave_out(removed: Iterable[str], known: Iterable[str]) -> frozenset[str]:
    """Return the samples that a list names.

    Args:
        removed: names, with or without the ending of an image file.
        known: names of all samples.

    Raises:
        ConfigError: a name is not a sample.
    """
    samples = dict.fromkeys(known)
    found, unknown = set(), []
    for name in removed:
        path = PurePath(name)
        stem = str(path.with_suffix("")) if path.suffix.lower() in IMAGE_SUFFIXES else name
        match = next((one for one in (name, stem) if one in samples), None)
        if match is None:
            unknown.append(name)
        else:
            found.add(match)
    if unknown:
        near = difflib.get_close_matches(unknown[0], samples, n=1)
        hint = f"; is {unknown[0]!r} {near[0]!r}?" if near else "."
        raise ConfigError(
            f"{len(unknown)} of the removed samples are not in this data set, such as "
            f"{unknown[:3]}{hint} Correct data.options.removed, or give a recipe without it where "
            f"the data set is another one"
        )
    return frozenset(found)


def checked_names(value: object) -> list[str]:
    """Return the names that a recipe leaves out.

    Raises:
        ConfigError: it is not a list of names.
    """
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        wrong = [item for item in value if not isinstance(item, str) or not item.strip()]
        if not wrong:
            return list(value)
        raise ConfigError(
            f"recipe key data.options.removed holds {wrong[0]!r}, expected names; write a name of "
            "digits in quotes"
        )
    raise ConfigError(
        f"recipe key data.options.removed is {value!r}, expected a list of names or a file of them"
    )
