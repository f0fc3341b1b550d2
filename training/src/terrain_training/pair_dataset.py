"""Labelled images as tensors, augmented in training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from terrain_seg_ros.core.types import U8
from terrain_training.augment import augment_pair
from terrain_training.datasets import ai4mars

Pair = tuple[Tensor, Tensor]


class PairDataset(Dataset[Pair]):
    """Serve grey images (1, H, W) in [-1, 1] and masks (H, W) of class ids."""

    def __init__(
        self, root: Path, stems: tuple[str, ...], *, size_px: int, seed: int | None
    ) -> None:
        """Read the listed pairs into memory; augment them when a seed is given.

        Raises:
            ConfigError: a pair is missing, unreadable or not `size_px` square.
        """
        self._pairs = ai4mars.read_pairs(root, stems, size_px=size_px)
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._pairs)

    def __getitem__(self, index: int) -> Pair:
        """Return one pair; the augmentation depends on seed, epoch and index alone."""
        image, mask = self._pairs[index]
        if self._seed is not None:
            random = np.random.default_rng([self._seed, self.epoch, index])
            image, mask = augment_pair(image, mask, random)
        return scale_to_network(image), torch.from_numpy(mask.astype(np.int64))


def scale_to_network(image: U8) -> Tensor:
    """Return a grey image (H, W) as (1, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(image.astype(np.float32) / 127.5 - 1.0).unsqueeze(0)
