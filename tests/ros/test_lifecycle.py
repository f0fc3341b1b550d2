"""Transitions: what they demand, what they give, and what fails them."""

from __future__ import annotations

import signal
import time

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from support.ros_peer import wait_until

GROWTH_LIMIT_KB = 8 * 1024


def test_configure_gives_class_names_and_activate_gives_the_rest(start, peer):
    node = start()
    peer.listen("label_info", "mask", "hazard_grid")
    assert peer.change("configure")
    assert peer.state() == "inactive"
    label_info = wait_until(lambda: peer.got["label_info"], "label_info")[0]
    assert label_info.class_map[0].class_name == "soil"
    assert peer.got["mask"] == []
    assert peer.change("activate")
    wait_until(peer.image.get_subscription_count, "the subscription")
    peer.mount()
    mask, grid = peer.good()
    assert mask.header.frame_id == "navcam_optical"
    assert grid.header.frame_id == "odom"
    assert node.end() == 0


@pytest.mark.requirement("TSR-BUS-003")
def test_an_inactive_node_is_subscribed_to_nothing_and_its_grid_is_unknown(start, peer):
    start()
    peer.listen("mask", "hazard_grid")
    peer.bring_up()
    _, grid = peer.good()
    assert any(value >= 0 for value in grid.data)
    peer.got["hazard_grid"].clear()
    assert peer.change("deactivate")
    last = wait_until(lambda: peer.got["hazard_grid"], "the last grid")[-1]
    assert set(last.data) == {-1}
    wait_until(lambda: peer.image.get_subscription_count() == 0, "the end of the subscription")
    assert peer.change("activate")
    wait_until(peer.image.get_subscription_count, "the subscription")
    peer.good()


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"grid.resolutin_m": 0.1}, ["grid.resolutin_m", "did you mean grid.resolution_m"]),
        ({"grid.resolution_m": "fine"}, ["grid.resolution_m", "a number"]),
        ({"grid.resolution_m": -1.0}, ["grid.resolution_m", "expected 0.001 to 100"]),
        ({"model": "none_such"}, ["none_such"]),
        ({"backend": "tensorrt"}, ["tensorrt"]),
        ({"hazard.lava": 1.0}, ["lava"]),
    ],
)
def test_wrong_parameters_fail_configure_by_name_and_the_process_goes_on(
    start, peer, parameters, words
):
    node = start(**parameters)
    assert not peer.change("configure")
    assert peer.state() == "unconfigured"
    wait_until(lambda: all(word in node.log for word in words), f"{words} in the log")
    assert "Traceback" not in node.log
    assert node.lives


def test_a_corrupt_model_fails_configure_and_a_good_one_heals_it(start, peer, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"rubbish")
    (folder / "card.json").write_text("{}")
    node = start(model=str(folder))
    assert not peer.change("configure")
    assert node.lives
    assert peer.set(model="synthetic")[0].successful
    assert peer.change("configure")
    assert peer.state() == "inactive"


def test_twenty_rounds_leave_memory_flat(start, peer):
    node = start()
    peer.listen("mask", "hazard_grid")

    def round_trip():
        peer.bring_up()
        assert peer.change("deactivate")
        assert peer.change("cleanup")

    # Fast DDS grows by some 20 MB in its first twenty rounds, whatever the node does.
    for _ in range(20):
        round_trip()
    before_kb = node.resident_kb()
    for _ in range(20):
        round_trip()
    assert node.resident_kb() - before_kb < GROWTH_LIMIT_KB
    assert peer.state() == "unconfigured"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_an_active_node_in_order_and_takes_the_grid_back(start, peer, number):
    node = start()
    peer.listen("mask", "hazard_grid")
    peer.bring_up()
    peer.good()
    for _ in range(5):
        peer.show()
    assert node.end(number) == 0
    assert "Traceback" not in node.log
    wait_until(lambda: set(peer.got["hazard_grid"][-1].data) == {-1}, "the unknown grid")


def test_further_interrupts_do_not_kill_a_node_that_is_ending(start, peer):
    """A terminal's Ctrl-C arrives twice under `ros2 launch`."""
    node = start()
    assert peer.state() == "unconfigured"
    while node.process.poll() is None:
        node.process.send_signal(signal.SIGINT)
        time.sleep(0.002)
    assert node.end() == 0


def test_a_signal_while_unconfigured_ends_the_node(start, peer):
    node = start()
    assert peer.state() == "unconfigured"
    assert node.end() == 0
