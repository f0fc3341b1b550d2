"""Bags that unpack to far more than they hold, and files that are no files."""

from __future__ import annotations

import os
import struct

import pytest
from bags import TEXT, drive, stamp, text, write_bag
from rosbags.rosbag2 import CompressionFormat, CompressionMode, Reader, StoragePlugin, Writer

from terrain_seg_ros.bag import bounded_bags
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


@pytest.mark.parametrize(("mode", "storage"), KINDS)
def test_compressed_bags_beyond_the_limits_are_refused(tmp_path, monkeypatch, mode, storage):
    bag = compressed_bag(tmp_path / "bag", mode, storage)
    monkeypatch.setattr(bounded_bags, "MAX_CHUNK_BYTES", LENGTH // 2)
    monkeypatch.setattr(bounded_bags, "FREE_OF_RATIO_BYTES", LENGTH // 2)
    monkeypatch.setattr(bounded_bags, "MAX_FILE_RATIO", 2)
    with pytest.raises(TerrainSegError, match=r"bag '.*(the limit is|more than)") as refused:
        read_all(bag)
    assert "\n" not in str(refused.value)


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
    monkeypatch.setattr(bounded_bags, "MAX_OPEN_BYTES", 1000)
    with pytest.raises(ConfigError, match="overlap in time unpack to more than 1000 bytes"):
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
