"""The demo's simulated scenes: their recordings, a run from one, and the pictures of it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from support.buses import free_domain
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.demo import sim_scenes as demo_sim
from terrain_seg_ros.demo.scenes import MODEL, SCENES
from terrain_seg_ros.demo.sim_report import cut_to, scene_section, write_scenes
from terrain_seg_ros.demo.sim_scenes import only_progress, play_scene, simulator_is_missing
from terrain_seg_ros.messages.grid_message import GridValues
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.report.map_pictures import PATH_RGB
from terrain_seg_ros.sim.outlets import full_name
from terrain_seg_ros.sim.topics import chosen_topics

LIMIT_BYTES = 5 * 2**20


def option(scene, name):
    return scene.sim[scene.sim.index(name) + 1]


def test_the_recordings_are_small():
    assert sum(scene.recording.stat().st_size for scene in SCENES) <= LIMIT_BYTES


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_a_recording_holds_what_its_command_records(scene):
    with AnyReader([scene.recording]) as reader:
        counts = {item.topic: item.msgcount for item in reader.connections}
    expected = {full_name(s.name, "/terrain") for s in chosen_topics(["depth"], jpeg=True)}
    assert set(counts) == expected
    pictures = int(option(scene, "--pictures"))
    assert counts["/terrain/truth/coded_image"] == counts["/tf"] == pictures


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_the_parameters_put_the_node_on_true_masks_and_depth(scene):
    parameters = load_parameters(scene.parameters, shipped=scene.mode)
    assert parameters.inference.model == MODEL
    assert parameters.input.image_topic == "truth/coded_image"
    assert parameters.pipeline.ground.source == "depth"


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Play the drive's recording through the live node."""
    lines = []
    out = tmp_path_factory.mktemp("demo")
    scene = play_scene(
        SCENES[0],
        missing="nothing draws in this test",
        backend="onnxruntime",
        out=out,
        domain=free_domain(),
        show=lines.append,
    )
    return scene, out, lines


def test_the_node_answers_every_recorded_picture(played):
    scene, _, lines = played
    pictures = int(option(scene.scene, "--pictures"))
    assert scene.summary["images_in"] == pictures
    assert scene.summary["images_out"] + sum(scene.summary["dropped"].values()) == pictures
    assert scene.summary["refused"] == {}
    assert scene.summary["model"].startswith(MODEL)
    assert lines[-1] == f"played {pictures} of {pictures} pictures"


def test_the_section_shows_truth_grid_and_path(played):
    scene, _, _ = played
    section = scene_section(scene)
    assert "a recording, because nothing draws" in section.text
    assert MODEL in section.text
    views = ["truth and path", "grid at the end", "grid against truth"]
    assert list(section.rows[-1].pictures) == views
    for picture in section.rows[-1].pictures.values():
        assert (picture == PATH_RGB).all(axis=2).sum() > 100
    assert next(iter(section.rows[0].pictures)) == "camera"


def test_few_cells_that_are_called_free_are_hazards(played):
    caption = scene_section(played[0]).rows[-1].caption
    words = [int(word) for word in caption.replace(";", " ").split() if word.isdigit()]
    observed, called_free, false = words
    assert observed > 5000
    assert false <= 0.01 * called_free


def test_pictures_are_written(played):
    scene, out, _ = played
    made = write_scenes([scene], out=out)
    picture = cv2.imread(str(made.paths["rover_drive"]))
    assert picture.shape[1] > 3 * 300
    assert len(made.sections) == 1


def test_a_bag_without_answers_is_refused(played):
    scene, _, _ = played
    empty = type(scene)(scene.scene, scene.scene.recording, scene.summary, "nowhere")
    with pytest.raises(ConfigError, match="lacks pictures"):
        scene_section(empty)


def test_the_missing_part_is_named(monkeypatch):
    monkeypatch.setattr(demo_sim, "mujoco_is_installed", lambda: False)
    assert "MuJoCo" in simulator_is_missing()

    def fail():
        raise ConfigError("install the Debian packages libegl1 and libgl1")

    monkeypatch.setattr(demo_sim, "mujoco_is_installed", lambda: True)
    monkeypatch.setattr(demo_sim, "choose_platform", fail)
    assert "libegl1" in simulator_is_missing()
    monkeypatch.setattr(demo_sim, "choose_platform", lambda: "egl")
    assert simulator_is_missing() == ""


def test_only_progress_is_shown():
    shown = []
    show = only_progress(shown.append)
    for line in ("making the world", "mode   rover", "played 3 of 9 pictures", ""):
        show(line)
    assert shown == ["making the world", "played 3 of 9 pictures"]


def grid(values, *, x_m=0.0, y_m=0.0, cell_m=0.5):
    return GridValues(np.array(values, dtype=np.int8), cell_m, x_m, y_m, "odom", 0)


def test_the_truth_is_cut_to_the_grids_cells():
    truth = grid(np.arange(12).reshape(3, 4))
    cut = cut_to(truth, grid(np.zeros((3, 3)), x_m=1.0, y_m=-0.5))
    assert cut.tolist() == [[-1, -1, -1], [2, 3, -1], [6, 7, -1]]
    far = cut_to(truth, grid(np.zeros((2, 2)), x_m=50.0))
    assert (far == -1).all()


@pytest.mark.parametrize("changes", [{"cell_m": 0.25}, {"x_m": 0.2}])
def test_other_cells_are_refused(changes):
    with pytest.raises(ConfigError, match="the same cells"):
        cut_to(grid(np.zeros((3, 3))), grid(np.zeros((3, 3)), **changes))
