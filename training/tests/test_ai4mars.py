from __future__ import annotations

import cv2
import numpy as np
import pytest

import data_sets
from conftest import SIZE_PX, STEMS, stem_at, write_pair
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.contract import BadSampleError, check_classes
from terrain_training.data.rover_clock import ClockSplit, smallest_gap_s
from terrain_training.data.sources.ai4mars import TAXONOMY, Ai4Mars

STEM = stem_at(400_000_000)
OTHER = stem_at(400_100_000)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    write_pair(tmp_path, STEM, seed=1)
    write_pair(tmp_path, OTHER, seed=2)
    (tmp_path / "train.txt").write_text(f"{STEM}\n")
    (tmp_path / "val.txt").write_text(f"{OTHER}\n")
    return tmp_path


def load(root):
    source = Ai4Mars(root)
    sample = source.load(STEM)
    check_classes(sample, source.taxonomy)
    return sample


def test_sample_is_grey_and_of_class_ids(root):
    sample = load(root)
    assert sample.image.shape == sample.mask.shape == (SIZE_PX, SIZE_PX)
    assert sample.image.dtype == sample.mask.dtype == np.uint8
    assert set(np.unique(sample.mask)) == {0, 1, 2, 3, 255}


def test_classes_and_hazards_are_those_of_the_shipped_model():
    rows = [(item.name, item.hazard) for item in TAXONOMY]
    assert rows == [("soil", 0.02), ("bedrock", 0.1), ("sand", 0.4), ("big_rock", 1.0)]


def test_grey_that_is_stored_as_colour_is_one_channel(root):
    image = cv2.imread(str(root / "images" / f"{STEM}.jpg"), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(root / "images" / f"{STEM}.jpg"), np.repeat(image[..., None], 3, axis=2))
    assert load(root).image.shape == (SIZE_PX, SIZE_PX)


@pytest.mark.parametrize("name", [f"images/{STEM}.jpg", f"masks/{STEM}.png"])
def test_missing_file_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(BadSampleError, match=f"{name}: is missing; restore it"):
        load(root)


def test_truncated_image_is_named(root):
    path = root / "images" / f"{STEM}.jpg"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(BadSampleError, match=STEM):
        load(root)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((32, 32), np.uint8), "make both of one size"),
        (np.dstack([np.full((SIZE_PX, SIZE_PX), k, np.uint8) for k in range(3)]), "one channel"),
        (np.zeros((SIZE_PX, SIZE_PX), np.uint16), "16 bits a channel, expected 8"),
        (np.full((SIZE_PX, SIZE_PX), 7, np.uint8), r"ids \[7\], but there are 4"),
    ],
)
def test_bad_mask_is_refused(root, mask, message):
    cv2.imwrite(str(root / "masks" / f"{STEM}.png"), mask)
    with pytest.raises(BadSampleError, match=message):
        load(root)


@pytest.mark.parametrize("name", ["train.txt", "val.txt"])
def test_missing_list_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ConfigError, match=rf"{name} is missing; point --data at"):
        Ai4Mars(root)


def test_an_unknown_split_is_named(root):
    with pytest.raises(ConfigError, match=r"no split 'gold', expected one of \['train', 'valid"):
        Ai4Mars(root).names("gold")


def test_splits_follow_seed_and_lists_and_lie_apart(data):
    source, again, other = Ai4Mars(data, seed=1), Ai4Mars(data, seed=1), Ai4Mars(data, seed=2)
    assert source.splits() == ("train", "validation")
    train, validation = source.names("train"), source.names("validation")
    assert (train, validation) == (again.names("train"), again.names("validation"))
    assert train != other.names("train")
    listed = set((data / "train.txt").read_text(encoding="utf-8").split())
    assert len(listed) == STEMS
    assert set(train) < listed
    assert smallest_gap_s(ClockSplit(tuple(train), tuple(validation))) > 3600


def published(tmp_path):
    root = data_sets.ai4mars_published(tmp_path)
    return root, Ai4Mars(root)


def test_the_rover_and_the_distance_are_left_out(tmp_path):
    root, source = published(tmp_path)
    name = source.names("train")[0]
    labels = cv2.imread(str(root / "msl" / "labels" / "train" / f"{name}.png"), -1)
    mask = source.load(name).mask
    assert (mask[:4] == 255).all()
    np.testing.assert_array_equal(mask[4:], labels[4:])
    far = np.zeros(labels.shape, np.uint8)
    far[:, :5] = 1
    data_sets.save(root / "msl" / "images" / "rng-30m" / f"{name}.png", far)
    mask = Ai4Mars(root).load(name).mask
    assert (mask[:, :5] == 255).all()
    np.testing.assert_array_equal(mask[4:, 5:], labels[4:, 5:])


def test_expert_labels_are_a_split_of_their_own(tmp_path):
    root, source = published(tmp_path)
    gold = source.names("gold")
    assert len(gold) == 3
    assert all(name.startswith("gold/") for name in gold)
    assert not {name.removeprefix("gold/") for name in gold} & set(source.names("train"))
    assert (source.load(gold[0]).mask[:4] == 255).all()
    assert Ai4Mars(root, gold="none").splits() == ("train", "validation")


def test_a_mask_of_the_rover_of_another_size_is_a_bad_sample(tmp_path):
    root, source = published(tmp_path)
    name = source.names("train")[0]
    data_sets.save(root / "msl" / "images" / "mxy" / f"{name}.png", np.zeros((9, 9), np.uint8))
    with pytest.raises(BadSampleError, match=rf"mxy/{name}\.png: is \(9, 9\)"):
        source.load(name)
