"""What the doctor says of the simulator."""

from __future__ import annotations

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.doctor import simulator
from terrain_seg_ros.doctor.finding import State
from terrain_seg_ros.doctor.simulator import simulator_finding


def no_library():
    raise ConfigError("no OpenGL library works here")


@pytest.mark.parametrize(
    ("installed", "platform", "state", "words"),
    [
        (False, lambda: "egl", State.ABSENT, "mujoco is not installed"),
        (True, no_library, State.ABSENT, "no OpenGL library"),
        (True, lambda: "osmesa", State.USABLE, "renders with osmesa"),
    ],
)
def test_each_state_is_told_apart(monkeypatch, installed, platform, state, words):
    monkeypatch.setattr(simulator, "mujoco_is_installed", lambda: installed)
    monkeypatch.setattr(simulator, "choose_platform", platform)
    row = simulator_finding()
    assert row.state is state
    assert words in row.detail
    assert bool(row.remedy) == (state is State.ABSENT)
