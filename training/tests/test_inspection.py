from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

import data_sets
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.cli import main
from terrain_training.data.class_balance import GRID_COLUMNS, GRID_ROWS, measure_balance
from terrain_training.data.contract import BadSampleError, Sample
from terrain_training.data.removal_list import read_removal_list
from terrain_training.inspection.descriptors import describe
from terrain_training.inspection.report import inspect
from terrain_training.inspection.similarity import find_duplicates
from terrain_training.inspection.survey import make_survey
from terrain_training.inspection.suspects import find_suspects
from terrain_training.recipe.load import load_recipe

TAXONOMY = Taxonomy(
    (
        TerrainClass(0, "ground", (10, 20, 30), 0.0),
        TerrainClass(1, "rock", (200, 50, 50), 1.0),
        TerrainClass(2, "never", (0, 200, 0), 0.5),
    )
)
SIZE = 64


class InMemory:
    """A source whose samples lie in a dictionary per split."""

    def __init__(self, **parts):
        self.parts = parts

    @property
    def taxonomy(self):
        return TAXONOMY

    def splits(self):
        return tuple(self.parts)

    def names(self, split):
        return list(self.parts[split])

    def load(self, name):
        image, mask = next(part[name] for part in self.parts.values() if name in part)
        if mask is None:
            raise BadSampleError(f"{name}.png: truncated; fetch it again")
        return Sample(name, image, mask)


def terrain(seed):
    """Return smooth ground with some texture, and a mask with a rock in the lower half."""
    random = np.random.default_rng(seed)
    coarse = random.normal(120, 30, (12, 12)).astype(np.float32)
    image = cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    image = np.clip(image + random.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[40:48, 8:16] = 1
    return image, mask


def alien(seed):
    """Return the same with a checkerboard pasted on."""
    image, mask = terrain(seed)
    board = np.kron(np.indices((6, 6)).sum(axis=0) % 2, np.ones((8, 8))).astype(np.uint8) * 255
    image[8:56, 8:56] = board
    return image, mask


def ordinary(count, start=0):
    return {f"a{start + n:03d}": terrain(start + n) for n in range(count)}


@pytest.fixture(scope="module")
def contaminated():
    parts = ordinary(150)
    parts.update({f"alien{n}": alien(1000 + n) for n in range(5)})
    return InMemory(train=parts)


def test_pixels_images_and_weights_are_counted_exactly():
    empty = np.zeros((SIZE, SIZE), np.uint8)
    half = empty.copy()
    half[:, : SIZE // 2] = 255
    grey = np.full((SIZE, SIZE), 90, np.uint8)
    source = InMemory(train={"a": terrain(0), "b": (grey, empty), "c": (grey, half)})
    balance = measure_balance(source, ["a", "b", "c"])
    area = SIZE * SIZE
    assert balance.pixels.tolist() == [(area - 64) + area + area // 2, 64, 0]
    assert balance.images.tolist() == [3, 1, 0]
    assert balance.ignored_pixels == area // 2
    frequency = np.array([balance.pixels[0] / (2.5 * area), 64 / area])
    raw = np.median(frequency) / frequency
    assert balance.weights("median_frequency") == pytest.approx([*(raw / raw.mean()), 1.0])
    raw = 1.0 / np.sqrt(balance.pixels[:2] / balance.pixels.sum())
    assert balance.weights("inverse_sqrt") == pytest.approx([*(raw / raw.mean()), 1.0])
    with pytest.raises(ConfigError, match="unknown"):
        balance.weights("by_hand")


def test_heat_map_is_where_the_class_is():
    balance = measure_balance(InMemory(train=ordinary(4)), ["a000", "a001", "a002", "a003"])
    rock = balance.occurrence[1]
    rows, columns = np.nonzero(rock)
    assert rock.max() == 1.0
    assert rows.min() == 40 * GRID_ROWS // SIZE
    assert rows.max() == 48 * GRID_ROWS // SIZE - 1
    assert columns.min() == 8 * GRID_COLUMNS // SIZE
    assert columns.max() == 16 * GRID_COLUMNS // SIZE - 1
    assert not balance.occurrence[2].any()


def test_near_duplicates_are_found_and_others_are_not():
    images = [terrain(seed)[0] for seed in range(40)]
    lighter = np.clip(images[7].astype(int) + 12, 0, 255).astype(np.uint8)
    enlarged = cv2.resize(images[20], (96, 96), interpolation=cv2.INTER_LINEAR)
    descriptors = np.stack([describe(image) for image in (*images, lighter, enlarged)])
    pairs = {(pair.first, pair.second) for pair in find_duplicates(descriptors)}
    assert pairs == {(7, 40), (20, 41)}


def test_foreign_images_are_suspect(contaminated):
    survey = make_survey(contaminated, skip_bad=False)
    names = [survey.seen[item.place].name for item in find_suspects(survey, contaminated)]
    assert {f"alien{n}" for n in range(5)} <= set(names)
    assert all(name.startswith("alien") for name in names[:5])
    assert len(names) <= 15


def test_images_like_a_named_one_are_suspect(contaminated):
    survey = make_survey(contaminated, skip_bad=False)
    suspects = find_suspects(survey, contaminated, like=["alien0"])
    first = suspects[:5]
    assert {survey.seen[item.place].name for item in first} == {f"alien{n}" for n in range(5)}
    assert all("similar to alien0" in item.reason for item in first)
    with pytest.raises(ConfigError, match="nobody"):
        find_suspects(survey, contaminated, like=["nobody"])


def test_constant_and_unlabelled_samples_are_suspect():
    flat = np.full((SIZE, SIZE), 77, np.uint8)
    nothing = np.full((SIZE, SIZE), 255, np.uint8)
    parts = {**ordinary(20), "flat": (flat, terrain(0)[1]), "bare": (terrain(99)[0], nothing)}
    source = InMemory(train=parts)
    survey = make_survey(source, skip_bad=False)
    reasons = {survey.seen[item.place].name: item.reason for item in find_suspects(survey, source)}
    assert reasons["flat"] == "the image is constant"
    assert reasons["bare"] == "nothing is labelled"


def test_report_has_every_part_and_its_list_can_be_read_back(contaminated, tmp_path):
    parts = contaminated.parts["train"]
    leaking = {"copy": parts["a003"], **ordinary(10, start=500)}
    summary = inspect(
        InMemory(train=parts, validation=leaking), title="<set>", out=tmp_path, skip_bad=False
    )
    page = (tmp_path / "index.html").read_text()
    for title in (
        "Class balance",
        "Where each class occurs",
        "Examples of train",
        "Examples of validation",
        "Suspects",
        "Near-duplicates",
        "Near-duplicates across splits",
        "&lt;set&gt;",
    ):
        assert title in page
    content = json.loads((tmp_path / "summary.json").read_text())
    (leak,) = content["across_splits"]["alike"]
    assert {leak["first"], leak["second"]} == {"a003", "copy"}
    assert content["splits"] == {"train": 155, "validation": 11}
    listed = read_removal_list(tmp_path / "suspects.txt")
    assert {f"alien{n}" for n in range(5)} <= set(listed)
    assert cv2.imread(str(tmp_path / "contact_sheet.png")).shape[1] > 200
    assert any("166" in line for line in summary.lines())


def test_times_across_splits_are_compared(tmp_path):
    clock = data_sets.STEM.format
    train = {clock(clock=400_000_000 + 86_400 * n): terrain(n) for n in range(4)}
    other = {clock(clock=400_000_000 + 120): terrain(50), clock(clock=402_000_000): terrain(51)}
    source = InMemory(train=train, validation=other)
    summary = inspect(source, title="set", out=tmp_path, skip_bad=False)
    (pair,) = summary.leakage.clock
    assert pair.apart_s == summary.leakage.smallest_gap_s == 120
    assert "Close in time across splits" in (tmp_path / "index.html").read_text()


def test_bad_sample_ends_it_or_is_listed(tmp_path):
    source = InMemory(train={**ordinary(8), "torn": (None, None)})
    with pytest.raises(BadSampleError, match=r"torn\.png"):
        inspect(source, title="set", out=tmp_path / "a", skip_bad=False)
    inspect(source, title="set", out=tmp_path / "b", skip_bad=True)
    content = json.loads((tmp_path / "b" / "summary.json").read_text())
    assert list(content["bad"]) == ["torn"]
    assert "fetch it again" in (tmp_path / "b" / "index.html").read_text()


def test_command_inspects_cleans_and_shows_augmentation(tmp_path, capsys):
    data = data_sets.mars_npz(tmp_path / "mars.npz", count=24)
    recipe = Path(__file__).parents[1] / "configs" / "mars_nine_level.yaml"
    words = ["inspect", str(data), "--recipe", str(recipe), "--out", str(tmp_path / "out")]
    assert main([*words, "--augmented", "--count", "2"]) == 0
    assert "suspects" in capsys.readouterr().out
    page = (tmp_path / "out" / "augmented.html").read_text()
    assert page.count("<img") == 2 * 2 * 7
    edited = tmp_path / "removed.txt"
    edited.write_text("# looked at by hand\nmars_0003  # alien\nmars_0007\n", encoding="utf-8")
    removed = f"data.options.removed={edited}"
    cleaned = load_recipe(recipe, overrides=[removed])
    assert cleaned.data.options["removed"] == ["mars_0003", "mars_0007"]
    again = [*words[:-1], str(tmp_path / "again"), "--set", removed]
    assert main(again) == 0
    content = json.loads((tmp_path / "again" / "summary.json").read_text())
    assert content["samples"] == 22


@pytest.mark.parametrize("kind", ["lunar", "mars", "pairs", "earth", "ai4mars"])
def test_published_layout_needs_no_recipe(kind, tmp_path, capsys):
    root = tmp_path / "set"
    palette = np.array([(128, 64, 128), (70, 70, 70), (107, 142, 35)] * 4, dtype=np.uint8)
    palette[3:] += np.arange(9, dtype=np.uint8)[:, None] * 12
    made = {
        "lunar": lambda: data_sets.lunar(root),
        "mars": lambda: data_sets.mars_npz(tmp_path / "set.npz"),
        "pairs": lambda: data_sets.pairs(root, palette),
        "earth": lambda: data_sets.earth(root),
        "ai4mars": lambda: data_sets.ai4mars_published(root),
    }[kind]()
    assert main(["inspect", str(made), "--out", str(tmp_path / "out")]) == 0
    assert "samples" in capsys.readouterr().out
    assert (tmp_path / "out" / "index.html").is_file()


def test_unknown_layout_asks_for_a_recipe(tmp_path, capsys):
    assert main(["inspect", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "--recipe" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "no"), "--out", str(tmp_path / "out")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path), "--augmented", "--out", str(tmp_path / "out")]) == 2
    assert "give one with --recipe" in capsys.readouterr().err
