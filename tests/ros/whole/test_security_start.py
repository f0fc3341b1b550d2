"""How the node starts on a secured bus: what is wrong is said in one line, never passed over."""

from __future__ import annotations

import signal
import subprocess

import pytest

pytest.importorskip("rclpy", reason="no ROS 2 here; `make test-ros` runs these beside one")

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from support.bus_member import BusMember
from support.keystores import (
    CONSUMER,
    NODE,
    OPERATOR,
    POLICY,
    SENSORS,
    environment_of,
    make_keystore,
)
from support.node_process import WAIT_S, NodeProcess
from support.ros_peer import wait_until

SHOWN = 30


@pytest.fixture
def started(domain, opened):
    def node(**changes):
        changed = {name: value for name, value in changes.items() if value is not None}
        opened.append(NodeProcess(environment={**environment_of(domain), **changed}))
        return opened[-1]

    return node


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"ROS_SECURITY_ENABLE": "True"}, "ROS_SECURITY_ENABLE is 'True'"),
        (
            {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "enforce"},
            "ROS_SECURITY_STRATEGY is 'enforce'",
        ),
        (
            {
                "ROS_SECURITY_ENABLE": "true",
                "ROS_SECURITY_STRATEGY": "Enforce",
                "ROS_SECURITY_KEYSTORE": "/nowhere",
            },
            "('/nowhere') must hold the enclave",
        ),
    ],
)
def test_the_node_ends_with_one_line_where_security_cannot_be_had(started, changes, text):
    node = started(**changes)
    assert node.process.wait(WAIT_S) == 2
    wait_until(lambda: text in node.log, text)
    assert "Traceback" not in node.log


def test_a_node_that_would_go_on_without_keys_warns(started):
    node = started(ROS_SECURITY_ENABLE="true", ROS_SECURITY_KEYSTORE="/nowhere")
    wait_until(lambda: "is not Enforce: without keys" in node.log, "the warning")
    assert node.lives


@pytest.fixture
def keystore_without(tmp_path, domain, middleware_security):
    """Return a function that makes a keystore whose policy lacks one topic of the node."""

    def made(name):
        text, policy = POLICY.read_text(), tmp_path / "lacking.policy.xml"
        policy.write_text(text.replace(f"<topic>{name}</topic>", "", 1))
        return make_keystore(tmp_path / "keystore", domain, policy)

    return made


@pytest.mark.parametrize(
    ("topic", "failing", "reached"),
    [("hazard_reason", "configure", []), ("camera_info", "activate", ["configure"])],
)
def test_a_topic_that_the_policy_lacks_fails_the_transition_with_its_name(
    domain, opened, started, keystore_without, topic, failing, reached
):
    keystore = keystore_without(topic)
    node = started(**environment_of(domain, keystore, NODE))
    operator = BusMember(
        "ros", "bring_up", domain, environment=environment_of(domain, keystore, OPERATOR)
    )
    opened.append(operator)
    text = f"{failing} failed: "
    wait_until(lambda: text in node.log, f"{text} {operator.errors}", seconds=90.0)
    wait_until(lambda: f"/terrain/{topic}" in node.log, topic)
    assert "the policy of the node's enclave must allow this name" in node.log
    assert "Traceback" not in node.log
    assert operator.changed == reached
    assert node.lives
    camera = BusMember("ros", "show", domain, environment=environment_of(domain, keystore, SENSORS))
    opened.append(camera)
    wait_until(lambda: len(camera.readers) >= SHOWN, f"images {camera.errors}")
    assert set(camera.readers) == {0}


class Launch:
    """Hold a launch in the operator's enclave that starts the node in its own."""

    def __init__(self, domain, keystore, log):
        words = ["ros2", "launch", "terrain_seg_ros", "seg.launch.py", f"enclave:={NODE}"]
        words += ["model:=synthetic", "backend:=constant"]
        environment = environment_of(domain, keystore, OPERATOR)
        with log.open("w") as output:
            self._process = subprocess.Popen(
                words, env=environment, stdout=output, stderr=subprocess.STDOUT
            )

    def close(self):
        self._process.send_signal(signal.SIGINT)
        self._process.wait(WAIT_S)


def test_a_launch_in_the_operator_s_enclave_brings_the_node_to_active(
    tmp_path, domain, opened, middleware_security
):
    try:
        get_package_share_directory("terrain_seg_ros")
    except PackageNotFoundError:
        pytest.skip("the package is not built with colcon here")
    keystore = make_keystore(tmp_path / "keystore", domain)
    opened.append(Launch(domain, keystore, tmp_path / "launch.log"))
    for role, enclave in (("show", SENSORS), ("listen", CONSUMER)):
        environment = environment_of(domain, keystore, enclave)
        opened.append(BusMember("ros", role, domain, environment=environment))
    listener = opened[-1]
    wait_until(lambda: listener.heard("mask"), "masks; see launch.log", seconds=90.0)


def test_keys_of_another_domain_end_the_node_with_one_line(
    tmp_path, domain, started, middleware_security
):
    keystore = make_keystore(tmp_path / "keystore", domain + 1)
    node = started(**environment_of(domain, keystore, NODE))
    assert node.process.wait(WAIT_S) == 2
    wait_until(lambda: f"made with ROS_DOMAIN_ID={domain}" in node.log, "the domain")
    assert "Traceback" not in node.log


@pytest.mark.parametrize("name", ["permissions.p7s", "key.pem", "cert.pem", "governance.p7s"])
def test_a_damaged_keystore_ends_the_node_with_one_line_of_ours(
    tmp_path, domain, started, middleware_security, name
):
    keystore = make_keystore(tmp_path / "keystore", domain)
    damaged = keystore / "enclaves" / NODE.lstrip("/") / name
    damaged.unlink()
    damaged.write_text("not what it should be")
    node = started(**environment_of(domain, keystore, NODE))
    assert node.process.wait(WAIT_S) == 2
    wait_until(lambda: "ROS does not start with ROS_SECURITY_ENABLE=true" in node.log, "our line")
    assert "Traceback" not in node.log
