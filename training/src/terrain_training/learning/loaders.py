"""The data of a run: which samples of which split, in which order and variant."""

from __future__ import annotations

import hashlib
import logging
import pickle
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from torch.utils.data import DataLoader, Dataset

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_training import parts
from terrain_training.augmentation.registry import build_augmentation
from terrain_training.cpu import available_cores
from terrain_training.data.contract import Source, Usable, find_usable
from terrain_training.data.dataset import EpochSampler, Item, Key, LabelledImages
from terrain_training.data.factory import open_source
from terrain_training.data.label_sets import SEPARATOR, label_sets_of
from terrain_training.settings.recipe import PartFile, Recipe
from terrain_training.settings.validation import unknown_key

log = logging.getLogger(__name__)

TRAIN = "train"
VALIDATION = "validation"
MAX_WORKERS = 8
_OF_TERMINALS = (signal.SIGINT, signal.SIGHUP)
"""What a terminal sends to every process of a command."""


@dataclass(frozen=True)
class OpenData:
    """A source, and which samples of its splits can be used.

    `repeats` says how often an epoch shows each of `train`; empty means once. `masks_sha256` is a
    digest of the masks of both splits.
    """

    source: Source
    train: tuple[str, ...]
    validation: tuple[str, ...]
    bad: dict[str, str]
    repeats: tuple[int, ...] = ()
    masks_sha256: str = ""


def open_data(recipe: Recipe, root: Path, *, skip_bad: bool, run: Path | None) -> OpenData:
    """Open the data of a recipe and read every sample of both splits once.

    Args:
        recipe: names source, taxonomy and options.
        root: the data set.
        skip_bad: leave bad samples out, else the first one is an error.
        run: folder of the run, where a palette may be kept.

    Raises:
        ConfigError: the data cannot be used, one split has no usable sample, or the masks of the
            training images hold fewer than two classes, or an image is in both splits.
    """
    source = open_source(recipe.data, root, run=run)
    missing = [name for name in (TRAIN, VALIDATION) if name not in source.splits()]
    if missing:
        raise ConfigError(f"{root} has the splits {list(source.splits())}, but not {missing}")
    found = {
        split: find_usable(source, source.names(split), skip_bad=skip_bad)
        for split in (TRAIN, VALIDATION)
    }
    _check_apart(found[TRAIN].names, found[VALIDATION].names)
    bad = {name: text for usable in found.values() for name, text in usable.bad.items()}
    for text in bad.values():
        log.warning("left out: %s", text)
    _check_seen_classes(source.taxonomy, found[TRAIN].ids)
    repeats = _repeats(found[TRAIN], source.taxonomy, recipe.training.repeats)
    digest = hashlib.sha256("".join(item.masks_sha256 for item in found.values()).encode())
    opened = OpenData(
        source, found[TRAIN].names, found[VALIDATION].names, bad, repeats, digest.hexdigest()
    )
    log.info(
        "%d training images, %d validation images, classes %s",
        len(opened.train),
        len(opened.validation),
        ", ".join(source.taxonomy.names),
    )
    return opened


def _repeats(train: Usable, taxonomy: Taxonomy, wanted: Mapping[str, int]) -> tuple[int, ...]:
    """Return how often an epoch shows each image: as its class asks that asks for the most.

    Raises:
        ConfigError: a key is neither a class of the data, nor MEMBER/CLASS.
    """
    if not wanted:
        return ()
    counts = [1] * len(train.names)
    for key, count in wanted.items():
        member, _, name = key.rpartition(SEPARATOR)
        if name not in taxonomy.names:
            known = unknown_key(name, list(taxonomy.names), of="the classes are")
            raise ConfigError(f"recipe key training.repeats.{key}: the class {name} {known}")
        own = [one.startswith(member + SEPARATOR) if member else True for one in train.names]
        if not any(own):
            raise ConfigError(
                f"recipe key training.repeats.{key}: no training image is of a member {member}"
            )
        wanted_id = taxonomy.names.index(name)
        for place, ids in enumerate(train.ids_of):
            if own[place] and wanted_id in ids:
                counts[place] = max(counts[place], count)
    return tuple(counts)


def _check_apart(train: Sequence[str], validation: Sequence[str]) -> None:
    """Check that no image is both learned from and validated on.

    Raises:
        ConfigError: one is.
    """
    both = sorted(set(train) & set(validation))
    if both:
        raise ConfigError(
            f"{len(both)} images are in the splits {TRAIN} and {VALIDATION} both, such as "
            f"{both[0]!r}; leave each in one, since an image that is learned from cannot validate"
        )


def _check_seen_classes(taxonomy: Taxonomy, ids: frozenset[int]) -> None:
    """Log the classes that no training mask holds: a network cannot learn them.

    Raises:
        ConfigError: there are fewer than two classes to tell apart.
    """
    unseen = [item.name for item in taxonomy if item.id not in ids]
    seen = [item.name for item in taxonomy if item.id in ids]
    ignored = (
        "; they hold 255 too, which is ignored: if it stands for a class (masks of 0 and 255), "
        "with source labelled_folder set data.options.by_colour to true and give each class its "
        "grey level as color, such as [255, 255, 255]"
        if IGNORE in ids
        else ""
    )
    if unseen and len(seen) < 2:
        only = f"only the class {seen[0]!r}" if seen else "no class"
        raise ConfigError(
            f"the masks of the training images hold {only} of {list(taxonomy.names)}, so that "
            f"there is nothing to tell apart{ignored or '; check the masks and the split'}"
        )
    if unseen:
        log.warning(
            "no training mask holds %s: the network will never give that%s",
            ", ".join(unseen),
            ignored,
        )


class _Loader(DataLoader[Item]):
    """Start loading processes with Ctrl-C held back: it is for the process that trains.

    They inherit what is held back, so that one that still imports dies of no signal either.
    """

    def __iter__(self) -> Any:
        """Start the processes, or continue with the running ones."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINALS)
        try:
            return super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_signals(_worker: int) -> None:
    for number in _OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)


class _WithParts(Dataset[Item]):
    """Images of a recipe with own parts, whose code a loading process needs to unpickle them."""

    def __init__(self, images: LabelledImages, files: Sequence[PartFile]) -> None:
        self._images, self._files = images, tuple(files)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, key: Key | int) -> Item:
        return self._images[key]

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (self._files, pickle.dumps(self._images))


def _unpickled(files: Sequence[PartFile], content: bytes) -> Dataset[Item]:
    parts.activate(files)
    images: Dataset[Item] = pickle.loads(content)  # noqa: S301  (of the process that trains)
    return images


class RunData(pl.LightningDataModule):
    """Serve training and validation batches, a share to each process."""

    def __init__(self, recipe: Recipe, opened: OpenData) -> None:
        """Take the data; images are read when they are first asked for."""
        super().__init__()
        self._recipe, self._opened = recipe, opened
        training = recipe.training
        self.label_sets = label_sets_of(opened.source)
        self.training_images = LabelledImages(
            opened.source,
            opened.train,
            recipe.data,
            augment=build_augmentation(recipe.augmentation),
            seed=training.seed,
            sets=self.label_sets,
        )
        sets = None if self.label_sets is None else self.label_sets.for_scores()
        self.validation_images = LabelledImages(
            opened.source, opened.validation, recipe.data, sets=sets
        )
        if self.label_sets is not None:
            told = self.label_sets.told(self.taxonomy.names)
            log.info("labels leave a choice: %s; any of them counts as right", told)

    @property
    def taxonomy(self) -> Taxonomy:
        """Return the classes."""
        return self._opened.source.taxonomy

    def train_dataloader(self) -> DataLoader[Item]:
        """Return the shuffled batches of one process."""
        rank, processes = self._place()
        training = self._recipe.training
        sampler = EpochSampler(
            len(self.training_images),
            seed=training.seed,
            rank=rank,
            processes=processes,
            repeats=self._opened.repeats,
        )
        return _Loader(
            self._for_workers(self.training_images),
            batch_size=training.batch_size,
            sampler=sampler,
            drop_last=len(sampler) >= training.batch_size,
            **self._workers(),
        )

    def val_dataloader(self) -> DataLoader[Item]:
        """Return the batches of one process, in order."""
        rank, processes = self._place()
        return _Loader(
            self._for_workers(self.validation_images),
            batch_size=self._recipe.training.batch_size,
            sampler=range(rank, len(self.validation_images), processes),
            **self._workers(),
        )

    def steps_per_epoch(self, processes: int) -> int:
        """Return how many batches each of several processes trains on in an epoch."""
        shown = sum(self._opened.repeats) or len(self.training_images)
        own = -(-shown // processes)
        return max(1, own // self._recipe.training.batch_size)

    def _place(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size

    def _for_workers(self, images: LabelledImages) -> Dataset[Item]:
        return _WithParts(images, self._recipe.parts) if self._recipe.parts else images

    def _workers(self) -> dict[str, Any]:
        workers = self._recipe.data.workers
        if workers is None:
            workers = self._helpful_workers()
        if workers == 0:
            return {}
        # Forking a process that runs threads of torch, CUDA or a runtime may end in a crash.
        return {
            "num_workers": workers,
            "persistent_workers": True,
            "multiprocessing_context": "spawn",
            "worker_init_fn": _leave_signals,
        }

    def _helpful_workers(self) -> int:
        """Return how many processes help: some beside a GPU, none where the CPU trains."""
        if self.trainer is None or self.trainer.strategy.root_device.type == "cpu":
            return 0
        return max(1, min(MAX_WORKERS, available_cores() // self.trainer.world_size))
