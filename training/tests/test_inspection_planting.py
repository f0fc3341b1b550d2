from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

import data_sets
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.cli import main
from terrain_training.data.contract import Sample
from terrain_training.data.removal_list import read_removal_list
from terrain_training.inspection.duplicates import superfluous
from terrain_training.inspection.foreign_pictures import KINDS, PASTED, maker_of
from terrain_training.inspection.planting import Kind, Planted, PlantedSource, kinds_of
from terrain_training.inspection.report import inspect
from terrain_training.inspection.survey import make_survey
from terrain_training.inspection.suspects import find_suspects

TAXONOMY = Taxonomy(
    (TerrainClass(0, "ground", (10, 20, 30), 0.0), TerrainClass(1, "rock", (200, 50, 50), 1.0))
)
SIDE = 96


class Scenes:
    """A source of generated ground: relief at all scales, stones with shadows, a horizon."""

    def __init__(self, **counts):
        self.counts = counts
        self.copies = {}

    @property
    def taxonomy(self):
        return TAXONOMY

    def splits(self):
        return tuple(self.counts)

    def names(self, split):
        return [f"{split}_{n:03d}" for n in range(self.counts[split])]

    def load(self, name):
        shown = self.copies.get(name, name)
        random = np.random.default_rng(list(shown.encode()))
        ground = np.zeros((SIDE, SIDE), np.float32)
        for cells in (3, 6, 12, 24, 48):
            coarse = random.normal(0, 40 / cells**0.5, (cells, cells)).astype(np.float32)
            ground += cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
        image = np.clip(120 + ground + random.normal(0, 4, ground.shape), 0, 255)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        for _ in range(int(random.integers(2, 9))):
            at = tuple(random.integers(10, SIDE - 10, 2).tolist())
            shape = np.array(at) + random.normal(0, random.uniform(2, 8), (7, 2))
            stone = np.zeros(mask.shape, np.uint8)
            cv2.fillConvexPoly(stone, cv2.convexHull(shape.astype(np.int32)), 1)
            shadow = np.roll(stone, (1, 3), axis=(0, 1)) > stone
            image = np.where(stone, 0.5 * image + random.uniform(60, 110), image)
            image = np.where(shadow, 0.4 * image, image)
            mask[stone > 0] = 1
        if name in self.copies:
            image = np.clip(image + random.normal(0, 3, image.shape), 0, 255)
        return Sample(name, image.astype(np.uint8), mask)


class Mixed:
    """Scenes, and foreign images behind them."""

    def __init__(self, scenes, planted):
        self.scenes, self.planted = scenes, planted

    @property
    def taxonomy(self):
        return TAXONOMY

    def splits(self):
        return ("train",)

    def names(self, split):
        return [*self.scenes.names("train"), *self.planted.names("train")]

    def load(self, name):
        return self.planted.load(name) if name.startswith("planted") else self.scenes.load(name)


def mixed(kinds, each, *, count=140, seed=3):
    scenes = Scenes(train=count)
    planted = [
        Planted(Kind(kind), number, f"train_{(7 * number) % count:03d}")
        for kind in kinds
        for number in range(each)
    ]
    return Mixed(scenes, PlantedSource(scenes, planted, seed=seed))


def suspects_of(source):
    survey = make_survey(source, skip_bad=False)
    return {survey.seen[item.place].name: item for item in find_suspects(survey, source)}


@pytest.mark.parametrize(
    "kinds", [("street", "noise", "blurred"), ("portrait", "text", "inverted")], ids="-".join
)
def test_groups_of_foreign_images_are_found_without_examples(kinds):
    source = mixed(kinds, 5)
    names = suspects_of(source)
    planted = set(source.planted.names("train"))
    assert len(planted & set(names)) >= 0.9 * len(planted)
    assert len(planted & set(names)) >= 0.6 * len(names)


def test_an_object_pasted_into_several_images_is_found_and_said():
    source = mixed([PASTED], 8)
    suspects = suspects_of(source)
    found = [name for name in suspects if name.startswith("planted")]
    assert len(found) >= 7
    assert len(suspects) <= 12
    assert any("shares an object with" in suspects[name].reason for name in found)


class Changed:
    """Scenes, some of which are changed by a function of the image."""

    def __init__(self, scenes, change, names):
        self.scenes, self.change, self.changed = scenes, change, set(names)

    @property
    def taxonomy(self):
        return TAXONOMY

    def splits(self):
        return self.scenes.splits()

    def names(self, split):
        return self.scenes.names(split)

    def load(self, name):
        sample = self.scenes.load(name)
        if name not in self.changed:
            return sample
        return Sample(name, self.change(sample.image.copy()), sample.mask)


def test_an_image_whose_end_was_lost_is_suspect():
    def torn(image):
        image[60:] = image[60]
        return image

    source = Changed(Scenes(train=30), torn, ["train_004"])
    suspects = suspects_of(source)
    assert "rows are the same" in suspects["train_004"].reason
    flat_everywhere = Changed(Scenes(train=30), torn, Scenes(train=30).names("train"))
    assert not any("rows" in item.reason for item in suspects_of(flat_everywhere).values())


def test_what_most_images_share_belongs_to_the_set():
    paste = maker_of(PASTED, np.random.default_rng(1))

    def with_wheel(image):
        colour = np.repeat(image[..., None], 3, axis=2)
        random = np.random.default_rng(int(image.sum()))
        return cv2.cvtColor(paste(random, colour), cv2.COLOR_RGB2GRAY)

    scenes = Scenes(train=40)
    source = Changed(scenes, with_wheel, scenes.names("train")[::2])
    assert not any("shares" in item.reason for item in suspects_of(source).values())


def test_the_same_set_gives_the_same_bytes(tmp_path):
    for number in "ab":
        inspect(mixed(["street"], 4, count=60), title="t", out=tmp_path / number, skip_bad=False)
    for name in ("index.html", "summary.json", "suspects.txt", "duplicates.txt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_page_names_each_suspect_and_why(tmp_path):
    source = mixed(["text"], 5, count=60)
    inspect(source, title="t", out=tmp_path, skip_bad=False)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    listed = (tmp_path / "suspects.txt").read_text(encoding="utf-8").splitlines()[2:]
    assert len(listed) >= 5
    for line in listed:
        name, reason = line.split("  # ")
        assert f"{name}: {reason}</figcaption>" in page


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_drawn_alike_from_the_same_seed_at_any_size(kind):
    for shape in ((64, 128, 3), (48, 40, 3), (256, 256, 3)):
        picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        one, two = (
            maker_of(kind, np.random.default_rng(1))(np.random.default_rng(2), picture)
            for _ in range(2)
        )
        np.testing.assert_array_equal(one, two)
        assert one.shape == shape
        assert one.dtype == np.uint8
        assert (one != picture).any()


def test_one_of_each_group_stays_and_held_out_splits_lose_none():
    source = Scenes(train=10, validation=6, test=4)
    source.copies = {
        "train_004": "train_003",
        "validation_001": "train_003",
        "validation_003": "validation_002",
        "train_007": "test_001",
    }
    survey = make_survey(source, skip_bad=False)
    found = {survey.seen[s.place].name: survey.seen[s.kept].name for s in superfluous(survey)}
    assert set(found) == {"train_004", "validation_001", "validation_003", "train_007"}
    assert found["train_007"] == "test_001"
    assert found["validation_001"] == "train_003"


def test_lists_are_usable_as_removed(tmp_path, capsys):
    data = data_sets.mars_npz(tmp_path / "mars.npz", count=30)
    with np.load(data) as stored:
        pairs = stored["training_set"]
    pairs[5] = pairs[4]
    np.savez_compressed(data, training_set=pairs)
    out = tmp_path / "out"
    assert main(["inspect", str(data), "--out", str(out)]) == 0
    (dropped,) = read_removal_list(out / "duplicates.txt")
    assert dropped in {"mars_0004", "mars_0005"}
    assert "kept is mars_000" in (out / "duplicates.txt").read_text(encoding="utf-8")
    again = ["inspect", str(data), "--out", str(tmp_path / "b")]
    again += ["--removed", str(out / "duplicates.txt")]
    assert main(again) == 0
    assert "removed          1 (1 " in capsys.readouterr().out
    assert read_removal_list(tmp_path / "b" / "duplicates.txt") == ()


def test_the_check_counts_what_was_planted(tmp_path, capsys):
    data = data_sets.mars_npz(tmp_path / "mars.npz", count=48)
    extra = tmp_path / "postcards"
    for number in range(2):
        data_sets.save(extra / f"{number}.png", data_sets.picture(number))
    words = ["inspect-check", str(data), "--sizes", "40", "48", "--share", "0.1"]
    words += ["--foreign", str(extra), "--json", str(tmp_path / "figures.json")]
    assert main(words) == 0
    assert "postcards" in capsys.readouterr().out
    small, large = json.loads((tmp_path / "figures.json").read_text(encoding="utf-8"))["sets"]
    assert (small["samples"], large["samples"]) == (40, 48)
    assert set(small["kinds"]) == {*KINDS, "postcards"}
    for kind in small["kinds"].values():
        assert 0 <= kind["found"] <= kind["planted"]
        assert kind["planted"] >= 1


def test_a_check_that_cannot_be_made_says_why(tmp_path, capsys):
    data = data_sets.mars_npz(tmp_path / "mars.npz", count=30)
    assert main(["inspect-check", str(data), "--sizes", "31"]) == 2
    assert "there are 30 samples" in capsys.readouterr().err
    assert main(["inspect-check", str(data), "--sizes", "30", "--share", "0.05"]) == 2
    assert "less than one image of each of 3 kinds" in capsys.readouterr().err
    (tmp_path / "street").mkdir()
    with pytest.raises(ConfigError, match="there is a kind 'street'; rename it"):
        kinds_of([tmp_path / "street"])
