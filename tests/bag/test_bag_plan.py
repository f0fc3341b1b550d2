"""What a replay reads and where its own messages go."""

from __future__ import annotations

import pytest

from support.bags import cloud, depth_image, distance, drive, image, info, text, write_bag
from terrain_seg_ros.bag.cameras import find_cameras
from terrain_seg_ros.bag.plan import ReplayOptions, find_inputs, find_outputs, find_replaced
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.parameters.parameters import load_parameters


def outputs_of(*cameras, **options):
    parameters = load_parameters(overrides={"cameras": list(cameras or ["front"])})
    return find_outputs(parameters, ReplayOptions(**options))


def test_inputs_are_the_cameras_and_the_transforms_alone(tmp_path):
    entries = [*drive(1), text(0)._replace(topic="/tf"), image(0, topic="/terrain/mask")]
    entries.append(info(0, topic="/other/camera_info"))
    with BagReader(write_bag(tmp_path / "bag", entries)) as reader:
        found = find_inputs(reader, find_cameras(reader, "front"), load_parameters())
    rows = {(item.connection.topic, item.connection.msgtype): item.spec.name for item in found}
    assert rows == {
        ("/navcam/image_raw", "sensor_msgs/msg/Image"): "image",
        ("/navcam/camera_info", "sensor_msgs/msg/CameraInfo"): "camera_info",
        ("/tf", "tf2_msgs/msg/TFMessage"): "/tf",
        ("/tf_static", "tf2_msgs/msg/TFMessage"): "/tf_static",
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("none", {}),
        ("image", {"/left/depth": ("left",), "/right/depth": ("right",)}),
        ("cloud", {"/left/depth": ("left",), "/scanner/depth": ("left", "right")}),
        ("range", {"/lidar/depth": ("",)}),
    ],
)
def test_what_measures_the_ground_is_read_where_it_is_asked_for(tmp_path, source, expected):
    entries = [image(0, topic=f"/{side}/image_raw") for side in ("left", "right")]
    entries += [depth_image(0, topic=f"/{side}/depth") for side in ("left", "right", "chase")]
    entries.append(distance(0, topic="/lidar/depth"))
    if source == "cloud":
        entries = [item for item in entries if not item.topic.endswith("/depth")]
        entries += [cloud(0, topic=f"/{name}/depth") for name in ("left", "scanner")]
    parameters = load_parameters(overrides={"depth.source": source})
    with BagReader(write_bag(tmp_path / "bag", entries)) as reader:
        cameras = find_cameras(
            reader, "front", image_topics=["/left/image_raw", "/right/image_raw"]
        )
        found = find_inputs(reader, cameras, parameters)
    depths = {
        item.connection.topic: item.cameras for item in found if item.spec.group is Group.GROUND
    }
    assert depths == expected


@pytest.mark.parametrize(
    ("namespace", "full_name"),
    [
        ("/terrain", "/terrain/mask"),
        ("terrain", "/terrain/mask"),
        ("/rover_1/terrain/", "/rover_1/terrain/mask"),
        ("/", "/mask"),
        ("", "/mask"),
    ],
)
def test_namespaces(namespace, full_name):
    outputs = outputs_of(namespace=namespace)
    assert outputs["mask"].full_name == full_name
    assert outputs["/diagnostics"].full_name == "/diagnostics"


@pytest.mark.parametrize("namespace", ["two words", "/1st", "a//b", "//", "~", "é", "a\n", "{x}"])
def test_what_is_no_namespace_is_refused(namespace):
    with pytest.raises(ConfigError, match="is not a ROS name"):
        outputs_of(namespace=namespace)


def test_each_camera_has_its_own_pictures():
    outputs = outputs_of("left", "right")
    assert outputs["left/mask"].full_name == "/terrain/left/mask"
    assert "mask" not in outputs
    assert outputs["hazard_grid"].full_name == "/terrain/hazard_grid"


def test_a_topic_that_is_skipped_is_left_out_for_every_camera():
    outputs = outputs_of("left", "right", skip=["overlay"])
    unwanted = {name for name, output in outputs.items() if not output.is_wanted}
    assert unwanted == {"left/overlay", "right/overlay"}


@pytest.mark.parametrize("name", ["mask", "hazard_grid", "none"])
def test_what_the_node_always_sends_cannot_be_left_out(name):
    with pytest.raises(
        ConfigError, match=f"'{name}' cannot be left out; expected one of color_mask"
    ):
        outputs_of(skip=[name])


def test_a_topic_of_ours_with_another_type_is_refused(tmp_path):
    entries = [*drive(1), text(0)._replace(topic="/terrain/mask")]
    with BagReader(write_bag(tmp_path / "bag", entries)) as reader:
        with pytest.raises(ConfigError, match="'/terrain/mask' of type std_msgs/msg/String"):
            find_replaced(reader, outputs_of())
        assert find_replaced(reader, outputs_of(namespace="ours")) == []
