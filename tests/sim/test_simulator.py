"""Bags and buses get every message of a simulation, exact and readable."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from support.buses import free_domain, wait_until
from support.drawing import needs_drawing, settings
from terrain_seg_ros.bag.writer import BagWriter
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Reader
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages.camera_info_message import camera_model
from terrain_seg_ros.messages.depth_message import decode_depth
from terrain_seg_ros.messages.grid_message import decode_grid
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import decode_image
from terrain_seg_ros.messages.transform_message import decode_transforms
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.sim.messages import first_messages, frame_messages
from terrain_seg_ros.sim.outlets import BagOutlet, BusOutlet, full_name
from terrain_seg_ros.sim.simulator import CAMERA_FRAME, Simulator
from terrain_seg_ros.sim.topics import CODED, SIM_TOPICS, chosen_topics
from terrain_seg_ros.worlds.cast_rays import cast_rays
from terrain_seg_ros.worlds.coded_image import CODE_FIRST, CODE_STEP

SPECS = chosen_topics([])
PER_FRAME = [s.name for s in SPECS if s.name not in {"/tf_static", "truth/hazard_map"}]


def send_all(simulator, outlet):
    for name, message in first_messages(simulator):
        outlet.send(name, message, simulator.path[0].stamp_ns)
    for frame in simulator.run(outlet.wants):
        for name, message in frame_messages(simulator, frame):
            outlet.send(name, message, frame.stamp_ns)


@pytest.fixture(scope="module", params=["rover", "lander"])
def recorded(request, tmp_path_factory):
    """Simulate into a bag; return the simulator and the messages by topic."""
    path = tmp_path_factory.mktemp("bag") / "sim"
    drawing = Simulator(settings(request.param), load_parameters(shipped=request.param))
    with drawing as simulator, BagWriter(path) as writer:
        send_all(simulator, BagOutlet(writer, SPECS, "/terrain"))
    messages = {}
    with AnyReader([path]) as reader:
        for connection, at_ns, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            messages.setdefault(connection.topic, []).append((at_ns, message))
    return simulator, messages


@needs_drawing
def test_every_topic_has_every_stamp(recorded):
    simulator, messages = recorded
    stamps = [pose.stamp_ns for pose in simulator.path]
    assert set(messages) == {full_name(spec.name, "/terrain") for spec in SPECS}
    for name in PER_FRAME:
        found = messages[full_name(name, "/terrain")]
        assert [at for at, _ in found] == stamps
        if hasattr(found[0][1], "header"):
            assert [stamp_ns(message.header) for _, message in found] == stamps


@needs_drawing
def test_transforms_are_those_of_the_path(recorded):
    simulator, messages = recorded
    for pose, (_, message) in zip(simulator.path, messages["/tf"]):
        (item,) = decode_transforms(message)
        assert (item.parent, item.child, item.stamp_ns) == ("odom", "base_link", pose.stamp_ns)
        assert np.allclose(item.transform.translation_m, pose.world_T_base.translation_m, atol=0)
        assert np.allclose(item.transform.rotation, pose.world_T_base.rotation, atol=1e-12)
    ((_, static),) = messages["/tf_static"]
    (mounting,) = decode_transforms(static)
    assert (mounting.parent, mounting.child) == ("base_link", CAMERA_FRAME)
    assert np.allclose(mounting.transform.rotation, simulator.base_T_camera.rotation, atol=1e-12)


@needs_drawing
def test_the_recorded_truth_is_what_rays_meet_at_the_recorded_pose(recorded):
    simulator, messages = recorded
    tf = messages["/tf"]
    for index, (_, message) in enumerate(messages["/terrain/truth/mask"]):
        pose = decode_transforms(tf[index][1])[0].transform @ simulator.base_T_camera
        camera = camera_model(messages["/terrain/camera_info"][index][1])
        cast = cast_rays(simulator.world, camera, pose)
        assert np.mean(decode_image(message).pixels == cast.mask) > 0.98
        depth_m = decode_depth(messages["/terrain/depth"][index][1]).depth_m
        both = np.isfinite(depth_m) & np.isfinite(cast.depth_m)
        assert np.median(np.abs(depth_m - cast.depth_m)[both]) < 0.01


@needs_drawing
def test_coded_images_hold_codes_alone(recorded):
    _, messages = recorded
    for _, message in messages["/terrain/truth/coded_image"]:
        pixels = decode_image(message).pixels
        assert pixels.shape == (256, 256)
        assert set(np.unique(pixels)) <= {CODE_FIRST + CODE_STEP * k for k in range(5)}


@needs_drawing
def test_odometry_is_the_path_with_its_speed(recorded):
    simulator, messages = recorded
    found = [message for _, message in messages["/terrain/odom"]]
    for pose, message in zip(simulator.path, found):
        at = message.pose.pose.position
        assert np.allclose([at.x, at.y, at.z], pose.world_T_base.translation_m)
    if simulator.settings.mode == "rover":
        speeds = [message.twist.twist.linear.x for message in found[1:]]
        assert np.allclose(speeds, 0.5, atol=0.1)


@needs_drawing
def test_the_hazard_map_marks_large_rocks(recorded):
    simulator, messages = recorded
    ((_, message),) = messages["/terrain/truth/hazard_map"]
    grid = decode_grid(message)
    rocks = simulator.world.rocks
    big = np.flatnonzero(
        (rocks.diameter_m > 0.4) & (np.abs(rocks.x_m) < 14) & (np.abs(rocks.y_m) < 14)
    )
    assert big.size
    row = ((rocks.y_m[big] - grid.origin_y_m) / grid.resolution_m).astype(int)
    col = ((rocks.x_m[big] - grid.origin_x_m) / grid.resolution_m).astype(int)
    assert (grid.values[row, col] == 100).mean() > 0.95
    assert grid.frame_id == "odom"


@needs_drawing
def test_on_the_bus_only_what_is_listened_to_is_drawn():
    domain = free_domain()
    member = Participant(domain, Discovery.HOST)
    wanted = ("/tf", "/tf_static", "truth/coded_image", "truth/hazard_map")
    readers = {
        spec.name: Reader(member, spec, dds_name=dds_topic_name(spec.name, "/terrain"))
        for spec in SIM_TOPICS
        if spec.name in wanted
    }
    found = {name: [] for name in wanted}
    done = threading.Event()

    def listen():
        while not done.is_set():
            for name, reader in readers.items():
                found[name].extend(reader.take())
            done.wait(0.005)

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        outlet = BusOutlet(SPECS, domain_id=domain, discovery="host", namespace="/terrain")
        with Simulator(settings(), load_parameters()) as simulator, outlet:
            outlet.wait_for_subscribers(1, timeout_s=20.0)
            wait_until(lambda: all(outlet.wants(name) for name in wanted), "all readers")
            assert not outlet.wants("image")
            send_all(simulator, outlet)
            frames = list(simulator.run(outlet.wants))
            assert all(frame.image is None and frame.truth is None for frame in frames)
            assert all(frame.coded is not None for frame in frames)
            count = len(simulator.path)
            wait_until(lambda: len(found["truth/coded_image"]) == count, "all coded images")
            wait_until(lambda: found["truth/hazard_map"] and found["/tf_static"], "what is latched")
    finally:
        done.set()
        thread.join()
        member.close()


def test_waiting_in_vain_names_the_remedy():
    domain = free_domain()
    bus = BusOutlet(SPECS, domain_id=domain, discovery="host", namespace="/terrain")
    with bus, pytest.raises(ConfigError, match="1 subscribers of /tf did not appear"):
        bus.wait_for_subscribers(1, timeout_s=0.2)


def test_topics_can_be_left_out_and_the_image_be_a_jpeg():
    names = [spec.name for spec in chosen_topics(["depth"], jpeg=True)]
    assert "image/compressed" in names
    assert "image" not in names
    assert "depth" not in names
    assert set(CODED) < set(names)
    with pytest.raises(ConfigError, match="cheese"):
        chosen_topics(["cheese"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "submarine"}, "submarine"),
        ({"encoding": "bgr8"}, "bgr8"),
        ({"rate_hz": 0.0}, "rate is 0.0"),
        ({"speed_mps": -1.0}, "speed is -1.0"),
        ({"width_px": 8}, "width_px is 8"),
    ],
)
def test_settings_that_cannot_be_used_are_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        settings(**changes)
