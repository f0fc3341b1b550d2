"""Labelled images for torch: cached, augmented by seed, epoch and place, ordered by seed."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_training.data.contract import Source, check_classes
from terrain_training.data.label_sets import LabelSets
from terrain_training.data.tensors import sample_to_tensor
from terrain_training.settings.recipe import DataSettings

Augment = Callable[[U8, U8, np.random.Generator], tuple[U8, U8]]
"""Takes and returns an image (h, w, C) and a mask (h, w)."""
Key = tuple[int, int] | tuple[int, int, int]
"""Epoch, place in the list of names and, where the epoch shows it again, which time, from 1."""
Item = tuple[Tensor, Tensor]
"""Image (C, h, w) and mask (h, w), uint8."""


class LabelledImages(Dataset[Item]):
    """Serve the samples of a split at the size of the network's input.

    Decoded ones stay in memory up to `cache_mib`. What an augmentation draws depends on seed,
    epoch and place alone, so that neither workers nor a resumed run change it.
    """

    def __init__(
        self,
        source: Source,
        names: Sequence[str],
        data: DataSettings,
        *,
        augment: Augment | None = None,
        seed: int = 0,
        sets: LabelSets | None = None,
    ) -> None:
        """Take the names of a split; nothing is read yet.

        With `sets`, the masks of items hold their ids where a label leaves a choice; those of
        `pair` hold main classes always.
        """
        self._source = source
        self._data = data
        self._augment = augment
        self._seed = seed
        self._sets = sets
        self._cache: dict[int, tuple[U8, U8]] = {}
        self._room = data.cache_mib * 2**20
        self.names = list(names)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.names)

    def __getitem__(self, key: Key | int) -> Item:
        """Return a sample; a whole number means epoch 0.

        Raises:
            BadSampleError: its files cannot be used.
        """
        drawn = (0, key) if isinstance(key, int) else key
        place = drawn[1]
        image, mask = self.pair(place)
        if self._sets is not None:
            mask = self._sets.table(self.names[place])[mask]
        if self._augment is not None:
            random = np.random.default_rng([self._seed, *drawn])
            image, mask = self._augment(image, mask, random)
            self._check_ids(mask, place)
        pixels = np.ascontiguousarray(image.transpose(2, 0, 1))
        return torch.from_numpy(pixels), torch.from_numpy(mask.copy())

    def _check_ids(self, mask: U8, place: int) -> None:
        """Check that an augmented mask holds classes only.

        Raises:
            ConfigError: it holds another id.
        """
        highest = int(np.where(mask == IGNORE, 0, mask).max())
        known = len(self._source.taxonomy) + (0 if self._sets is None else len(self._sets.sets))
        if highest >= known:
            raise ConfigError(
                f"{self.names[place]}: the augmentation makes a mask with the id {highest}, but "
                f"there are {len(self._source.taxonomy)} classes; correct the augmentation"
            )

    def pair(self, place: int) -> tuple[U8, U8]:
        """Return image (h, w, C) and mask (h, w), not augmented."""
        found = self._cache.get(place)
        if found is not None:
            return found
        sample = self._source.load(self.names[place])
        check_classes(sample, self._source.taxonomy)
        image, mask = sample_to_tensor(sample, self._data)
        size = image.nbytes + mask.nbytes
        if size <= self._room:
            self._room -= size
            self._cache[place] = (image, mask)
        return image, mask


class EpochSampler(Sampler[Key]):
    """Keys of a shuffled epoch; of several processes, each gets its share.

    Lightning calls `set_epoch`. Every process gets equally many keys: some are repeated.
    """

    def __init__(
        self,
        count: int,
        *,
        seed: int,
        rank: int = 0,
        processes: int = 1,
        repeats: Sequence[int] = (),
    ) -> None:
        """Take the number of samples, and how often an epoch shows each, once if not said.

        Raises:
            ConfigError: there are none.
        """
        if count < 1:
            raise ConfigError("the training split is empty; check --data and the recipe's split")
        self._seed = seed
        times = repeats or [1] * count
        self._shown = [(place, time) for place in range(count) for time in range(times[place])]
        self._rank, self._processes = rank, processes
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Return the number of keys of this process."""
        return math.ceil(len(self._shown) / self._processes)

    def __iter__(self) -> Iterator[Key]:
        """Iterate over the keys of the epoch."""
        generator = torch.Generator().manual_seed(self._seed * 1000 + self._epoch)
        order = torch.randperm(len(self._shown), generator=generator).tolist()
        filled = itertools.islice(itertools.cycle(order), len(self) * self._processes)
        own = itertools.islice(filled, self._rank, None, self._processes)
        return (self._key(*self._shown[number]) for number in own)

    def _key(self, place: int, time: int) -> Key:
        return (self._epoch, place) if time == 0 else (self._epoch, place, time)
