"""Bags are in a form that `ros2 bag` and Foxglove open, and most forms of theirs can be read."""

from __future__ import annotations

import sqlite3

import pytest
import yaml
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer

from support.bags import START_NS, TEXT, drive, image, serialize, stamp, text, type_store, write_bag
from support.mcap_records import read_summary
from terrain_seg_ros.bag.plan import ReplayOptions
from terrain_seg_ros.bag.replay import replay
from terrain_seg_ros.parameters.parameters import load_parameters

ODD = "odd_msgs/msg/Odd"
ODD_TEXT = "int32 number\nlost_msgs/msg/Never never\n"
PARAMETERS = load_parameters(
    overrides={"model": "synthetic", "backend": "constant", "grid.size_m": 4.0}
)
RELIABLE, VOLATILE, TRANSIENT_LOCAL = 1, 2, 1
CONTRACT = {
    "mask": ("sensor_msgs/msg/Image", VOLATILE),
    "confidence": ("sensor_msgs/msg/Image", VOLATILE),
    "label_info": ("vision_msgs/msg/LabelInfo", TRANSIENT_LOCAL),
    "color_mask": ("sensor_msgs/msg/Image", VOLATILE),
    "overlay": ("sensor_msgs/msg/Image", VOLATILE),
    "points": ("sensor_msgs/msg/PointCloud2", VOLATILE),
    "hazard_points": ("sensor_msgs/msg/PointCloud2", VOLATILE),
    "hazard_grid": ("nav_msgs/msg/OccupancyGrid", TRANSIENT_LOCAL),
    "hazard_reason": ("nav_msgs/msg/OccupancyGrid", TRANSIENT_LOCAL),
    "grid_map": ("grid_map_msgs/msg/GridMap", VOLATILE),
    "safe_map": ("nav_msgs/msg/OccupancyGrid", TRANSIENT_LOCAL),
}
"""Types and durability after the contract, in the numbers of rmw; all are reliable, depth 1."""


def odd_rows(count=3):
    return [("/odd", ODD, stamp(index), b"\x00\x01\x00\x00" + bytes(9)) for index in range(count)]


def rows_of(path, topic):
    with Reader(path) as reader:
        rows = [(c.topic, c.msgtype, ns, bytes(data)) for c, ns, data in reader.messages()]
    return [row[1:] for row in rows if row[0] == topic]


def test_topics_have_the_types_and_profiles_of_the_contract(tmp_path):
    replay(write_bag(tmp_path / "in", drive(2)), tmp_path / "out", PARAMETERS)
    summary = read_summary(tmp_path / "out" / "out.mcap")
    assert summary.profile == "ros2"
    found = {topic: (kind, encoding, more) for topic, encoding, kind, more in summary.channels}
    for name, (kind, durability) in CONTRACT.items():
        found_kind, encoding, more = found[f"/terrain/{name}"]
        assert (found_kind, encoding) == (kind, "cdr")
        (profile,) = yaml.safe_load(more["offered_qos_profiles"])
        assert (profile["reliability"], profile["durability"]) == (RELIABLE, durability)
        assert (profile["history"], profile["depth"]) == (1, 1)
    assert found["/diagnostics"][0] == "diagnostic_msgs/msg/DiagnosticArray"


WHOLE_TEXT = "int32 number\n"


@pytest.mark.parametrize(("given", "copied"), [(WHOLE_TEXT, WHOLE_TEXT), (ODD_TEXT, "")])
def test_every_type_is_described_in_the_file(tmp_path, given, copied):
    """A definition that lacks one of its types would keep readers from opening the whole bag."""
    source = write_bag(tmp_path / "in", drive(2), raw=odd_rows(), definitions={ODD: given})
    report = replay(source, tmp_path / "out.mcap", PARAMETERS)
    summary = read_summary(tmp_path / "out.mcap")
    texts = {name: text for name, encoding, text in summary.schemas.values()}
    assert {encoding for _, encoding, _ in summary.schemas.values()} == {"ros2msg"}
    assert set(texts) == {kind for _, _, kind, _ in summary.channels}
    assert "MSG: std_msgs/Header" in texts["nav_msgs/msg/OccupancyGrid"]
    assert "vision_msgs/VisionClass[] class_map" in texts["vision_msgs/msg/LabelInfo"]
    assert "grid_map_msgs/GridMapInfo info" in texts["grid_map_msgs/msg/GridMap"]
    assert texts[ODD] == copied
    assert summary.message_count == report.messages_copied + report.messages_added


def test_a_folder_says_in_metadata_what_it_holds(tmp_path):
    report = replay(write_bag(tmp_path / "in", drive(2)), tmp_path / "out", PARAMETERS)
    about = yaml.safe_load((tmp_path / "out" / "metadata.yaml").read_text())
    about = about["rosbag2_bagfile_information"]
    assert about["version"] <= 8
    assert about["storage_identifier"] == "mcap"
    assert about["relative_file_paths"] == ["out.mcap"]
    assert about["message_count"] == report.messages_copied + report.messages_added
    assert about["starting_time"]["nanoseconds_since_epoch"] == START_NS
    for row in about["topics_with_message_count"]:
        assert isinstance(row["topic_metadata"]["offered_qos_profiles"], str)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_unknown_types_are_copied_untouched(tmp_path, storage):
    raw = odd_rows()
    source = write_bag(
        tmp_path / "in", drive(2), storage=storage, raw=raw, definitions={ODD: ODD_TEXT}
    )
    replay(source, tmp_path / "out", PARAMETERS)
    assert rows_of(tmp_path / "out", "/odd") == [row[1:] for row in raw]


def test_a_bag_without_definitions_gets_those_that_are_known(tmp_path):
    source = write_bag(
        tmp_path / "in",
        drive(2),
        storage=StoragePlugin.SQLITE3,
        raw=odd_rows(),
        definitions={ODD: ODD_TEXT},
    )
    with sqlite3.connect(source / "in.db3") as base:
        base.execute("DELETE FROM message_definitions")
    base.close()
    replay(source, tmp_path / "out.mcap", PARAMETERS)
    texts = {n: text for n, _, text in read_summary(tmp_path / "out.mcap").schemas.values()}
    assert "string data" in texts[TEXT]
    assert texts[ODD] == ""


def test_profiles_are_copied(tmp_path):
    source = write_bag(tmp_path / "latched", drive(2))
    replay(source, tmp_path / "copy.mcap", PARAMETERS)
    found = {topic: more for topic, _, _, more in read_summary(tmp_path / "copy.mcap").channels}
    (profile,) = yaml.safe_load(found["/tf_static"]["offered_qos_profiles"])
    assert profile["durability"] == TRANSIENT_LOCAL


@pytest.mark.parametrize("mode", ["FILE", "MESSAGE", "STORAGE"])
@pytest.mark.parametrize("version", [8, 9])
def test_compressed_bags_are_read(tmp_path, mode, version):
    writer = Writer(tmp_path / "in", version=version, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode[mode], CompressionFormat.ZSTD)
    connections = {}
    with writer:
        for entry in drive(2):
            if entry.topic not in connections:
                connections[entry.topic] = writer.add_connection(
                    entry.topic, entry.type, typestore=type_store()
                )
            data = bytes(serialize(entry.message, entry.type))
            writer.write(connections[entry.topic], entry.log_ns, data)
    report = replay(tmp_path / "in", tmp_path / "out", PARAMETERS)
    assert report.health.grids_out == 2


def test_a_bag_in_several_files_is_read_in_their_order(tmp_path):
    entries = drive(6)
    source = write_bag(tmp_path / "in", entries[:10])
    other = write_bag(tmp_path / "rest", entries[10:])
    (other / "rest.mcap").rename(source / "rest.mcap")
    about = yaml.safe_load((source / "metadata.yaml").read_text())
    inner = about["rosbag2_bagfile_information"]
    inner["relative_file_paths"] = ["in.mcap", "rest.mcap"]
    inner["message_count"] = len(entries)
    (source / "metadata.yaml").write_text(yaml.safe_dump(about))
    report = replay(source, tmp_path / "out", PARAMETERS)
    assert report.messages_copied == len(entries)
    assert report.health.grids_out == 6


def test_a_missing_file_of_a_bag_is_named(tmp_path):
    source = write_bag(tmp_path / "in", drive(2))
    (source / "in.mcap").unlink()
    with pytest.raises(Exception, match=r"cannot be opened: .*in\.mcap"):
        replay(source, tmp_path / "out", PARAMETERS)


def test_topics_of_an_earlier_run_are_replaced(tmp_path):
    source = write_bag(tmp_path / "in", drive(3))
    first = replay(source, tmp_path / "once", PARAMETERS)
    second = replay(tmp_path / "once", tmp_path / "twice", PARAMETERS)
    assert first.replaced_topics == []
    assert second.replaced_topics == sorted(f"/terrain/{name}" for name in CONTRACT)
    for name in CONTRACT:
        assert len(rows_of(tmp_path / "twice", f"/terrain/{name}")) == len(
            rows_of(tmp_path / "once", f"/terrain/{name}")
        )


def test_what_is_left_out_now_is_not_kept_from_an_earlier_run(tmp_path):
    replay(write_bag(tmp_path / "in", drive(2)), tmp_path / "once", PARAMETERS)
    options = ReplayOptions(skip=["overlay"])
    report = replay(tmp_path / "once", tmp_path / "twice", PARAMETERS, options=options)
    assert "/terrain/overlay" in report.replaced_topics
    assert rows_of(tmp_path / "twice", "/terrain/overlay") == []
    assert len(rows_of(tmp_path / "twice", "/terrain/mask")) == 2


def test_a_topic_called_like_one_that_is_left_out_is_kept(tmp_path):
    entries = [*drive(2), text(1)._replace(topic="/terrain/overlay"), image(0)]
    options = ReplayOptions(skip=["overlay"])
    replay(write_bag(tmp_path / "in", entries), tmp_path / "out", PARAMETERS, options=options)
    assert [row[0] for row in rows_of(tmp_path / "out", "/terrain/overlay")] == [TEXT]


def test_landing_sites_are_in_the_bag_where_they_are_switched_on(tmp_path):
    lander = PARAMETERS.with_values(
        {"landing.enable": True, "footprint.radius_m": 0.1, "footprint.position_sigma_m": 0.0}
    )
    replay(write_bag(tmp_path / "in", drive(2)), tmp_path / "out", lander)
    summary = read_summary(tmp_path / "out" / "out.mcap")
    kinds = {topic: kind for topic, _, kind, _ in summary.channels}
    assert kinds["/terrain/landing_sites"] == "vision_msgs/msg/Detection3DArray"
    assert kinds["/terrain/landing_sites_markers"] == "visualization_msgs/msg/MarkerArray"
    assert kinds["/terrain/best_landing_site"] == "geometry_msgs/msg/PoseStamped"
    texts = {name: text for name, _, text in summary.schemas.values()}
    assert "vision_msgs/BoundingBox3D bbox" in texts["vision_msgs/msg/Detection3DArray"]
    replay(
        tmp_path / "in",
        tmp_path / "few",
        lander,
        options=ReplayOptions(skip=["landing_sites_markers"]),
    )
    kinds = {topic for topic, *_ in read_summary(tmp_path / "few" / "few.mcap").channels}
    assert "/terrain/landing_sites" in kinds
    assert "/terrain/landing_sites_markers" not in kinds
