"""Our messages against Nav2's rules, and the shipped parameter files against our topics."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from support.nav2_rules import (
    FREE,
    LETHAL,
    NO_INFORMATION,
    accepts_grid,
    accepts_update,
    keepout_cost,
    qualities_match,
    semantic_layer_takes,
    speed_limit,
    static_layer_cost,
)
from support.rover import HEIGHT_PX, SECOND_NS, START_NS, STATIC, WIDTH_PX, Rover, image_message
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.grid.grid_to_cost import cost_of_hazard
from terrain_seg_ros.messages.topic_spec import Direction
from terrain_seg_ros.messages.topics import topic, topics
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.outboxes.outputs import outgoing_topics

CONFIG = Path(__file__).parents[2] / "config"
FILES = ("nav2_static.yaml", "nav2_semantic.yaml", "nav2_params.yaml")
OURS = "nav2_terrain_seg.yaml"
GRIDS = ("hazard_grid", "hazard_reason", "safe_map", "keepout_mask", "speed_mask")
MIXED = {
    "grid.whole_period_s": 9.0,
    "filter_masks.max_rate_hz": 100.0,
    "points_decimation": 2,
    "speed_percent.sand": 40.0,
    "hazard.soil": 0.2,
}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Return what two images of soil, sand, rock and shadow give, by topic."""
    model = write_tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    node = Rover(
        {
            **STATIC,
            "horizontal_fov_rad": 1.0,
            "model": str(model),
            "backend": "onnxruntime",
            **MIXED,
        }
    )
    pixels = np.repeat(np.array([30, 90, 150, 230, 2, 254], np.uint8), WIDTH_PX // 6)
    pixels = np.tile(pixels, (HEIGHT_PX, 1))
    result = {item.topic: item.message for item in node.node.start()}
    for index, picture in enumerate((pixels, pixels[:, ::-1].copy())):
        stamp = START_NS + index * SECOND_NS
        result |= node.send(image_message(stamp, pixels=picture))
    return result


@pytest.mark.requirement("TSR-NAV-003")
@pytest.mark.parametrize("name", GRIDS)
def test_nav2_takes_every_grid(given, name):
    message = given[name]
    assert accepts_grid(message)
    origin, cell_m = message.info.origin.position, message.info.resolution
    for value in (origin.x, origin.y):
        assert value / cell_m == pytest.approx(round(value / cell_m), abs=1e-6)
    q = message.info.origin.orientation
    assert (q.x, q.y, q.z, q.w) == (0.0, 0.0, 0.0, 1.0)
    message.info.resolution = 0.0
    assert not accepts_grid(message)
    message.info.resolution = cell_m


def test_an_update_fits_the_whole_grid_before_it(given):
    assert accepts_update(given["hazard_grid_updates"], given["hazard_grid"])


@pytest.mark.requirement("TSR-NAV-001")
@pytest.mark.parametrize("trinary", [True, False])
@pytest.mark.parametrize("track_unknown", [True, False])
def test_a_hazard_is_lethal_whatever_the_costmap_s_flags(trinary, track_unknown):
    for hazard in np.linspace(0.0, 1.0, 101, dtype=np.float32):
        value = cost_of_hazard(hazard, 0.5, True)
        cost = static_layer_cost(value, trinary=trinary, track_unknown=track_unknown)
        assert (cost == LETHAL) == (hazard >= 0.5 - 1e-6)
        assert trinary or hazard >= 0.5 or FREE <= cost < LETHAL
    unknown = static_layer_cost(-1, trinary=trinary, track_unknown=track_unknown)
    assert unknown == (NO_INFORMATION if track_unknown else FREE)


@pytest.mark.requirement("TSR-NAV-002")
def test_99_would_be_free_which_is_why_it_is_never_sent(given):
    assert static_layer_cost(99, trinary=True, track_unknown=True) == FREE
    for name in ("hazard_grid", "safe_map", "keepout_mask", "speed_mask", "hazard_grid_updates"):
        values = np.asarray(given[name].data)
        assert set(np.unique(values)) <= {*range(-1, 99), 100}
    assert {-1, 100} < set(np.unique(given["hazard_grid"].data)), "the scene has no contrast"


@pytest.mark.requirement("TSR-NAV-004")
def test_the_keepout_filter_forbids_hazards_and_changes_nothing_else(given):
    keepout, cost = (np.asarray(given[name].data) for name in ("keepout_mask", "hazard_grid"))
    info = given["keepout_filter_info"]
    assert (info.type, info.base, info.multiplier) == (0, 0.0, 1.0)
    assert (keepout == 100).any()
    assert (keepout == 100).sum() == pytest.approx((cost == 100).sum(), rel=0.5)
    for master in (FREE, 120, LETHAL, NO_INFORMATION):
        assert {keepout_cost(master, int(v)) for v in np.unique(keepout)} == {master, LETHAL}


def test_the_speed_filter_can_read_every_cell(given):
    info = given["speed_filter_info"]
    assert info.type == 1
    limits = {speed_limit(int(value), info) for value in np.unique(given["speed_mask"].data)}
    assert None in limits
    assert 40.0 <= min(limit for limit in limits if limit) < 60.0


def test_the_semantic_layer_reads_within_the_messages(given):
    paired = [given[name] for name in ("points_mask", "points_confidence", "points", "label_info")]
    assert semantic_layer_takes(*paired)
    assert not semantic_layer_takes(given["mask"], *paired[1:])
    assert len({(m.header.stamp.sec, m.header.stamp.nanosec) for m in paired[:3]}) == 1
    assert all(item.class_id < 255 for item in given["label_info"].class_map)


@pytest.mark.requirement("TSR-NAV-006")
def test_subscribers_of_nav2_match_our_quality_of_service():
    for name in ("hazard_grid", "keepout_mask", "speed_mask", "safe_map", "label_info"):
        assert qualities_match(topic(name), reliable=True, transient_local=True)
    for name in ("keepout_filter_info", "speed_filter_info"):
        assert qualities_match(topic(name), reliable=True, transient_local=True)
    for name in ("points", "points_mask", "points_confidence", "hazard_points"):
        assert qualities_match(topic(name), reliable=False, transient_local=False)
    assert qualities_match(topic("hazard_grid_updates"), reliable=True, transient_local=False)
    assert not qualities_match(topic("mask"), reliable=True, transient_local=True)


def leaves(tree, path=()):
    """Yield path and value of every leaf."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, tree


def costmaps(name):
    content = yaml.safe_load((CONFIG / name).read_text())
    for key in ("local_costmap", "global_costmap"):
        if key in content:
            yield content[key][key]["ros__parameters"]


@pytest.mark.parametrize("name", FILES)
def test_files_name_topics_that_we_publish_with_their_parameters(name):
    published = {f"/terrain/{item}" for item in outgoing_topics(load_parameters(CONFIG / OURS))}
    used = [value for _, value in leaves(yaml.safe_load((CONFIG / name).read_text()))]
    ours = [value for value in used if str(value).startswith("/terrain/")]
    assert ours
    assert set(ours) <= published


@pytest.mark.parametrize("name", FILES)
def test_files_keep_what_is_unknown_unknown_and_gradients_graded(name):
    for costmap in costmaps(name):
        assert costmap["track_unknown_space"] is True
        assert costmap["rolling_window"] is True
        assert costmap["global_frame"] == load_parameters().pipeline.grid.frame_id
        layers = [costmap[layer] for layer in costmap["plugins"]]
        if any(layer["plugin"].endswith("::StaticLayer") for layer in layers):
            assert layers[0]["plugin"].endswith("::StaticLayer")
            assert layers[0]["map_subscribe_transient_local"] is True
            flags = ("trinary_costmap", "use_maximum")
            assert [costmap[flag] for flag in flags] == [False, False]
            assert not any(flag in layer for layer in layers for flag in flags)


@pytest.mark.parametrize("name", ["nav2_semantic.yaml", "nav2_params.yaml"])
def test_the_semantic_layer_knows_every_class_of_the_shipped_model(name):
    (costmap,) = [item for item in costmaps(name) if "semantic_layer" in item]
    camera = costmap["semantic_layer"]["navcam"]
    kinds = {kind: camera[kind] for kind in camera["class_types"]}
    classes = [name for kind in kinds.values() for name in kind["classes"]]
    taxonomy = load_card("mars_navcam").taxonomy
    assert sorted(classes) == sorted(taxonomy.names)
    cost_of = {name: kind["max_cost"] for kind in kinds.values() for name in kind["classes"]}
    by_hazard = sorted(taxonomy, key=lambda item: item.hazard)
    costs = [cost_of[item.name] for item in by_hazard]
    assert costs == sorted(costs)
    assert costs[-1] == LETHAL


def test_the_joined_file_is_one_vehicle():
    content = yaml.safe_load((CONFIG / "nav2_params.yaml").read_text())
    everything = list(leaves(content))
    frames = {v for path, v in everything if path[-1] in {"global_frame", "odom_frame_id"}}
    assert frames == {"odom"}
    radii = {v for path, v in everything if path[-1] == "robot_radius"}
    assert radii == {load_parameters().pipeline.footprint.radius_m}
    for path, value in everything:
        if path[-1] == "speed_limit_topic":
            assert value == "/speed_limit"
    speeds = content["velocity_smoother"]["ros__parameters"]["max_velocity"]
    follow = content["controller_server"]["ros__parameters"]["FollowPath"]
    assert follow["desired_linear_vel"] <= speeds[0]
    stop = content["collision_monitor"]["ros__parameters"]
    assert stop["Stop"]["radius"] > min(radii)


def test_the_joined_file_holds_the_semantic_one():
    (semantic,) = costmaps("nav2_semantic.yaml")
    joined, _ = costmaps("nav2_params.yaml")
    assert joined["semantic_layer"] == semantic["semantic_layer"]


@pytest.mark.parametrize("name", [*FILES, OURS])
def test_files_have_no_empty_list_which_ros_cannot_read(name):
    everything = leaves(yaml.safe_load((CONFIG / name).read_text()))
    assert [path for path, value in everything if value == []] == []


def test_every_topic_for_nav2_is_in_a_file_or_optional():
    text = "".join((CONFIG / name).read_text() for name in FILES)
    used = set(re.findall(r"/terrain/([a-z_]+)", text))
    names = {spec.name for spec in topics(Direction.OUT)}
    for_nav2 = {name for name in names if name.endswith("_filter_info")} | {"hazard_grid", "points"}
    assert for_nav2 <= used
