from __future__ import annotations

import dataclasses
import itertools
from collections import Counter

import numpy as np
import pytest
import torch

import data_sets
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.augmentation.registry import build_augmentation
from terrain_training.data.contract import BadSampleError, Sample
from terrain_training.data.dataset import EpochSampler, LabelledImages
from terrain_training.data.sources.lunar_landscape import TAXONOMY, LunarLandscape

AUGMENT = build_augmentation(
    [
        {"name": "flip_horizontal", "probability": 0.5},
        {"name": "noise", "probability": 1.0, "read": 0.1, "shot": 0.0},
    ]
)


class Counted:
    """Be a source that counts what is loaded from it."""

    def __init__(self, source):
        self.source = source
        self.taxonomy = source.taxonomy
        self.loaded = Counter()

    def load(self, name):
        self.loaded[name] += 1
        return self.source.load(name)


@pytest.fixture(scope="module")
def lunar(tmp_path_factory):
    return LunarLandscape(data_sets.lunar(tmp_path_factory.mktemp("lunar")))


def settings(recipe, **changes):
    wanted = {"channels": "rgb", "height_px": 24, "width_px": 32, "cache_mib": 8} | changes
    return dataclasses.replace(recipe.data, **wanted)


def dataset(source, recipe, *, count=4, augment=None, seed=0, **changes):
    names = source.names("train") if hasattr(source, "names") else source.source.names("train")
    data = settings(recipe, **changes)
    return LabelledImages(source, names[:count], data, augment=augment, seed=seed)


def epoch_of(count, epoch, **options):
    sampler = EpochSampler(count, seed=options.pop("seed", 5), **options)
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.mark.parametrize("count", [1, 2, 17, 100])
def test_an_epoch_has_every_place_once(count):
    keys = epoch_of(count, 3)
    assert len(keys) == len(EpochSampler(count, seed=5)) == count
    assert sorted(place for _, place in keys) == list(range(count))
    assert {epoch for epoch, _ in keys} == {3}


def test_seed_and_epoch_decide_the_order():
    assert epoch_of(50, 2) == epoch_of(50, 2)
    orders = [
        tuple(place for _, place in epoch_of(50, epoch, seed=seed))
        for seed, epoch in itertools.product((1, 2), range(5))
    ]
    assert len(set(orders)) == len(orders)


@pytest.mark.parametrize("processes", [2, 3])
@pytest.mark.parametrize("count", [1, 7, 12, 50])
def test_the_shares_of_processes_are_of_one_size_and_cover_all(count, processes):
    shares = [epoch_of(count, 1, rank=rank, processes=processes) for rank in range(processes)]
    assert {len(share) for share in shares} == {-(-count // processes)}
    places = Counter(place for share in shares for _, place in share)
    assert set(places) == set(range(count))
    assert sum(places.values()) - count < processes


def test_an_empty_split_is_refused():
    with pytest.raises(ConfigError, match="training split is empty; check --data"):
        EpochSampler(0, seed=1)


def test_samples_are_bytes_in_the_order_of_torch(lunar, recipe):
    images = dataset(lunar, recipe)
    assert len(images) == 4
    for place in range(4):
        image, mask = images[place]
        sample = lunar.load(images.names[place])
        assert image.dtype == mask.dtype == torch.uint8
        np.testing.assert_array_equal(image.permute(1, 2, 0).numpy(), sample.image)
        np.testing.assert_array_equal(mask.numpy(), sample.mask)


def test_grey_samples_have_one_channel(lunar, recipe):
    image, mask = dataset(lunar, recipe, channels="grey")[0]
    assert image.shape == (1, 24, 32)
    assert mask.shape == (24, 32)


def test_padding_of_the_mask_is_ignored_and_that_of_the_image_is_even(lunar, recipe):
    images = dataset(lunar, recipe, resize="letterbox", height_px=64, width_px=64)
    image, mask = images[0]
    sample = lunar.load(images.names[0])
    # 24 x 32 becomes 48 x 64, between two bars of 8 rows.
    inside = mask[8:56].numpy()
    assert (mask[:8] == 255).all()
    assert (mask[56:] == 255).all()
    np.testing.assert_array_equal(inside, np.kron(sample.mask, np.ones((2, 2), np.uint8)))
    assert len(torch.unique(image[:, :8])) == 1


def test_stretched_masks_hold_classes_only(lunar, recipe):
    mask = dataset(lunar, recipe, height_px=48, width_px=48)[0][1]
    assert set(torch.unique(mask).tolist()) <= {0, 1, 2, 3, 255}


def test_samples_are_read_once_while_there_is_room(lunar, recipe):
    source = Counted(lunar)
    images = dataset(source, recipe)
    for _ in range(3):
        for place in range(4):
            images[place]
    assert set(source.loaded.values()) == {1}


def test_the_cache_keeps_to_its_limit(lunar, recipe):
    # 1 MiB holds one sample of 4 * 400 * 512 bytes, not two.
    source = Counted(lunar)
    images = dataset(source, recipe, height_px=400, width_px=512, cache_mib=1)
    for _ in range(3):
        for place in range(4):
            images[place]
    assert sorted(source.loaded.values()) == [1, 3, 3, 3]
    without = Counted(lunar)
    images = dataset(without, recipe, cache_mib=0)
    for _ in range(3):
        images[0]
    assert list(without.loaded.values()) == [3]


def equal(first, second):
    return torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])


def test_variants_depend_on_seed_epoch_and_place_alone(lunar, recipe):
    images = dataset(lunar, recipe, augment=AUGMENT, seed=1)
    expected = {(epoch, place): images[epoch, place] for epoch in (0, 1) for place in range(4)}
    assert not equal(expected[0, 2], expected[1, 2])
    uncached = dataset(lunar, recipe, augment=AUGMENT, seed=1, cache_mib=0)
    for key in reversed(list(expected)):
        assert equal(images[key], expected[key])
        assert equal(uncached[key], expected[key])
    other = dataset(lunar, recipe, augment=AUGMENT, seed=2)
    assert not equal(other[0, 2], expected[0, 2])
    assert equal(images[2], expected[0, 2])


def test_an_augmentation_leaves_what_is_kept(lunar, recipe):
    images = dataset(lunar, recipe, augment=AUGMENT)
    before = [array.copy() for array in images.pair(0)]
    image, mask = images[0, 0]
    image.zero_()
    mask.zero_()
    for kept, expected in zip(images.pair(0), before):
        np.testing.assert_array_equal(kept, expected)


def test_what_a_sample_returns_is_the_caller_s_own(lunar, recipe):
    images = dataset(lunar, recipe)
    before = [array.copy() for array in images.pair(0)]
    image, mask = images[0]
    image.zero_()
    mask.zero_()
    for kept, expected in zip(images.pair(0), before):
        np.testing.assert_array_equal(kept, expected)


class Odd:
    """Be a source whose mask holds a class that there is not."""

    taxonomy = TAXONOMY

    def load(self, name):
        mask = np.zeros((24, 32), np.uint8)
        mask[3, 4] = 9
        return Sample(name, np.zeros((24, 32, 3), np.uint8), mask)


def test_a_wrong_class_id_is_named_with_its_file(recipe):
    images = LabelledImages(Odd(), ["render0007"], settings(recipe))
    message = r"render0007: mask holds the ids \[9\].*make them 255"
    with pytest.raises(BadSampleError, match=message):
        images[0]
