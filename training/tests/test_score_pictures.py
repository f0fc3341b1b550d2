"""Images of a score's plan are rendered once, and what is missing later."""

import json
import stat
import sys

import numpy as np
import pytest

from terrain_seg_ros.worlds.settings import MOON
from terrain_training.cli import main
from terrain_training.rendering.cycles.score_scene import scene_view, scene_world

STAND_IN = """#!{python}
import json, os, sys
sys.path[:0] = {path!r}
from pathlib import Path
import numpy as np
from terrain_training.rendering.cycles.label_files import write_image
from terrain_training.rendering.cycles.score_scene import picture_stem

def say(**content):
    print(json.dumps(content), flush=True)

say(bpy="4.5.15", python="3.11.9")
job = json.loads(sys.stdin.readline())
for line in sys.stdin:
    told = json.loads(line)
    name = told["scene"]["name"]
    for number in told["numbers"]:
        stem = picture_stem(name, number)
        write_image(Path(job["out"]), stem, np.full((8, 8, 3), 90, np.uint8))
        with open({log!r}, "a") as file:
            file.write(stem + "\\n")
        say(stem=stem, cpu_s=0.1, peak_mb=10)
    say(world=name)
"""


@pytest.fixture
def python(tmp_path):
    """Return a program that answers as a render process does, and renders plain images."""
    path = tmp_path / "python"
    log = str(tmp_path / "rendered")
    path.write_text(STAND_IN.format(python=sys.executable, path=sys.path, log=log))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def scene(name="flat_tilt_00000", views=2):
    pose = {
        "rotation": [[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]],
        "translation_m": [0.0, 0.0, 2.0],
    }
    camera = {
        "width_px": 32, "height_px": 32, "fx_px": 20.0, "fy_px": 24.0, "cx_px": 15.5,
        "cy_px": 15.5, "distortion_model": "none", "coefficients": [],
    }  # fmt: skip
    return {
        "name": name, "kind": "mast", "seed": 3, "side_m": 20.0, "spacing_m": 0.2,
        "settings": vars(MOON), "camera": camera, "world_T_camera": [pose] * views,
    }  # fmt: skip


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({"format": 1, "scenes": [scene(), scene("slope_00001")]}))
    return path


def render(plan, python, *words):
    out = plan.parent / "out"
    return main(
        ["render-score", str(plan), "--out", str(out), "--render-python", str(python), *words]
    )


def test_every_view_is_rendered_and_a_missing_one_again(plan, python, capsys):
    assert render(plan, python) == 0
    log = plan.parent / "rendered"
    stems = ["flat_tilt_00000_000", "flat_tilt_00000_001", "slope_00001_000", "slope_00001_001"]
    assert log.read_text().split() == stems
    out = plan.parent / "out"
    assert json.loads((out / "plan.json").read_text())["renderer"] == "cycles"
    (out / "images" / f"{stems[2]}.png").unlink()
    assert render(plan, python) == 0
    assert log.read_text().split() == [*stems, stems[2]]
    assert "--renders" in capsys.readouterr().out


def test_another_plan_does_not_go_on_in_the_same_folder(plan, python, capsys):
    assert render(plan, python) == 0
    assert render(plan, python, "--samples", "3") == 2
    assert "another plan" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "{}", '{"format": 2, "scenes": []}', "[]"])
def test_what_is_no_plan_is_refused(tmp_path, python, text, capsys):
    path = tmp_path / "plan.json"
    path.write_text(text)
    assert render(path, python) == 2
    assert "terrain-seg score --plan" in capsys.readouterr().err


def test_views_of_a_world_differ_in_their_pose_alone():
    content = scene()
    world = scene_world(content)
    first, second = (scene_view(content, world, number) for number in (0, 1))
    assert first.seed == second.seed
    assert first.look == second.look
    assert first.sensor == second.sensor
    assert not first.vehicle
    assert first.ground.track is None
    assert np.allclose(first.world_T_camera.rotation, second.world_T_camera.rotation)
    assert world.seed == 3
