"""What the doctor says of the simulator."""

from __future__ import annotations

import pytest

from terrain_seg_ros.cli import doctor_sim
from terrain_seg_ros.cli.doctor_findings import State
from terrain_seg_ros.cli.doctor_sim import simulator_finding
from terrain_seg_ros.core.errors import ConfigError


def no_library():
    raise ConfigError("no OpenGL library works here")


@pytest.mark.parametrize(
    ("installed", "platform", "state", "words"),
    [
        (False, lambda: "egl", State.ABSENT, "mujoco is not installed"),
        (True, no_library, State.ABSENT, "no OpenGL library"),
        (True, lambda: "osmesa", State.USABLE, "draws with osmesa"),
    ],
)
def test_each_state_is_told_apart(monkeypatch, installed, platform, state, words):
    monkeypatch.setattr(doctor_sim, "mujoco_is_installed", lambda: installed)
    monkeypatch.setattr(doctor_sim, "choose_platform", platform)
    row = simulator_finding()
    assert row.state is state
    assert words in row.detail
    assert bool(row.remedy) == (state is State.ABSENT)
