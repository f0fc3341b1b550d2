"""What the user is told where nothing can be drawn."""

from __future__ import annotations

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.sim import opengl


@pytest.fixture(autouse=True)
def no_choice_of_the_user(monkeypatch):
    monkeypatch.delenv(opengl.VARIABLE, raising=False)


def test_missing_libraries_are_named_with_their_packages(monkeypatch):
    absent = {name: (("libNoSuch.so.9",), pack) for name, (_, pack) in opengl.LIBRARIES.items()}
    monkeypatch.setattr(opengl, "LIBRARIES", absent)
    with pytest.raises(ConfigError, match="apt-get install libegl1 libgl1") as caught:
        opengl.choose_platform()
    assert "libosmesa6" in str(caught.value)
    assert "egl: libNoSuch.so.9" in str(caught.value)


def test_the_first_platform_that_draws_is_taken(monkeypatch):
    monkeypatch.setattr(opengl, "_missing_library", lambda name: "" if name == "osmesa" else "no")
    monkeypatch.setattr(opengl, "_probe", lambda _: "")
    assert opengl.choose_platform() == "osmesa"


def test_the_users_own_platform_is_the_only_one_tried(monkeypatch):
    monkeypatch.setenv(opengl.VARIABLE, "OSMesa")
    tried = []
    monkeypatch.setattr(opengl, "_missing_library", lambda _: "")
    monkeypatch.setattr(opengl, "_probe", lambda name: tried.append(name) or "broken")
    with pytest.raises(ConfigError, match="osmesa: broken"):
        opengl.choose_platform()
    assert tried == ["osmesa"]


def test_a_platform_that_fails_says_why(monkeypatch):
    monkeypatch.setattr(opengl, "_PROBE", "raise SystemExit('no such device')")
    assert opengl._probe("egl") == "no such device"


def test_without_mujoco_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(opengl, "mujoco_is_installed", lambda: False)
    with pytest.raises(ConfigError, match=r"pip install -e '\.\[sim\]'"):
        opengl.load_mujoco.__wrapped__()
