"""Landing sites, the service that selects one, and the point that does."""

from __future__ import annotations

import math
import time

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from support.ros_peer import message_class, wait_until
from terrain_seg_ros.messages.header_message import make_header, stamp_ns
from terrain_seg_ros.ros.message_classes import ROS_TYPES

LANDER = {
    "landing__enable": True,
    "mounting__use_tf": False,
    "mounting__pitch_rad": math.pi / 2.0,
    "mounting__z_m": 8.0,
    "ground__plane": "grid_plane",
    "grid__resolution_m": 0.2,
    "landing__min_separation_m": 1.0,
    "landing__min_p_safe": 0.5,
}
OUTPUTS = ("landing_sites", "landing_sites_markers", "best_landing_site", "hazard_grid")


@pytest.fixture
def lander(start, peer):
    start(**LANDER)
    peer.listen(*OUTPUTS, "/diagnostics")
    peer.bring_up()
    return peer


def sites(peer):
    """Show images until one gives sites; return them."""

    def found():
        stamp = peer.show()
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            for message in list(peer.got["landing_sites"]):
                if stamp_ns(message.header) == stamp and message.detections:
                    return message
            time.sleep(0.01)
        return None

    return wait_until(found, "landing sites")


def place(detection):
    return detection.bbox.center.position.x, detection.bbox.center.position.y


def test_sites_markers_and_the_best_one_come(lander):
    message = sites(lander)
    assert message.header.frame_id == "odom"
    assert message.detections[0].results[0].hypothesis.score > 0.9
    best = lander.answer("best_landing_site", stamp_ns(message.header))
    assert (best.pose.position.x, best.pose.position.y) == place(message.detections[0])
    markers = wait_until(lambda: lander.got["landing_sites_markers"], "markers")[-1].markers
    assert markers[0].action == markers[0].DELETEALL
    assert {m.type for m in markers[1:]} == {markers[0].CYLINDER, markers[0].TEXT_VIEW_FACING}


def test_the_service_keeps_the_best_site_and_lets_it_go(lander):
    refused = lander.select_site(True)
    assert not refused.success
    assert "no landing site" in refused.message
    first = sites(lander).detections[0]
    kept = lander.select_site(True)
    assert kept.success
    assert f"landing site {first.id} at" in kept.message
    status = lander.status(lambda s: s.values.get("landing_site_selected") == "yes")
    assert status.values["landing_site"].startswith(f"{first.id} at ")
    assert lander.select_site(False).success
    lander.status(lambda s: s.values.get("landing_site_selected") == "no")


def test_a_point_selects_a_site(lander):
    message = sites(lander)
    last = message.detections[-1]
    point = message_class("geometry_msgs/msg/Point")(x=place(last)[0], y=place(last)[1], z=0.0)
    header = make_header(ROS_TYPES, stamp_ns(message.header), "odom")
    selecting = lander.publisher("/terrain/select_site", "select_site")
    wait_until(selecting.get_subscription_count, "the node's subscription")
    wanted = message_class("geometry_msgs/msg/PointStamped")(header=header, point=point)

    def selected():
        # Again and again: the node may not have met this publisher yet, although it is met.
        selecting.publish(wanted)
        return place(sites(lander).detections[0]) == place(last)

    wait_until(selected, "the selected site")


def test_a_node_that_ends_its_work_withdraws_its_sites(lander):
    sites(lander)
    lander.got["landing_sites"].clear()
    assert lander.change("deactivate")
    last = wait_until(lambda: lander.got["landing_sites"], "the last sites")[-1]
    assert list(last.detections) == []


def test_without_landing_the_service_says_so(start, peer):
    start()
    peer.bring_up()
    answer = peer.select_site(True)
    assert not answer.success
    assert "landing.enable" in answer.message
