from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import itertools
import json

import numpy as np
import pytest
import torch

import data_sets
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.data.contract import find_usable
from terrain_training.data.sources.ai4mars import TAXONOMY
from terrain_training.data.sources.labelled_folder import LabelledFolder
from terrain_training.learning.loaders import OpenData
from terrain_training.learning.module import (
    Normaliser,
    make_optimiser,
    make_schedule,
    parameter_groups,
)
from terrain_training.learning.scores import epoch_scores
from terrain_training.learning.start import class_weights
from terrain_training.networks.registry import build_network, is_encoder

TWO = Taxonomy(
    (TerrainClass(0, "ground", (0, 0, 0), 0.0), TerrainClass(1, "rock", (255, 0, 0), 1.0))
)


def has_balance():
    try:
        return importlib.util.find_spec("terrain_training.data.class_balance") is not None
    except (ModuleNotFoundError, ValueError):
        return False


def confusion_of(truth, predicted, classes=4):
    counts = torch.zeros(classes, classes, dtype=torch.long)
    for t, p in zip(truth.tolist(), predicted.tolist()):
        counts[t, p] += 1
    return counts


@pytest.mark.parametrize("seed", range(6))
def test_scores_are_those_of_counting_pixels(seed):
    random = np.random.default_rng(seed)
    present = random.choice(4, size=1 + seed % 4, replace=False)
    truth, predicted = random.choice(present, 300), random.integers(0, 4, 300)
    scores = epoch_scores(confusion_of(truth, predicted), TAXONOMY)
    ious = []
    for item in TAXONOMY:
        is_truth, is_given = truth == item.id, predicted == item.id
        both, either = (is_truth & is_given).sum(), (is_truth | is_given).sum()
        if is_truth.any():
            assert scores["iou"][item.name] == pytest.approx(both / either)
            ious.append(both / either)
            assert scores["recall"][item.name] == pytest.approx(both / is_truth.sum())
        else:
            assert scores["iou"][item.name] is scores["recall"][item.name] is None
    assert scores["mean_iou"] == pytest.approx(np.mean(ious))
    assert scores["pixel_accuracy"] == pytest.approx((truth == predicted).mean())


def test_a_class_that_is_nowhere_has_no_score_and_does_not_count():
    counts = torch.diag(torch.tensor([5, 3, 0, 0]))
    scores = epoch_scores(counts, TAXONOMY)
    assert scores["mean_iou"] == scores["pixel_accuracy"] == 1.0
    assert scores["iou"] == {"soil": 1.0, "bedrock": 1.0, "sand": None, "big_rock": None}
    assert json.loads(json.dumps(scores, allow_nan=False)) == scores


def test_large_counts_stay_exact():
    counts = torch.tensor([[2**40, 2**40], [0, 2**41]])
    scores = epoch_scores(counts, TWO)
    assert scores["pixel_accuracy"] == 0.75
    assert scores["iou"] == {"ground": 0.5, "rock": pytest.approx(2 / 3)}


def test_no_labelled_pixel_is_an_error():
    with pytest.raises(ConfigError, match="no validation pixel is labelled; check the masks"):
        epoch_scores(torch.zeros(4, 4), TAXONOMY)


def weighted(recipe, wanted):
    training = dataclasses.replace(recipe.training, class_weights=wanted)
    return dataclasses.replace(recipe, training=training)


@pytest.fixture
def imbalanced(tmp_path):
    """Plant nine pixels of ground for one of rock, and some that do not count."""
    random = np.random.default_rng(1)
    for index in range(12):
        mask = np.zeros((20, 20), np.uint8)
        mask[:2] = 1
        mask[-1] = 255 if index % 2 else 0
        data_sets.save(tmp_path / "masks" / f"{index}.png", mask)
        image = random.integers(0, 256, (20, 20), dtype=np.uint8)
        data_sets.save(tmp_path / "images" / f"{index}.png", image)
    source = LabelledFolder(tmp_path, TWO, by_colour=False)
    train = find_usable(source, source.names("train"), skip_bad=False).names
    return OpenData(source, train, tuple(source.names("validation")), {})


def test_class_weights_are_ones_or_those_listed(recipe, imbalanced):
    assert class_weights(weighted(recipe, "none"), imbalanced) == [1.0, 1.0]
    assert class_weights(weighted(recipe, [1.0, 4.0]), imbalanced) == [1.0, 4.0]


def test_a_list_of_another_length_names_the_classes(recipe, imbalanced):
    message = r"class_weights is \[1.0\], but there are 2 classes: \['ground', 'rock'\]"
    with pytest.raises(ConfigError, match=message):
        class_weights(weighted(recipe, [1.0]), imbalanced)


@pytest.mark.skipif(not has_balance(), reason="the balance of a data set cannot be measured yet")
@pytest.mark.parametrize("wanted", ["median_frequency", "inverse_sqrt"])
def test_measured_weights_favour_the_rare_class(recipe, imbalanced, wanted):
    masks = [imbalanced.source.load(name).mask for name in imbalanced.train]
    ratio = sum((mask == 0).sum() for mask in masks) / sum((mask == 1).sum() for mask in masks)
    ground, rock = class_weights(weighted(recipe, wanted), imbalanced)
    power = 1.0 if wanted == "median_frequency" else 0.5
    assert rock / ground == pytest.approx(ratio**power, rel=1e-6)


def test_the_normaliser_takes_grey_levels(recipe):
    data = dataclasses.replace(recipe.data, mean=[10.0, 20.0, 30.0], std=[1.0, 2.0, 4.0])
    image = torch.full((1, 3, 2, 2), 34, dtype=torch.uint8)
    given = Normaliser(data)(image)
    assert given.dtype == torch.float32
    assert given[0, :, 0, 0].tolist() == [24.0, 7.0, 1.0]
    assert not Normaliser(data).state_dict()


def course(recipe, steps_per_epoch=10, **changes):
    training = dataclasses.replace(recipe.training, learning_rate=1.0, **changes)
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make_schedule(optimiser, training, steps_per_epoch=steps_per_epoch)
    rates = []
    for _ in range(training.epochs * steps_per_epoch):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return rates


def test_schedules_follow_their_names(recipe):
    assert course(recipe, epochs=3, schedule="constant", warmup_share=0.0) == [1.0] * 30
    stepped = course(recipe, epochs=3, schedule="step", warmup_share=0.0)
    assert stepped == [1.0] * 20 + [0.1] * 10
    cosine = course(recipe, epochs=3, schedule="cosine", warmup_share=0.0)
    assert all(b <= a for a, b in itertools.pairwise(cosine))
    assert cosine[15] == pytest.approx(0.5)
    assert cosine[-1] < 0.01
    warm = course(recipe, epochs=3, schedule="constant", warmup_share=0.2)
    np.testing.assert_allclose(warm[:7], [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1.0, 1.0])


def test_the_encoder_has_its_rate_and_norms_do_not_decay(recipe):
    training = dataclasses.replace(
        recipe.training, learning_rate=1e-2, encoder_learning_rate=1e-3, weight_decay=0.5
    )
    network = build_network(recipe.network, in_channels=1, classes=4)
    found = {}
    for group in make_optimiser(parameter_groups(network, training), training).param_groups:
        for parameter in group["params"]:
            found[id(parameter)] = (group["lr"], group["weight_decay"])
    assert len(found) == len(list(network.parameters()))
    for name, parameter in network.named_parameters():
        decay = 0.5 if parameter.ndim > 1 else 0.0
        assert found[id(parameter)] == (1e-3 if is_encoder(name) else 1e-2, decay)


def test_optimisers_are_those_named(recipe):
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    for name, kind in kinds.items():
        training = dataclasses.replace(recipe.training, optimiser=name, momentum=0.8)
        rows = iter([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": 0.5}])
        optimiser = make_optimiser(rows, training)
        assert type(optimiser) is kind
        assert optimiser.param_groups[0]["lr"] == 0.5
        if name == "sgd":
            assert optimiser.param_groups[0]["momentum"] == 0.8
