"""A recorded run is found in a bag, played by the clock, and jumped through."""

from __future__ import annotations

import pytest

from support.bags import Entry, drive, text, write_bag
from support.buses import wait_until
from support.recorded_run import run, stamp
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.view.bag_source import BagPlayer
from terrain_seg_ros.view.topics import ViewTopics


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp("bags") / "run", run(40))


@pytest.fixture
def player(bag):
    found = BagPlayer(bag, ViewTopics(), base_frame="base_link")
    found.start()
    yield found
    found.close()


def stands_at(player, index):
    image = player.keeper.moment().image
    return image is not None and image.stamp_ns == stamp(index)


def test_images_and_intrinsics_of_any_name_are_found(player):
    assert player.topics.full_name("image") == "/navcam/image_raw"
    assert player.topics.full_name("camera_info") == "/navcam/camera_info"
    assert player.missing == ["/terrain/hazard_grid_updates"]


def test_a_jump_shows_the_moment_of_that_time(player):
    player.seek(2.0)
    wait_until(lambda: stands_at(player, 20), "the moment")
    assert len(player.keeper.moment().path_xyz_m) > 10
    player.seek(0.5)
    wait_until(lambda: stands_at(player, 5), "the moment before")


def test_playing_goes_to_the_end_and_begins_anew(player):
    player.speed = 20.0
    player.play(True)
    wait_until(lambda: not player.is_playing, "the end")
    assert player.position_s == pytest.approx(player.duration_s)
    assert stands_at(player, 39)
    player.play(True)
    assert player.position_s < player.duration_s


def test_a_bag_without_the_node_is_refused_with_the_command_that_helps(tmp_path):
    plain = write_bag(tmp_path / "plain", drive())
    with pytest.raises(ConfigError, match=r"the node has not run on it; run `terrain-seg replay"):
        BagPlayer(plain, ViewTopics(), base_frame="base_link")


def test_topics_of_another_type_are_refused(tmp_path):
    bag = write_bag(tmp_path / "odd", [*drive(), text(0)._replace(topic="/terrain/mask")])
    with pytest.raises(ConfigError, match=r"'/terrain/mask' as std_msgs/msg/String, expected"):
        BagPlayer(bag, ViewTopics(), base_frame="base_link")


def test_the_grid_that_a_node_withdraws_at_its_end_is_not_shown(tmp_path):
    taken_back = run(1)[-7]._replace(log_ns=stamp(25))
    taken_back.message.data[:] = -1
    bag = write_bag(tmp_path / "ended", [*run(10), taken_back])
    player = BagPlayer(bag, ViewTopics(), base_frame="base_link")
    player.start()
    player.speed = 20.0
    player.play(True)
    wait_until(lambda: not player.is_playing, "the end")
    at_end = player.keeper.moment()
    player.close()
    assert player.duration_s == player.position_s == pytest.approx(1.3)
    assert (at_end.grid.values == 0).any()


def test_a_long_time_without_masks_is_shown_to_its_end(tmp_path):
    late = run(1)[-1]._replace(log_ns=stamp(80))
    bag = write_bag(tmp_path / "hanging", [*run(10), late])
    player = BagPlayer(bag, ViewTopics(), base_frame="base_link")
    player.close()
    assert player.duration_s == pytest.approx(7.96)


def test_a_run_in_another_namespace_is_named(tmp_path):
    def moved(item):
        return Entry(item.topic.replace("/terrain", "/rover1"), *item[1:])

    other = write_bag(tmp_path / "other", map(moved, run(2)))
    with pytest.raises(ConfigError, match="give --namespace /rover1"):
        BagPlayer(other, ViewTopics(), base_frame="base_link")
    player = BagPlayer(other, ViewTopics("/rover1"), base_frame="base_link")
    player.close()
    with_name = write_bag(tmp_path / "with_name", (moved(named(item)) for item in run(2)))
    with pytest.raises(ConfigError, match="give --namespace /rover1"):
        BagPlayer(with_name, ViewTopics(), base_frame="base_link")


def test_a_recording_with_true_masks_alone_asks_for_a_replay(tmp_path):
    truth = [item for item in run(2) if item.topic == "/terrain/mask"]
    assert truth
    moved = [item._replace(topic="/terrain/truth/mask") for item in truth]
    bag = write_bag(tmp_path / "camera", [*drive(), *moved])
    with pytest.raises(ConfigError, match=r"run `terrain-seg replay .* OUT` and view OUT"):
        BagPlayer(bag, ViewTopics(), base_frame="base_link")


def test_a_camera_that_the_run_does_not_have_is_refused_with_the_names(tmp_path):
    bag = write_bag(tmp_path / "named", map(named, run(2)))
    with pytest.raises(ConfigError, match=r"--camera is 'nope'; give one of \['left'\]"):
        BagPlayer(bag, ViewTopics(camera="nope"), base_frame="base_link")
    plain = write_bag(tmp_path / "plain", run(2))
    with pytest.raises(ConfigError, match="leave out --camera"):
        BagPlayer(plain, ViewTopics(camera="nope"), base_frame="base_link")


def named(item):
    """Return a message with the topic of a node whose camera has the name `left`."""
    per_camera = ("mask", "confidence", "label_info", "hazard_points")
    last = item.topic.rpartition("/")[2]
    return item._replace(topic=f"/terrain/left/{last}") if last in per_camera else item


def test_the_only_camera_with_a_name_is_taken(tmp_path):
    bag = write_bag(tmp_path / "named", map(named, run(2)))
    player = BagPlayer(bag, ViewTopics(), base_frame="base_link")
    player.close()
    assert player.topics.camera == "left"
