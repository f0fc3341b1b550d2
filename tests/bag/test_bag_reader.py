"""What a bag may look like from outside, and what is wrong with some."""

from __future__ import annotations

import pytest
from rosbags.rosbag2 import StoragePlugin

from support.bags import PERIOD_NS, START_NS, drive, stamp, text, write_bag
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.bag.replay import replay
from terrain_seg_ros.core.errors import ConfigError, MessageError, TerrainSegError
from terrain_seg_ros.parameters.parameters import load_parameters

STORAGES = [(StoragePlugin.MCAP, ".mcap"), (StoragePlugin.SQLITE3, ".db3")]


def file_of(folder, suffix):
    return next(folder.glob(f"*{suffix}"))


def replayed(source, target):
    values = {"model": "synthetic", "backend": "constant", "grid.size_m": 4.0}
    return replay(source, target, load_parameters(overrides=values))


@pytest.mark.parametrize(("storage", "suffix"), STORAGES)
def test_a_folder_and_its_file_hold_the_same(tmp_path, storage, suffix):
    folder = write_bag(tmp_path / "bag", drive(3), storage=storage)
    seen = []
    for path in (folder, file_of(folder, suffix)):
        with BagReader(path) as reader:
            assert reader.start_ns == START_NS
            assert reader.end_ns == stamp(2)
            seen.append([(m.connection.topic, m.log_ns, m.data) for m in reader.messages()])
            assert len(seen[-1]) == reader.message_count
    assert seen[0] == seen[1]


def test_messages_of_some_connections(tmp_path):
    with BagReader(write_bag(tmp_path / "bag", drive(3))) as reader:
        tf = [item for item in reader.connections if item.topic == "/tf"]
        assert [m.log_ns - START_NS for m in reader.messages(tf)] == [0, PERIOD_NS, 2 * PERIOD_NS]


@pytest.mark.parametrize(("storage", "suffix"), STORAGES)
@pytest.mark.parametrize("keep", [0.0, 0.02, 0.3, 0.7, 0.97])
def test_a_truncated_bag_is_one_clear_error_and_leaves_nothing(tmp_path, storage, suffix, keep):
    folder = write_bag(tmp_path / "bag", drive(30), storage=storage)
    file = file_of(folder, suffix)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * keep)])
    try:
        report = replayed(folder, tmp_path / "out")
    except TerrainSegError as error:
        assert "bag '" in str(error)
        assert sorted(item.name for item in tmp_path.iterdir()) == ["bag"]
        return
    assert (suffix, keep) == (".mcap", 0.97)
    assert any("is cut off" in note for note in report.notes)


@pytest.mark.parametrize(("storage", "suffix"), STORAGES)
def test_garbage_within_a_bag_is_one_clear_error_or_does_no_harm(tmp_path, storage, suffix):
    folder = write_bag(tmp_path / "bag", drive(30), storage=storage)
    file = file_of(folder, suffix)
    data = bytearray(file.read_bytes())
    for index, start in enumerate(range(100, len(data) - 200, len(data) // 9)):
        spoiled = data.copy()
        spoiled[start : start + 120] = bytes(range(120))
        file.write_bytes(spoiled)
        try:
            replayed(folder, tmp_path / f"out{index}")
        except TerrainSegError as error:
            assert "\n" not in str(error)
            assert not (tmp_path / f"out{index}").exists()


@pytest.mark.parametrize("suffix", [".mcap", ".db3"])
@pytest.mark.parametrize("data", [b"", b"garbage", b"\x89MCAP0\r\n", b"SQLite format 3\x00"])
def test_a_file_that_is_no_bag(tmp_path, suffix, data):
    path = tmp_path / f"bag{suffix}"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match="cannot be opened"), BagReader(path):
        pass


def test_what_is_not_there_or_something_else(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        BagReader(tmp_path / "none")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=r"no metadata\.yaml and no \.mcap or \.db3 file"):
        BagReader(tmp_path / "folder")
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    with pytest.raises(ConfigError, match="ROS 1"):
        BagReader(tmp_path / "old.bag")
    (tmp_path / "photo.png").touch()
    with pytest.raises(ConfigError, match="unknown suffix"):
        BagReader(tmp_path / "photo.png")


def test_a_bag_without_images_says_what_it_has(tmp_path):
    source = write_bag(tmp_path / "bag", [text(0), text(1)])
    with pytest.raises(ConfigError, match=r"no camera images, but /notes \(2 x std_msgs"):
        replayed(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_empty_bag_has_no_images(tmp_path):
    source = write_bag(tmp_path / "bag", [])
    with pytest.raises(ConfigError, match="no camera images, but no topic at all"):
        replayed(source, tmp_path / "out")


def test_damage_found_on_the_way_leaves_nothing(tmp_path, monkeypatch):
    source = write_bag(tmp_path / "bag", drive(6))
    real = BagReader.messages

    def broken(self, connections=()):
        for index, message in enumerate(real(self, connections)):
            if index == 9 and not connections:
                raise MessageError(f"bag '{self.path}' is damaged")
            yield message

    monkeypatch.setattr(BagReader, "messages", broken)
    with pytest.raises(MessageError, match="damaged"):
        replayed(source, tmp_path / "out")
    assert [item.name for item in tmp_path.iterdir()] == ["bag"]
