"""Bags that were recorded in a generated world, compared with its truth."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from support.bags import Entry, read_bag, write_bag
from terrain_seg_ros.bench import recorded_world
from terrain_seg_ros.bench.recorded_world import main, measure
from terrain_seg_ros.bench.true_images import DEPTH, IMAGE, INFO, LABELS, classes_of
from terrain_seg_ros.cli.main import main as terrain_seg
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.geometry.camera import camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.types import UNLABELLED, Transform
from terrain_seg_ros.messages.camera_info_message import encode_camera_info
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.depth_message import encode_depth
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.transform_message import StampedTransform, encode_transforms
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.score.paths import DriveSettings, drive
from terrain_seg_ros.worlds.cast_rays import cast_rays
from terrain_seg_ros.worlds.coded_image import coded_image
from terrain_seg_ros.worlds.gazebo.sdf_vehicle import MOUNTINGS, OPTICAL_FRAME
from terrain_seg_ros.worlds.gazebo.world_to_sdf import gazebo_world
from terrain_seg_ros.worlds.world import ROCK, SKY, SOIL, Body

CONFIG = Path(__file__).resolve().parents[2] / "config" / "gazebo.yaml"
SEED, VIEWS = 3, 5
CAMERA = camera_from_field_of_view(width_px=320, height_px=240, horizontal_fov_rad=1.1)
AT = MOUNTINGS["rover"]
BASE_T_CAMERA = Transform(
    rotation_from_rpy(0.0, AT.pitch_rad, 0.0) @ BODY_R_OPTICAL, np.array([AT.x_m, 0.0, AT.z_m])
)


@cache
def small_world(seed=SEED):
    return gazebo_world(Body.MARS, seed, side_m=24.0)


def transforms(stamp_ns, parent, child, pose):
    return encode_transforms(message_class, [StampedTransform(parent, child, stamp_ns, pose)])


def entries(world):
    """Yield what the bridge sends over a drive: TF, image, camera_info, depth and labels."""
    tf = "tf2_msgs/msg/TFMessage"
    mounting = transforms(0, "base_link", OPTICAL_FRAME, BASE_T_CAMERA)
    yield Entry("/tf_static", tf, 0, mounting)
    for pose in drive(world, DriveSettings(count=VIEWS), seed=1):
        stamp = pose.stamp_ns
        header = make_header(message_class, stamp, OPTICAL_FRAME)
        cast = cast_rays(world, CAMERA, pose.world_T_base @ BASE_T_CAMERA)
        labels = np.where(cast.mask == SKY, 0, cast.mask + 1).astype(np.uint8)
        yield Entry("/tf", tf, stamp, transforms(stamp, "odom", "base_link", pose.world_T_base))
        for name, message in (
            (INFO, encode_camera_info(message_class, CAMERA, header)),
            (DEPTH, encode_depth(message_class, DepthImage(cast.depth_m, stamp), header)),
            (LABELS, encode_image(message_class, np.dstack([labels] * 3), "rgb8", header)),
            (IMAGE, encode_image(message_class, coded_image(cast.mask), "mono8", header)),
        ):
            kind = "CameraInfo" if name == INFO else "Image"
            yield Entry(name, f"sensor_msgs/msg/{kind}", stamp, message)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return the bag of a simulator, whose camera is our own renderer."""
    return write_bag(tmp_path_factory.mktemp("recorded") / "bag", entries(small_world()))


@pytest.fixture(scope="module")
def replayed(recorded, tmp_path_factory):
    """Return the bag of true labels as images, replayed through the node with true masks."""
    folder = tmp_path_factory.mktemp("replayed")
    assert main(["code", str(recorded), str(folder / "coded.mcap")]) == 0
    words = ["replay", str(folder / "coded.mcap"), str(folder / "out.mcap"), "--params", CONFIG]
    assert terrain_seg([*map(str, words), "--model", "truth_mask"]) == 0
    return folder / "out.mcap"


def test_true_labels_as_masks_call_almost_nothing_safe_that_is_not(replayed):
    done = measure(replayed, small_world(), load_parameters(CONFIG)).result()
    assert done["images"] == done["grids"] == VIEWS
    assert done["path_m"] == pytest.approx(0.5 * (VIEWS - 1), abs=0.1)
    assert done["called_safe_area_m2"] > 3.0
    assert done["false_safe_share"] < 0.02
    assert done["safe_found_share"] > 0.8
    assert done["hazard_recall"] > 0.9


def test_a_network_that_sees_soil_everywhere_is_found_out(recorded, tmp_path):
    flat = [
        item if item.topic != LABELS else item._replace(message=_only_soil(item.message))
        for item in entries(small_world())
    ]
    bag = write_bag(tmp_path / "flat", flat)
    assert main(["code", str(bag), str(tmp_path / "coded.mcap")]) == 0
    words = ["replay", tmp_path / "coded.mcap", tmp_path / "out.mcap", "--model", "truth_mask"]
    assert terrain_seg([str(word) for word in words]) == 0  # without depth, which finds rocks too
    done = measure(tmp_path / "out.mcap", small_world(), load_parameters()).result()
    assert done["false_safe_share"] > 0.05
    assert done["hazard_recall"] == 0.0


def _only_soil(message):
    pixels = np.full((CAMERA.height_px, CAMERA.width_px, 3), SOIL + 1, np.uint8)
    return encode_image(message_class, pixels, "rgb8", message.header)


def test_the_renderer_is_compared_with_rays(recorded, tmp_path):
    out = tmp_path / "out.mcap"
    words = ["replay", recorded, out, "--params", CONFIG, "--model", "truth_mask"]
    assert terrain_seg([*map(str, words)]) == 0
    done = measure(out, small_world(), load_parameters(CONFIG)).result()
    assert done["labels_equal_share"] == 1.0
    assert done["depth_error_98_percent_m"] < 1e-5


def test_a_grid_of_before_the_first_transform_is_left_out(replayed, tmp_path):
    topics = read_bag(replayed)
    topics["/tf"] = topics["/tf"][1:]
    bag = write_bag(tmp_path / "bag", [entry for each in topics.values() for entry in each])
    done = measure(bag, small_world(), load_parameters(CONFIG)).result()
    assert (done["grids"], done["grids_without_pose"]) == (VIEWS - 1, 1)


def test_a_bag_of_another_world_is_refused(replayed):
    with pytest.raises(ConfigError, match=r"shows another world than mars 4.*check --body"):
        measure(replayed, small_world(4), load_parameters(CONFIG))


def test_a_bag_without_grids_is_refused(recorded):
    with pytest.raises(ConfigError, match="has no /terrain/hazard_grid that knows anything"):
        measure(recorded, small_world(), load_parameters(CONFIG))


def test_a_bag_without_labels_cannot_be_coded(tmp_path, capsys):
    bag = write_bag(tmp_path / "bag", [i for i in entries(small_world()) if i.topic != LABELS])
    assert main(["code", str(bag), str(tmp_path / "coded.mcap")]) == 2
    assert "has no /terrain/truth/labels with" in capsys.readouterr().err
    assert not (tmp_path / "coded.mcap").exists()


def test_the_command_prints_and_draws(replayed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recorded_world, "gazebo_world", lambda body, seed: small_world(seed))
    answer, picture = tmp_path / "answer.json", tmp_path / "map.png"
    words = ["score", replayed, "--body", "mars", "--seed", SEED, "--params", CONFIG]
    assert main([*map(str, words), "--json", str(answer), "--picture", str(picture)]) == 0
    told = json.loads(answer.read_text())
    assert f"false_safe_share: {told['false_safe_share']}" in capsys.readouterr().out
    assert cv2.imread(str(picture)) is not None


def test_a_bag_without_depth_is_said_to_be_unchecked(replayed, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recorded_world, "gazebo_world", lambda body, seed: small_world(seed))
    topics = read_bag(replayed)
    del topics[DEPTH]
    bag = write_bag(tmp_path / "bag", [entry for each in topics.values() for entry in each])
    words = ["score", str(bag), "--body", "mars", "--seed", str(SEED), "--params", str(CONFIG)]
    assert main(words) == 0
    assert "whether the bag shows this world was not checked" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--json", "--picture"])
def test_what_is_there_is_not_overwritten(tmp_path, capsys, option):
    kept = tmp_path / "mine"
    kept.write_text("mine")
    words = ["score", "nowhere", "--body", "mars", "--seed", "1", option, str(kept)]
    assert main(words) == 2
    assert f"{option} '{kept}' exists" in capsys.readouterr().err
    assert kept.read_text() == "mine"


def test_labels_are_class_ids_plus_one():
    plane = np.array([[0, SOIL + 1, ROCK + 1, 255, 77]], np.uint8)
    header = make_header(message_class, 0, OPTICAL_FRAME)
    message = encode_image(message_class, np.dstack([plane] * 3), "rgb8", header)
    assert classes_of(message).tolist() == [[SKY, SOIL, ROCK, UNLABELLED, UNLABELLED]]
