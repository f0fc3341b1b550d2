"""Losses on logits (N, K, H, W) and class ids (N, H, W), 255 ignored, by the names of recipes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from segmentation_models_pytorch.losses import LovaszLoss
from torch import Tensor
from torch.nn import functional

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_training import parts
from terrain_training.settings.recipe import TrainingSettings

SMALLEST = 1.0e-6


@dataclass(frozen=True)
class LossContext:
    """What losses need beside logits and truth: hazards and weights (K,) per class."""

    class_weights: Tensor
    hazards: Tensor
    focal_gamma: float
    hazard_miss_weight: float
    tversky_alpha: float
    tversky_beta: float

    @classmethod
    def of(
        cls, training: TrainingSettings, *, class_weights: Sequence[float], taxonomy: Taxonomy
    ) -> LossContext:
        """Return what a recipe says, for the classes of a taxonomy."""
        return cls(
            class_weights=torch.tensor(class_weights),
            hazards=torch.from_numpy(taxonomy.hazards()),
            focal_gamma=training.focal_gamma,
            hazard_miss_weight=training.hazard_miss_weight,
            tversky_alpha=training.tversky_alpha,
            tversky_beta=training.tversky_beta,
        )


def cross_entropy(logits: Tensor, target: Tensor, context: LossContext) -> Tensor:
    """Return cross entropy, weighted per class."""
    return functional.cross_entropy(
        logits, target, weight=context.class_weights.to(logits), ignore_index=IGNORE
    )


def soft_dice(logits: Tensor, target: Tensor, _context: LossContext) -> Tensor:
    """Return one minus the mean soft Dice score over the classes present in the batch."""
    labelled = (target != IGNORE).unsqueeze(1)
    probabilities = logits.softmax(dim=1) * labelled
    truth = _one_hot(target, logits.shape[1])
    overlap = (probabilities * truth).sum(dim=(0, 2, 3))
    total = probabilities.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    present = truth.sum(dim=(0, 2, 3)) > 0
    dice = (2 * overlap + 1) / (total + 1)
    return 1 - dice[present].mean()


def tversky(logits: Tensor, target: Tensor, context: LossContext) -> Tensor:
    """Return one minus the mean Tversky index over the classes present (Salehi et al., 2017).

    Of both factors 0.5 it is soft Dice; `tversky_beta` above `tversky_alpha` makes a missed pixel
    of a class cost more than one too many.
    """
    labelled = (target != IGNORE).unsqueeze(1)
    probabilities = logits.softmax(dim=1) * labelled
    truth = _one_hot(target, logits.shape[1])
    pixels = truth.sum(dim=(0, 2, 3))
    found = (probabilities * truth).sum(dim=(0, 2, 3))
    too_many = probabilities.sum(dim=(0, 2, 3)) - found
    missed = pixels - found
    cost = context.tversky_alpha * too_many + context.tversky_beta * missed
    index = (found + 0.5) / (found + cost + 0.5)
    return 1 - index[pixels > 0].mean()


def focal(logits: Tensor, target: Tensor, context: LossContext) -> Tensor:
    """Return the focal loss (Lin et al., 2017) of the softmax; of gamma 0 it is cross entropy."""
    labelled = target != IGNORE
    costs = functional.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")
    missing = (1.0 - torch.exp(-costs)).clamp_min(SMALLEST)
    return (missing**context.focal_gamma * costs * labelled).sum() / labelled.sum()


def lovasz(logits: Tensor, target: Tensor, _context: LossContext) -> Tensor:
    """Return the Lovasz softmax loss, a stand-in for IoU (Berman et al., 2018)."""
    value: Tensor = LovaszLoss("multiclass", ignore_index=IGNORE)(logits, target)
    return value


def binary_cross_entropy(logits: Tensor, target: Tensor, context: LossContext) -> Tensor:
    """Return the cross entropy of a sigmoid per class; of two classes, of the second alone."""
    classes = logits.shape[1]
    labelled = (target != IGNORE).unsqueeze(1)
    truth = _one_hot(target, classes)
    weights = context.class_weights.to(logits)[target.clamp(max=classes - 1)]
    weights = weights.unsqueeze(1) * labelled
    if classes == 2:
        logits, truth = logits[:, 1:] - logits[:, :1], truth[:, 1:]
    losses = functional.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    return (losses * weights).sum() / (weights.sum() * logits.shape[1]).clamp_min(SMALLEST)


def hazard_weighted(logits: Tensor, target: Tensor, context: LossContext) -> Tensor:
    """Return the cross entropy of P(hazard), a hazard that is missed costing so much more.

    P(hazard) is the sum of probability times hazard over the classes, as on the vehicle.
    """
    labelled = target != IGNORE
    hazards = context.hazards.to(logits)
    wanted = hazards[target.clamp(max=len(hazards) - 1)]
    # No product of matrices: autocast would make it bfloat16, in which 1 - SMALLEST is 1.
    given = (logits.softmax(dim=1) * hazards.view(1, -1, 1, 1)).sum(dim=1)
    given = given.clamp(SMALLEST, 1.0 - SMALLEST)
    missed = -wanted * given.log() * context.hazard_miss_weight
    alarmed = -(1.0 - wanted) * (1.0 - given).log()
    return ((missed + alarmed) * labelled).sum() / labelled.sum()


def absolute_difference(logits: Tensor, target: Tensor, _context: LossContext) -> Tensor:
    """Return the mean difference between probabilities and truth, Pix2Pix's L1."""
    labelled = (target != IGNORE).unsqueeze(1)
    difference = (logits.softmax(dim=1) - _one_hot(target, logits.shape[1])).abs() * labelled
    return difference.sum() / (labelled.sum() * logits.shape[1])


Loss = Callable[[Tensor, Tensor, LossContext], Tensor]


def _own(part: parts.Part) -> Loss:
    """Return an own loss that is checked to give a scalar."""

    @functools.wraps(part.make)
    def scalar(logits: Tensor, target: Tensor, context: LossContext) -> Tensor:
        value = part.make(logits, target, context)
        if not isinstance(value, Tensor) or value.ndim:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ConfigError(f"{part.origin}: {part.name} gives {shape}, expected a scalar tensor")
        if logits.requires_grad and not value.requires_grad:
            raise ConfigError(
                f"{part.origin}: {part.name} gives a value without gradient, from which nothing "
                "can be learned; compute it from the logits with torch alone"
            )
        return value

    return scalar


LOSSES: parts.Registry[Loss] = parts.Registry(
    "losses",
    {
        "cross_entropy": cross_entropy,
        "dice": soft_dice,
        "tversky": tversky,
        "focal": focal,
        "lovasz": lovasz,
        "bce": binary_cross_entropy,
        "hazard_weighted": hazard_weighted,
        "l1": absolute_difference,
    },
    _own,
)


class SegmentationLoss:
    """Add up the losses of a recipe."""

    def __init__(self, training: TrainingSettings, context: LossContext) -> None:
        """Take their weights by name."""
        self._parts = [(LOSSES[name], weight) for name, weight in training.losses.items()]
        self._context = context

    def __call__(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the sum; zero, with a gradient of zero, where nothing is labelled."""
        if not bool((target != IGNORE).any()):
            return logits.sum() * 0.0
        parts = [loss(logits, target, self._context) * weight for loss, weight in self._parts]
        return torch.stack(parts).sum()


def _one_hot(target: Tensor, classes: int) -> Tensor:
    """Return (N, K, H, W), zero where nothing is labelled."""
    truth = functional.one_hot(target.clamp(max=classes - 1), classes).permute(0, 3, 1, 2)
    return truth * (target != IGNORE).unsqueeze(1).to(torch.float32)
