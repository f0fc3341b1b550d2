"""The moving average of the weights, which is what is validated and kept, and what teaches."""

from __future__ import annotations

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


class MovingAverage(WeightAveraging):
    """Keep the average of the weights; its first steps count more, so that it starts well."""

    def __init__(self, decay: float) -> None:
        """Take the share of the average that stays at each step, below 1."""

        @torch.no_grad()
        def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
            if not averaged.dtype.is_floating_point:
                return current
            steps = int(count)
            return averaged.lerp(current, 1.0 - min(decay, (1.0 + steps) / (10.0 + steps)))

        super().__init__(avg_fn=average)

    @torch.no_grad()
    def logits(self, images: Tensor) -> Tensor:
        """Return what the averaged network says of images, (N, K, H, W) in float32.

        Args:
            images: (N, C, H, W), as the module that is trained takes them.
        """
        assert self._average_model is not None  # noqa: S101  (made before the first batch)
        averaged = self._average_model.module
        averaged.eval()
        said: Tensor = averaged(images)
        return said.float()


def moving_average_of(trainer: pl.Trainer) -> MovingAverage | None:
    """Return the average that a trainer keeps, if it does."""
    found = (item for item in trainer.callbacks if isinstance(item, MovingAverage))  # type: ignore[attr-defined]
    return next(found, None)
