"""Domains, discovery and how a participant leaves."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds import participant as participant_module
from terrain_seg_ros.dds.discovery import (
    Discovery,
    choose_discovery,
    choose_domain,
    domain_configuration,
    reach,
)
from terrain_seg_ros.dds.participant import Participant


def test_domain_comes_from_the_argument_then_ros_then_zero():
    assert choose_domain(7, {"ROS_DOMAIN_ID": "3"}) == 7
    assert choose_domain(None, {"ROS_DOMAIN_ID": "3"}) == 3
    assert choose_domain(None, {"ROS_DOMAIN_ID": " "}) == 0
    assert choose_domain(None, {}) == 0


@pytest.mark.parametrize(
    ("argument", "environment", "words"),
    [
        (None, {"ROS_DOMAIN_ID": "red"}, "ROS_DOMAIN_ID is 'red'"),
        (None, {"ROS_DOMAIN_ID": "233"}, "ROS_DOMAIN_ID is 233"),
        (-1, {}, "domain id is -1"),
    ],
)
def test_wrong_domain_is_refused_by_name(argument, environment, words):
    with pytest.raises(ConfigError, match=words):
        choose_domain(argument, environment)


def test_host_stays_on_loopback():
    root = ET.fromstring(domain_configuration(Discovery.HOST, {}))
    assert [i.attrib for i in root.iter("NetworkInterface")] == [{"address": "127.0.0.1"}]
    assert root.find(".//AllowMulticast").text == "false"
    assert root.find(".//Peer").attrib == {"Address": "127.0.0.1"}
    assert root.find(".//SocketReceiveBufferSize").attrib == {"max": "64MB"}


def test_any_takes_the_network_too():
    root = ET.fromstring(domain_configuration(Discovery.ANY, {}))
    interfaces = [i.attrib for i in root.iter("NetworkInterface")]
    assert interfaces == [{"address": "127.0.0.1"}, {"autodetermine": "true"}]
    assert root.find(".//AllowMulticast").text == "true"


def test_users_configuration_wins():
    assert domain_configuration(Discovery.HOST, {"CYCLONEDDS_URI": "<x/>"}) is None


@pytest.mark.parametrize("discovery", Discovery)
def test_types_of_fast_dds_are_not_looked_up(discovery):
    root = ET.fromstring(domain_configuration(discovery, {}))
    assert root.findtext("Domain/Compatibility/IgnoreTypeInformation") == "1.15"


def test_a_participant_is_refused_where_the_environment_asks_for_security(domain, monkeypatch):
    monkeypatch.setenv("ROS_SECURITY_ENABLE", "true")
    with pytest.raises(ConfigError, match="ROS_SECURITY_ENABLE is true, but Cyclone DDS from pip"):
        Participant(domain, Discovery.HOST)
    monkeypatch.setenv("ROS_SECURITY_ENABLE", "True")
    with pytest.raises(ConfigError, match="ROS_SECURITY_ENABLE is 'True'"):
        Participant(domain, Discovery.HOST)


def test_two_participants_share_a_domain_and_it_can_be_joined_again(domain):
    for _ in range(2):
        first = Participant(domain, Discovery.HOST)
        second = Participant(domain, Discovery.HOST)
        assert len(first.gid) == len(second.gid) == 16
        assert first.gid != second.gid
        first.close()
        second.close()


@pytest.mark.parametrize("discovery", [Discovery.ANY, Discovery.NETWORK])
def test_other_discoveries_start(domain, discovery):
    member = Participant(domain, discovery)
    member.close()
    with pytest.raises(ConfigError, match="closed"):
        _ = member.entity


@pytest.mark.parametrize(
    ("argument", "environment", "expected"),
    [
        (None, {}, Discovery.HOST),
        (None, {"ROS_AUTOMATIC_DISCOVERY_RANGE": ""}, Discovery.HOST),
        (None, {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, Discovery.HOST),
        (None, {"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, Discovery.HOST),
        (None, {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, Discovery.ANY),
        (None, {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT"}, Discovery.NETWORK),
        (
            None,
            {"ROS_LOCALHOST_ONLY": "1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"},
            Discovery.HOST,
        ),
        (None, {"ROS_LOCALHOST_ONLY": "0"}, Discovery.HOST),
        ("any", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}, Discovery.ANY),
        ("host", {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, Discovery.HOST),
    ],
)
def test_the_network_is_joined_only_where_somebody_said_so(argument, environment, expected):
    assert choose_discovery(argument, environment) is expected


def test_a_reach_that_ros_does_not_know_is_refused():
    with pytest.raises(ConfigError, match=r"is 'localhost', expected one of .*LOCALHOST"):
        choose_discovery(None, {"ROS_AUTOMATIC_DISCOVERY_RANGE": "localhost"})


def test_the_reach_is_told_with_what_ros_needs():
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST" in reach(Discovery.HOST, {})
    assert reach(Discovery.ANY, {}) == "open to the network"
    assert "CYCLONEDDS_URI" in reach(Discovery.HOST, {"CYCLONEDDS_URI": "file:///x"})


def test_unusable_network_is_a_config_error(domain, monkeypatch):
    bad = '<CycloneDDS><Domain Id="any"><General><Interfaces>'
    bad += '<NetworkInterface name="none_such"/></Interfaces></General></Domain></CycloneDDS>'
    monkeypatch.setattr(participant_module, "domain_configuration", lambda discovery: bad)
    with pytest.raises(ConfigError, match="cannot be joined"):
        Participant(domain, Discovery.HOST)
