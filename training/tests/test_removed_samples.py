from __future__ import annotations

import logging

import numpy as np
import pytest

import data_sets
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.data.factory import SOURCES, check_source, keep_palette, open_source
from terrain_training.data.palette import load_palette
from terrain_training.data.remaining import RemainingSource, names_to_leave_out
from terrain_training.data.removal_list import read_removal_list, write_removal_list
from terrain_training.recipe.load import load_recipe

RECIPE = """
name: least
data: {{source: {source}, options: {options}, height_px: 32, width_px: 32}}
network:
  kind: unet
  options:
    channels: [4, 8]
    convolutions: [1, 1]
    dropout: [0.0, 0.0]
    norm: each
    upsampling: nearest
"""
PALETTE = np.array([[0, 0, 200], [200, 200, 0], [0, 160, 0], [220, 0, 0]], dtype=np.uint8)
CLASSES = [
    {"name": "ground", "color": [10, 20, 30], "hazard": 0.0},
    {"name": "rock", "color": [200, 50, 50], "hazard": 1.0},
]
TAXONOMY = Taxonomy(
    tuple(
        TerrainClass(number, row["name"], tuple(row["color"]), row["hazard"])
        for number, row in enumerate(CLASSES)
    )
)
OPTIONS = {
    "side_by_side": {"classes": 4},
    "labelled_folder": {"classes": CLASSES, "by_colour": True},
}
OPTIONS["joined"] = {
    "classes": CLASSES,
    "members": [
        {
            "name": "own",
            "source": "labelled_folder",
            "options": OPTIONS["labelled_folder"],
            "map": {"ground": "ground", "rock": "rock"},
        }
    ],
}


def make(kind, root):
    return {
        "ai4mars": lambda: data_sets.ai4mars_published(root),
        "lunar_landscape": lambda: data_sets.lunar(root),
        "mars_terrain": lambda: data_sets.mars_npz(root.with_suffix(".npz")),
        "side_by_side": lambda: data_sets.pairs(root, PALETTE),
        "earth_terrain": lambda: data_sets.earth(root, count=20),
        "labelled_folder": lambda: data_sets.folder(root, TAXONOMY, count=20),
        "joined": lambda: data_sets.folder(root / "own", TAXONOMY, count=20).parent,
    }[kind]()


def recipe_of(tmp_path, kind, **options):
    path = tmp_path / "recipe.yaml"
    text = RECIPE.format(source=kind, options={**OPTIONS.get(kind, {}), **options})
    path.write_text(text, encoding="utf-8")
    return load_recipe(path)


def splits_of(source):
    return {split: source.names(split) for split in source.splits()}


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_every_source_leaves_out_what_is_removed_and_moves_no_other(kind, tmp_path, caplog):
    root = make(kind, tmp_path / "set")
    whole = splits_of(open_source(recipe_of(tmp_path, kind).data, root))
    gone = [names[0] for names in whole.values() if len(names) > 1]
    (tmp_path / "gone.txt").write_text("\n".join(gone), encoding="utf-8")
    with caplog.at_level(logging.INFO):
        source = open_source(recipe_of(tmp_path, kind, removed="gone.txt").data, root)
    left = splits_of(source)
    assert left == {s: [n for n in names if n not in gone] for s, names in whole.items()}
    total = sum(len(names) for names in whole.values())
    assert f"removed {len(gone)} of {total} samples" in caplog.text
    for names in left.values():
        source.load(names[0])


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_a_removed_name_that_is_no_sample_is_refused(kind, tmp_path):
    root = make(kind, tmp_path / "set")
    data = recipe_of(tmp_path, kind, removed=["nobody"]).data
    with pytest.raises(ConfigError, match=r"1 of the removed samples .*'nobody'"):
        open_source(data, root)


def test_removed_pairs_have_no_say_in_the_palette(tmp_path):
    root = data_sets.pairs(tmp_path / "set", PALETTE)
    (root / "train" / "2.jpg").write_bytes(b"torn")
    with pytest.raises(ConfigError, match=r"2\.jpg"):
        open_source(recipe_of(tmp_path, "side_by_side").data, root)
    data = recipe_of(tmp_path, "side_by_side", removed=["train/2"]).data
    source = open_source(data, root)
    run = tmp_path / "run"
    run.mkdir()
    keep_palette(source, run)
    kept = load_palette(run / "palette.json")
    again = open_source(data, root, run=run)
    assert "train/2" not in again.names("train")
    np.testing.assert_array_equal(again.taxonomy.palette_rgb()[:4], kept.colours)


def test_a_misspelt_name_is_answered_with_the_nearest():
    with pytest.raises(ConfigError, match="is 'mars_003' 'mars_0003'"):
        names_to_leave_out(["mars_003"], ["mars_0003", "other"])


def test_names_may_have_the_ending_of_their_file():
    known = ["a", "train/b", "c.d"]
    assert names_to_leave_out(["a.PNG", "train/b.jpg", "c.d"], known) == {"a", "train/b", "c.d"}
    with pytest.raises(ConfigError, match=r"'a\.pdf'"):
        names_to_leave_out(["a.pdf"], known)


def test_nothing_left_of_training_is_refused_and_another_split_may_go(tmp_path):
    source = open_source(
        recipe_of(tmp_path, "lunar_landscape").data, data_sets.lunar(tmp_path / "set")
    )
    with pytest.raises(ConfigError, match="leaves nothing of train"):
        RemainingSource(source, source.names("train"))
    less = RemainingSource(source, source.names("real"))
    assert "real" not in less.splits()
    assert less.told() == "3 real"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("3", "removed is 3, expected a list of names"),
        ("[0003]", "removed holds 3, expected names; write a name of digits in quotes"),
        ("['']", "removed holds ''"),
        ("{a: b}", "expected a list of names or a file"),
        ("gone.txt", r"gone\.txt is not a file; give a file with one name per line"),
        ("[a, gone.txt]", r"gone\.txt is not a file"),
    ],
)
def test_what_is_no_list_is_named(tmp_path, value, named):
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.format(source="ai4mars", options=f"{{removed: {value}}}"))
    with pytest.raises(ConfigError, match=named):
        load_recipe(path)


def test_several_lists_and_names_count_together(tmp_path):
    (tmp_path / "a.txt").write_text("one\ntwo\n")
    (tmp_path / "b.txt").write_text("two\nthree  # why\n")
    recipe = recipe_of(tmp_path, "ai4mars", removed=["a.txt", "four", "b.txt"])
    assert set(recipe.data.options["removed"]) == {"one", "two", "three", "four"}
    check_source(recipe.data)


def test_any_name_survives_the_list(tmp_path):
    names = ["plain", "with blank", "#5", "a#b", "a #b", '"quoted"', " ends ", "ünï", "a\u2028b"]
    path = tmp_path / "list.txt"
    write_removal_list(path, ["head"], [(name, "why\nnot # so") for name in names])
    assert read_removal_list(path) == tuple(names)


def test_lists_of_other_editors_are_read(tmp_path):
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeff# head\r\na # why\r\n\r\n  b\t# why\r\n#c\r\na\r\n".encode())
    assert read_removal_list(path) == ("a", "b")
    path.write_text('"open\n')
    with pytest.raises(ConfigError, match=r"list\.txt:1: .*closing quote"):
        read_removal_list(path)
