from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from terrain_training.losses import LOSSES, LossContext, SegmentationLoss

CLASSES = 4
CONTEXT = LossContext(
    class_weights=torch.ones(CLASSES),
    hazards=torch.tensor([0.0, 0.0, 0.0, 1.0]),
    focal_gamma=2.0,
    hazard_miss_weight=5.0,
    tversky_alpha=0.3,
    tversky_beta=0.7,
)
TWO = dataclasses.replace(CONTEXT, class_weights=torch.ones(2), hazards=torch.tensor([0.0, 1.0]))


def case(seed, *, classes=CLASSES, size=6, images=2):
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(images, classes, size, size, generator=random)
    return logits, torch.randint(0, classes, (images, size, size), generator=random)


def certain(target, *, classes=CLASSES, sharpness=20.0):
    one_hot = functional.one_hot(target.clamp(max=classes - 1), classes)
    return sharpness * (2.0 * one_hot.permute(0, 3, 1, 2).float() - 1.0)


def value(name, logits, target, context=CONTEXT):
    return float(LOSSES[name](logits, target, context))


def flat(logits, target):
    """Return probabilities (M, K) and truth (M,) of the labelled pixels, as NumPy."""
    labelled = target.reshape(-1) != 255
    rows = logits.permute(0, 2, 3, 1).reshape(-1, logits.shape[1])[labelled].double()
    scaled = torch.exp(rows - rows.max(dim=1, keepdim=True).values).numpy()
    return scaled / scaled.sum(axis=1, keepdims=True), target.reshape(-1)[labelled].numpy()


def summed(recipe, losses, context=CONTEXT):
    return SegmentationLoss(dataclasses.replace(recipe.training, losses=losses), context)


@pytest.mark.parametrize("classes", [2, CLASSES])
@pytest.mark.parametrize("name", LOSSES)
def test_right_costs_nothing_and_wrong_costs_more(name, classes):
    context = TWO if classes == 2 else CONTEXT
    target = torch.arange(classes).repeat(1, 8, 8 // classes)
    right = value(name, certain(target, classes=classes), target, context)
    wrong = value(name, certain((target + 1) % classes, classes=classes), target, context)
    assert right == pytest.approx(0.0, abs=1e-3)
    assert wrong > 0.3


@pytest.mark.parametrize("name", LOSSES)
def test_unlabelled_pixels_change_nothing_and_get_no_gradient(name):
    logits, target = case(3)
    target[:, :3] = 255
    logits.requires_grad_()
    loss = LOSSES[name](logits, target, CONTEXT)
    loss.backward()
    assert torch.count_nonzero(logits.grad[:, :, :3]) == 0
    assert torch.count_nonzero(logits.grad[:, :, 3:]) > 0
    assert torch.isfinite(logits.grad).all()
    other = logits.detach().clone()
    other[:, :, :3] = torch.tensor([9.0, -7.0, 3.0, 0.0]).view(1, CLASSES, 1, 1)
    assert value(name, other, target) == pytest.approx(float(loss.detach()), rel=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_without_labels_is_zero_with_a_gradient(name, recipe):
    logits, target = case(4)
    logits.requires_grad_()
    loss = summed(recipe, {name: 2.0})(logits, torch.full_like(target, 255))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert torch.count_nonzero(logits.grad) == 0


@pytest.mark.parametrize("name", LOSSES)
def test_an_image_without_labels_beside_another_is_finite(name, recipe):
    logits, target = case(5)
    target[0] = 255
    assert math.isfinite(float(summed(recipe, {name: 1.0})(logits, target)))
    alone = value(name, logits[1:], target[1:])
    assert value(name, logits, target) == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_extreme_logits_stay_finite(name):
    target = torch.arange(CLASSES).repeat(1, 8, 2)
    logits = certain((target + 1) % CLASSES, sharpness=1.0e4).requires_grad_()
    loss = LOSSES[name](logits, target, CONTEXT)
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert torch.isfinite(logits.grad).all()


def test_the_sum_weights_its_parts(recipe):
    logits, target = case(6)
    expected = 2.0 * value("dice", logits, target) + 0.25 * value("l1", logits, target)
    given = float(summed(recipe, {"dice": 2.0, "l1": 0.25})(logits, target))
    assert given == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_is_the_weighted_mean_over_labelled_pixels():
    logits, target = case(7)
    target[:, 0] = 255
    weights = np.array([1.0, 2.0, 0.5, 3.0])
    context = dataclasses.replace(CONTEXT, class_weights=torch.tensor(weights))
    probabilities, truth = flat(logits, target)
    costs = -np.log(probabilities[np.arange(len(truth)), truth])
    expected = (costs * weights[truth]).sum() / weights[truth].sum()
    assert value("cross_entropy", logits, target, context) == pytest.approx(expected, rel=1e-5)


def test_cross_entropy_of_one_pixel_by_hand():
    logits = torch.tensor([math.log(3.0), 0.0]).view(1, 2, 1, 1)
    target = torch.zeros(1, 1, 1, dtype=torch.long)
    assert value("cross_entropy", logits, target, TWO) == pytest.approx(math.log(4 / 3), rel=1e-6)


def test_dice_is_over_the_classes_present():
    logits, target = case(8)
    target[target == 2] = 0
    target[:, :2] = 255
    probabilities, truth = flat(logits, target)
    scores = []
    for k in (0, 1, 3):
        overlap = probabilities[truth == k, k].sum()
        total = probabilities[:, k].sum() + (truth == k).sum()
        scores.append((2 * overlap + 1) / (total + 1))
    assert value("dice", logits, target) == pytest.approx(1 - np.mean(scores), rel=1e-5)


def test_tversky_weights_what_is_missed_and_what_is_too_much():
    logits, target = case(8)
    target[target == 2] = 0
    target[:, :2] = 255
    probabilities, truth = flat(logits, target)
    scores = []
    for k in (0, 1, 3):
        found = probabilities[truth == k, k].sum()
        too_many = probabilities[truth != k, k].sum()
        missed = (1 - probabilities[truth == k, k]).sum()
        scores.append((found + 0.5) / (found + 0.3 * too_many + 0.7 * missed + 0.5))
    assert value("tversky", logits, target) == pytest.approx(1 - np.mean(scores), rel=1e-5)


def test_tversky_of_even_factors_is_dice():
    logits, target = case(15)
    even = dataclasses.replace(CONTEXT, tversky_alpha=0.5, tversky_beta=0.5)
    expected = value("dice", logits, target)
    assert value("tversky", logits, target, even) == pytest.approx(expected, rel=1e-5)


def test_focal_without_gamma_is_cross_entropy():
    logits, target = case(9)
    target[:, 1] = 255
    context = dataclasses.replace(CONTEXT, focal_gamma=0.0)
    expected = value("cross_entropy", logits, target)
    assert value("focal", logits, target, context) == pytest.approx(expected, rel=1e-5)


def test_focal_scales_each_pixel_by_how_wrong_it_is():
    logits, target = case(10)
    target[:, 1] = 255
    probabilities, truth = flat(logits, target)
    given = probabilities[np.arange(len(truth)), truth]
    expected = (-((1 - given) ** 2) * np.log(given)).mean()
    assert value("focal", logits, target) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_of_a_certain_pixel_has_a_finite_gradient(gamma):
    target = torch.zeros(1, 1, 1, dtype=torch.long)
    logits = certain(target, sharpness=1.0e3).requires_grad_()
    context = dataclasses.replace(CONTEXT, focal_gamma=gamma)
    LOSSES["focal"](logits, target, context).backward()
    assert torch.isfinite(logits.grad).all()


def jaccard_loss(mispredicted, truth):
    """Return 1 - IoU of a class when a set of pixels is wrong about it."""
    union = (truth | mispredicted).sum()
    return float(mispredicted.sum() / union) if union else 0.0


def brute_force_lovasz(probabilities, truth):
    """Return the Lovasz extension by its definition, a sum over growing sets of errors."""
    losses = []
    for k in np.unique(truth):
        errors = np.abs((truth == k) - probabilities[:, k])
        order = np.argsort(-errors)
        total, before = 0.0, 0.0
        wrong = np.zeros(len(truth), dtype=bool)
        for place in order:
            wrong[place] = True
            now = jaccard_loss(wrong, truth == k)
            total += errors[place] * (now - before)
            before = now
        losses.append(total)
    return float(np.mean(losses))


@pytest.mark.parametrize("seed", range(5))
def test_lovasz_is_the_extension_of_the_jaccard_loss(seed):
    logits, target = case(seed, classes=3, size=2)
    target[0, 0, 0] = 255
    expected = brute_force_lovasz(*flat(logits, target))
    assert value("lovasz", logits, target) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("wrong", list(itertools.product([0, 1], repeat=4)))
def test_lovasz_of_certain_predictions_is_one_minus_iou(wrong):
    truth = torch.tensor([[[0, 0], [1, 1]]])
    predicted = (truth + torch.tensor(wrong).view(1, 2, 2)) % 2
    expected = []
    for k in (0, 1):
        both, either = (truth == k) & (predicted == k), (truth == k) | (predicted == k)
        expected.append(1 - float(both.sum()) / float(either.sum()))
    given = value("lovasz", certain(predicted, classes=2, sharpness=50.0), truth, TWO)
    assert given == pytest.approx(np.mean(expected), abs=1e-6)


def test_bce_of_two_classes_is_that_of_the_second_against_the_first():
    logits, target = case(11, classes=2)
    target[:, 0] = 255
    weights = np.array([1.0, 4.0])
    context = dataclasses.replace(TWO, class_weights=torch.tensor(weights))
    probabilities, truth = flat(logits, target)
    costs = -np.where(truth == 1, np.log(probabilities[:, 1]), np.log(probabilities[:, 0]))
    expected = (costs * weights[truth]).sum() / weights[truth].sum()
    assert value("bce", logits, target, context) == pytest.approx(expected, rel=1e-5)


def test_bce_of_more_classes_has_a_sigmoid_for_each():
    logits, target = case(12)
    target[:, 0] = 255
    labelled = target.reshape(-1) != 255
    rows = logits.permute(0, 2, 3, 1).reshape(-1, CLASSES)[labelled].double().numpy()
    wanted = np.eye(CLASSES)[target.reshape(-1)[labelled].numpy()]
    given = 1 / (1 + np.exp(-rows))
    expected = -(wanted * np.log(given) + (1 - wanted) * np.log(1 - given)).mean()
    assert value("bce", logits, target) == pytest.approx(expected, rel=1e-5)


def test_a_missed_hazard_costs_more_than_a_false_alarm():
    safe, hazard = torch.zeros(1, 2, 2, dtype=torch.long), torch.full((1, 2, 2), 3)
    missed = value("hazard_weighted", certain(safe, sharpness=4.0), hazard)
    alarm = value("hazard_weighted", certain(hazard, sharpness=4.0), safe)
    assert missed > alarm > 0
    even = dataclasses.replace(CONTEXT, hazard_miss_weight=1.0)
    unweighted = value("hazard_weighted", certain(safe, sharpness=4.0), hazard, even)
    assert missed == pytest.approx(5.0 * unweighted, rel=1e-5)


def test_hazard_weighted_is_the_cross_entropy_of_the_expected_hazard():
    logits, target = case(13)
    target[:, 0] = 255
    hazards = np.array([0.02, 0.1, 0.4, 1.0])
    context = dataclasses.replace(CONTEXT, hazards=torch.tensor(hazards))
    probabilities, truth = flat(logits, target)
    given, wanted = probabilities @ hazards, hazards[truth]
    costs = -5.0 * wanted * np.log(given) - (1 - wanted) * np.log(1 - given)
    assert value("hazard_weighted", logits, target, context) == pytest.approx(
        costs.mean(), rel=1e-5
    )


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_finite_in_half_precision_however_sure_the_network_is(name):
    target = torch.arange(CLASSES).repeat(1, 8, 2)
    for place in (target, (target + 1) % CLASSES):
        logits = certain(place).requires_grad_()
        with torch.autocast("cpu", torch.bfloat16):
            loss = LOSSES[name](logits, target, CONTEXT)
        loss.backward()
        assert torch.isfinite(loss)
        assert torch.isfinite(logits.grad).all()
        assert value(name, logits.detach(), target) == pytest.approx(
            float(loss.detach()), rel=0.02, abs=1e-3
        )


def test_l1_is_the_mean_difference_of_probabilities():
    logits, target = case(14)
    target[:, 0] = 255
    probabilities, truth = flat(logits, target)
    expected = np.abs(probabilities - np.eye(CLASSES)[truth]).mean()
    assert value("l1", logits, target) == pytest.approx(expected, rel=1e-5)
