"""What every source of labelled images gives."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8
from terrain_training.progress import progress_of


class BadSampleError(ConfigError):
    """A sample cannot be used; the message names its file and the remedy."""


@dataclass(frozen=True)
class Sample:
    """One labelled image.

    `image` is (H, W) grey or (H, W, 3) RGB, `mask` (H, W) class ids with 255 where nothing
    counts; both uint8.
    """

    name: str
    image: U8
    mask: U8

    def __post_init__(self) -> None:
        """Check shapes and dtypes."""
        good = self.image.ndim == 2 or (self.image.ndim == 3 and self.image.shape[2] == 3)
        if not good or self.image.dtype != np.uint8 or not self.image.size:
            raise BadSampleError(
                f"{self.name}: image has shape {self.image.shape} and dtype {self.image.dtype}, "
                "expected (H, W) or (H, W, 3) of uint8"
            )
        if self.mask.shape != self.image.shape[:2] or self.mask.dtype != np.uint8:
            raise BadSampleError(
                f"{self.name}: mask has shape {self.mask.shape} and dtype {self.mask.dtype}, "
                f"expected {self.image.shape[:2]} of uint8; make both of one size"
            )


class Source(Protocol):
    """The samples of a data set, by the names in its splits."""

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the classes that masks hold."""
        ...

    def splits(self) -> tuple[str, ...]:
        """Return the names of the splits, such as train, validation and test."""
        ...

    def names(self, split: str) -> list[str]:
        """Return the names of the samples of a split, in a fixed order.

        Raises:
            ConfigError: there is no such split.
        """
        ...

    def load(self, name: str) -> Sample:
        """Return a sample.

        Raises:
            BadSampleError: its files cannot be used.
        """
        ...


@dataclass(frozen=True)
class Usable:
    """Which samples can be used, and why the others cannot, by name.

    `ids_of` are the values that the mask of each of `names` holds, with 255 where a part of it
    does not count. `masks_sha256` is a digest of all these masks, in the order of `names`.
    """

    names: tuple[str, ...]
    bad: dict[str, str]
    ids_of: tuple[frozenset[int], ...]
    masks_sha256: str

    @property
    def ids(self) -> frozenset[int]:
        """Return the values that any mask holds."""
        return frozenset().union(*set(self.ids_of))


def find_usable(source: Source, names: Iterable[str], *, skip_bad: bool) -> Usable:
    """Read every sample once, and return which ones can be used.

    Args:
        source: of the samples.
        names: of the samples.
        skip_bad: skip bad samples and report them; otherwise the first one is an error.

    Raises:
        BadSampleError: one is bad and `skip_bad` is off.
        ConfigError: none can be used.
    """
    wanted = list(names)
    checked = progress_of(wanted, "check samples", unit="sample")
    masks = hashlib.sha256()
    verdicts = {name: _ids_or_fault(source, name, masks.update) for name in checked}
    faults = {name: item for name, item in verdicts.items() if isinstance(item, BadSampleError)}
    if faults and not skip_bad:
        raise next(iter(faults.values()))
    bad = {name: str(error) for name, error in faults.items()}
    good = {name: ids for name, ids in verdicts.items() if not isinstance(ids, BadSampleError)}
    if not good:
        raise ConfigError(
            f"none of {len(bad)} samples can be used; the first: {next(iter(bad.values()), '-')}"
        )
    # Many masks hold the same classes: one set in memory stands for all of them.
    same: dict[frozenset[int], frozenset[int]] = {}
    return Usable(
        tuple(good),
        bad,
        tuple(same.setdefault(ids, ids) for ids in good.values()),
        masks.hexdigest(),
    )


def _ids_or_fault(
    source: Source, name: str, add: Callable[[bytes], None]
) -> frozenset[int] | BadSampleError:
    """Return the values of a sample's mask and add its bytes, or return what is wrong with it."""
    try:
        sample: object = source.load(name)
        if not isinstance(sample, Sample):
            raise ConfigError(
                f"the source gives {type(sample).__name__} for {name!r}, expected a "
                "terrain_training.data.contract.Sample"
            )
        ids = frozenset(check_classes(sample, source.taxonomy))
    except BadSampleError as error:
        return error
    add(sample.mask.tobytes())
    return ids


def check_classes(sample: Sample, taxonomy: Taxonomy) -> set[int]:
    """Check that a mask holds classes of the taxonomy only, and return its values.

    Raises:
        BadSampleError: it holds another id.
    """
    ids = np.unique(sample.mask)
    wrong = [int(value) for value in ids if value != IGNORE and value >= len(taxonomy)]
    if wrong:
        raise BadSampleError(
            f"{sample.name}: mask holds the ids {wrong[:8]}, but there are {len(taxonomy)} "
            f"classes {list(taxonomy.names)}; make them 255 to ignore them, or name their classes "
            "(labelled_folder: data.options.classes)"
        )
    return {int(value) for value in ids}


def samples_of(source: Source, names: Iterable[str]) -> Iterator[Sample]:
    """Yield samples, one in memory at a time."""
    for name in names:
        yield source.load(name)
