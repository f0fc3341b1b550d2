"""Several data sets as one, and labels that leave a choice of classes."""

from __future__ import annotations

import dataclasses
import pickle
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest
import torch

import data_sets
from conftest import CPU
from source_contract import SourceContract
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.data.dataset import EpochSampler, LabelledImages
from terrain_training.data.factory import open_joined, open_source
from terrain_training.data.label_sets import label_sets_of
from terrain_training.data.parted_source import PartedSource
from terrain_training.evaluation.run import as_labelled
from terrain_training.learning.loaders import RunData, open_data
from terrain_training.learning.merged_labels import decide_label_sets, merge_label_sets
from terrain_training.learning.run import TrainingRequest, train
from terrain_training.learning.run_folder import RunFolder
from terrain_training.losses import LossContext, cross_entropy, focal, tversky
from terrain_training.metrics.counts import Prediction
from terrain_training.recipe.load import load_recipe

COARSE = Taxonomy(
    (
        TerrainClass(0, "ground", (120, 100, 80), 0.0),
        TerrainClass(1, "boulder", (200, 40, 40), 1.0),
    )
)
FINE = [
    {"name": "soil", "color": [120, 100, 80], "hazard": 0.0},
    {"name": "rock", "color": [200, 40, 40], "hazard": 1.0},
    {"name": "pebble", "color": [220, 140, 40], "hazard": 0.5},
]
OF_COARSE = [
    {"name": item.name, "color": list(item.color_rgb), "hazard": item.hazard} for item in COARSE
]


def coarse_member(name="coarse", **changes):
    row = {
        "name": name,
        "source": "labelled_folder",
        "options": {"classes": OF_COARSE, "by_colour": False},
        "map": {"ground": ["soil", "pebble"], "boulder": "rock"},
    }
    return {**row, **changes}


def fine_member():
    return {
        "name": "fine",
        "source": "labelled_folder",
        "options": {"classes": FINE, "by_colour": False},
        "map": {"soil": "soil", "rock": "rock", "pebble": "pebble"},
    }


def write_members(root):
    data_sets.folder(root / "coarse", COARSE, count=12, by_colour=False)
    taxonomy = Taxonomy(
        tuple(
            TerrainClass(number, row["name"], tuple(row["color"]), row["hazard"])
            for number, row in enumerate(FINE)
        )
    )
    data_sets.folder(root / "fine", taxonomy, count=12, by_colour=False)
    return root


def opened(root, *members):
    rows = list(members) or [coarse_member(), fine_member()]
    return open_joined(write_members(root), classes=FINE, members=rows)


class TestJoined(SourceContract):
    name = "joined"
    options: ClassVar[dict[str, Any]] = {
        "classes": FINE,
        "members": [coarse_member(), fine_member()],
    }

    def open(self, root):
        return opened(root)


def test_samples_are_named_by_their_member_and_hold_main_classes(tmp_path):
    source = opened(tmp_path)
    names = source.names("train")
    assert {name.partition("/")[0] for name in names} == {"coarse", "fine"}
    name = next(one for one in names if one.startswith("coarse/"))
    assert set(np.unique(source.load(name).mask)) <= {0, 1, 255}
    assert source.group(name) == name


def test_a_label_that_leaves_a_choice_is_a_set_to_learn_and_its_main_class_to_score(tmp_path):
    source = opened(tmp_path, coarse_member(unlabelled=["soil", "rock", "pebble"]), fine_member())
    sets = label_sets_of(PartedSource(source, {"train": source.names("train")}))
    assert sets.sets == ((0, 2), (0, 1, 2))
    assert sets.told(("soil", "rock", "pebble")) == (
        "soil may be soil or pebble; soil may be soil or rock or pebble"
    )
    assert (sets.for_scores().table("coarse/1")[[0, 255]] == (3, 255)).all()
    coarse, fine = sets.table("coarse/1"), sets.table("fine/1")
    assert (coarse[0], coarse[1], coarse[255]) == (3, 1, 4)
    np.testing.assert_array_equal(fine, np.arange(256))


def test_a_joined_source_without_choices_has_no_sets(tmp_path):
    plain = coarse_member(map={"ground": "soil", "boulder": "ignore"})
    source = opened(tmp_path, plain, fine_member())
    assert label_sets_of(source) is None
    name = next(one for one in source.names("train") if one.startswith("coarse/"))
    assert 1 not in source.load(name).mask


def test_items_of_images_hold_sets_and_pairs_hold_main_classes(tmp_path):
    source = opened(tmp_path)
    recipe = load_recipe("worlds_small", overrides=["data.height_px=32", "data.width_px=32"])
    names = [name for name in source.names("train") if name.startswith("coarse/")][:2]
    images = LabelledImages(source, names, recipe.data, sets=label_sets_of(source))
    mask = images.pair(0)[1]
    learned = pickle.loads(pickle.dumps(images))[0][1].numpy()
    assert (mask == 0).any()
    np.testing.assert_array_equal(learned, np.where(mask == 0, 3, mask))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([coarse_member(map={"ground": "soil"})], r"leaves out \['boulder'\]"),
        ([coarse_member(map={"ground": "lava", "boulder": "rock"})], r"names \['lava'\]"),
        ([coarse_member(map={"ground": ["soil", "soil"], "boulder": "rock"})], "different ones"),
        ([coarse_member(source="joined")], "source is 'joined'"),
        ([coarse_member(source="labelled_foldr")], "did you mean labelled_folder"),
        ([coarse_member(name="../coarse")], "letters, digits"),
        ([coarse_member(), coarse_member()], "another name"),
        ([coarse_member(name="elsewhere")], "does not exist"),
        ([coarse_member(extra=1)], "expected name, source and map"),
        ([], "expected a list"),
        (
            [coarse_member(map={"ground": ["rock", "pebble"], "boulder": "rock"})],
            "count as rock, but differ",
        ),
    ],
)
def test_a_wrong_member_is_named_with_the_remedy(rows, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        open_joined(write_members(tmp_path), classes=FINE, members=rows)


def test_the_marginal_likelihood_is_that_of_the_whole_set():
    random = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 4, 3, 5, generator=random, requires_grad=True)
    target = torch.full((2, 3, 5), 4)
    merged, ids = merge_label_sets(logits, target, [(1, 3)])
    context = LossContext(torch.ones(4), torch.zeros(4), 0.0, 5.0, 0.3, 0.7)
    probabilities = logits.softmax(dim=1)
    expected = -(probabilities[:, 1] + probabilities[:, 3]).log().mean()
    for loss in (cross_entropy, focal):
        torch.testing.assert_close(loss(merged, ids, context), expected)
    tversky(merged, ids, context).backward()
    assert torch.isfinite(logits.grad).all()
    # Nothing is asked of how the set's classes share it: the gradient keeps their proportion.
    share = logits.grad[:, 1] / logits.grad[:, 3]
    torch.testing.assert_close(share, (probabilities[:, 1] / probabilities[:, 3]).detach())


def test_pixels_of_one_class_keep_their_logits_and_a_choice_within_a_set_is_right():
    logits = torch.tensor([[0.0, 1.0, 5.0], [5.0, 0.0, 0.0], [0.0, 0.0, 5.0]]).T.reshape(1, 3, 1, 3)
    target = torch.tensor([[[3, 1, 3]]])
    merged, ids = merge_label_sets(logits, target, [(0, 2)])
    assert ids.tolist() == [[[0, 1, 0]]]
    torch.testing.assert_close(merged[..., 1], logits[..., 1])
    assert merged.argmax(dim=1).tolist() == [[[0, 0, 0]]]


def test_a_set_of_all_classes_says_nothing_to_a_loss_and_to_a_count():
    logits = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(2))
    target = torch.tensor([[[3, 1], [4, 255]]])
    merged, ids = merge_label_sets(logits, target, [(0, 1, 2), (0, 2)])
    assert ids.tolist() == [[[255, 1], [0, 255]]]
    torch.testing.assert_close(merged[0, :, 0], logits[0, :, 0])


def test_validation_does_not_count_what_is_not_labelled(tmp_path):
    write_members(tmp_path)
    for path in (tmp_path / "coarse" / "masks").iterdir():
        mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        mask[: len(mask) // 2] = 255
        cv2.imwrite(str(path), mask)
    recipe = joined_recipe()
    rows = [coarse_member(unlabelled=["soil", "rock", "pebble"]), fine_member()]
    options = {"classes": FINE, "members": rows}
    data = dataclasses.replace(recipe.data, options=options)
    recipe = dataclasses.replace(recipe, data=data)
    served = RunData(recipe, open_data(recipe, tmp_path, skip_bad=False, run=None))
    for images, holds in ((served.training_images, True), (served.validation_images, False)):
        own = [place for place, name in enumerate(images.names) if name.startswith("coarse/")]
        ids = np.stack([images[place][1].numpy() for place in own])
        assert (ids == 4).any() == holds
        assert holds or (ids[:, :8] == 255).all()


def test_a_teacher_decides_only_what_it_is_sure_of_and_only_within_the_set():
    sure, unsure, outside = [0.0, 9.0, 5.0], [0.0, 9.0, 0.5], [5.0, 9.0, 0.0]
    teacher = torch.tensor([sure, unsure, outside, sure]).T.reshape(1, 3, 1, 4)
    target = torch.tensor([[[3, 3, 3, 1]]])
    decided = decide_label_sets(target, teacher, [(0, 2)], confidence=0.9)
    assert decided.tolist() == [[[2, 3, 0, 1]]]


def test_a_score_takes_any_class_that_a_label_leaves_open_as_its_main_class():
    said = np.array([[[200, 0, 100]], [[20, 30, 55]], [[35, 225, 100]]], np.uint8)
    prediction = Prediction(said.argmax(axis=0).astype(np.uint8), said)
    counted = as_labelled(prediction, np.array([[3, 3, 2]], np.uint8), [(0, 2)])
    assert counted.mask.tolist() == [[0, 0, 0]]
    assert counted.probabilities[:, 0, :2].tolist() == [[235, 225], [20, 30], [0, 0]]
    np.testing.assert_array_equal(counted.probabilities[:, 0, 2], said[:, 0, 2])


def test_images_of_a_rare_class_are_shown_more_often_and_augmented_anew():
    sampler = EpochSampler(3, seed=1, repeats=(1, 3, 1))
    keys = list(sampler)
    assert len(keys) == len(sampler) == 5
    assert sorted(keys) == [(0, 0), (0, 1), (0, 1, 1), (0, 1, 2), (0, 2)]
    plain = EpochSampler(3, seed=1)
    assert list(plain) == list(EpochSampler(3, seed=1, repeats=(1, 1, 1)))


def joined_recipe(**training):
    recipe = load_recipe("worlds_small", overrides=["data.height_px=32", "data.width_px=32"])
    options: ClassVar[dict[str, Any]] = {
        "classes": FINE,
        "members": [coarse_member(), fine_member()],
    }
    return dataclasses.replace(
        recipe,
        data=dataclasses.replace(recipe.data, source="joined", options=options),
        training=dataclasses.replace(recipe.training, class_weights="none", **training),
    )


def test_repeats_count_for_one_member_alone_where_the_recipe_says_so(tmp_path):
    write_members(tmp_path)
    recipe = joined_recipe(repeats={"coarse/rock": 4})
    found = open_data(recipe, tmp_path, skip_bad=False, run=None)
    source = open_source(recipe.data, tmp_path)
    for name, times in zip(found.train, found.repeats):
        has_rock = bool((source.load(name).mask == 1).any())
        assert times == (4 if has_rock and name.startswith("coarse/") else 1)
    assert 4 in found.repeats


@pytest.mark.parametrize(
    ("repeats", "message"),
    [({"stone": 2}, "the class stone"), ({"other/rock": 2}, "a member other")],
)
def test_repeats_of_an_unknown_class_or_member_are_refused(repeats, message, tmp_path):
    write_members(tmp_path)
    with pytest.raises(ConfigError, match=message):
        open_data(joined_recipe(repeats=repeats), tmp_path, skip_bad=False, run=None)


LABELLED_BY_AVERAGE = {
    "epochs": 3,
    "batch_size": 4,
    "precision": "fp32",
    "ema_decay": 0.9,
    "pseudo_label_confidence": 0.5,
    "repeats": {"coarse/rock": 2},
    "loggers": [],
    "example_images": 0,
}


def test_a_resumed_run_with_pseudo_labels_ends_with_the_same_weights(tmp_path):
    data = write_members(tmp_path / "data")
    recipe = joined_recipe(**LABELLED_BY_AVERAGE)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(recipe, TrainingRequest(data=data, out=whole, machine=CPU))
    train(recipe, TrainingRequest(data=data, out=parts, machine=CPU, epochs_now=2))
    train(recipe, TrainingRequest(data=data, out=parts, machine=CPU))
    assert RunFolder(whole).weights.read_bytes() == RunFolder(parts).weights.read_bytes()
    plain = joined_recipe(**LABELLED_BY_AVERAGE | {"pseudo_label_confidence": 0.0})
    train(plain, TrainingRequest(data=data, out=tmp_path / "plain", machine=CPU))
    losses = [
        RunFolder(run).read_history()[-1]["train_loss"] for run in (whole, tmp_path / "plain")
    ]
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ema_decay": 0.0}, "training.ema_decay is 0"),
        ({"pseudo_label_confidence": 0.9}, "leaves a choice"),
    ],
)
def test_pseudo_labels_need_an_average_and_labels_that_leave_a_choice(changes, message, tmp_path):
    data = write_members(tmp_path / "data")
    recipe = joined_recipe(**LABELLED_BY_AVERAGE | changes)
    if "ema_decay" not in changes:
        rows = [fine_member()]
        options: ClassVar[dict[str, Any]] = {"classes": FINE, "members": rows}
        recipe = dataclasses.replace(
            recipe,
            data=dataclasses.replace(recipe.data, options=options),
            training=dataclasses.replace(recipe.training, repeats={}),
        )
    with pytest.raises(ConfigError, match=message):
        train(recipe, TrainingRequest(data=data, out=tmp_path / "run", machine=CPU))
