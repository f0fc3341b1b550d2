"""Real pictures of Blender's Cycles, where a Python with bpy is found."""

from __future__ import annotations

import json
import subprocess

import cv2
import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.worlds.cast_rays import cast_rays
from terrain_seg_ros.worlds.photometry import lunar_reflectance
from terrain_training.cli import main
from terrain_training.rendering.cycles.blender_python import (
    find_blender_python,
    worker_environment,
)
from terrain_training.rendering.cycles.facts import GROUND, ROCK, SKY, read_facts
from terrain_training.rendering.cycles.label_files import read_camera
from terrain_training.rendering.cycles.views import choose_world

ARGUMENTS = (
    "render", "--engine", "cycles", "--count", "3", "--views", "1", "--seed", "31",
    "--validation-share", "0.4", "--jobs", "1",
)  # fmt: skip
PHOTOMETRY = """
import json, math, sys
from dataclasses import replace
from pathlib import Path
import numpy as np
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.settings import MOON
from terrain_seg_ros.worlds.world import Body, Sun
from terrain_training.rendering.cycles.content import build_content
from terrain_training.rendering.cycles.relief import GroundStyle
from terrain_training.rendering.cycles.rock_shapes import RockShapes
from terrain_training.rendering.cycles.scene import render_passes
from terrain_training.rendering.cycles.views import choose_view

level = replace(MOON, rms_slope_rad=0.0, crater_saturation=0.0, rock_abundance=0.0)
world = generate_world(Body.MOON, 1, side_m=60.0, spacing_m=0.5, settings=level)
view = choose_view(world, "moon_rover", 1, 0, size_px=48)
rotation = rotation_from_rpy(0, math.radians(35.0), 0.0) @ BODY_R_OPTICAL
view = replace(
    view,
    world_T_camera=Transform(rotation, np.array([0.0, 0.0, 2.0])),
    camera=replace(view.camera, fx_px=48.0, fy_px=48.0),
    sun=Sun(math.radians(float(sys.argv[1])), math.radians(40.0)),
    ground=GroundStyle(0.0, 0.0, 0.0, 0.0, 0.0, None),
    rocks=replace(view.rocks, pebbles_per_m2=0.0),
    look=replace(view.look, albedo=0.1, tint=(1.0, 1.0, 1.0), bump_m=0.0),
    vehicle=False,
)
content = build_content(world, view, RockShapes())
passes = render_passes(content, view, Path(sys.argv[2]), samples=64)
np.save(Path(sys.argv[2]) / "light.npy", passes.light)
np.save(Path(sys.argv[2]) / "depth.npy", passes.depth_m)
"""


@pytest.fixture(scope="module")
def python():
    try:
        found = find_blender_python(None)
    except ConfigError as error:
        pytest.skip(f"no Python with bpy: {error}")
    answer = subprocess.run(
        [str(found), "-c", "import bpy"], capture_output=True, check=False, timeout=120
    )
    if answer.returncode != 0:
        pytest.skip(f"{found} has no bpy")
    return found


@pytest.fixture(scope="module")
def sets(python, tmp_path_factory):
    """Return two folders that the same command made."""
    folders = [tmp_path_factory.mktemp("cycles") / name for name in ("one", "again")]
    for folder in folders:
        words = [*ARGUMENTS, "--size", "64", "--out", str(folder), "--render-python", str(python)]
        assert main(words) == 0
    return folders


def test_the_same_seed_gives_the_same_labels_and_the_same_picture(sets):
    one, again = (sorted((folder / "masks").iterdir()) for folder in sets)
    assert [path.name for path in one] == [path.name for path in again]
    assert len(one) == 3
    for path, other in zip(one, again):
        assert path.read_bytes() == other.read_bytes()
        pictures = [
            cv2.imread(str(mask.parents[1] / "images" / mask.name)).astype(float)
            for mask in (path, other)
        ]
        assert np.abs(pictures[0] - pictures[1]).mean() < 1.0
        assert pictures[0].std() > 5.0


def test_what_pixels_show_is_what_rays_meet_in_the_world(sets):
    agreed = {"sky": [], "depth": [], "rock": []}
    for path in sorted((sets[0] / "facts").iterdir()):
        view_file = sets[0] / "views" / f"{path.stem}.json"
        told = json.loads(view_file.read_text())
        pose = Transform(
            np.array(told["world_T_camera"]["rotation"]),
            np.array(told["world_T_camera"]["translation_m"]),
        )
        world = choose_world(told["world"]["seed"], "moon_rover")
        cast = cast_rays(world, read_camera(view_file), pose)
        facts = read_facts(path)
        far = np.nan_to_num(cast.depth_m, nan=1e9) > 25.0
        near = ~far & (facts.surface == GROUND) & (cast.rock < 0)
        if near.sum() > 200:
            ratio = facts.depth_m[near] / cast.depth_m[near]
            agreed["depth"].append(float(np.median(np.abs(ratio - 1.0))))
        # What is near in the generated world is never sky.
        agreed["sky"].append(float((facts.surface[~far] == SKY).sum()) / facts.surface.size)
        counts = np.bincount(cast.rock[(cast.rock >= 0) & ~far], minlength=1)
        for rock in np.flatnonzero(counts > 25):
            truth = cast.rock == rock
            rows = np.flatnonzero(facts.world_rock == rock)
            drawn = (facts.surface == ROCK) & np.isin(facts.rock, rows)
            agreed["rock"].append(float((truth & drawn).sum() / (truth | drawn).sum()))
    assert agreed["depth"] and max(agreed["depth"]) < 0.03
    assert max(agreed["sky"]) < 0.01
    assert agreed["rock"] and np.median(agreed["rock"]) > 0.4


def test_a_dusty_sky_lights_the_shadows_of_mars(python, tmp_path):
    words = [*ARGUMENTS, "--task", "mars_rover", "--size", "64", "--out", str(tmp_path / "mars")]
    assert main([*words, "--render-python", str(python)]) == 0
    in_shade, seen = [], set()
    for path in sorted((tmp_path / "mars" / "facts").iterdir()):
        facts = read_facts(path)
        image = cv2.imread(str(tmp_path / "mars" / "images" / f"{path.stem}.png")).mean(axis=-1)
        mask = cv2.imread(str(tmp_path / "mars" / "masks" / f"{path.stem}.png"), -1)
        seen |= set(np.unique(mask).tolist())
        ground = (facts.surface == GROUND) | (facts.surface == ROCK)
        assert 0.0 < facts.shadow[ground].mean() < 1.0
        in_shade.append(image[facts.shadow & ground].mean() / image[~facts.shadow & ground].mean())
    assert 0.1 < np.mean(in_shade) < 0.95
    assert {0, 5} <= seen


@pytest.mark.parametrize("azimuth_deg", [20.0, 150.0])
def test_level_soil_is_as_bright_as_the_law_says(python, tmp_path, azimuth_deg):
    subprocess.run(
        [str(python), "-c", PHOTOMETRY, str(azimuth_deg), str(tmp_path)],
        env=worker_environment(), check=True, capture_output=True, timeout=300,
    )  # fmt: skip
    light = np.load(tmp_path / "light.npy").mean(axis=-1)
    depth = np.load(tmp_path / "depth.npy")
    rows, cols = np.indices(light.shape)
    rays = np.stack([(cols - 23.5) / 48.0, (rows - 23.5) / 48.0, np.ones(light.shape)], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    pitch = np.radians(35.0)
    down = np.array([0.0, np.cos(pitch), np.sin(pitch)])
    emission = rays @ down
    high, turn = np.radians(40.0), np.radians(azimuth_deg)
    # The sun in the camera's optical frame: the camera heads along x.
    ahead, left, up = np.cos(high) * np.cos(turn), np.cos(high) * np.sin(turn), np.sin(high)
    sin, cos = np.sin(pitch), np.cos(pitch)
    sun = np.array([-left, -ahead * sin - up * cos, ahead * cos - up * sin])
    phase = np.arccos(np.clip(-rays @ sun, -1.0, 1.0))
    wanted = 0.1 * lunar_reflectance(np.full(light.shape, np.sin(high)), emission, phase)
    near = (depth < 12.0) & (emission > 0.1)
    assert near.sum() > 500
    ratio = light[near] / wanted[near]
    assert 0.5 < np.median(ratio) < 1.5
    assert np.percentile(ratio, 95) / np.percentile(ratio, 5) < 1.35
