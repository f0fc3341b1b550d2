"""Repeated seeds and folds: mean and spread."""

from __future__ import annotations

import json
import statistics

import pytest

from data_sets import folder
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.cli import main
from terrain_training.data.factory import open_source
from terrain_training.data.folds import HELD_OUT, folds, group_of
from terrain_training.data.rover_clock import spacecraft_clock_s
from terrain_training.data.sources.ai4mars import Ai4Mars
from terrain_training.data.sources.labelled_folder import LabelledFolder
from terrain_training.learning.run_folder import RunFolder
from terrain_training.recipe.load import load_recipe
from terrain_training.repeats import Spread

TWO = Taxonomy(
    (TerrainClass(0, "ground", (1, 1, 1), 0.0), TerrainClass(1, "rock", (200, 40, 40), 1.0))
)
CPU = ["--accelerator", "cpu", "--epochs", "1", "--set", "training.example_images=0"]


def words(recipe, data, out, *more):
    return ["train", *map(str, (recipe, "--data", data, "--out", out)), *CPU, *more]


def test_seeds_give_mean_and_spread_and_resume(recipe_file, data, tmp_path, capsys):
    command = words(recipe_file, data, tmp_path / "out", "--seeds", "2")
    assert main(command) == 0
    printed = capsys.readouterr().out
    content = json.loads((tmp_path / "out/repeats.json").read_text())
    scores = [run["mean_iou"] for run in content["runs"]]
    assert [run["seed"] for run in content["runs"]] == [1, 2]
    assert scores[0] != scores[1]
    assert content["mean_iou"]["mean"] == pytest.approx(statistics.fmean(scores))
    assert content["mean_iou"]["std"] == pytest.approx(statistics.stdev(scores))
    assert f"{statistics.fmean(scores):.4f} ± {statistics.stdev(scores):.4f}" in printed
    before = (tmp_path / "out/seed_2/best.safetensors").stat().st_mtime_ns
    assert main(command) == 0
    assert (tmp_path / "out/seed_2/best.safetensors").stat().st_mtime_ns == before


def test_folds_validate_on_every_training_image_once(recipe_file, data, tmp_path, capsys):
    assert main(words(recipe_file, data, tmp_path / "out", "--folds", "2")) == 0
    assert "fold_2_of_2" in capsys.readouterr().out
    whole = Ai4Mars(data, seed=1)
    seen = []
    for number in (1, 2):
        recipe = RunFolder(tmp_path / f"out/fold_{number}_of_2").recipe()
        source = open_source(recipe.data, data)
        assert not set(source.names("train")) & set(source.names("validation"))
        assert source.names(HELD_OUT) == whole.names("validation")
        seen += source.names("validation")
    assert sorted(seen) == sorted(whole.names("train"))
    run = tmp_path / "out/fold_1_of_2"
    assert main(["evaluate", str(run), "--data", str(data), "--split", HELD_OUT]) == 0


def test_something_else_in_the_folder_is_refused(recipe_file, data, tmp_path, capsys):
    (tmp_path / "letter.txt").write_text("dear")
    assert main(words(recipe_file, data, tmp_path, "--seeds", "2")) == 2
    assert "letter.txt" in capsys.readouterr().err


def test_sessions_of_a_rover_stay_in_one_fold(tmp_path):
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    stems = [
        f"NLB_{400_000_000 + day * 86_400 + minute * 60:09d}EDR_F0540006NCAM00267M1"
        for day in range(8)
        for minute in range(3)
    ]
    (tmp_path / "train.txt").write_text("\n".join(stems))
    (tmp_path / "val.txt").write_text("")
    source = Ai4Mars(tmp_path)
    parts = folds(source, source.names("train"), 3)
    days = [{spacecraft_clock_s(stem) // 86_400 for stem in part} for part in parts]
    assert all(days)
    assert len(set.union(*days)) == sum(len(part) for part in days)


def test_pictures_of_a_world_stay_in_one_fold(tmp_path):
    folder(tmp_path, TWO, by_colour=False)
    source = LabelledFolder(tmp_path, TWO, by_colour=False)
    assert group_of(source, "moon_rover_001000007_03") == "moon_rover_001000007"
    assert group_of(source, "000") == "000"


def test_folds_are_even_and_depend_on_names_alone(tmp_path):
    folder(tmp_path, TWO, by_colour=False)
    source = LabelledFolder(tmp_path, TWO, by_colour=False)
    names = [f"{number:03d}" for number in range(10)]
    parts = folds(source, names, 3)
    assert sorted(len(part) for part in parts) == [3, 3, 4]
    assert [set(part) for part in folds(source, names[::-1], 3)] == [set(part) for part in parts]
    with pytest.raises(ConfigError, match="11 folds need as many groups"):
        folds(source, names, 11)


def test_a_fold_beyond_the_last_is_refused(recipe_file, data):
    recipe = load_recipe(recipe_file, overrides=["data.fold={number: 4, count: 3}"])
    with pytest.raises(ConfigError, match=r"data\.fold\.number is 4, expected 1 to 3"):
        open_source(recipe.data, data)


@pytest.mark.parametrize(
    ("values", "text"),
    [([0.5, 0.7], "0.6000 ± 0.1414"), ([0.5], "0.5000"), ([None, 0.5], "0.5000"), ([None], "-")],
)
def test_spread_leaves_out_what_is_not_there(values, text):
    assert str(Spread.of(values)) == text
