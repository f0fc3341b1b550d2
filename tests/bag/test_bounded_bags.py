"""Bags that unpack to far more than they hold, and files that are no files."""

from __future__ import annotations

import os
import sqlite3
import struct
from contextlib import closing

import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer

from support.bags import TEXT, drive, stamp, text, write_bag
from terrain_seg_ros.bag import bounded_unpack, mcap_index
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.core.errors import ConfigError, MessageError, TerrainSegError
from terrain_seg_ros.messages.cdr import serialize, type_store

COUNT = 3
LENGTH = 3_000_000


def compressed_bag(path, mode, storage, *, length=LENGTH):
    """Write a bag of texts of zeros, which shrink a thousandfold."""
    writer = Writer(path, version=9, storage_plugin=storage)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection("/zeros", TEXT, typestore=type_store())
        for index in range(COUNT):
            writer.write(
                connection, stamp(index), serialize(text(index, "0" * length).message, TEXT)
            )
    return path


def read_all(path):
    with BagReader(path) as reader:
        return [len(item.data) for item in reader.messages()]


KINDS = [
    (CompressionMode.STORAGE, StoragePlugin.MCAP),
    (CompressionMode.MESSAGE, StoragePlugin.SQLITE3),
    (CompressionMode.FILE, StoragePlugin.SQLITE3),
]


@pytest.mark.parametrize(("mode", "storage"), KINDS)
def test_compressed_bags_within_the_limits_are_read(tmp_path, mode, storage):
    bag = compressed_bag(tmp_path / "bag", mode, storage)
    assert sum(item.stat().st_size for item in bag.iterdir()) < LENGTH / 50
    assert [size > LENGTH for size in read_all(bag)] == [True] * COUNT


@pytest.mark.requirement("TSR-ROB-006")
@pytest.mark.parametrize(("mode", "storage"), [KINDS[0], KINDS[2]])
def test_compressed_bags_beyond_the_limits_are_refused(tmp_path, monkeypatch, mode, storage):
    bag = compressed_bag(tmp_path / "bag", mode, storage)
    monkeypatch.setattr(bounded_unpack, "MAX_CHUNK_BYTES", LENGTH // 2)
    monkeypatch.setattr(bounded_unpack, "FREE_OF_RATIO_BYTES", LENGTH // 2)
    monkeypatch.setattr(bounded_unpack, "MAX_FILE_RATIO", 2)
    with pytest.raises(TerrainSegError, match=r"bag '.*(the limit is|more than)") as refused:
        read_all(bag)
    assert "\n" not in str(refused.value)


def test_compressed_messages_beyond_the_limit_are_defects(tmp_path, monkeypatch):
    bag = compressed_bag(tmp_path / "bag", CompressionMode.MESSAGE, StoragePlugin.SQLITE3)
    monkeypatch.setattr(bounded_unpack, "MAX_CHUNK_BYTES", LENGTH // 2)
    with BagReader(bag) as reader:
        found = list(reader.messages())
    assert [item.data for item in found] == [b""] * COUNT
    assert all(f"more than the {LENGTH // 2} bytes" in item.defect for item in found)


@pytest.mark.parametrize("declared", [0, 1000])
def test_a_chunk_that_holds_more_than_it_declares_is_refused(tmp_path, declared):
    bag = compressed_bag(tmp_path / "bag", CompressionMode.STORAGE, StoragePlugin.MCAP)
    file = next(bag.glob("*.mcap"))
    with Reader(bag) as reader:
        sizes = {chunk.uncompressed_size for chunk in reader.storage.storages[0].chunks}
    data = file.read_bytes()
    for size in sizes:
        data = data.replace(struct.pack("<Q", size), struct.pack("<Q", declared))
    file.write_bytes(data)
    with pytest.raises(MessageError, match=f"more than the {declared} bytes"):
        read_all(bag)


def test_a_declared_size_takes_no_memory(tmp_path):
    bag = compressed_bag(tmp_path / "bag", CompressionMode.STORAGE, StoragePlugin.MCAP)
    file = next(bag.glob("*.mcap"))
    with Reader(bag) as reader:
        sizes = {chunk.uncompressed_size for chunk in reader.storage.storages[0].chunks}
    data = file.read_bytes()
    for size in sizes:
        data = data.replace(struct.pack("<Q", size), struct.pack("<Q", 2**50))
    file.write_bytes(data)
    with pytest.raises(ConfigError, match=f"declares {2**50} bytes"):
        read_all(bag)


def test_chunks_that_overlap_in_time_count_together(tmp_path, monkeypatch):
    bag = write_bag(tmp_path / "bag", drive(30))
    read_all(bag)
    monkeypatch.setattr(mcap_index, "MAX_OPEN_BYTES", 1000)
    with pytest.raises(ConfigError, match="overlap in time unpack to more than 1000 bytes"):
        read_all(bag)


def test_a_row_that_computes_its_own_size_is_refused(tmp_path, monkeypatch):
    bag = write_bag(tmp_path / "bag", [text(0)], storage=StoragePlugin.SQLITE3)
    with closing(sqlite3.connect(next(bag.glob("*.db3")))) as database:
        database.execute("ALTER TABLE messages RENAME TO stored")
        database.execute(
            "CREATE TABLE messages(id INTEGER, topic_id INTEGER, timestamp INTEGER, "
            "data BLOB GENERATED ALWAYS AS (zeroblob(100000000)))"
        )
        database.execute("INSERT INTO messages SELECT id, topic_id, timestamp FROM stored")
        database.commit()
    assert read_all(bag) == [100_000_000]
    monkeypatch.setattr(bounded_unpack, "MAX_CHUNK_BYTES", 10_000_000)
    with pytest.raises(MessageError, match="too big"):
        read_all(bag)


def test_a_pipe_or_device_is_no_bag(tmp_path):
    for name in ("pipe.mcap", "pipe.db3", "pipe"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(ConfigError, match="is a named pipe, expected a regular file"):
            BagReader(tmp_path / name)
    (tmp_path / "null.mcap").symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="is a character device"):
        BagReader(tmp_path / "null.mcap")


@pytest.mark.parametrize("part", ["metadata.yaml", "file"])
def test_a_pipe_within_a_bag_is_refused(tmp_path, part):
    bag = write_bag(tmp_path / "bag", [text(0)])
    path = bag / part if part.endswith("yaml") else next(bag.glob("*.mcap"))
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is a named pipe"):
        BagReader(bag)


def test_metadata_without_end_is_refused(tmp_path):
    bag = write_bag(tmp_path / "bag", [text(0)])
    with (bag / "metadata.yaml").open("a") as file:
        file.write("#" * 5_000_000)
    with pytest.raises(ConfigError, match="the limit is 4194304"):
        BagReader(bag)
