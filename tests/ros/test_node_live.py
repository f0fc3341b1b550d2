"""The active node on a real bus: what it gives, what it survives."""

from __future__ import annotations

import array
import time

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from support.grid_map_reader import GridMap
from support.ros_lacking import types_for
from support.ros_peer import (
    SPECS,
    TRANSITIONS,
    intrinsics,
    message_class,
    quality_of,
    stamped,
    transforms,
    wait_until,
)
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.diagnostics_message import Level
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.runtime.health import Refusal

SECOND_NS = 1_000_000_000


@pytest.fixture
def live(start, peer):
    """Return a function that starts an active node; the peer listens to its outputs."""

    def started(*outputs, **parameters):
        node = start(**parameters)
        peer.listen("mask", "hazard_grid", "/diagnostics", *outputs)
        peer.bring_up()
        return node

    return started


def test_every_output_carries_the_inputs_header_and_size(live, peer):
    live("confidence", "color_mask", "overlay", "points", "hazard_points", "hazard_reason")
    mask, _ = peer.good()

    stamp = stamp_ns(mask.header)
    for name, encoding in [("confidence", "mono8"), ("color_mask", "rgb8"), ("overlay", "rgb8")]:
        message = peer.answer(name, stamp)
        assert message.header == mask.header
        assert (message.width, message.height, message.encoding) == (96, 64, encoding)
    points = peer.answer("points", stamp)
    assert (points.width, points.height) == (mask.width, mask.height)
    assert points.header == mask.header
    assert {field.name for field in points.fields} >= {"x", "y", "z", "label", "confidence"}
    assert peer.answer("hazard_points", stamp).header.frame_id == "odom"
    assert peer.answer("hazard_reason", stamp).info.width == 100


def test_the_layers_lie_where_grid_map_looks_for_them(live, peer):
    live("grid_map")
    _, grid = peer.good()
    message = peer.answer("grid_map", stamp_ns(grid.header))
    wanted = "grid_map_msgs/msg/GridMap"
    assert type(message) is types_for(wanted)(wanted)
    assert message.header.frame_id == grid.header.frame_id
    layers = GridMap(message)
    assert layers.basic == ["hazard"]
    assert {"class", "confidence", "age", "ground_sample", "reason"} < set(layers.layers)
    cost = np.array(grid.data, np.int8).reshape(grid.info.height, grid.info.width)
    assert (cost >= 0).any()
    corner, cell_m = grid.info.origin.position, grid.info.resolution
    for row, col in [*np.argwhere(cost >= 0)[::7], (0, 0), (0, 99), (99, 0)]:
        x_m, y_m = corner.x + (col + 0.5) * cell_m, corner.y + (row + 0.5) * cell_m
        seen = np.isfinite(layers.at("hazard", x_m, y_m))
        assert seen == (cost[row, col] >= 0)
        assert seen == np.isfinite(layers.at("class", x_m, y_m))
        assert seen == (layers.at("reason", x_m, y_m) == 0.0)


def test_types_and_quality_are_those_of_the_table(live, peer):
    live()

    for name in ("mask", "label_info", "hazard_grid", "points", "grid_map", "/diagnostics"):
        full = name if name.startswith("/") else f"/terrain/{name}"
        (info,) = wait_until(
            lambda topic=full: peer.node.get_publishers_info_by_topic(topic), f"{full}"
        )
        assert info.topic_type == SPECS[name].type
        assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE
        latched = name in {"label_info", "hazard_grid"}
        expected = DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE
        assert info.qos_profile.durability == expected


def test_late_joiners_get_class_names_and_grid(live, peer):
    live()
    _, grid = peer.good()
    peer.listen("label_info", "hazard_reason")

    wait_until(lambda: peer.got["label_info"] and peer.got["hazard_reason"], "the latched ones")
    assert peer.got["hazard_reason"][0].info.width == grid.info.width


def test_services_close_open_and_forget(live, peer):
    live()
    peer.good()
    assert peer.enable(False).success
    peer.status(lambda s: "disabled" in s.message)
    stamp = peer.show()
    time.sleep(0.5)
    assert peer._of("mask", stamp) is None
    assert peer.trigger("segment_once").success
    stamp = peer.show()
    peer.answer("mask", stamp)
    assert peer.enable(True).success
    peer.good()
    peer.got["hazard_grid"].clear()
    assert peer.trigger("reset_map").success

    assert set(wait_until(lambda: peer.got["hazard_grid"], "a grid")[0].data) == {-1}


def test_services_say_why_they_cannot(start, peer):
    start()
    for name in ("segment_once", "reset_map"):
        answer = peer.trigger(name)
        assert not answer.success
        assert "not configured" in answer.message
    assert not peer.enable(True).success


def test_parameters_change_while_running_or_say_why_not(live, peer):
    live()
    peer.good()
    (good,) = peer.set(cost__hazard_threshold=0.3)
    assert good.successful
    (static,) = peer.set(grid__resolution_m=0.2)
    assert not static.successful
    assert "cannot change while running" in static.reason
    (wrong,) = peer.set(hazard__soil=3.0)
    assert not wrong.successful
    (unknown,) = peer.set(grid__nonsense=1.0)
    assert not unknown.successful
    (rock,) = peer.set(hazard__soil=1.0)
    assert rock.successful
    for _ in range(20):
        _, grid = peer.good()
        if 100 in grid.data:
            break
    assert 100 in grid.data


def test_parameters_are_described(live, peer):
    live()
    decay, plane, depth = peer.describe("grid.decay_s", "ground.plane", "input_depth")
    assert "decay" in decay.description
    assert (decay.floating_point_range[0].from_value, decay.floating_point_range[0].to_value) == (
        0.0,
        1e6,
    )
    assert "vehicle_plane" in plane.additional_constraints
    assert depth.integer_range[0].to_value == 100


BAD = [
    {"encoding": "yuv9000"},
    {"width": 0},
    {"step": 3},
    {"data": b""},
]


def test_bad_images_amid_good_ones_cost_only_themselves(live, peer):

    node = live()
    peer.good()
    for changes in BAD:
        message = stamped(time.time_ns())
        for name, value in changes.items():
            kept = array.array("B", value) if name == "data" else value
            setattr(message, name, kept)
        peer.image.publish(message)
        time.sleep(0.05)
        peer.good()
    status = peer.status(lambda s: s.values.get("refused: bad image", "0").startswith("4"))
    assert int(status.values["refused"]) >= 4
    assert node.lives


def test_no_transform_costs_the_grid_and_future_stamps_are_refused(live, peer):

    live()
    peer.good()
    peer.camera_info.publish(intrinsics())
    lost = stamped(time.time_ns(), frame="nowhere")
    peer.image.publish(lost)

    peer.answer("mask", stamp_ns(lost.header))
    peer.good()
    peer.image.publish(stamped(time.time_ns() + 3600 * SECOND_NS))
    status = peer.status(lambda s: "refused: stamp in the future" in s.values)
    assert "refused: no transform" in status.values
    peer.good()


def test_a_looping_bag_clears_the_grid_and_goes_on(live, peer):
    live(time__max_future_s=0.0)
    peer.good()

    start_ns = time.time_ns() - 100 * SECOND_NS

    def answered():
        peer.mount()
        stamp = peer.show(stamp=start_ns + (time.time_ns() - start_ns) % SECOND_NS)
        time.sleep(0.2)
        return peer._of("hazard_grid", stamp)

    wait_until(answered, "a grid of the second round")
    peer.status(lambda s: any(key.startswith("note: stamps jumped") for key in s.values))


def test_a_camera_that_stops_turns_the_grid_unknown_and_recovers(live, peer):

    live(watchdog__stale_after_s=1.0)
    peer.good()
    peer.got["hazard_grid"].clear()
    peer.status(lambda s: s.level is Level.ERROR)
    # Topics have no order among each other: the grid may come after the status.
    last = wait_until(lambda: peer.got["hazard_grid"], "the unknown grid")[-1]
    assert set(last.data) == {-1}
    _, grid = peer.good()
    assert any(value >= 0 for value in grid.data)


def test_a_camera_that_changes_its_size_goes_on(live, peer):

    live()
    peer.good()
    stamp = time.time_ns()
    peer.place(stamp)
    peer.image.publish(stamped(stamp, width=48, height=32))
    peer.status(lambda s: "refused: image contradicts camera_info" in s.values)
    peer.camera_info.publish(intrinsics(width=48, height=32))
    time.sleep(0.2)
    stamp = time.time_ns()
    peer.place(stamp)
    peer.image.publish(stamped(stamp, width=48, height=32))
    assert peer.answer("mask", stamp).width == 48
    peer.answer("hazard_grid", stamp)


@pytest.mark.requirement("TSR-ROB-005")
def test_a_subscriber_that_never_reads_does_not_stop_the_node(live, peer, domain, opened):

    live()
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain)
    idle = rclpy.create_node("idle", context=context)
    for name in ("mask", "hazard_grid"):
        idle.create_subscription(
            message_class(SPECS[name].type),
            f"/terrain/{name}",
            lambda _: None,
            quality_of(SPECS[name]),
        )
    for _ in range(20):
        peer.good()
    idle.destroy_node()
    rclpy.try_shutdown(context=context)


def test_two_cameras_share_the_grid(start, peer):

    start(cameras="[left, right]")
    peer.listen("hazard_grid")
    peer.got["masks"] = []

    for side in ("left", "right"):
        peer.node.create_subscription(
            message_class(SPECS["mask"].type),
            f"/terrain/{side}/mask",
            lambda m, s=side: peer.got["masks"].append(s),
            quality_of(SPECS["mask"]),
        )
    assert peer.change("configure")
    assert peer.change("activate")
    images = {s: peer.publisher(f"/terrain/{s}/image", "image") for s in ("left", "right")}
    infos = {s: peer.publisher(f"/terrain/{s}/camera_info", "camera_info") for s in images}
    for publisher in images.values():
        wait_until(publisher.get_subscription_count, "the subscription")
    peer.mount()

    def both():
        stamp = time.time_ns()
        peer.place(stamp)
        for side, publisher in images.items():
            infos[side].publish(intrinsics())
            publisher.publish(stamped(stamp))
        time.sleep(0.1)
        return {"left", "right"} <= set(peer.got["masks"]) and peer.got["hazard_grid"]

    wait_until(both, "masks of both and a grid")


def test_a_second_publisher_of_images_and_a_null_quaternion_are_named(live, peer):
    live()
    peer.listen("/diagnostics")
    peer.good()
    second = peer.node.create_publisher(
        message_class(SPECS["image"].type), "/terrain/image", quality_of(SPECS["image"])
    )
    status = peer.status(lambda s: "/terrain/image has 2 publishers" in s.message)
    assert status.level is Level.WARN
    peer.node.destroy_publisher(second)
    still = Transform(np.eye(3), np.zeros(3))
    crooked = transforms("odom", "crooked", time.time_ns(), still)
    crooked.transforms[0].transform.rotation.w = 0.0
    peer.publisher("/tf", "/tf").publish(crooked)
    key = f"refused: {Refusal.BAD_TRANSFORM.value}"
    status = peer.status(lambda s: key in s.values)
    assert "'crooked' in 'odom'" in status.values[key]
    peer.good()


def test_a_transition_that_the_state_does_not_allow_is_refused_in_one_line(start, peer):
    node = start()
    assert not peer.change("activate")
    assert peer.state() == "unconfigured"
    # Before Kilted the refusal is ours; since then it is rclpy's.
    words = ("'unconfigured' does not allow it", "Unable to start transition")
    wait_until(lambda: any(word in node.log for word in words), "the refusal")
    assert "Traceback" not in node.log
    peer.bring_up()


def test_two_nodes_in_one_namespace_are_warned_of(live, start, peer):
    live()
    other = start("-r", "__node:=terrain_seg_too")
    peer.listen("/diagnostics")
    for name in ("configure", "activate"):
        change_other(peer, name)
    peer.good()
    status = peer.status(lambda s: "in its namespace" in s.message)
    assert status.level is Level.WARN
    assert other.lives


def change_other(peer, name):
    client = peer.node.create_client(ChangeState, "/terrain/terrain_seg_too/change_state")
    assert client.wait_for_service(30.0)
    request = ChangeState.Request(transition=Transition(id=TRANSITIONS[name]))
    future = client.call_async(request)
    wait_until(future.done, "the transition")
    assert future.result().success
