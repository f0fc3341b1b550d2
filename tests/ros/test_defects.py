"""A defect in our own code leaves the grid unknown and the process alive."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

import rclpy
from node_process import QUICK
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from ros_peer import wait_until

from terrain_seg_ros.ros.node import TerrainSegNode


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


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_worker_that_dies_deactivates_the_node(inside, peer):
    node, spin = inside
    peer.listen("hazard_grid")
    node.trigger_configure()
    node.trigger_activate()
    assert node._work.is_open

    def broken(items):
        raise ZeroDivisionError("a defect")

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
