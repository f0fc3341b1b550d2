"""Renders of generated worlds: what is labelled, how it is laid out, and that it is repeatable."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.worlds.cast_rays import cast_rays
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.settings import MARS
from terrain_seg_ros.worlds.world import BEDROCK, ROCK, SKY, WORLD_TAXONOMY, Body, Rocks
from terrain_training.cli import main
from terrain_training.data.factory import open_source
from terrain_training.data.taxonomy_file import parse_classes, parse_taxonomy_file
from terrain_training.recipe.load import load_recipe
from terrain_training.rendering.cast_to_labels import NEARLY, RockRule, cast_to_labels
from terrain_training.rendering.choose_view import HEIGHT_M, choose_view, choose_world
from terrain_training.rendering.write_renders import RenderRequest

RECIPE = Path(__file__).parents[1] / "configs" / "worlds_small.yaml"
HEIGHT = 10.0
PIXELS = 100
RULE = RockRule(min_rock_m=0.2, min_across_px=3.0)
SMALL_SET = ("--count", "6", "--views", "2", "--size", "32", "--validation-share", "0.4")


def world_with(diameters_m, *, body=Body.MARS):
    """Return level bedrock with rocks of these diameters in a row, 2 m apart."""
    count = len(diameters_m)
    half = 0.5 * np.array(diameters_m, dtype=np.float64)
    rocks = Rocks(
        2.0 * (np.arange(count) - 0.5 * (count - 1)), np.zeros(count), np.zeros(count),
        half, half, half, np.zeros(count),
    )  # fmt: skip
    level = replace(
        MARS,
        rms_slope_rad=0.0,
        crater_saturation=0.0,
        rock_abundance=0.0,
        sand_share=0.0,
        bedrock_share=1.0,
    )
    world = generate_world(body, 3, side_m=30.0, spacing_m=0.2, settings=level)
    return replace(world, rocks=rocks)


def from_above(world, *, px_per_m=20.0):
    """Return labels and rock of each pixel, seen straight down."""
    camera = CameraModel(
        width_px=PIXELS,
        height_px=PIXELS,
        fx_px=px_per_m * HEIGHT,
        fy_px=px_per_m * HEIGHT,
        cx_px=0.5 * (PIXELS - 1),
        cy_px=0.5 * (PIXELS - 1),
        distortion_model="none",
        coefficients=(),
    )
    down = np.array([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, -1.0]])
    cast = cast_rays(world, camera, Transform(down, np.array([0.0, 0.0, HEIGHT])))
    return cast_to_labels(world, cast, camera, RULE), cast


def labels_of_rock(labels, cast, index):
    found = np.unique(labels[cast.rock == index])
    assert found.size == 1
    return found[0]


def test_a_rock_of_the_size_is_rock_and_a_smaller_one_its_ground():
    labels, cast = from_above(world_with([0.25, 0.16]))
    assert labels_of_rock(labels, cast, 0) == ROCK
    assert labels_of_rock(labels, cast, 1) == BEDROCK
    assert set(np.unique(labels)) == {BEDROCK, ROCK}


def test_a_rock_that_is_nearly_of_the_size_is_not_asked_for():
    labels, cast = from_above(world_with([0.5 * (1.0 + NEARLY) * RULE.min_rock_m]))
    assert labels_of_rock(labels, cast, 0) == IGNORE


def test_a_rock_that_looks_small_is_not_asked_for():
    world = world_with([0.5, 0.25])
    labels, cast = from_above(world, px_per_m=10.0)
    assert labels_of_rock(labels, cast, 0) == ROCK
    assert labels_of_rock(labels, cast, 1) == IGNORE


def test_what_is_beyond_the_world_is_sky():
    labels, cast = from_above(world_with([1.0]), px_per_m=2.0)
    assert labels[0, 0] == SKY
    assert np.isnan(cast.depth_m[0, 0])


@pytest.mark.parametrize("vehicle", ["rover", "lander"])
@pytest.mark.parametrize("body", list(Body))
def test_cameras_are_where_they_should_be(body, vehicle):
    random = np.random.default_rng(5)
    side_m, settings = choose_world(random, body, vehicle)
    world = generate_world(body, 7, side_m=side_m, spacing_m=0.5, settings=settings)
    low_m, high_m = HEIGHT_M[vehicle]
    for _ in range(40):
        view = choose_view(random, world, vehicle, size_px=32)
        x_m, y_m, z_m = view.world_T_camera.translation_m
        assert max(abs(x_m), abs(y_m)) < 0.75 * world.half_side_m
        above_m = z_m - float(world.ground_height_m(x_m, y_m))
        # On a slope the height is along the slope's normal, and the ground below is another.
        assert 0.5 * low_m <= above_m <= 1.5 * high_m
        ahead = view.world_T_camera.rotation[:, 2]
        if vehicle == "lander":
            assert ahead[2] < -math.cos(math.radians(40.0))


def test_the_command_writes_a_set_that_the_recipe_reads(tmp_path):
    out = tmp_path / "renders"
    assert main(["render", *SMALL_SET, "--seed", "4", "--out", str(out), "--jobs", "2"]) == 0
    recipe = load_recipe(RECIPE)
    source = open_source(recipe.data, out)
    assert {split: len(source.names(split)) for split in source.splits()} == {
        "train": 4,
        "validation": 2,
    }
    names = [name for split in source.splits() for name in source.names(split)]
    assert {name.split("_")[0] for name in names} == {"moon", "mars"}
    for name in names:
        sample = source.load(name)
        assert sample.image.shape == sample.mask.shape == (32, 32)
        assert set(np.unique(sample.mask)) <= {*range(len(WORLD_TAXONOMY)), IGNORE}
        assert sample.image.std() > 1.0
    worlds = [{name.rsplit("_", 1)[0] for name in source.names(s)} for s in source.splits()]
    assert worlds[0].isdisjoint(worlds[1])
    file = parse_taxonomy_file(
        yaml.safe_load((out / "taxonomy.yaml").read_text()), source="taxonomy.yaml"
    )
    assert file.taxonomy.fingerprint() == WORLD_TAXONOMY.fingerprint()


def test_the_same_request_gives_the_same_pictures_whatever_the_processes(tmp_path):
    folders = []
    for jobs in ("1", "3"):
        folders.append(tmp_path / jobs)
        assert main(["render", *SMALL_SET, "--jobs", jobs, "--out", str(folders[-1])]) == 0
    files = [sorted(path.relative_to(f) for path in f.rglob("*.*")) for f in folders]
    assert files[0] == files[1]
    assert len(files[0]) == 2 * 6 + 4
    for path in files[0]:
        assert (folders[0] / path).read_bytes() == (folders[1] / path).read_bytes()


def test_another_seed_gives_other_worlds(tmp_path):
    pictures = []
    for seed in ("0", "1"):
        out = tmp_path / seed
        arguments = ("--count", "2", "--views", "1", "--size", "32", "--validation-share", "0.5")
        assert main(["render", *arguments, "--seed", seed, "--out", str(out)]) == 0
        pictures.append({path.name for path in (out / "images").iterdir()})
    assert pictures[0].isdisjoint(pictures[1])


def test_a_folder_with_pictures_is_left_alone(tmp_path, capsys):
    (tmp_path / "images").mkdir()
    kept = np.full((4, 4), 7, dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "images" / "own.png"), kept)
    assert main(["render", *SMALL_SET, "--out", str(tmp_path)]) == 2
    assert "contains 'images', which this command did not write" in capsys.readouterr().err
    assert np.array_equal(cv2.imread(str(tmp_path / "images" / "own.png"), 0), kept)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"count": 5}, "1 worlds"),
        ({"size_px": 8}, "size is 8 px"),
        ({"validation_share": 0.0}, "validation share of 0.0"),
        ({"rule": RockRule(0.0, 3.0)}, "0 or less"),
    ],
)
def test_a_wrong_request_is_refused_by_name(change, said):
    good = {
        "out": Path("out"),
        "count": 50,
        "seed": 0,
        "bodies": (Body.MARS,),
        "size_px": 64,
        "views": 5,
        "lander_share": 0.3,
        "validation_share": 0.2,
        "rule": RULE,
        "jobs": 1,
    }
    assert RenderRequest(**good).worlds == 10
    with pytest.raises(ConfigError, match=said):
        RenderRequest(**{**good, **change})


def test_the_recipe_has_the_classes_of_the_worlds():
    content = yaml.safe_load(RECIPE.read_text())
    taxonomy = parse_classes(content["data"]["options"]["classes"], "recipe")
    assert list(taxonomy) == list(WORLD_TAXONOMY)
