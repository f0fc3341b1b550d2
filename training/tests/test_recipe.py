from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from conftest import RECIPE
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.recipe import load_recipe

CONFIGS = Path(__file__).parents[1] / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_recipes_load(path):
    assert load_recipe(path).name == path.stem


def write(tmp_path, **changes):
    values = yaml.safe_load(RECIPE) | changes
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({k: v for k, v in values.items() if v is not None}))
    return path


def test_whole_numbers_pass_as_floats(tmp_path):
    assert load_recipe(write(tmp_path, dice_weight=0)).dice_weight == 0.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": None}, r"missing keys \['epochs'\]"),
        ({"epoch": 3}, r"unknown keys \['epoch'\]"),
        ({"epochs": "three"}, "epochs is 'three', expected int"),
        ({"epochs": True}, "epochs is True, expected int"),
        ({"epochs": 0}, "epochs is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"precision": "fp8"}, "fp8"),
        ({"dataset": "holidays"}, "holidays"),
        ({"input_size_px": 100}, "multiple of 32"),
        ({"decoder_channels": [8, 8]}, "decoder_channels"),
        ({"decoder_channels": [8, 8, 8, 8, "x"]}, "decoder_channels"),
        ({"class_weights": [1.0, 1.0]}, "class_weights"),
    ],
)
def test_bad_recipes_name_the_key(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe(write(tmp_path, **changes))


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [1,\n", ""])
def test_files_that_are_no_recipe_are_refused(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"recipe\.yaml"):
        load_recipe(path)


def test_missing_recipe_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        load_recipe(tmp_path / "none.yaml")
