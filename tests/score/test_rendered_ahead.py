"""A network is scored on images that another renderer made for the score's worlds and views."""

import json

import cv2
import numpy as np
import pytest

from terrain_seg_ros.cli.main import main
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.score.rendered_ahead import IMAGES, PLAN_FILE, RenderedAhead, scene_name
from terrain_seg_ros.score.scenarios import scenarios_of
from terrain_seg_ros.score.score_worlds import (
    ViewRenderer,
    scenario_parameters,
    scenario_path,
    scenario_world,
)
from terrain_seg_ros.worlds.world import Body

VIEWS = 2
(FLAT,) = scenarios_of("rover", ("flat_tilt",))
WORDS = ("--worlds", "1", "--views", str(VIEWS), "--scenario", "flat_tilt")


@pytest.fixture(scope="module")
def ahead(tmp_path_factory):
    """Return a folder as `terrain-train render-score` leaves it, of numpy's own pictures."""
    folder = tmp_path_factory.mktemp("ahead")
    plan = folder / "made.json"
    assert main(["score", "--plan", str(plan), *WORDS]) == 0
    content = json.loads(plan.read_text())
    (folder / PLAN_FILE).write_text(json.dumps({**content, "renderer": "cycles"}))
    (folder / IMAGES).mkdir()
    world = scenario_world(FLAT, 0, Body.MOON)
    parameters = scenario_parameters(FLAT, masks="truth", model=None)
    renderer = ViewRenderer(FLAT, world, parameters, masks="model")
    for number, pose in enumerate(scenario_path(FLAT, world, 0, views=VIEWS)):
        view = renderer.render(pose, number)
        told = content["scenes"][0]["world_T_camera"][number]
        assert np.allclose(told["rotation"], view.world_T_camera.rotation)
        assert np.allclose(told["translation_m"], view.world_T_camera.translation_m)
        path = folder / IMAGES / f"{scene_name('flat_tilt', 0)}_{number:03d}.png"
        cv2.imwrite(str(path), view.image.pixels)
    return folder


def score(tmp_path, *words):
    path = tmp_path / "score.json"
    main(["score", "--masks", "model", "--jobs", "1", "--json", str(path), *words])
    return json.loads(path.read_text(encoding="utf-8"))


def test_the_same_images_give_the_same_figures(ahead, tmp_path, capsys):
    words = ("--model", "worlds_small")
    given = score(tmp_path, *words, "--renders", str(ahead))
    own = score(tmp_path, *words, *WORDS)
    for key in ("false_safe_area_m2", "called_safe_area_m2", "observed_share", "hazard_recall"):
        assert given[key] == own[key]
    assert (given["renderer"], own["renderer"]) == ("cycles", "numpy")
    assert "images of the renderer cycles" in capsys.readouterr().out


def test_a_figure_in_a_renderer_that_the_network_has_seen_is_marked(tmp_path, capsys):
    result = score(tmp_path, "--model", "worlds_small", *WORDS)
    assert result["trained_in"] == ["numpy"]
    assert result["seen_renderer"]
    assert "SEEN RENDERER" in capsys.readouterr().out


def test_a_view_that_is_missing_or_of_another_size_is_named(ahead, tmp_path):
    (tmp_path / IMAGES).mkdir()
    (tmp_path / PLAN_FILE).write_text((ahead / PLAN_FILE).read_text())
    given = RenderedAhead(tmp_path)
    with pytest.raises(ConfigError, match=r"flat_tilt_00000_000.png is missing"):
        given.picture(FLAT, 0, 0)
    cv2.imwrite(str(tmp_path / IMAGES / "flat_tilt_00000_000.png"), np.zeros((8, 8), np.uint8))
    with pytest.raises(ConfigError, match="8 x 8 px, expected 256 x 256"):
        given.picture(FLAT, 0, 0)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 1, "mode": "rover"}'])
def test_a_folder_without_a_plan_is_refused(tmp_path, content):
    (tmp_path / PLAN_FILE).write_text(content)
    with pytest.raises(ConfigError, match="--renders"):
        RenderedAhead(tmp_path)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--renders", "x"], "--renders needs --masks model"),
        (["--masks", "model", "--renders", "/nowhere"], "cannot be read"),
        (["--plan", "p.json", "--scenario", "wide_lens"], "a lens that distorts"),
    ],
)
def test_words_that_cannot_be_used_are_named(tmp_path, monkeypatch, words, text, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["score", *words]) == 2
    assert text in capsys.readouterr().err
