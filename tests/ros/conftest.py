"""A node process and a peer per test; each module skips, with the reason, where ROS is missing."""

import importlib.util
import itertools
import os

import pytest

from support.node_process import NodeProcess

WHOLE = ("launch", "tf2_ros", "nav2_msgs", "sros2")
"""What a ROS 2 from PyPI's wheels lacks and the tests in `whole/` need."""
collect_ignore = [] if all(map(importlib.util.find_spec, WHOLE)) else ["whole"]
NO_SECURITY = ("security support enabled", "dds_security", "have the security libraries")
"""What the middlewares say that were built without."""
_domains = itertools.count(os.getpid() % 90)


@pytest.fixture
def domain(monkeypatch):
    """Give the test a DDS domain on this machine alone."""
    number = 1 + next(_domains) % 99
    monkeypatch.setenv("ROS_DOMAIN_ID", str(number))
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    monkeypatch.setenv("ROS_PYTHON_CHECK_FIELDS", "1")
    monkeypatch.delenv("CYCLONEDDS_URI", raising=False)
    return number


@pytest.fixture(scope="session")
def middleware_security(tmp_path_factory):
    """Skip where keystores cannot be made, or where the middleware was built without security."""
    pytest.importorskip("sros2", reason="no sros2 here: keystores cannot be made")
    from support.keystores import OPERATOR, environment_of, make_keystore, ros2  # noqa: PLC0415

    number = 215 + os.getpid() % 17
    keystore = make_keystore(tmp_path_factory.mktemp("probe") / "keystore", number)
    environment = environment_of(number, keystore, OPERATOR)
    probe = ros2("node", "list", "--no-daemon", environment=environment)
    if probe.returncode and any(text in probe.stderr for text in NO_SECURITY):
        pytest.skip(f"this middleware has no security: {probe.stderr.strip().splitlines()[-1]}")
    assert probe.returncode == 0, probe.stderr


@pytest.fixture
def opened():
    """Collect what must be closed, also where a test fails; the last one first."""
    things = []
    yield things
    for thing in reversed(things):
        thing.close()


@pytest.fixture
def peer(domain, opened):
    """Return another node on the bus."""
    from support.ros_peer import RosPeer  # noqa: PLC0415  (needs rclpy)

    opened.append(RosPeer(domain))
    return opened[-1]


@pytest.fixture
def start(domain, opened):
    """Return a function that starts the node as a process."""

    def started(*arguments, **parameters):
        opened.append(NodeProcess(*arguments, **parameters))
        return opened[-1]

    return started
