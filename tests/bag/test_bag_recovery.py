"""Bags as killed recorders, editors and other tools leave them: all is read, or it is said."""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sqlite3

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin

from support.bags import (
    IMAGE,
    PERIOD_NS,
    START_NS,
    TF,
    drive,
    image,
    serialize,
    stamp,
    text,
    write_bag,
)
from support.mcap_writer import Channel, chunk, record, write_mcap
from terrain_seg_ros.bag import bounded_unpack, mcap_records
from terrain_seg_ros.bag.plan import ReplayOptions, skippable_topics
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.bag.replay import replay
from terrain_seg_ros.core.errors import ConfigError, TerrainSegError
from terrain_seg_ros.messages.cdr import type_store
from terrain_seg_ros.parameters.parameters import load_parameters

PARAMETERS = load_parameters(
    overrides={"model": "synthetic", "backend": "constant", "grid.size_m": 4.0}
)


def replayed(source, target):
    return replay(source, target, PARAMETERS, options=ReplayOptions(skip=skippable_topics()))


def contents(path):
    with BagReader(path) as reader:
        return [(m.connection.topic, m.log_ns, m.data) for m in reader.messages()], reader.notes


def rows_of(entries):
    """Return channels and messages for an MCAP of entries."""
    topics = list(dict.fromkeys((entry.topic, entry.type) for entry in entries))
    channels = [
        Channel(topic, schema=kind, text=type_store().generate_msgdef(kind, ros_version=2)[0])
        for topic, kind in topics
    ]
    messages = [
        (topics.index((e.topic, e.type)), e.log_ns, bytes(serialize(e.message, e.type)))
        for e in entries
    ]
    return channels, messages


def killed(path, entries, *, written=7):
    """Leave a bag as a killed recorder does: the rest of the messages is in its log."""
    whole = write_bag(path, entries, storage=StoragePlugin.SQLITE3)
    file = whole / f"{path.name}.db3"
    base = sqlite3.connect(file)
    base.execute("PRAGMA journal_mode=WAL")
    rows = base.execute("SELECT topic_id, timestamp, data FROM messages ORDER BY timestamp")
    rows = rows.fetchall()
    base.execute("DELETE FROM messages")
    insert = "INSERT INTO messages (topic_id, timestamp, data) VALUES (?, ?, ?)"
    base.executemany(insert, rows[:written])
    base.commit()
    base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    base.execute("PRAGMA wal_autocheckpoint=0")
    base.executemany(insert, rows[written:])
    base.commit()
    for name in (file.name, f"{file.name}-wal"):
        shutil.copyfile(whole / name, path.parent / name)
    base.close()
    shutil.rmtree(whole)
    whole.mkdir()
    for name in (file.name, f"{file.name}-wal"):
        (path.parent / name).rename(whole / name)
    return whole


@pytest.mark.parametrize("as_folder", [True, False])
def test_what_a_killed_recorder_left_in_its_log_is_read(tmp_path, as_folder):
    entries = drive(4)
    folder = killed(tmp_path / "bag", entries)
    before = {item.name: item.read_bytes() for item in folder.iterdir()}
    found, notes = contents(folder if as_folder else folder / "bag.db3")
    assert len(found) == len(entries)
    assert any(f"{len(entries)} messages instead of 7" in note for note in notes)
    assert {item.name: item.read_bytes() for item in folder.iterdir()} == before
    report = replayed(folder, tmp_path / "out")
    assert report.health.grids_out == 4
    assert any("bag.db3-wal was read too" in note for note in report.notes)


def test_a_log_in_a_folder_that_cannot_be_written_is_read(tmp_path):
    folder = killed(tmp_path / "bag", drive(4))
    folder.chmod(0o555)
    try:
        assert len(contents(folder)[0]) == len(drive(4))
    finally:
        folder.chmod(0o755)


def test_a_log_that_does_not_fit_the_disk_is_one_line(tmp_path, monkeypatch):
    folder = killed(tmp_path / "bag", drive(2))
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ConfigError, match="set TMPDIR, or run"), BagReader(folder):
        pass


def test_a_damaged_log_does_no_harm_or_is_one_line(tmp_path):
    folder = killed(tmp_path / "bag", drive(4))
    log = folder / "bag.db3-wal"
    data = log.read_bytes()
    for spoiled in (b"x" * len(data), data[: len(data) // 2], data[:40]):
        log.write_bytes(spoiled)
        try:
            found, _ = contents(folder)
        except TerrainSegError as error:
            assert "\n" not in str(error)
        else:
            assert len(found) >= 7


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_a_bag_without_metadata_is_read_and_told(tmp_path, storage):
    folder = write_bag(tmp_path / "bag", drive(3), storage=storage)
    (folder / "metadata.yaml").unlink()
    found, notes = contents(folder)
    assert len(found) == len(drive(3))
    assert "there is no metadata.yaml" in notes[0]


def test_files_of_a_split_bag_without_metadata_are_read_in_order(tmp_path):
    folder = tmp_path / "bag"
    folder.mkdir()
    for part in range(11):
        entries = [text(index) for index in range(2 * part, 2 * part + 2)]
        made = write_bag(tmp_path / f"bag_{part}", entries)
        (made / f"bag_{part}.mcap").rename(folder / f"bag_{part}.mcap")
    found, _ = contents(folder)
    assert [row[1] for row in found] == [stamp(index) for index in range(22)]


def test_a_missing_file_of_a_split_bag_is_told_and_the_others_are_read(tmp_path):
    folder = write_bag(tmp_path / "bag", drive(3))
    path = folder / "metadata.yaml"
    about = yaml.safe_load(path.read_text())
    about["rosbag2_bagfile_information"]["relative_file_paths"].append("bag_1.mcap")
    path.write_text(yaml.safe_dump(about))
    report = replayed(folder, tmp_path / "out")
    assert report.health.grids_out == 3
    assert "1 of 2 files" in report.notes[0]
    assert "bag_1.mcap" in report.notes[0]


def test_metadata_that_counts_other_messages_is_told(tmp_path):
    folder = write_bag(tmp_path / "bag", drive(3))
    path = folder / "metadata.yaml"
    about = yaml.safe_load(path.read_text())
    about["rosbag2_bagfile_information"]["message_count"] = 99
    path.write_text(yaml.safe_dump(about))
    assert "lists 99 messages" in contents(folder)[1][0]


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize("told", ["volatile", "nonsense", None])
def test_a_quality_of_service_that_was_edited_costs_no_message(tmp_path, storage, told):
    folder = write_bag(tmp_path / "bag", drive(3), storage=storage)
    path = folder / "metadata.yaml"
    about = yaml.safe_load(path.read_text())
    for row in about["rosbag2_bagfile_information"]["topics_with_message_count"]:
        profiles = row["topic_metadata"]["offered_qos_profiles"]
        for profile in profiles if told else []:
            profile["durability"] = told
        if told is None and row["topic_metadata"]["name"] == "/tf_static":
            row["topic_metadata"]["offered_qos_profiles"] = [{"depth": 1}]
    path.write_text(yaml.safe_dump(about))
    report = replayed(folder, tmp_path / "out")
    assert (report.health.grids_out, report.messages_copied) == (3, len(drive(3)))
    assert any("quality of service" in note and "/tf_static" in note for note in report.notes)


def test_a_compressed_file_alone_is_read(tmp_path):
    folder = write_bag(tmp_path / "bag", drive(3), storage=StoragePlugin.SQLITE3)
    library = importlib.import_module(
        "compression.zstd" if importlib.util.find_spec("compression") else "backports.zstd"
    )
    packed = tmp_path / "bag.db3.zstd"
    packed.write_bytes(library.compress((folder / "bag.db3").read_bytes()))
    assert len(contents(packed)[0]) == len(drive(3))
    packed.write_bytes(packed.read_bytes()[:-50])
    with pytest.raises(ConfigError, match="cannot be opened"), BagReader(packed):
        pass


@pytest.mark.parametrize("per_chunk", [0, 5])
def test_an_mcap_without_an_index_is_read(tmp_path, per_chunk):
    entries = drive(8)
    path = write_mcap(tmp_path / "a.mcap", *rows_of(entries), per_chunk=per_chunk)
    found, notes = contents(path)
    assert [row[1] for row in found] == [entry.log_ns for entry in entries]
    assert notes == []
    assert replayed(path, tmp_path / "out").health.grids_out == 8


@pytest.mark.parametrize("per_chunk", [0, 1, 5])
def test_of_a_cut_off_mcap_all_complete_messages_are_read(tmp_path, per_chunk):
    path = write_mcap(tmp_path / "whole.mcap", *rows_of(drive(20)), per_chunk=per_chunk)
    data = path.read_bytes()
    whole, _ = contents(path)
    cut, counts = tmp_path / "cut.mcap", []
    for keep in (0.35, 0.6, 0.85, 0.98):
        cut.write_bytes(data[: int(len(data) * keep)])
        found, notes = contents(cut)
        assert found == whole[: len(found)]
        assert any("cut off" in note or "no end" in note for note in notes)
        counts.append(len(found))
    assert counts == sorted(counts)
    assert 0 < counts[0] < counts[-1] <= len(whole)


def test_messages_that_were_recorded_out_of_order_are_sorted(tmp_path):
    entries = drive(6)
    mixed = [entries[index] for index in np.random.default_rng(0).permutation(len(entries))]
    for per_chunk in (0, 4):
        path = write_mcap(tmp_path / f"{per_chunk}.mcap", *rows_of(mixed), per_chunk=per_chunk)
        times = [row[1] for row in contents(path)[0]]
        assert times == sorted(times)
        assert len(times) == len(entries)


FOREIGN = [
    (Channel("/log", "json", "Log", "jsonschema", "{}"), "encoded as 'json'"),
    (Channel("/proto", "protobuf", "Pose", "protobuf", "x"), "encoded as 'protobuf'"),
    (Channel("/raw", "x"), "encoded as 'x'"),
    (Channel("/bare", "cdr"), "of no message type"),
    (Channel("/odd", "cdr", "a/msg/B", "flatbuffer", "x"), "defined by 'flatbuffer'"),
    (Channel("/old", "ros1", "std_msgs/String", "ros1msg", "string data"), "encoded as 'ros1'"),
]


@pytest.mark.parametrize("per_chunk", [0, 3])
@pytest.mark.parametrize("profile", ["ros2", ""])
def test_channels_that_are_not_ros2s_are_left_out_and_named(tmp_path, per_chunk, profile):
    channels, messages = rows_of(drive(3))
    first = len(channels)
    channels += [channel for channel, _ in FOREIGN]
    messages += [(first + at, START_NS + at, b'{"a": 1}') for at in range(len(FOREIGN))]
    path = write_mcap(
        tmp_path / "in.mcap", channels, messages, per_chunk=per_chunk, profile=profile
    )
    report = replayed(path, tmp_path / "out")
    assert report.health.grids_out == 3
    for channel, why in FOREIGN:
        assert why in report.left_out[channel.topic]
    assert {row[0] for row in contents(tmp_path / "out")[0]}.isdisjoint(c.topic for c, _ in FOREIGN)
    with AnyReader([tmp_path / "out"]) as reader:
        assert sum(1 for _ in reader.messages()) == reader.message_count


def test_a_foreign_topic_in_sqlite_is_left_out_and_named(tmp_path):
    folder = write_bag(tmp_path / "bag", drive(3), storage=StoragePlugin.SQLITE3)
    with sqlite3.connect(folder / "bag.db3") as base:
        base.execute("UPDATE topics SET serialization_format='json' WHERE name='/notes'")
    base.close()
    report = replayed(folder, tmp_path / "out")
    assert (report.health.grids_out, list(report.left_out)) == (3, ["/notes"])


def test_a_chunk_that_declares_too_much_is_refused_before_it_is_opened(tmp_path):
    head, messages = rows_of([image(0)])
    path = write_mcap(tmp_path / "bomb.mcap", head, messages, per_chunk=1)
    data = path.read_bytes()
    bomb = chunk(b"\x28\xb5\x2f\xfd" + bytes(40), [START_NS], size=1 << 40, form="zstd")
    end = record(0x0F, bytes(4)) + record(0x02, bytes(20)) + b"\x89MCAP0\r\n"
    path.write_bytes(data[: -len(end)] + bomb + end)
    with pytest.raises(ConfigError, match="declares 1099511627776 bytes"), BagReader(path):
        pass
    limit = bounded_unpack.MAX_CHUNK_BYTES
    with pytest.raises(Exception, match=f"the limit is {limit}"):
        mcap_records.open_chunk(bomb[9:])


def test_topics_of_one_name_in_two_channels_are_one(tmp_path):
    channels, messages = rows_of(drive(4))
    number = next(at for at, item in enumerate(channels) if item.topic == "/tf")
    channels.append(channels[number])
    again = [(len(channels) - 1, *row[1:]) if row[0] == number else row for row in messages[::2]]
    rows = sorted([*again, *messages[1::2]], key=lambda row: row[1])
    path = write_mcap(tmp_path / "in.mcap", channels, rows, per_chunk=4)
    with BagReader(path) as reader:
        (tf,) = [item for item in reader.connections if item.topic == "/tf"]
        assert (tf.msgcount, tf.msgtype) == (4, TF)
        assert len(list(reader.messages([tf]))) == 4
    assert replayed(path, tmp_path / "out").health.grids_out == 4


def test_nothing_is_left_in_the_scratch_folder(tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setattr("tempfile.tempdir", None)
    contents(killed(tmp_path / "bag", drive(2)))
    assert list(scratch.iterdir()) == []


def test_the_last_of_two_seconds_is_the_end(tmp_path):
    with BagReader(write_bag(tmp_path / "bag", drive(3))) as reader:
        assert reader.end_ns - reader.start_ns == 2 * PERIOD_NS
        assert {item.msgtype for item in reader.connections} >= {IMAGE, TF}


IDL = "module odd { module msg { struct Thing { long a; string b; }; }; };"
LINE = "=" * 80 + "\n"
DEFINITIONS = [
    Channel("/idl", "cdr", "odd/msg/Thing", "ros2idl", IDL),
    Channel("/idls", "cdr", "odd/msg/Thing", "ros2idl", f"{LINE}IDL: odd/msg/Thing\n{IDL}"),
    Channel("/omg", "cdr", "odd/msg/Thing", "omgidl", IDL),
    Channel("/empty", "cdr", "odd/msg/Empty", "ros2msg", ""),
    Channel("/unnamed", "cdr", "odd/msg/Unnamed", "", ""),
    Channel("/broken", "cdr", "odd/msg/Broken", "ros2msg", "this is ? no definition"),
    Channel("/broken_idl", "cdr", "odd/msg/Broken", "ros2idl", "module {"),
    Channel("/lacking", "cdr", "odd/msg/Lacking", "ros2msg", "odd/msg/NotThere field"),
]


@pytest.mark.parametrize("channel", DEFINITIONS, ids=lambda channel: channel.topic)
def test_whatever_the_definition_the_copy_can_be_opened(tmp_path, channel):
    channels, messages = rows_of(drive(2))
    messages.append((len(channels), START_NS + 5, b"\x00\x01\x00\x00" + bytes(12)))
    path = write_mcap(tmp_path / "in.mcap", [*channels, channel], messages, per_chunk=4)
    report = replayed(path, tmp_path / "out")
    assert report.health.grids_out == 2
    found, _ = contents(tmp_path / "out")
    assert channel.topic in {row[0] for row in found}
    for made in (tmp_path / "out", tmp_path / "out" / "out.mcap"):
        with AnyReader([made]) as reader:
            assert sum(1 for _ in reader.messages()) == len(found)


def test_an_empty_last_file_of_a_split_bag_is_told_and_the_others_are_read(tmp_path):
    for storage, suffix in ((StoragePlugin.MCAP, ".mcap"), (StoragePlugin.SQLITE3, ".db3")):
        folder = write_bag(tmp_path / suffix, drive(3), storage=storage)
        (folder / f"{suffix}_1{suffix}").touch()
        (folder / "metadata.yaml").unlink()
        found, notes = contents(folder)
        assert len(found) == len(drive(3))
        assert any(f"{suffix}_1{suffix} cannot be opened" in note for note in notes)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE topics SET offered_qos_profiles='- {depth: 1}'",
        "UPDATE topics SET offered_qos_profiles='[[['",
        "UPDATE topics SET offered_qos_profiles='just words'",
        "UPDATE message_definitions SET encoding='unknown', encoded_message_definition=''",
        "UPDATE message_definitions SET encoding='jsonschema'",
    ],
)
def test_what_was_edited_in_a_sqlite_file_costs_no_message(tmp_path, statement):
    folder = write_bag(tmp_path / "bag", drive(3), storage=StoragePlugin.SQLITE3)
    with sqlite3.connect(folder / "bag.db3") as base:
        base.execute(statement)
    base.close()
    before = (folder / "bag.db3").read_bytes()
    report = replayed(folder, tmp_path / "out")
    assert (report.health.grids_out, report.messages_copied) == (3, len(drive(3)))
    assert any("read without" in note for note in report.notes)
    assert (folder / "bag.db3").read_bytes() == before


def test_types_without_a_definition_and_with_short_names_are_read(tmp_path):
    channels, messages = rows_of(drive(3))
    bare = [item._replace(schema_encoding="unknown", text="") for item in channels]
    short = [item._replace(schema=item.schema.replace("/msg/", "/")) for item in channels]
    for name, some in (("bare", bare), ("short", short)):
        path = write_mcap(tmp_path / f"{name}.mcap", some, messages, per_chunk=4)
        report = replayed(path, tmp_path / name)
        assert (report.health.grids_out, report.left_out) == (3, {})
        with AnyReader([tmp_path / name]) as reader:
            assert sum(1 for _ in reader.messages()) == reader.message_count


def test_metadata_that_is_nested_too_deeply_is_one_line(tmp_path):
    folder = write_bag(tmp_path / "bag", drive(2))
    (folder / "metadata.yaml").write_text("rosbag2_bagfile_information: " + "[" * 5000)
    with pytest.raises(ConfigError, match="nested more than 50 deep"), BagReader(folder):
        pass
