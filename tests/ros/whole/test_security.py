"""SROS2 with the shipped policy: who has no keys, or no right, neither feeds nor hears the node."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from support.bus_member import BusMember
from support.keystores import (
    CONSUMER,
    NODE,
    OPERATOR,
    SENSORS,
    environment_of,
    forge_permissions,
    make_keystore,
)
from support.node_process import NodeProcess
from support.ros_peer import wait_until

DOMAIN = 215 + os.getpid() % 17
OURS, THEIRS = 111, 666
SHOWN = 30
"""How many images an intruder shows before it counts as not heard; unsecured, they do."""
ROLES = (
    ("operator", "bring_up", OPERATOR),
    ("camera", "show", SENSORS),
    ("listener", "listen", CONSUMER),
)


def start_bus(folder, opened, keystore):
    """Start node, camera and listener; return them once masks flow."""

    def environment(enclave):
        return environment_of(DOMAIN, keystore, enclave)

    node = NodeProcess(environment=environment(NODE))
    opened.append(node)
    members = {}
    for name, role, enclave in ROLES:
        members[name] = BusMember("ros", role, DOMAIN, OURS, environment=environment(enclave))
        opened.append(members[name])
    bus = SimpleNamespace(node=node, keystore=keystore, folder=folder, **members)
    try:
        wait_until(lambda: masks(bus, OURS), "masks", seconds=90.0)
    except AssertionError as error:
        said = "".join(member.errors for member in members.values())
        raise AssertionError(f"{error}: {said} {node.log}") from error
    wait_until(lambda: bus.operator.changed == ["configure", "activate"], "the operator's answers")
    return bus


@pytest.fixture(scope="module")
def things():
    opened = []
    yield opened
    for thing in reversed(opened):
        thing.close()


@pytest.fixture(scope="module")
def bus(tmp_path_factory, things, middleware_security):
    """Return a bus on which everyone has keys."""
    folder = tmp_path_factory.mktemp("security")
    keystore = make_keystore(folder / "keystore", DOMAIN)
    return start_bus(folder, things, keystore)


@pytest.fixture
def join(opened):
    def joined(*arguments, environment):
        opened.append(BusMember(*arguments, environment=environment))
        return opened[-1]

    return joined


def masks(bus, mark):
    return bus.listener.heard("mask", mark)


def settle(bus, camera, listener):
    """Wait until both intruders had as good a chance as the bus's own camera and listener."""
    before = masks(bus, OURS)
    wait_until(lambda: camera.refused or camera.shown >= SHOWN, "the intruder's images")
    wait_until(lambda: listener.refused or listener.has_joined, "the intruder")
    wait_until(lambda: masks(bus, OURS) >= before + SHOWN, f"masks; log: {bus.node.log}")


def test_who_has_keys_and_rights_feeds_the_node_and_hears_masks_and_grids(bus):
    wait_until(lambda: masks(bus, OURS) and bus.listener.heard("hazard_grid"), "mask and grid")
    assert bus.camera.refused is None
    assert bus.listener.refused is None


@pytest.mark.parametrize("kind", ["ros", "pip"])
def test_who_has_no_keys_neither_feeds_the_node_nor_hears_it(bus, join, kind):
    if kind == "pip":
        pytest.importorskip("cyclonedds", reason="no wheel of Cyclone DDS here")
    outside = environment_of(DOMAIN)
    camera = join(kind, "show", DOMAIN, THEIRS, environment=outside)
    listener = join(kind, "listen", DOMAIN, environment=outside)
    settle(bus, camera, listener)
    assert camera.refused is None
    assert masks(bus, THEIRS) == 0
    assert listener.heard() == 0


def forge(bus, join):
    """Send datagrams in the camera's name from a process without keys, until they had a chance."""
    pytest.importorskip("cyclonedds", reason="no wheel of Cyclone DDS here")
    environment = {**environment_of(DOMAIN), "FORGED_GID": bus.camera.gid}
    forger = join("forged", "show", DOMAIN, THEIRS, environment=environment)
    wait_until(lambda: forger.shown >= SHOWN, f"the forged images {forger.errors}")


def test_datagrams_in_the_name_of_the_camera_are_dropped(bus, join):
    before = masks(bus, OURS)
    forge(bus, join)
    wait_until(lambda: masks(bus, OURS) >= before + SHOWN, "masks of the true camera")
    assert masks(bus, THEIRS) == 0


def test_keys_of_another_keystore_open_nothing(bus, join):
    other = make_keystore(bus.folder / "other", DOMAIN)
    camera = join("ros", "show", DOMAIN, THEIRS, environment=environment_of(DOMAIN, other, SENSORS))
    listener = join("ros", "listen", DOMAIN, environment=environment_of(DOMAIN, other, CONSUMER))
    settle(bus, camera, listener)
    assert camera.refused is None
    assert masks(bus, THEIRS) == 0
    assert listener.heard() == 0


def test_keys_without_the_right_open_nothing(bus, join):
    def inside(enclave):
        return environment_of(DOMAIN, bus.keystore, enclave)

    camera = join("ros", "show", DOMAIN, THEIRS, environment=inside(CONSUMER))
    listener = join("ros", "listen", DOMAIN, environment=inside(SENSORS))
    settle(bus, camera, listener)
    assert camera.refused is not None
    assert listener.refused is not None
    assert masks(bus, THEIRS) == 0
    assert listener.heard() == 0


def test_rights_that_somebody_gave_himself_open_nothing(bus, join):
    def forged(enclave, rights_of, name):
        folder = forge_permissions(
            bus.folder / name, DOMAIN, bus.keystore, enclave=enclave, rights_of=rights_of
        )
        return environment_of(DOMAIN, folder, enclave)

    showing, listening = forged(CONSUMER, SENSORS, "show"), forged(SENSORS, CONSUMER, "listen")
    camera = join("ros", "show", DOMAIN, THEIRS, environment=showing)
    listener = join("ros", "listen", DOMAIN, environment=listening)
    settle(bus, camera, listener)
    assert camera.refused is None
    assert masks(bus, THEIRS) == 0
    assert listener.heard() == 0


def test_only_the_operator_may_change_the_node_s_state(bus, join):
    consumer = environment_of(DOMAIN, bus.keystore, CONSUMER)
    outside = join("ros", "halt", DOMAIN, environment=environment_of(DOMAIN))
    inside = join("ros", "halt", DOMAIN, environment=consumer)
    settle(bus, inside, outside)
    assert inside.refused is not None
    assert inside.changed == outside.changed == []
    before = masks(bus, OURS)
    wait_until(lambda: masks(bus, OURS) > before, "masks of a node that is still active")


@pytest.mark.parametrize("kind", ["ros", "pip"])
def test_without_security_the_same_intruders_are_believed(tmp_path, opened, join, kind):
    if kind == "pip":
        pytest.importorskip("cyclonedds", reason="no wheel of Cyclone DDS here")
    bus = start_bus(tmp_path, opened, None)
    camera = join(kind, "show", DOMAIN, THEIRS, environment=environment_of(DOMAIN))
    listener = join(kind, "listen", DOMAIN, environment=environment_of(DOMAIN))
    settle(bus, camera, listener)
    assert masks(bus, THEIRS) > 0
    assert listener.heard("mask") > 0
    assert listener.heard("hazard_grid") > 0


def test_without_security_datagrams_in_the_name_of_the_camera_are_believed(tmp_path, opened, join):
    bus = start_bus(tmp_path, opened, None)
    forge(bus, join)
    wait_until(lambda: masks(bus, THEIRS), "masks of forged images")
