"""The doctor advises nothing that does not work, and calls what a bag lacks by its name."""

from __future__ import annotations

import numpy as np
import pytest

from support.bags import (
    cloud,
    drive,
    image,
    info,
    mounting,
    picture,
    pose,
    stamp,
    write_bag,
)
from support.doctor_runs import QUICK, look, params, rows
from terrain_seg_ros.bag import survey as survey_module
from terrain_seg_ros.bag.reader import BagReader
from terrain_seg_ros.cli.main import main


def test_a_bag_without_motion_is_told_what_a_vehicle_that_stands_can_use(tmp_path, capsys):
    bag = write_bag(tmp_path / "in", [item for item in drive(3) if item.topic != "/tf"])
    _, content = look(bag, capsys)
    remedy = rows(content, "navcam TF")[1]["remedy"]
    assert remedy.startswith("record /tf with odom to base_link")
    assert "grid_frame" not in remedy
    line = remedy.partition("`")[2].partition("`")[0]
    code, content = look(bag, capsys, *params(tmp_path, line))
    assert (code, rows(content, "replay")[0]["state"]) == (0, "usable")


def test_motion_that_was_recorded_but_refused_is_not_called_absent(tmp_path, capsys):
    entries = drive(3)
    for entry in entries:
        if entry.topic == "/tf":
            entry.message.transforms[0].transform.rotation.w = 0.0
    _, content = look(write_bag(tmp_path / "in", entries), capsys)
    remedy = rows(content, "navcam TF")[1]["remedy"]
    assert remedy.startswith("TF with 'odom' was recorded, but refused (see TF below)")
    assert "quaternion" in rows(content, "TF")[0]["detail"]


def test_motion_that_was_cleared_at_a_jump_of_time_is_not_called_absent(tmp_path, capsys):
    again = [item._replace(log_ns=item.log_ns + 5 * 10**9) for item in drive(4)]
    _, content = look(write_bag(tmp_path / "in", [*drive(3), *again]), capsys)
    remedy = rows(content, "navcam TF")[1]["remedy"]
    assert remedy.startswith("TF with 'odom' was recorded, but cleared when time jumped back")


def test_half_of_few_images_without_a_grid_is_doubtful(tmp_path, capsys):
    entries = [item for item in drive(4) if item.topic != "/tf" or item.log_ns < stamp(2)]
    code, content = look(write_bag(tmp_path / "in", entries), capsys)
    assert (code, rows(content, "replay")[0]["state"]) == (0, "doubtful")
    assert rows(content, "navcam TF")[1]["state"] == "doubtful"


def test_black_images_of_sixteen_bits_are_told_without_a_number_of_bits(tmp_path, capsys):
    def black(index):
        entry = image(index)
        wide = np.zeros(picture(index).size * 2, dtype=np.uint8)
        entry.message.encoding, entry.message.data = "mono16", wide
        entry.message.step *= 2
        return entry

    _, content = look(write_bag(tmp_path / "in", drive(3, make_image=black)), capsys)
    (row,) = rows(content, "navcam bits")
    assert row["state"] == "doubtful"
    assert "treated as darkness" in row["detail"]
    assert row["remedy"] == "check exposure and lens cap"


@pytest.mark.parametrize(
    ("topic", "beside"),
    [
        ("/terrain/hazard_points", ()),
        ("/rover/seg/hazard_points", ()),
        ("/terrain/left/points", ()),
        ("/seg/points", (cloud(1, topic="/seg/hazard_points"),)),
    ],
)
def test_what_this_node_published_is_neither_offered_nor_taken_as_depth(
    tmp_path, capsys, topic, beside
):
    bag = write_bag(tmp_path / "in", [*drive(3), cloud(1, topic=topic), *beside])
    _, content = look(bag, capsys)
    assert not rows(content, "depth")
    name = topic.rpartition("/")[2]
    values = params(tmp_path, f"depth: {{source: cloud, topic: {name}}}")
    replayed = ["replay", bag, tmp_path / "out", "--backend", "constant"]
    for words in (["doctor", bag], replayed):
        assert main([*map(str, [*words, *values]), *QUICK]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"depth.topic '{name}' names '{topic}', an output of this node" in line
        assert "depth: {source: none}" in line


def test_a_cloud_of_a_sensor_beside_our_points_of_the_same_name_is_taken(tmp_path, capsys):
    ours = cloud(1, topic="/terrain/points")
    lidar = [cloud(index, topic="/lidar/points", frame="optical") for index in range(3)]
    bag = write_bag(tmp_path / "in", [*drive(3), ours, *lidar])
    _, content = look(bag, capsys, *params(tmp_path, "depth: {source: cloud, topic: points}"))
    (row,) = rows(content, "depth")
    assert (row["state"], row["detail"]) == ("usable", "/lidar/points")


def test_a_folder_of_unrelated_bags_is_said_to_be_read_as_one(tmp_path, capsys, monkeypatch):
    for name in ("monday_0", "monday_1", "tuesday"):
        (file,) = write_bag(tmp_path / name, drive(3)).glob("*.mcap")
        file.rename(tmp_path / f"{name}.mcap")
    monkeypatch.chdir(tmp_path)
    _, content = look(".", capsys)
    told = [row["detail"] for row in rows(content, "bag")]
    assert any("look like 2 bags (monday, tuesday), which are read as one" in text for text in told)
    assert told[0].startswith(f"{tmp_path.name}: "), "the current folder has a name too"


def test_messages_that_the_index_counts_but_the_data_lacks_are_called_lost(
    tmp_path, capsys, monkeypatch
):
    class Short(BagReader):
        def messages(self, connections=(), *, since_ns=0):
            items = super().messages(connections, since_ns=since_ns)
            yield from (item for item in items if item.connection.topic != "/notes")

    monkeypatch.setattr(survey_module, "BagReader", Short)
    bag = write_bag(tmp_path / "in", drive(3))
    for words in ((), ("--whole",)):
        _, content = look(bag, capsys, *words)
        row = rows(content, "bag")[1]
        assert row["detail"].startswith("1 of 11 messages that the bag's index counts are not in")
        assert (row["state"], row["remedy"]) == ("doubtful", "copy the bag again")


def test_a_static_transform_that_changes_is_doubtful_and_one_sent_again_is_not(tmp_path, capsys):
    other = mounting(log_ns=stamp(2))
    other.message.transforms[0].transform.translation.z = 9.0
    _, content = look(write_bag(tmp_path / "in", [*drive(4), other]), capsys)
    (row,) = rows(content, "TF")
    assert row["state"] == "doubtful"
    assert "/tf_static places 'optical' in 'base_link' first at (0, 0, 1.5) m" in row["detail"]
    assert "later at (0, 0, 9) m" in row["detail"]
    again = [*drive(4), mounting(log_ns=stamp(2))]
    _, content = look(write_bag(tmp_path / "again", again), capsys)
    assert not rows(content, "TF")


def test_a_long_encoding_is_shortened_in_each_command(tmp_path, capsys):
    def odd(index):
        entry = image(index)
        entry.message.encoding = "e" * 5000
        return entry

    bag = write_bag(tmp_path / "in", drive(3, make_image=odd))
    assert main(["doctor", str(bag), *QUICK]) == 1
    assert main(["replay", str(bag), str(tmp_path / "out"), *QUICK, "--backend", "constant"]) == 2
    told = capsys.readouterr()
    assert "image encoding 'eee" in told.out
    assert "image encoding 'eee" in told.err
    assert "e" * 257 not in told.out + told.err


def test_a_topic_longer_than_any_of_ros_is_shortened(tmp_path, capsys):
    entries = [mounting()]
    for index in range(3):
        entries += [pose(index), info(index), image(index, topic=f"/{'n' * 3000}/image_raw")]
    assert main(["doctor", str(write_bag(tmp_path / "in", entries)), *QUICK]) == 0
    out = capsys.readouterr().out
    assert f"/{'n' * 99}..." in out
    assert "n" * 257 not in out
