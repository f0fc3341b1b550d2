"""What one broken message breaks is that message alone."""

from __future__ import annotations

import sqlite3

import pytest
from rosbags.rosbag2 import StoragePlugin

from support.bags import drive, write_bag
from terrain_seg_ros.bag.plan import ReplayOptions, skippable_topics
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.bag.replay import replay
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.frame_processor import FrameProcessor

PARAMETERS = load_parameters(
    overrides={"model": "synthetic", "backend": "constant", "grid.size_m": 4.0}
)


def replayed(source, target):
    return replay(source, target, PARAMETERS, options=ReplayOptions(skip=skippable_topics()))


def contents(path):
    with BagReader(path) as reader:
        return [(m.connection.topic, m.log_ns, m.data) for m in reader.messages()], reader.notes


BAD_ROWS = [
    ("data", "'a text'"),
    ("data", "NULL"),
    ("data", "12"),
    ("timestamp", "'now'"),
    ("timestamp", "-5"),
    ("timestamp", "1.5"),
    ("timestamp", "NULL"),
]


@pytest.mark.parametrize(("column", "value"), BAD_ROWS)
@pytest.mark.parametrize("topic", ["/navcam/image_raw", "/tf", "/navcam/camera_info", "/notes"])
def test_one_bad_row_is_counted_and_the_others_are_read(tmp_path, column, value, topic, caplog):
    folder = write_bag(tmp_path / "bag", drive(4), storage=StoragePlugin.SQLITE3)
    with sqlite3.connect(folder / "bag.db3") as base:
        base.executescript(
            "CREATE TABLE loose AS SELECT * FROM messages; DROP TABLE messages;"
            "ALTER TABLE loose RENAME TO messages;"
        )
        base.execute(
            f"UPDATE messages SET {column}={value} WHERE id=(SELECT messages.id FROM messages "
            f"JOIN topics ON topic_id=topics.id WHERE name='{topic}' LIMIT 1)"
        )
    base.close()
    report = replayed(folder, tmp_path / "out")
    assert report.defects == {"message stored in a broken way": 1}
    assert topic in report.defect_texts["message stored in a broken way"]
    assert report.messages_copied == len(drive(4)) - 1
    assert report.health.images_out >= 3
    assert sum("is left out, the work goes on" in line for line in caplog.messages) == 1
    assert len(contents(tmp_path / "out")[0]) == report.messages_copied + report.messages_added


def test_a_defect_in_one_frame_costs_that_frame_alone(tmp_path, monkeypatch, caplog):
    source = write_bag(tmp_path / "bag", drive(5))
    real, seen = FrameProcessor.image, []

    def breaks(self, camera, message):
        seen.append(camera)
        if len(seen) == 2:
            raise ZeroDivisionError("as of a defect")
        return real(self, camera, message)

    monkeypatch.setattr(FrameProcessor, "image", breaks)
    report = replayed(source, tmp_path / "out")
    assert report.health.grids_out == 4
    ((kind, count),) = report.defects.items()
    assert ("ZeroDivisionError" in kind, count) == (True, 1)
    assert "Traceback" in caplog.text
    assert report.messages_copied == len(drive(5))


def test_after_several_defects_in_a_row_the_grid_is_unknown(tmp_path, monkeypatch, caplog):
    source = write_bag(tmp_path / "bag", drive(8))
    real, seen = FrameProcessor.image, []

    def breaks(self, camera, message):
        seen.append(camera)
        if len(seen) > 3:
            raise MemoryError
        return real(self, camera, message)

    monkeypatch.setattr(FrameProcessor, "image", breaks)
    report = replayed(source, tmp_path / "out")
    assert sum(report.defects.values()) == 5
    assert caplog.text.count("Traceback") == 1
    with BagReader(tmp_path / "out") as reader:
        grids = [c for c in reader.connections if c.topic == "/terrain/hazard_grid"]
        assert len(list(reader.messages(grids))) == 4


def test_a_full_disk_ends_the_work(tmp_path, monkeypatch):
    source = write_bag(tmp_path / "bag", drive(3))

    def full(self, camera, message):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FrameProcessor, "image", full)
    with pytest.raises(OSError, match="No space left"):
        replayed(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
