import math

import numpy as np
import pytest

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.landing.cost_to_landing_sites import LandingSite
from terrain_seg_ros.core.landing.site_selector import LandingChoice
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.header_message import make_header, stamp_ns
from terrain_seg_ros.messages.landing_message import (
    decode_selected_point,
    encode_best_site,
    encode_landing_markers,
    encode_landing_sites,
)

DETECTIONS = "vision_msgs/msg/Detection3DArray"
MARKERS = "visualization_msgs/msg/MarkerArray"
POSE = "geometry_msgs/msg/PoseStamped"
POINT = "geometry_msgs/msg/PointStamped"


def site(site_id=7, x_m=1.5, z_m=0.25, clear_radius_m=3.0, p_safe=0.9):
    return LandingSite(
        x_m=x_m,
        y_m=-2.5,
        z_m=z_m,
        clear_radius_m=clear_radius_m,
        margin_m=1.0,
        p_safe=p_safe,
        age_s=0.5,
        divert_m=4.0,
        slope_deg=None,
        roughness_m=None,
        score=0.8,
        site_id=site_id,
    )


def header(types):
    return make_header(types, 7_000_000_001, "odom")


def place(pose):
    return pose.position.x, pose.position.y, pose.position.z


def test_sites_are_detections_with_radius_and_probability(types, round_trip):
    sites = (site(), site(8, x_m=9.5, z_m=None, clear_radius_m=2.0, p_safe=0.6))
    sent = encode_landing_sites(types, sites, header(types), position_sigma_m=0.2)
    message = round_trip(sent, DETECTIONS)
    assert (stamp_ns(message.header), message.header.frame_id) == (7_000_000_001, "odom")
    first, second = message.detections
    assert [item.id for item in message.detections] == ["7", "8"]
    assert place(first.bbox.center) == (1.5, -2.5, 0.25)
    assert (first.bbox.size.x, first.bbox.size.y, first.bbox.size.z) == (6.0, 6.0, 0.0)
    assert place(second.bbox.center) == (9.5, -2.5, 0.0)
    assert [len(item.results) for item in message.detections] == [1, 1]
    result = first.results[0]
    assert (result.hypothesis.class_id, result.hypothesis.score) == ("landing_site", 0.9)
    assert place(result.pose.pose) == (1.5, -2.5, 0.25)
    covariance = np.asarray(result.pose.covariance).reshape(6, 6)
    np.testing.assert_allclose(np.diag(covariance), [0.04, 0.04, 0.0, 0.0, 0.0, 0.0])
    assert stamp_ns(first.header) == 7_000_000_001


def test_no_sites_are_an_empty_array(types, round_trip):
    sent = encode_landing_sites(types, (), header(types), position_sigma_m=0.2)
    assert list(round_trip(sent, DETECTIONS).detections) == []


def test_markers_delete_what_was_and_show_circles_and_ranks(types, round_trip):
    choice = LandingChoice((site(), site(8, x_m=9.5)))
    message = round_trip(encode_landing_markers(types, choice, header(types)), MARKERS)
    first, *shown = message.markers
    assert first.action == 3
    assert [(m.ns, m.id, m.type, m.action) for m in shown] == [
        ("landing_sites", 7, 3, 0),
        ("landing_site_ranks", 7, 9, 0),
        ("landing_sites", 8, 3, 0),
        ("landing_site_ranks", 8, 9, 0),
    ]
    assert {m.header.frame_id for m in message.markers} == {"odom"}
    assert (shown[0].scale.x, shown[0].scale.y) == (6.0, 6.0)
    assert shown[0].scale.z > 0.0
    assert shown[0].color.g > shown[0].color.b
    assert shown[1].text == "1: P 0.90, 3.0 m"
    assert shown[3].text.startswith("2: ")
    assert place(shown[1].pose)[2] > place(shown[0].pose)[2] == 0.25
    assert all(m.color.a > 0.0 for m in shown)


def test_a_selected_site_is_told_by_colour_and_text(types, round_trip):
    choice = LandingChoice((site(), site(8)), is_selected=True)
    message = round_trip(encode_landing_markers(types, choice, header(types)), MARKERS)
    assert message.markers[1].color.b > message.markers[1].color.g
    assert message.markers[2].text.startswith("1 selected: ")
    assert "selected" not in message.markers[4].text


def test_markers_of_no_sites_only_delete(types, round_trip):
    message = round_trip(encode_landing_markers(types, LandingChoice(), header(types)), MARKERS)
    assert [m.action for m in message.markers] == [3]


def test_the_best_site_is_a_pose(types, round_trip):
    message = round_trip(encode_best_site(types, site(), header(types)), POSE)
    assert place(message.pose) == (1.5, -2.5, 0.25)
    q = message.pose.orientation
    assert (q.x, q.y, q.z, q.w) == (0.0, 0.0, 0.0, 1.0)


def point(types, x_m=1.0, y_m=2.0, z_m=3.0, frame_id="map"):
    return types(POINT)(
        header=make_header(types, 5, frame_id),
        point=types("geometry_msgs/msg/Point")(x=x_m, y=y_m, z=z_m),
    )


def test_a_point_selects(types, round_trip):
    found = decode_selected_point(round_trip(point(types), POINT))
    assert (found.xyz_m.tolist(), found.frame_id, found.stamp_ns) == ([1.0, 2.0, 3.0], "map", 5)


def test_a_point_without_x_selects_nothing():
    found = decode_selected_point(point(cdr.message_class, x_m=math.nan, y_m=math.nan))
    assert math.isnan(found.xyz_m[0])


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"y_m": math.inf}, "finite metres"),
        ({"x_m": math.inf}, "finite metres"),
        ({"z_m": math.nan}, "finite metres"),
        ({"frame_id": ""}, "empty frame_id"),
    ],
)
def test_a_wrong_point_is_refused(values, match):
    with pytest.raises(MessageError, match=match):
        decode_selected_point(point(cdr.message_class, **values))
