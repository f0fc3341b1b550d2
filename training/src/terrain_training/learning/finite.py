"""Stop a training whose numbers are none, before they reach the weights that are kept."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from terrain_training.errors import TrainingError

MAX_SKIPPED_STEPS = 40
"""In a row: the scale of float16 losses, 2^16 at first, is then so small that gradients vanish."""
_REMEDY = (
    "lower training.learning_rate (and training.encoder_learning_rate), set "
    "training.gradient_clip, or train with training.precision fp32"
)


@dataclass(frozen=True)
class Place:
    """A place in a training; `step` counts from 1 in its epoch."""

    epoch: int
    step: int
    learning_rate: float

    def __str__(self) -> str:
        """Return it as text."""
        return f"epoch {self.epoch}, step {self.step}, learning rate {self.learning_rate:.3g}"


class FiniteGuard:
    """Check losses and gradients of every step.

    In float16 a scaler leaves out single steps whose gradients overflow, as it should; there only
    many in a row are a failure.
    """

    def __init__(self, *, scaled: bool) -> None:
        """Take whether a scaler leaves steps out."""
        self._scaled = scaled
        self._skipped: dict[str, int] = {}

    def check_losses(self, losses: Mapping[str, Tensor], place: Place) -> bool:
        """Return whether the losses of a step are numbers.

        Raises:
            TrainingError: one is not, and no scaler leaves the step out.
        """
        for name, value in losses.items():
            if not bool(torch.isfinite(value)):
                if not self._scaled:
                    number = float(value.detach())
                    raise TrainingError(f"{place}: the {name} is {number}; {_REMEDY}")
                return False
        return True

    def check_gradients(self, part: str, parameters: list[nn.Parameter], place: Place) -> None:
        """Check the gradients of a part of the network before its optimiser's step.

        Raises:
            TrainingError: one is no number, and no scaler leaves the step out.
        """
        gradients = [item.grad for item in parameters if item.grad is not None]
        norm = float(nn.utils.get_total_norm(gradients)) if gradients else 0.0
        if math.isfinite(norm):
            self._skipped[part] = 0
            return
        skipped = self._skipped[part] = self._skipped.get(part, 0) + 1
        if self._scaled and skipped <= MAX_SKIPPED_STEPS:
            return
        before = f", and so it was in the {skipped - 1} steps before" if self._scaled else ""
        raise TrainingError(f"{place}: the norm of the gradients is {norm}{before}; {_REMEDY}")


def check_validation_loss(value: Tensor, place: Place) -> None:
    """Check the loss of a validation batch.

    Raises:
        TrainingError: it is no number, so that scores would mean nothing.
    """
    if not bool(torch.isfinite(value)):
        raise TrainingError(f"{place}: the validation loss is {float(value.detach())}; {_REMEDY}")


def not_finite(weights: Mapping[str, Tensor]) -> str | None:
    """Return the name of the first tensor with a value that is no number, None where all are."""
    for name, value in weights.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return name
    return None
