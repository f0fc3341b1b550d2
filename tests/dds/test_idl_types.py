"""Names and quality of service on the wire."""

from __future__ import annotations

import pytest

from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.dds.cyclone import Policy
from terrain_seg_ros.dds.idl_types import endpoint_qos, sample_class
from terrain_seg_ros.dds.names import dds_topic_name, dds_type_name
from terrain_seg_ros.messages.topics import topic, topics


def test_names():
    assert dds_topic_name("mask", "/terrain") == "rt/terrain/mask"
    assert dds_topic_name("mask", "/") == "rt/mask"
    assert dds_topic_name("/tf", "/terrain") == "rt/tf"
    assert dds_type_name("sensor_msgs/msg/Image") == "sensor_msgs::msg::dds_::Image_"


@pytest.mark.parametrize("name", ["", "a//b", "a b", "/", "../x", "1b", "a-b", "ä", "a" * 250])
def test_wrong_topic_name_is_refused(name):
    with pytest.raises(ConfigError, match="is not a ROS name"):
        dds_topic_name(name, "/terrain")


def test_wrong_type_is_refused():
    with pytest.raises(ConfigError, match="package/msg/Name"):
        dds_type_name("Image")
    with pytest.raises(MessageError, match="unknown"):
        sample_class("sensor_msgs/msg/Nothing")


@pytest.mark.parametrize("spec", topics(), ids=lambda spec: spec.name)
@pytest.mark.parametrize("writer", [True, False])
def test_quality_of_service_is_that_of_the_table(spec, writer):
    qos = endpoint_qos(spec, writer=writer)
    assert (qos[Policy.Durability] == Policy.Durability.TransientLocal) == (
        spec.durability.value == "transient local"
    )
    assert (qos[Policy.Reliability] == Policy.Reliability.BestEffort) == (
        spec.reliability.value == "best effort"
    )
    assert qos[Policy.History].depth == spec.depth
    assert qos[Policy.DataRepresentation].use_cdrv0_representation
    assert qos[Policy.Userdata].data.startswith(b"typehash=RIHS01_")
    assert (Policy.WriterDataLifecycle in qos) == writer


def test_latched_writer_keeps_one_for_late_joiners():
    assert endpoint_qos(topic("label_info"), writer=True)[Policy.DurabilityService].history.depth
    assert Policy.DurabilityService not in endpoint_qos(topic("label_info"), writer=False)


def test_only_the_type_of_the_topic_has_the_name_that_ros_gives_it():
    kind = sample_class("sensor_msgs/msg/Image")
    assert kind.__idl__.idl_transformed_typename == "sensor_msgs::msg::dds_::Image_"
    header = kind.__annotations__["header"]
    assert header.__idl__.idl_transformed_typename == (
        "terrain_seg_ros::std_msgs::msg::dds_::Header_"
    )


def test_sample_is_an_envelope():
    kind = sample_class("sensor_msgs/msg/Image")
    assert kind is sample_class("sensor_msgs/msg/Image")
    assert kind(b"abc").serialize(use_version_2=False) == b"abc"
    assert kind.deserialize(b"xyz").payload == b"xyz"
