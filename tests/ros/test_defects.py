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
from support.ros_peer import intrinsics, wait_until
from terrain_seg_ros.messages.diagnostics_message import Level, decode_diagnostics
from terrain_seg_ros.ros.node import TerrainSegNode
from terrain_seg_ros.ros.process import _spin
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
    live = node._live
    wait_until(peer.image.get_subscription_count, "the subscription")
    good = live.processor.images

    def broken(items):
        raise ZeroDivisionError("a defect")

    live.processor.images = broken
    for count in range(1, 4):
        peer.show()
        spin(lambda count=count: refused(live, Refusal.DEFECT) == count)
    wait_until(lambda: peer.got["hazard_grid"], "the unknown grid")
    assert set(peer.got["hazard_grid"][-1].data) == {-1}
    assert live.health.snapshot().defects_in_a_row == 3
    (status,) = decode_diagnostics(live.processor.diagnostics()[0].message)
    assert "ZeroDivisionError: a defect" in status.message
    assert status.level is Level.ERROR
    assert live.is_active
    live.processor.images = good
    peer.show()
    spin(lambda: live.health.snapshot().images_out == 1)
    assert live.health.snapshot().defects_in_a_row == 0


def refused(live, reason):
    return live.health.snapshot().refused.get(reason, 0)


def test_a_callback_that_fails_costs_its_message(inside, peer):
    node, spin = inside
    peer.listen("mask")
    node.trigger_configure()
    live = node._live

    def broken(*_):
        raise OverflowError("a defect")

    live.processor.take = broken
    node.trigger_activate()
    wait_until(peer.camera_info.get_subscription_count, "the subscription")
    peer.camera_info.publish(intrinsics())
    spin(lambda: refused(live, Refusal.DEFECT) == 1)
    wait_until(peer.image.get_subscription_count, "the subscription")
    peer.show()
    spin(lambda: live.health.snapshot().images_out == 1)
    assert live.is_active


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
    live = node._live

    def broken(*_, **__):
        raise ZeroDivisionError("a defect")

    live.reset_map = live.change = broken
    answer = node._reset_map(None, Trigger.Response())
    assert (answer.success, "a defect" in answer.message) == (False, True)
    changed = node.set_parameters([Parameter("cost.hazard_threshold", value=0.25)])
    assert (changed[0].successful, "a defect" in changed[0].reason) == (False, True)
    assert refused(live, Refusal.DEFECT) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_dies_deactivates_the_node(inside, peer):
    node, spin = inside
    peer.listen("hazard_grid")
    node.trigger_configure()
    node.trigger_activate()
    assert node._live.is_active

    def broken(items):
        raise SystemExit("ends the thread")

    node._live.processor.images = broken
    wait_until(peer.image.get_subscription_count, "the subscription")
    peer.show()
    spin(lambda: not node._live.is_active)
    wait_until(lambda: peer.got["hazard_grid"], "the last grid")
    assert set(peer.got["hazard_grid"][-1].data) == {-1}
    node.trigger_cleanup()
    assert node._live is None


def test_an_unexpected_error_in_a_transition_frees_everything(inside, monkeypatch):
    node, _ = inside

    def broken(*_):
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(node._parameters_of_node, "declare", broken)
    node.trigger_configure()
    assert node._live is None
    monkeypatch.undo()
    node.trigger_configure()
    assert node._live is not None
