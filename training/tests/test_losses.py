from __future__ import annotations

import pytest
import torch

from terrain_training.losses import segmentation_loss, soft_dice_loss

WEIGHTS = torch.ones(4)


def loss(logits, target):
    return float(segmentation_loss(logits, target, class_weights=WEIGHTS, dice_weight=0.5))


def perfect(target, sharpness=20.0):
    one_hot = torch.nn.functional.one_hot(target.clamp(max=3), 4)
    return sharpness * one_hot.permute(0, 3, 1, 2).float()


def test_right_prediction_costs_nothing_and_wrong_costs_much():
    target = torch.randint(0, 4, (2, 8, 8), generator=torch.Generator().manual_seed(1))
    assert loss(perfect(target), target) == pytest.approx(0.0, abs=1e-3)
    assert loss(perfect((target + 1) % 4), target) > 10


def test_unlabelled_pixels_do_not_count():
    target = torch.randint(0, 4, (1, 8, 8), generator=torch.Generator().manual_seed(2))
    logits = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    target[:, :4] = 255
    changed = logits.clone()
    changed[:, :, :4] = -7.0
    assert loss(changed, target) == pytest.approx(loss(logits, target), rel=1e-6)


def test_batch_without_labels_gives_zero_and_a_gradient():
    logits = torch.randn(1, 4, 8, 8, requires_grad=True)
    target = torch.full((1, 8, 8), 255)
    value = segmentation_loss(logits, target, class_weights=WEIGHTS, dice_weight=0.5)
    value.backward()
    assert float(value.detach()) == 0.0
    assert torch.count_nonzero(logits.grad) == 0
    assert float(soft_dice_loss(logits, target).detach()) == 0.0
