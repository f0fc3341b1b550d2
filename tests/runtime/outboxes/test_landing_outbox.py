"""Landing sites of a lander that hovers over a plain with rocks."""

import math

import numpy as np
import pytest

from support.rover import (
    HEIGHT_PX,
    SECOND_NS,
    START_NS,
    WIDTH_PX,
    Rover,
    image_message,
    transform_message,
)
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.messages.cdr import message_class, serialize
from terrain_seg_ros.messages.diagnostics_message import decode_diagnostics
from terrain_seg_ros.messages.grid_message import decode_grid
from terrain_seg_ros.messages.header_message import make_header, stamp_ns
from terrain_seg_ros.runtime.health import Note, Refusal
from terrain_seg_ros.runtime.outboxes.outgoing import Bus
from terrain_seg_ros.runtime.outboxes.outputs import outgoing_topics

TOPICS = {"landing_sites", "landing_sites_markers", "best_landing_site"}
PERIOD_NS = SECOND_NS // 10
ALTITUDE_M = 12.0
LANDER = {
    "mounting.use_tf": False,
    "mounting.pitch_rad": math.pi / 2.0,
    "mounting.z_m": ALTITUDE_M,
    "landing.enable": True,
    "ground.plane": "grid_plane",
    "ground.max_ground_sample_m": 0.5,
    "grid.resolution_m": 0.2,
    "grid.size_m": 20.0,
    "landing.min_separation_m": 2.0,
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return str(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=64))


class Clock:
    now_s = 50.0

    def __call__(self):
        return self.now_s


def lander(changes=None, **options):
    made = Rover({**LANDER, **(changes or {})}, **options)
    made.send_info()
    return made


def rocky(tiny, changes=None, **options):
    return lander({"model": tiny, "backend": "onnxruntime", **(changes or {})}, **options)


def plain(rocks=()):
    """Return soil with a rock at each pixel (row, column)."""
    pixels = np.full((HEIGHT_PX, WIDTH_PX), 40, dtype=np.uint8)
    for row, col in rocks:
        pixels[row - 3 : row + 3, col - 3 : col + 3] = 240
    return pixels


def place(detection):
    return detection.bbox.center.position.x, detection.bbox.center.position.y


def clear_of(grid, detection):
    """Return how far a site is from what is no free cell, between middles."""
    unsafe = np.argwhere(np.pad(grid.values, 1, constant_values=-1) != 0) - 0.5
    x_m, y_m = place(detection)
    at = np.array([y_m - grid.origin_y_m, x_m - grid.origin_x_m]) / grid.resolution_m
    return float(np.hypot(*(unsafe - at).T).min()) * grid.resolution_m


def select_message(x_m, y_m, frame_id="odom", stamp=START_NS):
    return message_class("geometry_msgs/msg/PointStamped")(
        header=make_header(message_class, stamp, frame_id),
        point=message_class("geometry_msgs/msg/Point")(x=x_m, y=y_m, z=0.0),
    )


def values(node):
    ((_, message),) = node.node.diagnostics()
    return decode_diagnostics(message)[0].values


def test_without_landing_nothing_is_said_of_it():
    node = lander({"landing.enable": False})
    assert not TOPICS & set(outgoing_topics(node.parameters))
    assert not TOPICS & set(node.send(image_message()))
    assert "landing_sites" not in values(node)
    with pytest.raises(ConfigError, match=r"landing\.enable"):
        node.node.select_best_site(keep=True)


def test_sites_come_with_the_grid_and_are_clear_of_hazards(tiny):
    node = rocky(tiny)
    given = node.send(image_message(pixels=plain([(20, 30), (44, 66)])))
    assert set(given) >= TOPICS
    for name in TOPICS:
        serialize(given[name], outgoing_topics(node.parameters)[name].type)
    sites, grid = given["landing_sites"], decode_grid(given["hazard_grid"])
    assert (grid.values == 100).any()
    assert sites.detections
    assert (stamp_ns(sites.header), sites.header.frame_id) == (START_NS, "odom")
    for detection in sites.detections:
        assert detection.bbox.size.x == detection.bbox.size.y >= 2.0 * 0.8
        assert clear_of(grid, detection) >= 0.5 * detection.bbox.size.x
        assert 0.5 <= detection.results[0].hypothesis.score <= 1.0
    best = given["best_landing_site"].pose.position
    assert (best.x, best.y) == place(sites.detections[0])
    texts = [m.text for m in given["landing_sites_markers"].markers if m.text]
    assert len(texts) == len(sites.detections)


def test_the_height_is_that_of_the_plane():
    node = lander({"ground.plane_height_m": -1.5})
    given = node.send(image_message())
    assert given["best_landing_site"].pose.position.z == pytest.approx(-1.5, abs=1e-5)


def test_numbers_stay_from_image_to_image(tiny):
    node = rocky(tiny)
    pixels = plain([(20, 30), (44, 66)])
    first, second = (
        node.send(image_message(START_NS + step * PERIOD_NS, pixels=pixels))["landing_sites"]
        for step in range(2)
    )
    assert len({item.id for item in first.detections}) == len(first.detections)
    before, after = ({item.id: place(item) for item in s.detections} for s in (first, second))
    assert before == after


def test_markers_are_made_only_for_listeners():
    node = lander(bus=Bus(wanted=lambda name: name != "landing_sites_markers"))
    assert set(node.send(image_message())) & TOPICS == TOPICS - {"landing_sites_markers"}


def test_a_stale_grid_has_no_sites():
    clock = Clock()
    node = lander(clock_s=clock)
    assert node.send(image_message())["landing_sites"].detections
    clock.now_s += 60.0
    given = dict(node.node.tick())
    assert list(given["landing_sites"].detections) == []
    assert [m.action for m in given["landing_sites_markers"].markers] == [3]
    assert "best_landing_site" not in given
    assert (decode_grid(given["hazard_grid"]).values == -1).all()
    assert values(node)["landing_site"] == "none"


def test_a_forgotten_map_and_an_ended_node_have_none_either():
    node = lander()
    for forget in (node.node.forget_map, node.node.retire):
        node.send(image_message(START_NS))
        assert list(dict(forget())["landing_sites"].detections) == []
        node.node.reset_grid()


def test_nothing_is_offered_on_ground_that_is_seen_too_coarsely():
    node = lander({"ground.max_ground_sample_m": 0.01})
    given = node.send(image_message())
    assert list(given["landing_sites"].detections) == []
    assert "best_landing_site" not in given


def test_a_point_selects_the_site_that_it_lies_in(tiny):
    node = rocky(tiny, {"landing.full_margin_m": 0.5})
    pixels = plain([(20, 30), (44, 66)])
    sites = node.send(image_message(pixels=pixels))["landing_sites"].detections
    wanted = sites[-1]
    node.node.take("select_site", "", select_message(*place(wanted)))
    answer = dict(node.node.tick())
    assert answer["landing_sites"].detections[0].id == wanted.id
    assert answer["best_landing_site"].pose.position.x == place(wanted)[0]
    assert values(node)["landing_site_selected"] == "yes"
    later = node.send(image_message(START_NS + PERIOD_NS, pixels=pixels))
    assert later["landing_sites"].detections[0].id == wanted.id
    node.node.take("select_site", "", select_message(math.nan, math.nan))
    answer = dict(node.node.tick())
    assert answer["landing_sites"].detections
    assert values(node)["landing_site_selected"] == "no"
    assert node.node.tick() == []


def test_an_image_answers_a_point_too():
    node = lander()
    node.send(image_message())
    node.node.take("select_site", "", select_message(1.1, 0.7))
    node.node.image("navcam", image_message(START_NS + PERIOD_NS))
    assert values(node)["landing_site_selected"] == "yes"


def test_a_point_of_another_frame_is_turned_into_the_grid_s(tiny):
    node = rocky(tiny)
    node.intake.add(
        transform_message("odom", "map", START_NS, translation_m=(100.0, 0.0, 0.0)), static=True
    )
    sites = node.send(image_message(pixels=plain([(20, 30)])))["landing_sites"].detections
    x_m, y_m = place(sites[-1])
    node.node.take("select_site", "", select_message(x_m - 100.0, y_m, "map"))
    assert dict(node.node.tick())["landing_sites"].detections[0].id == sites[-1].id


@pytest.mark.parametrize(
    ("message", "match"),
    [
        (select_message(300.0, 0.0), "outside the grid"),
        (select_message(1e308, 0.0), "expected at most 1e+07 m"),
        (select_message(-1e7, -1e7), "outside the grid"),
        (select_message(0.0, 0.0, ""), "empty frame_id"),
        (select_message(0.0, math.inf), "finite metres"),
        (select_message(0.0, 0.0, "nowhere"), "nowhere"),
    ],
)
def test_a_point_that_selects_nothing_is_counted_and_changes_nothing(message, match):
    node = lander()
    node.send(image_message())
    before = values(node)["landing_site"]
    node.node.take("select_site", "", message)
    assert node.node.tick() == []
    assert node.refused == {Refusal.SELECTION: 1}
    assert match in node.text
    assert values(node)["landing_site"] == before


def test_the_best_site_is_kept_until_a_rock_is_seen_there(tiny):
    node = rocky(tiny, {"grid.max_evidence": 1.0})
    with pytest.raises(GeometryError, match="no landing site"):
        node.node.select_best_site(keep=True)
    best = node.send(image_message(pixels=plain()))["landing_sites"].detections[0]
    text, outgoing = node.node.select_best_site(keep=True)
    assert text.startswith(f"landing site {best.id} at ")
    assert dict(outgoing)["landing_sites"].detections[0].id == best.id
    everywhere = [(row, col) for row in range(10, 60, 12) for col in range(10, 90, 12)]
    given = node.send(image_message(START_NS + PERIOD_NS, pixels=plain(everywhere)))
    assert best.id not in [item.id for item in given["landing_sites"].detections]
    assert Note.SITE_LOST in node.health.snapshot().recent_notes
    assert values(node)["landing_site_selected"] == "lost"
    text, _ = node.node.select_best_site(keep=False)
    assert "by score" in text
    assert values(node)["landing_site_selected"] == "no"


def test_the_vehicle_s_sigma_counts_while_it_runs():
    node = lander()
    first = node.send(image_message())["landing_sites"].detections
    node.node.change({"footprint.position_sigma_m": 0.8})
    second = node.send(image_message(START_NS + PERIOD_NS))["landing_sites"].detections
    assert first[0].results[0].pose.covariance[0] == pytest.approx(0.01)
    assert second[0].results[0].pose.covariance[0] == pytest.approx(0.64)
    assert min(item.bbox.size.x for item in second) >= 2 * (0.6 + 1.6)


def test_without_vision_msgs_the_rest_is_still_given():
    class FewTypes:
        @staticmethod
        def __call__(name):
            return message_class(name)

        @staticmethod
        def has(name):
            return not name.startswith(("vision_msgs", "visualization_msgs"))

    made = Rover(LANDER)
    from terrain_seg_ros.runtime.frame_processor import FrameProcessor  # noqa: PLC0415

    made.node = FrameProcessor(made.session, FewTypes(), made.buffer, health=made.health)
    made.send_info()
    assert set(made.send(image_message())) & TOPICS == {"best_landing_site"}
