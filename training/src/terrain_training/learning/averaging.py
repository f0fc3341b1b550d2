"""The moving average of the weights, which is what is validated and kept."""

from __future__ import annotations

import torch
from lightning.pytorch.callbacks import WeightAveraging
from torch import Tensor


def moving_average(decay: float) -> WeightAveraging:
    """Return the callback; the first steps count more, so that it starts well.

    Args:
        decay: share of the average that stays at each step, below 1.
    """

    @torch.no_grad()
    def average(averaged: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
        if not averaged.dtype.is_floating_point:
            return current
        steps = int(count)
        return averaged.lerp(current, 1.0 - min(decay, (1.0 + steps) / (10.0 + steps)))

    return WeightAveraging(avg_fn=average)
