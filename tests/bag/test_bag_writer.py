"""Bags appear whole or not at all, and are never overwritten."""

from __future__ import annotations

import pytest
from rosbags.rosbag2 import Reader

from support.bags import START_NS, drive, image, read_bag, write_bag
from terrain_seg_ros.bag.writer import BagWriter, qos_of
from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.messages.topics import topic


def test_a_folder_has_what_ros2_bag_reads(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        connection = writer.add_connection("/terrain/mask", topic("mask"))
        writer.write_message(connection, START_NS, image(0).message)
    assert (tmp_path / "bag" / "metadata.yaml").is_file()
    with Reader(tmp_path / "bag") as reader:
        (found,) = reader.connections
        assert (found.topic, found.msgtype, found.msgcount) == (
            "/terrain/mask",
            "sensor_msgs/msg/Image",
            1,
        )
        assert found.ext.serialization_format == "cdr"
        assert found.ext.offered_qos_profiles == [qos_of(topic("mask"))]
        assert found.digest.startswith("RIHS01_")


def test_the_same_connection_is_made_once(tmp_path):
    with Reader(write_bag(tmp_path / "in", drive(2))) as reader, BagWriter(tmp_path / "o") as made:
        first = [made.copy_connection(item) for item in reader.connections]
        assert [made.copy_connection(item) for item in reader.connections] == first
        mask = made.add_connection("/terrain/mask", topic("mask"))
        assert made.add_connection("/terrain/mask", topic("mask")) == mask


@pytest.mark.parametrize("name", ["bag", "bag.mcap"])
def test_nothing_is_left_after_an_error(tmp_path, name):
    with pytest.raises(MessageError, match="log time -1"), BagWriter(tmp_path / name) as writer:
        writer.write(writer.add_connection("/terrain/mask", topic("mask")), -1, b"")
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_overwritten(tmp_path):
    (tmp_path / "bag").mkdir()
    with pytest.raises(ConfigError, match="exists already"):
        BagWriter(tmp_path / "bag")
    with (
        pytest.raises(ConfigError, match="meantime"),
        BagWriter(tmp_path / "late") as writer,
    ):
        writer.write_message(
            writer.add_connection("/terrain/mask", topic("mask")), 0, image(0).message
        )
        (tmp_path / "late").mkdir()
    assert list((tmp_path / "late").iterdir()) == []


@pytest.mark.parametrize("name", ["bag.db3", "bag.bag"])
def test_other_formats_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match="written as MCAP"):
        BagWriter(tmp_path / name)


def test_an_empty_bag_can_be_read(tmp_path):
    with BagWriter(tmp_path / "bag"):
        pass
    assert read_bag(tmp_path / "bag") == {}


def test_a_bag_that_cannot_be_begun_leaves_nothing(tmp_path):
    with pytest.raises(OSError, match="name too long"), BagWriter(tmp_path / ("n" * 253)):
        pass
    assert list(tmp_path.iterdir()) == []
