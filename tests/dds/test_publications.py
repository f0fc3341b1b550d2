"""The list of writers on the bus: who is there, and what asking costs."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.buses import wait_until
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Writer
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.dds.publications import Publications
from terrain_seg_ros.messages.topics import topic

PAGE_MIB = 4096 / 2**20


@pytest.fixture
def member(domain):
    joined = Participant(domain, Discovery.HOST)
    yield joined
    joined.close()


def held_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MIB


def test_a_writer_is_listed_as_long_as_it_exists(member):
    publications = Publications(member)
    assert ("rt/mask", member.entity.guid) not in list(publications.alive())
    writer = Writer(member, topic("mask"), dds_name="rt/mask")
    wait_until(lambda: ("rt/mask", member.entity.guid) in list(publications.alive()), "the writer")
    writer.close()
    wait_until(lambda: "rt/mask" not in dict(publications.alive()), "its end")


def test_asking_again_and_again_holds_no_more_memory(member):
    """A node asks every second: what Cyclone's own reader leaks were about 9 MiB an hour."""
    names = [f"rt/mask_{number}" for number in range(20)]
    writers = [Writer(member, topic("mask"), dds_name=name) for name in names]
    publications = Publications(member)
    wait_until(lambda: set(names) <= {name for name, _ in publications.alive()}, "the writers")
    for _ in range(300):
        list(publications.alive())
    before_mib = held_mib()
    for _ in range(3000):
        list(publications.alive())
    assert held_mib() - before_mib < 2.0  # 4.8 MiB with the user data of 20 writers
    assert len(writers) == 20
