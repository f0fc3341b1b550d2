"""Losses on logits (N, K, H, W) and class ids (N, H, W), 255 ignored."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from terrain_seg_ros.core.segmentation_metrics import IGNORE


def soft_dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return one minus the mean soft Dice score over the classes present in the batch."""
    labelled = (target != IGNORE).unsqueeze(1)
    probabilities = logits.softmax(dim=1) * labelled
    one_hot = functional.one_hot(target.clamp(max=logits.shape[1] - 1), logits.shape[1])
    truth = one_hot.permute(0, 3, 1, 2) * labelled
    overlap = (probabilities * truth).sum(dim=(0, 2, 3))
    total = probabilities.sum(dim=(0, 2, 3)) + truth.sum(dim=(0, 2, 3))
    present = truth.sum(dim=(0, 2, 3)) > 0
    dice = (2 * overlap + 1) / (total + 1)
    return 1 - dice[present].mean() if bool(present.any()) else logits.sum() * 0


def segmentation_loss(
    logits: Tensor, target: Tensor, *, class_weights: Tensor, dice_weight: float
) -> Tensor:
    """Return weighted cross entropy plus `dice_weight` times the Dice loss."""
    labelled = (target != IGNORE).sum()
    if int(labelled) == 0:
        return logits.sum() * 0
    cross_entropy = functional.cross_entropy(
        logits, target, weight=class_weights, ignore_index=IGNORE
    )
    if dice_weight == 0:
        return cross_entropy
    return cross_entropy + torch.as_tensor(dice_weight) * soft_dice_loss(logits, target)
