"""Worlds written for Gazebo: complete, of the right shape, and without errors in libsdformat."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from support.small_worlds import flat, rough, world
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.worlds.gazebo.ground_mesh import obj_text, texture, triangles
from terrain_seg_ros.worlds.gazebo.sdf_vehicle import MOUNTINGS, OPTICAL_FRAME, OWN_BODY_LABEL
from terrain_seg_ros.worlds.gazebo.world_to_sdf import label_of, start_place, write_sdf
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.world import BEDROCK, ROCK, SAND, SOIL, WORLD_TAXONOMY, Body

CHECKER = Path(__file__).with_name("check_sdf.cpp")


def mixed():
    """Return rough ground with three classes."""
    bare = rough(3, rock_count=8)
    classes = np.full(bare.ground_m.shape, SOIL, np.uint8)
    classes[:20] = SAND
    classes[30:50, 10:40] = BEDROCK
    return replace(bare, classes=classes, body=Body.MARS)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    path = write_sdf(mixed(), folder, vehicle="none")
    return ElementTree.parse(path).getroot().find("world"), folder


def vertices(text):
    return np.array(
        [line.split()[1:] for line in text.splitlines() if line.startswith("v ")], float
    )


def faces(text):
    lines = [line.split()[1:] for line in text.splitlines() if line.startswith("f ")]
    return np.array([[word.split("/")[0] for word in line] for line in lines], int) - 1


@given(seed=some.integers(0, 1000), count=some.integers(2, 9), spacing_m=some.floats(0.05, 2.0))
@settings(max_examples=30)
def test_mesh_has_the_heights_of_the_posts_and_faces_up(seed, count, spacing_m):
    ground = np.random.default_rng(seed).normal(0.0, 0.3, (count, count))
    made = world(ground, spacing_m)
    corners, classes = triangles(made)
    assert corners.shape == (2 * (count - 1) ** 2, 3)
    assert set(classes.tolist()) == {SOIL}
    text = obj_text(made, corners)
    points, numbers = vertices(text), faces(text)
    assert len(points) == count**2
    x, y, z = np.clip(points[:, 0], -made.half_side_m, made.half_side_m), points[:, 1], points[:, 2]
    inside = made.ground_height_m(x, np.clip(y, -made.half_side_m, made.half_side_m))
    assert np.nanmax(np.abs(inside - z)) < 2e-4 * (1.0 + 4.0 / spacing_m)
    a, b, c = (points[numbers[:, index]] for index in range(3))
    up = np.cross(b - a, c - a)[:, 2]
    assert np.all(up > 0.0)
    assert 0.5 * up.sum() == pytest.approx((2.0 * made.half_side_m) ** 2, rel=1e-2)


def test_classes_are_parts_of_one_ground():
    made = mixed()
    corners, classes = triangles(made)
    assert set(classes.tolist()) == {SOIL, BEDROCK, SAND}
    middles = corners[classes == SAND] // made.ground_m.shape[0]
    assert middles.max() <= 20
    parts = [faces(obj_text(made, corners[classes == kind])) for kind in (SOIL, BEDROCK, SAND)]
    assert sum(len(part) for part in parts) == len(corners)


def test_texture_meets_itself_and_has_its_colour():
    picture = texture(1, (0.6, 0.4, 0.2)).astype(float)
    assert picture.mean(axis=(0, 1)) == pytest.approx([51.0, 102.0, 153.0], abs=1.5)
    across = np.abs(np.diff(picture, axis=0)).mean()
    assert np.abs(picture[0] - picture[-1]).mean() < 2.0 * across


def test_world_has_gravity_and_a_sun_from_above(written):
    element, _ = written
    assert element.findtext("gravity") == "0 0 -3.71"
    direction = np.array(element.findtext("light/direction").split(), float)
    np.testing.assert_allclose(direction, -mixed().sun.direction(), atol=1e-6)
    assert direction[2] < 0.0
    height_m = float(element.findtext("light/pose").split()[2])
    assert height_m > max(at.far_m for at in MOUNTINGS.values())
    systems = {plugin.get("name").rsplit("::")[-1] for plugin in element.findall("plugin")}
    assert systems == {"Physics", "UserCommands", "SceneBroadcaster", "Sensors"}


def test_every_visual_has_the_label_of_its_class(written):
    element, _ = written
    ids = {entry.name: entry.id for entry in WORLD_TAXONOMY.classes}
    visuals = element.findall("model/link/visual")
    labels = {visual.get("name"): int(visual.findtext("plugin/label")) for visual in visuals}
    rocks = {name: label for name, label in labels.items() if name.startswith("rock_")}
    assert len(rocks) == 8
    assert set(rocks.values()) == {label_of(ROCK)}
    ground = {name: label for name, label in labels.items() if name not in rocks}
    assert ground == {name: label_of(ids[name]) for name in ("soil", "bedrock", "sand")}
    assert 0 not in labels.values()
    assert label_of(len(WORLD_TAXONOMY.classes) - 1) < OWN_BODY_LABEL


def test_rocks_lie_where_they_do_in_the_world(written):
    element, _ = written
    rocks = mixed().rocks
    for kind in ("visual", "collision"):
        for index in range(len(rocks)):
            part = element.find(f"model/link/{kind}[@name='rock_{index}']")
            pose = np.array(part.findtext("pose").split(), float)
            radii = np.array(part.findtext("geometry/ellipsoid/radii").split(), float)
            middle = [rocks.x_m[index], rocks.y_m[index], rocks.z_m[index]]
            np.testing.assert_allclose(pose, [*middle, 0, 0, rocks.yaw_rad[index]], atol=1e-6)
            axes = [rocks.a_m[index], rocks.b_m[index], rocks.c_m[index]]
            np.testing.assert_allclose(radii, axes, atol=1e-6)


def test_every_file_that_is_named_is_there(written):
    element, folder = written
    named = {part.text for tag in ("uri", "albedo_map") for part in element.iter(tag)}
    assert {"ground.obj", "soil.obj", "soil.png"} <= named
    assert named == {path.name for path in folder.iterdir()} - {"mars_0.sdf"}
    for name in named:
        if name.endswith(".png"):
            assert cv2.imread(str(folder / name)).shape == (512, 512, 3)


def rover(tmp_path):
    path = write_sdf(mixed(), tmp_path, vehicle="rover")
    return ElementTree.parse(path).find("world/model[@name='vehicle']")


def drive_of(model):
    return next(item for item in model.findall("plugin") if "DiffDrive" in item.get("name"))


def test_one_publisher_has_the_topic_of_the_odometry(tmp_path):
    model = rover(tmp_path)
    # Both publish on /model/vehicle/odometry unless told otherwise (gz-sim 6 to 8).
    default = "/model/vehicle/odometry"
    publishers = [
        plugin.findtext("odom_topic", default)
        for plugin in model.findall("plugin")
        if plugin.get("name").rsplit("::")[-1] in {"DiffDrive", "OdometryPublisher"}
    ]
    assert sorted(publishers) == [default, "/model/vehicle/wheel_odometry"]


def test_the_rover_can_turn_although_its_wheels_slip_sideways(tmp_path):
    """Gazebo's friction is a box: both directions of a wheel resist independently."""
    model = rover(tmp_path)
    wheels = [link for link in model.findall("link") if link.get("name").endswith("_wheel")]
    assert len(wheels) == 4
    places = np.array([wheel.findtext("pose").split()[:2] for wheel in wheels], float)
    drive = drive_of(model)
    separation_m = np.ptp(places[:, 1])
    assert float(drive.findtext("wheel_separation")) == pytest.approx(separation_m)
    for wheel, (x_m, y_m) in zip(wheels, places):
        friction = wheel.find("collision/surface/friction/ode")
        assert friction.findtext("fdir1") == "0 1 0"  # the axis of the joint, which it turns about
        across, along = (float(friction.findtext(tag)) for tag in ("mu", "mu2"))
        assert across * abs(x_m) < 0.7 * along * abs(y_m)
    assert {joint.findtext("axis/xyz") for joint in model.findall("joint")} == {"0 1 0"}


def seen(linear):
    """Return levels, 0 to 255, of linear light as a screen shows it."""
    return 255.0 * np.asarray(linear, float) ** (1.0 / 2.2)


def test_rocks_and_sky_have_linear_light_and_look_like_the_ground(written):
    element, folder = written
    sky = np.array(element.findtext("scene/background").split()[:3], float)
    np.testing.assert_allclose(seen(sky), [194, 158, 120], atol=1.0)
    sensors = next(item for item in element.findall("plugin") if "Sensors" in item.get("name"))
    assert sensors.findtext("background_color") == element.findtext("scene/background")
    rock = element.find("model/link/visual[@name='rock_0']/material")
    levels = seen(np.array(rock.findtext("diffuse").split()[:3], float))
    ground = cv2.imread(str(folder / "soil.png"))[:, :, ::-1].mean(axis=(0, 1))
    np.testing.assert_allclose(levels, ground, rtol=0.1)


@pytest.mark.parametrize("body", list(Body))
def test_level_ground_in_the_sun_is_in_the_middle_of_the_range(tmp_path, body):
    made = generate_world(body, 1, side_m=10.0, spacing_m=0.25)
    element = ElementTree.parse(write_sdf(made, tmp_path, vehicle="none")).find("world")
    texture_bgr = cv2.imread(str(tmp_path / "soil.png"))
    assert (texture_bgr == 255).mean() < 0.02
    sun = -float(element.findtext("light/direction").split()[2])
    ambient = float(element.findtext("scene/ambient").split()[0])
    light = (texture_bgr / 255.0) ** 2.2 * (sun + ambient)
    assert 95.0 < seen(light).mean() < 150.0


def cameras(tmp_path, vehicle):
    path = write_sdf(flat(12.0, 0.5), tmp_path, vehicle=vehicle)
    model = ElementTree.parse(path).getroot().find("world/model[@name='vehicle']")
    return model, model.findall("link/sensor")


@pytest.mark.parametrize("vehicle", ["rover", "lander"])
def test_cameras_of_a_vehicle_see_the_same(tmp_path, vehicle):
    _, sensors = cameras(tmp_path, vehicle)
    assert [sensor.get("type") for sensor in sensors] == ["rgbd_camera", "segmentation"]
    for tag in ("pose", "gz_frame_id", "camera/horizontal_fov", "camera/image/width"):
        assert len({sensor.findtext(tag) for sensor in sensors}) == 1
    assert {sensor.findtext("gz_frame_id") for sensor in sensors} == {OPTICAL_FRAME}
    pose = np.array(sensors[0].findtext("pose").split(), float)
    at = MOUNTINGS[vehicle]
    np.testing.assert_allclose(pose, [at.x_m, 0.0, at.z_m, 0.0, at.pitch_rad, 0.0], atol=1e-7)


def test_rover_stands_on_its_wheels_between_the_rocks(tmp_path):
    model, _ = cameras(tmp_path, "rover")
    for link in model.findall("link"):
        if link.get("name") != "base_link":
            z_m = float(link.findtext("pose").split()[2])
            assert z_m == float(link.findtext("collision/geometry/sphere/radius"))
    drive = model.find("plugin[@name='gz::sim::systems::DiffDrive']")
    joints = {part.text for part in drive if part.tag in {"left_joint", "right_joint"}}
    assert joints == {joint.get("name") for joint in model.findall("joint")}
    blocked = flat(12.0, 0.5, (0.0, 0.0, 0.0, 1.0, 1.0, 0.5, 0.0))
    x_m, y_m = start_place(blocked)
    assert np.hypot(x_m, y_m) > 2.5


def test_world_without_room_is_refused():
    full = flat(6.0, 0.5, (0.0, 0.0, 0.0, 3.0, 3.0, 0.5, 0.0))
    with pytest.raises(ConfigError, match="no room for a rover"):
        start_place(full)


def test_unknown_vehicle_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="vehicle is 'boat', expected one of rover"):
        write_sdf(flat(6.0, 0.5), tmp_path, vehicle="boat")


@pytest.fixture(scope="module")
def checker(tmp_path_factory):
    """Compile the checker against libsdformat."""
    if shutil.which("g++") is None or shutil.which("pkg-config") is None:
        pytest.skip("no g++ or pkg-config here")
    listed = subprocess.run(
        ["pkg-config", "--list-package-names"], capture_output=True, text=True, check=True
    )
    found = sorted(set(re.findall(r"^sdformat\d+$", listed.stdout, re.MULTILINE)))
    if not found:
        pytest.skip("no libsdformat here; `apt install libsdformat-dev` brings it")
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", found[-1]], capture_output=True, text=True, check=True
    )
    program = tmp_path_factory.mktemp("checker") / "check_sdf"
    words = ["g++", "-std=c++17", str(CHECKER), "-o", str(program), *flags.stdout.split()]
    built = subprocess.run(words, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return program


@pytest.mark.parametrize("vehicle", ["rover", "lander", "none"])
def test_libsdformat_finds_no_error(checker, tmp_path, vehicle):
    path = write_sdf(mixed() if vehicle == "none" else flat(12.0, 0.5), tmp_path, vehicle=vehicle)
    answer = subprocess.run([str(checker), str(path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert f"models {1 if vehicle == 'none' else 2}" in answer.stdout
    # Gazebo's own element, which libsdformat copies; gz-sensors reads it.
    warned = set(re.findall(r"XML Element\[(\w+)\]", answer.stderr))
    assert warned <= {"gz_frame_id"}


def test_libsdformat_does_find_errors(checker, tmp_path):
    path = write_sdf(flat(12.0, 0.5), tmp_path)
    path.write_text(path.read_text().replace("<parent>base_link</parent>", "<parent>no</parent>"))
    answer = subprocess.run([str(checker), str(path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert "no" in answer.stderr
