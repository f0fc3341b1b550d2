"""The views of RViz and Foxglove show topics that exist, as they are published."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import yaml
from render_reference import README

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.topic_spec import Direction, TopicSpec
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.runtime.health import Health, Latency
from terrain_seg_ros.runtime.health_report import health_status

CONFIG = README.parent / "config"
RVIZ = yaml.safe_load((CONFIG / "terrain_seg.rviz").read_text(encoding="utf-8"))
FOXGLOVE = json.loads((CONFIG / "terrain_seg.foxglove.json").read_text(encoding="utf-8"))
DISPLAYS = {display["Name"]: display for display in RVIZ["Visualization Manager"]["Displays"]}
WITH_TOPIC = [display for display in DISPLAYS.values() if "Topic" in display]
TYPES = {
    "rviz_default_plugins/Image": "sensor_msgs/msg/Image",
    "rviz_default_plugins/Map": "nav_msgs/msg/OccupancyGrid",
    "rviz_default_plugins/PointCloud2": "sensor_msgs/msg/PointCloud2",
    "rviz_default_plugins/MarkerArray": "visualization_msgs/msg/MarkerArray",
}
PANELS = FOXGLOVE["configById"]
SCENE = PANELS["3D!terrain"]["topics"]
SCRIPT = FOXGLOVE["userNodes"]["terrain-latency"]["sourceCode"]


def spec_of(name: str) -> TopicSpec:
    """Return the row of a full topic name."""
    return topic(name.removeprefix("/terrain/"))


def leaves(node):
    """Return the names of the panels in a Foxglove layout."""
    return [node] if isinstance(node, str) else [*leaves(node["first"]), *leaves(node["second"])]


def test_rviz_shows_what_the_launch_file_promises():
    shown = {display["Topic"]["Value"] for display in WITH_TOPIC if display["Enabled"]}
    wanted = {"image", "overlay", "hazard_grid", "points", "hazard_points"}
    wanted.add("landing_sites_markers")
    assert shown == {f"/terrain/{name}" for name in wanted}
    assert RVIZ["Visualization Manager"]["Global Options"]["Fixed Frame"] == "odom"
    assert {DISPLAYS["Grid"]["Class"], DISPLAYS["TF"]["Class"]} == {
        "rviz_default_plugins/Grid",
        "rviz_default_plugins/TF",
    }


@pytest.mark.parametrize("display", WITH_TOPIC, ids=lambda display: display["Name"])
def test_rviz_displays_fit_type_and_quality_of_service(display):
    name = display["Topic"]["Value"]
    spec = spec_of(name)
    assert display["Enabled"] is display["Value"]
    assert TYPES[display["Class"]] == spec.type
    # An input is asked for as the node asks for it, so that every camera matches.
    assert display["Topic"]["Reliability Policy"].lower() == spec.reliability.value
    assert display["Topic"]["Durability Policy"].lower() == spec.durability.value
    assert display["Topic"]["History Policy"] == "Keep Last"


def test_a_click_in_rviz_selects_a_landing_site():
    tools = {tool["Class"]: tool for tool in RVIZ["Visualization Manager"]["Tools"]}
    click = tools["rviz_default_plugins/PublishPoint"]["Topic"]
    spec = spec_of(click["Value"])
    assert (spec.name, spec.direction) == ("select_site", Direction.IN)
    assert click["Reliability Policy"].lower() == spec.reliability.value


def test_rviz_draws_the_grid_as_costs_and_points_by_class():
    assert DISPLAYS["Hazard grid"]["Color Scheme"] == "costmap"
    points = DISPLAYS["Points by class"]
    assert (points["Color Transformer"], points["Channel Name"]) == ("Intensity", "label")
    last_class = max(item.id for item in load_card("mars_navcam").taxonomy)
    assert points["Max Intensity"] == SCENE["/terrain/points"]["maxValue"] == last_class


def test_rviz_is_installed_where_the_launch_file_looks():
    launch = (README.parent / "launch" / "seg.launch.py").read_text(encoding="utf-8")
    assert '"config" / "terrain_seg.rviz"' in launch
    setup = (README.parent / "setup.py").read_text(encoding="utf-8")
    assert '"config/*.rviz", "config/*.json"' in setup


def test_foxglove_has_the_form_of_a_layout():
    keys = {"configById", "globalVariables", "userNodes", "playbackConfig", "layout"}
    assert set(FOXGLOVE) == keys
    assert sorted(leaves(FOXGLOVE["layout"])) == sorted(PANELS)
    kinds = {name.partition("!")[0] for name in PANELS}
    assert kinds == {"Image", "3D", "DiagnosticSummary", "Plot"}


def test_foxglove_shows_topics_of_the_table_in_panels_that_take_them():
    for name in ("Image!camera", "Image!overlay"):
        image_topic = PANELS[name]["imageMode"]["imageTopic"]
        assert spec_of(image_topic).type == "sensor_msgs/msg/Image"
    summary = topic(PANELS["DiagnosticSummary!node"]["topicToRender"])
    assert summary.type == "diagnostic_msgs/msg/DiagnosticArray"
    kinds = set(TYPES.values()) - {"sensor_msgs/msg/Image"}
    for name, settings in SCENE.items():
        spec = spec_of(name)
        assert spec.type in kinds
        assert spec.direction is Direction.OUT
        assert isinstance(settings["visible"], bool)
    assert SCENE["/terrain/points"]["colorField"] == "label"
    assert SCENE["/terrain/hazard_grid"]["colorMode"] == "costmap"


def test_every_topic_of_the_foxglove_text_is_known():
    names = set(re.findall(r'"(/[a-z_/]+)["\\.]', json.dumps(FOXGLOVE)))
    assert len(names) > 5
    own = {"/studio_script/terrain_latency"}
    assert all(spec_of(name) for name in names - own)


def test_an_unknown_topic_is_noticed():
    with pytest.raises(ConfigError, match="danger_grid"):
        spec_of("/terrain/danger_grid")


def test_latency_script_reads_what_the_node_writes():
    latency = {"total": Latency(median_ms=12.5, p90_ms=20.0, p99_ms=31.25, count=9)}
    snapshot = replace(Health().snapshot(), latency=latency)
    values = health_status(snapshot, age_s=0.0, stale=False, about={}).values
    form = re.search(r"const FORM = /(.+)/;", SCRIPT).group(1)
    key = re.search(r'pair\.key === "(\w+)"', SCRIPT).group(1)
    assert re.search(form, values[key]).groups() == ("12.50", "20.00", "31.25")


def test_plot_shows_every_field_of_the_script():
    output = re.search(r'export const output = "(.+)";', SCRIPT).group(1)
    assert output.startswith("/studio_script/")
    fields = set(re.findall(r"(\w+): number", SCRIPT))
    assert {path["value"] for path in PANELS["Plot!latency"]["paths"]} == {
        f"{output}.{field}" for field in fields
    }
