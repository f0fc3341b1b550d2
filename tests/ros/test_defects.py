"""A defect in our own code leaves the grid unknown and the process alive."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from std_srvs.srv import Trigger

from support.node_process import QUICK
from support.ros_peer import wait_until
from terrain_seg_ros.messages.diagnostics_message import Level, decode_diagnostics
from terrain_seg_ros.ros.main import _spin
from terrain_seg_ros.ros.node import TerrainSegNode
from terrain_seg_ros.runtime.health import Refusal


@pytest.fixture
def inside(domain):
    """Return a node of this process, and a function that spins it."""
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    overrides = [Parameter(name, value=value) for name, value in QUICK.items()]
    node = TerrainSegNode(context=context, namespace="/terrain", parameter_overrides=overrides)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)

    def spin(condition):
        end = time.monotonic() + 30.0
        while not condition():
            assert time.monotonic() < end
            executor.spin_once(timeout_sec=0.05)

    yield node, spin
    node.close()
    executor.remove_node(node)
    node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_defects_in_a_row_turn_the_grid_unknown_and_the_node_stays_active(inside, peer):
    node, spin = inside
    peer.listen("hazard_grid")
    node.trigger_configure()
    node.trigger_activate()
    work = node._work
    wait_until(peer.image.get_subscription_count, "the subscription")
    good = work.processor.images

    def broken(items):
        raise ZeroDivisionError("a defect")

    work.processor.images = broken
    for count in range(1, 4):
        peer.show()
        spin(lambda count=count: refused(work, Refusal.DEFECT) == count)
    wait_until(lambda: peer.got["hazard_grid"], "the unknown grid")
    assert set(peer.got["hazard_grid"][-1].data) == {-1}
    assert work.health.snapshot().defects_in_a_row == 3
    (status,) = decode_diagnostics(work.processor.diagnostics()[0].message)
    assert "ZeroDivisionError: a defect" in status.message
    assert status.level is Level.ERROR
    assert work.is_open
    work.processor.images = good
    peer.show()
    spin(lambda: work.health.snapshot().images_out == 1)
    assert work.health.snapshot().defects_in_a_row == 0


def refused(work, reason):
    return work.health.snapshot().refused.get(reason, 0)


@pytest.mark.parametrize("row", ["camera_info", "depth"])
def test_a_callback_that_fails_costs_its_message(inside, peer, row):
    node, spin = inside
    peer.listen("mask")
    node.trigger_configure()
    work = node._work

    def broken(*_):
        raise OverflowError("a defect")

    work.processor.camera_info = work.processor.depth = broken
    node.trigger_activate()
    for full, item in work._inputs._topics:
        if item.row == row:
            work._inputs._take(full, broken, None)
    wait_until(peer.image.get_subscription_count, "the subscription")
    peer.mount()
    peer.show()
    spin(lambda: work.health.snapshot().images_out == 1)
    assert work.is_open


def test_a_callback_of_ros_that_fails_does_not_end_the_process(inside):
    node, _ = inside
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    called = []

    def broken():
        called.append(True)
        raise RuntimeError("a defect")

    timer = node.create_timer(0.01, broken)
    end = time.monotonic() + 30.0
    while len(called) < 3 and time.monotonic() < end:
        assert _spin(executor, node) is False
    assert len(called) == 3
    node.destroy_timer(timer)
    executor.remove_node(node)


def test_services_and_changes_that_fail_answer(inside):
    node, _ = inside
    node.trigger_configure()
    work = node._work

    def broken(*_, **__):
        raise ZeroDivisionError("a defect")

    work.reset_map = work.change = broken
    answer = node._reset_map(None, Trigger.Response())
    assert (answer.success, "a defect" in answer.message) == (False, True)
    changed = node.set_parameters([Parameter("cost.hazard_threshold", value=0.25)])
    assert (changed[0].successful, "a defect" in changed[0].reason) == (False, True)
    assert refused(work, Refusal.DEFECT) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_dies_deactivates_the_node(inside, peer):
    node, spin = inside
    peer.listen("hazard_grid")
    node.trigger_configure()
    node.trigger_activate()
    assert node._work.is_open

    def broken(items):
        raise SystemExit("ends the thread")

    node._work.processor.images = broken
    wait_until(peer.image.get_subscription_count, "the subscription")
    peer.show()
    spin(lambda: not node._work.is_open)
    wait_until(lambda: peer.got["hazard_grid"], "the last grid")
    assert set(peer.got["hazard_grid"][-1].data) == {-1}
    node.trigger_cleanup()
    assert node._work is None


def test_an_unexpected_error_in_a_transition_frees_everything(inside, monkeypatch):
    node, _ = inside

    def broken(*_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(node._parameters_of_node, "declare", broken)
    node.trigger_configure()
    assert node._work is None
    monkeypatch.undo()
    node.trigger_configure()
    assert node._work is not None
