import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.colours import (
    ColourTable,
    nearest_colour,
)
from terrain_training.data.contract import BadSampleError
from terrain_training.data.palette import Palette, fit_palette, load_palette
from terrain_training.data.splits import part_of, random_split

COLOURS = [(0, 0, 0), (0, 255, 0), (0, 0, 255), (255, 0, 0), (9, 8, 7)]
masks = st.lists(st.sampled_from([0, 1, 2, 3, 4]), min_size=12, max_size=12)


@given(masks)
@settings(max_examples=50)
def test_colours_become_the_ids_that_they_were_drawn_from(values):
    mask = np.array(values, dtype=np.uint8).reshape(3, 4)
    table = ColourTable({colour: number for number, colour in enumerate(COLOURS)})
    colours = np.array(COLOURS, np.uint8)[mask]
    np.testing.assert_array_equal(table.decode(colours, source="mask"), mask)
    np.testing.assert_array_equal(nearest_colour(colours, np.array(COLOURS, np.uint8)), mask)


def test_ignored_pixels_stay_ignored():
    mask = np.array([[0, 255]], dtype=np.uint8)
    colours = np.array([[COLOURS[0], (1, 1, 1)]], dtype=np.uint8)
    table = ColourTable({COLOURS[0]: 0, (1, 1, 1): 255})
    np.testing.assert_array_equal(table.decode(colours, source="mask"), mask)


def test_an_unknown_colour_is_named_with_its_share():
    table = ColourTable({(0, 0, 0): 0, (0, 255, 0): 1})
    colours = np.zeros((10, 10, 3), dtype=np.uint8)
    colours[:5] = (10, 20, 30)
    with pytest.raises(BadSampleError, match=r"file\.png: 50\.0% .*\(10, 20, 30\)"):
        table.decode(colours, source="file.png")
    with pytest.raises(ConfigError, match="256"):
        ColourTable({(0, 0, 256): 0})


def test_k_means_finds_the_colours_again_seeded_and_by_frequency():
    random = np.random.default_rng(3)
    palette = np.array([[250, 10, 10], [10, 250, 10], [10, 10, 250]], dtype=np.uint8)
    ids = random.choice(3, (4, 40, 40), p=[0.2, 0.5, 0.3])
    noise = random.integers(-6, 7, (4, 40, 40, 3))
    noisy = np.clip(palette[ids].astype(int) + noise, 0, 255).astype(np.uint8)
    found = fit_palette(iter(noisy), classes=3, seed=7)
    again = fit_palette(iter(noisy), classes=3, seed=7)
    np.testing.assert_array_equal(found.colours, again.colours)
    np.testing.assert_allclose(found.colours, palette[[1, 2, 0]], atol=4)
    np.testing.assert_array_equal(palette[[1, 2, 0]][found.decode(noisy[0])], palette[ids[0]])


def test_fewer_colours_than_classes_are_refused():
    with pytest.raises(ConfigError, match=r"1 colours, fewer than 5"):
        fit_palette([np.zeros((4, 4, 3), np.uint8)], classes=5, seed=0)
    with pytest.raises(ConfigError, match="no mask"):
        fit_palette([], classes=5, seed=0)


def test_a_palette_is_kept(tmp_path):
    palette = Palette(np.array(COLOURS, dtype=np.uint8))
    palette.save(tmp_path / "palette.json")
    np.testing.assert_array_equal(load_palette(tmp_path / "palette.json").colours, COLOURS)
    for text in (
        "{}",
        "[",
        '{"palette_rgb": [[1, 2]]}',
        '{"palette_rgb": [[0, 0, 300], [1, 1, 1]]}',
    ):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ConfigError, match=r"bad\.json"):
            load_palette(tmp_path / "bad.json")


@given(st.integers(10, 300), st.integers(0, 5))
@settings(max_examples=30)
def test_a_random_split_holds_every_name_once_and_depends_on_the_seed_alone(count, seed):
    names = [f"n{index}" for index in range(count)]
    shares = {"train": 0.5, "validation": 0.2, "test": 0.3}
    parts = random_split(names, shares, seed=seed)
    assert sorted(name for part in parts.values() for name in part) == sorted(names)
    assert random_split(reversed(names), shares, seed=seed) == parts
    for split, share in shares.items():
        assert abs(len(parts[split]) - share * count) <= 1.0


def test_splits_that_make_no_sense_are_refused():
    for shares in ({"a": 0.5, "b": 0.6}, {"a": 1.5, "b": -0.5}):
        with pytest.raises(ConfigError, match="add up"):
            random_split(["x", "y"], shares, seed=0)
    with pytest.raises(ConfigError, match="1 samples"):
        random_split(["x"], {"a": 0.5, "b": 0.5}, seed=0)
    with pytest.raises(ConfigError, match="unique"):
        random_split(["x", "x"], {"a": 0.5, "b": 0.5}, seed=0)
    with pytest.raises(ConfigError, match="'c'"):
        part_of({"a": ["x"]}, "c")
