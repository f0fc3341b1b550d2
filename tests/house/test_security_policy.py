"""The SROS2 policy grants the node the topics and services that it has, and no others."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from terrain_seg_ros.messages.topic_spec import Direction
from terrain_seg_ros.messages.topics import topics

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / "config" / "sros2" / "terrain_seg.policy.xml"
NODE = "/terrain/terrain_seg"
OF_ROS = {
    "subscribe": {"/clock", "/parameter_events", "bond"},
    "publish": {"/rosout", "~/transition_event", "/parameter_events", "bond"},
}
"""What rclpy and bondpy add to every lifecycle node."""

pytestmark = pytest.mark.skipif(not POLICY.is_file(), reason="this checkout has no SROS2 policy")


def granted(kind, right):
    """Return the names that the node's enclave may `right`, of topics or services."""
    (profile,) = ElementTree.parse(POLICY).findall(
        f"enclaves/enclave[@path='{NODE}']/profiles/profile"
    )
    return {
        item.text
        for group in profile.findall(f"{kind}s")
        if group.get(right) == "ALLOW"
        for item in group.findall(kind)
    }


@pytest.mark.requirement("TSR-BUS-007")
@pytest.mark.parametrize(
    ("right", "direction"), [("subscribe", Direction.IN), ("publish", Direction.OUT)]
)
def test_topics_are_those_of_the_table(right, direction):
    ours = {spec.name for spec in topics() if spec.direction is direction}
    assert granted("topic", right) == ours | OF_ROS[right]


def test_services_of_the_node_are_served():
    source = (ROOT / "src/terrain_seg_ros/ros/node.py").read_text(encoding="utf-8")
    ours = set(re.findall(r'create_service\(\w+, "([^"]+)"', source))
    assert len(ours) >= 4
    assert ours | {"~/change_state", "~/get_state"} <= granted("service", "reply")
    assert granted("service", "request") == set()


@pytest.mark.requirement("TSR-BUS-007")
def test_nothing_is_granted_by_a_wildcard():
    for right in ("publish", "subscribe"):
        assert not [name for name in granted("topic", right) if "*" in name]
