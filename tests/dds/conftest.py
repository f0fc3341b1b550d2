"""A domain and a participant per test."""

import pytest

from support.buses import free_domain
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.participant import Participant


@pytest.fixture(autouse=True)
def no_own_settings(monkeypatch):
    for name in ("CYCLONEDDS_URI", "ROS_DOMAIN_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def domain():
    return free_domain()


@pytest.fixture
def participant(domain):
    member = Participant(domain, Discovery.HOST)
    yield member
    member.close()
