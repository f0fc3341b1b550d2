"""Errors speak of what the user wrote, and advise what works."""

from __future__ import annotations

import logging

import cv2
import numpy as np
import pytest

import data_sets
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.cli import main
from terrain_training.data.contract import BadSampleError
from terrain_training.data.detect import detect_source
from terrain_training.data.factory import open_source
from terrain_training.data.sources.labelled_folder import LabelledFolder
from terrain_training.recipe.load import load_recipe

GREYS = Taxonomy(tuple(TerrainClass(k, f"class_{k}", (80 * k,) * 3, 0.2 * k) for k in range(4)))
PYTHON = ("NoneType", "dict", "str", "float", "int]", "bool", "argument", "None", "True", "False")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("training.epochs=many", "is 'many', expected a whole number"),
        ("training.epochs=true", "is true, expected a whole number"),
        ("training.epochs=null", "is null, expected a whole number"),
        ("training.learning_rate=[1, 2]", r"is \[1, 2\], expected a number"),
        ("training.losses=3", "is 3, expected a mapping"),
        (
            "training.class_weights={a: 1}",
            r"is \{a: 1\}, expected one of none, .* a list of numbers",
        ),
        ("training.encoder_learning_rate=no", "is false, expected a number, .*, or null"),
        ("training.optimiser=null", "is null, expected one of adam, adamw, sgd"),
        ("data.mean=grey", "is 'grey', expected a list"),
        ("data.options.seed=x", "options.seed is 'x', expected a whole number"),
        ("data.options={classes: []}", "classes is unknown; ai4mars takes gold, removed, seed"),
        ("export=null", "is null, expected a mapping"),
        ("network.options.dropout=much", "is 'much', expected a number"),
        ("training.epochs={", "is not valid YAML.*; write numbers"),
    ],
)
def test_recipe_errors_use_the_words_of_yaml(recipe_file, change, told):
    with pytest.raises(ConfigError, match=told) as caught:
        load_recipe(recipe_file, overrides=[change])
    assert not [word for word in PYTHON if word in str(caught.value)]


def test_a_needed_option_that_lacks_is_named(recipe_file):
    with pytest.raises(ConfigError, match=r"data\.options\.\w+ is missing; labelled_folder needs"):
        load_recipe(recipe_file, overrides=["data.source=labelled_folder", "data.options={}"])


def test_a_folder_that_is_neither_run_nor_model_is_told(trained, data, tmp_path, capsys):
    (tmp_path / "runs" / "first").mkdir(parents=True)
    (tmp_path / "runs" / "first" / "recipe.yaml").write_text("name: x\n")
    for command in (["evaluate"], ["export", "--out", str(tmp_path / "out")]):
        for folder, told in ((data, "train or export first"), (tmp_path / "runs", "'first'")):
            words = [command[0], str(folder), "--data", str(data), *command[1:]]
            assert main(words) == 2
            error = capsys.readouterr().err
            assert "neither a run (it has no recipe.yaml) nor an exported model" in error
            assert told in error
    assert main(["evaluate", str(trained / "last.ckpt"), "--data", str(data)]) == 2
    assert "is not a model: give a run's folder" in capsys.readouterr().err
    out = str(tmp_path / "out")
    words = ["export", str(trained / "best.safetensors"), "--data", str(data), "--out", out]
    assert main(words) == 2
    assert "give the run's folder" in capsys.readouterr().err


def test_export_takes_the_name_of_a_model(data, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["export", "mars_navcam", "--data", str(data), "--out", out]) == 2
    assert "the model is float32 already; choose --precision" in capsys.readouterr().err
    assert main(["export", "nobody", "--data", str(data), "--out", out]) == 2
    assert "neither a run's folder nor a model's folder or name" in capsys.readouterr().err


@pytest.fixture
def blurred(tmp_path):
    """Return a folder whose masks are ids as grey levels, saved as JPEG."""
    for index in range(4):
        mask = data_sets.labels(index, 4, height=64, width=64)
        data_sets.save(tmp_path / "images" / f"{index}.png", data_sets.scene(index, mask))
        levels = (mask * 80).astype(np.uint8)
        path = tmp_path / "masks" / f"{index}.jpg"
        data_sets.save(path, levels, suffix_arguments=(cv2.IMWRITE_JPEG_QUALITY, 85))
    return tmp_path


def test_masks_of_ids_in_jpeg_are_refused_whatever_they_are_called(blurred):
    with pytest.raises(BadSampleError, match=r"is JPEG, which changes class ids; write .* as PNG"):
        LabelledFolder(blurred, GREYS, by_colour=False, shares=HALVES).load("0")
    (blurred / "masks" / "0.jpg").rename(blurred / "masks" / "0.png")
    with pytest.raises(BadSampleError, match="is JPEG"):
        LabelledFolder(blurred, GREYS, by_colour=False, shares=HALVES).load("0")


HALVES = {"train": 0.5, "validation": 0.5}


def test_masks_in_jpeg_are_read_by_the_nearest_colour_of_the_classes(blurred, caplog):
    with caplog.at_level(logging.WARNING):
        source = LabelledFolder(blurred, GREYS, by_colour=True, shares=HALVES)
    assert "JPEG: a pixel is of the class of the nearest colour" in caplog.text
    for index in range(4):
        given = source.load(str(index)).mask
        true = data_sets.labels(index, 4, height=64, width=64)
        assert np.mean(given == true, where=given != 255) > 0.99
        assert np.mean(given == 255) < 0.1
    others = Taxonomy(tuple(TerrainClass(k, f"c{k}", (255, 60 * k, 255), 0.1) for k in range(2)))
    wrong = LabelledFolder(blurred, others, by_colour=True, shares=HALVES)
    with pytest.raises(BadSampleError, match=r"near no class's colour.*data\.options\.classes"):
        wrong.load("0")


def test_data_of_another_source_are_told_by_name(recipe_file, data, tmp_path, caplog):
    lunar = data_sets.lunar(tmp_path / "lunar")
    recipe = load_recipe(recipe_file)
    with pytest.raises(ConfigError, match="looks like lunar_landscape; the recipe expects ai4mars"):
        open_source(recipe.data, lunar)
    npz = data_sets.mars_npz(tmp_path / "mars.npz")
    with pytest.raises(ConfigError, match="looks like mars_terrain; the recipe expects ai4mars"):
        open_source(recipe.data, npz)
    own = load_recipe(
        recipe_file,
        overrides=[
            "data.source=labelled_folder",
            "data.options={by_colour: false, classes: [{name: a, color: [0, 0, 0], hazard: 0}]}",
        ],
    )
    with caplog.at_level(logging.WARNING):
        open_source(own.data, data)
    assert "looks like ai4mars; the recipe expects labelled_folder: check" in caplog.text


def test_a_folder_with_a_val_list_is_not_taken_for_ai4mars(data, tmp_path):
    assert detect_source(data) == "ai4mars"
    root = data_sets.folder(tmp_path, GREYS, by_colour=False, channels=1)
    (root / "val.txt").write_text("000\n")
    with pytest.raises(ConfigError, match="layout of no published set"):
        detect_source(root)
