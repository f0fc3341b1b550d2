"""The bridge to Gazebo carries what the vehicle sends and the node listens to."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import yaml
from render_reference import README

from terrain_seg_ros.messages.topics import topics
from terrain_seg_ros.parameters.file import read_parameter_file
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.worlds.gazebo.sdf_vehicle import VEHICLE, add_lander, add_rover

CONFIG = README.parent / "config"
BRIDGE = yaml.safe_load((CONFIG / "gz_bridge.yaml").read_text(encoding="utf-8"))
SENT = [item for item in BRIDGE if item["direction"] == "GZ_TO_ROS"]
# Pairs of types from the table in ros_gz_bridge/README.md of gazebosim/ros_gz.
SUPPORTED = {
    ("geometry_msgs/msg/Twist", "gz.msgs.Twist"),
    ("nav_msgs/msg/Odometry", "gz.msgs.Odometry"),
    ("rosgraph_msgs/msg/Clock", "gz.msgs.Clock"),
    ("sensor_msgs/msg/CameraInfo", "gz.msgs.CameraInfo"),
    ("sensor_msgs/msg/Image", "gz.msgs.Image"),
    ("tf2_msgs/msg/TFMessage", "gz.msgs.Pose_V"),
}
# What a sensor publishes below its topic (gz-sensors: RgbdCameraSensor, SegmentationCameraSensor).
BELOW = {
    "rgbd_camera": ("image", "depth_image", "camera_info", "points"),
    "segmentation": ("labels_map", "colored_map", "camera_info"),
}
SYSTEMS = {
    "gz::sim::systems::OdometryPublisher": ("odometry", "pose"),
    "gz::sim::systems::DiffDrive": ("cmd_vel", "wheel_odometry"),
    "gz::sim::systems::VelocityControl": ("cmd_vel",),
}


def gazebo_topics(add_vehicle):
    """Return the topics of a vehicle."""
    world = ElementTree.Element("world")
    add_vehicle(world, 0.0, 0.0, 1.0)
    topics = {"/clock"}
    for sensor in world.iter("sensor"):
        below = BELOW[sensor.get("type")]
        topics |= {f"/{sensor.findtext('topic')}/{name}" for name in below}
    for plugin in world.findall("model/plugin"):
        topics |= {f"/model/{VEHICLE}/{name}" for name in SYSTEMS[plugin.get("name")]}
    return topics


@pytest.mark.parametrize("item", BRIDGE, ids=lambda item: item["ros_topic_name"])
def test_bridge_can_convert_what_it_carries(item):
    assert (item["ros_type_name"], item["gz_type_name"]) in SUPPORTED
    keys = {"ros_topic_name", "gz_topic_name", "ros_type_name", "gz_type_name", "direction"}
    assert keys <= set(item) <= keys | {"lazy"}
    assert item["direction"] in {"GZ_TO_ROS", "ROS_TO_GZ"}


@pytest.mark.parametrize("add_vehicle", [add_rover, add_lander])
def test_bridge_carries_topics_that_the_vehicle_has(add_vehicle):
    assert {item["gz_topic_name"] for item in BRIDGE} <= gazebo_topics(add_vehicle)


def test_no_topic_is_carried_twice():
    for side in ("ros_topic_name", "gz_topic_name"):
        assert len({item[side] for item in BRIDGE}) == len(BRIDGE)


def test_node_hears_camera_depth_and_transforms():
    carried = {item["ros_topic_name"]: item["ros_type_name"] for item in SENT}
    heard = {spec.name: spec.type for spec in topics()}
    for name in ("image", "camera_info"):
        assert carried[f"/terrain/{name}"] == heard[name]
    depth = read_parameter_file(CONFIG / "gazebo.yaml")["depth.topic"]
    assert carried[f"/terrain/{depth}"] == "sensor_msgs/msg/Image"
    assert carried["/tf"] == "tf2_msgs/msg/TFMessage"
    assert "/clock" in carried


@pytest.mark.parametrize("name", ["gazebo.yaml", "curiosity.yaml"])
def test_parameters_on_top_are_accepted(name):
    values = read_parameter_file(CONFIG / name)
    loaded = load_parameters(CONFIG / name)
    assert values
    for key, value in values.items():
        assert loaded.values[key] == value
