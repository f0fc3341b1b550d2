"""Markers by place, and a timeout for every test."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def places(pytestconfig):
    """Return the root's conftest, which lists live and slow tests."""
    return pytestconfig.pluginmanager.get_plugin(str(ROOT / "conftest.py"))


def test_every_listed_file_or_folder_exists(places):
    listed = [*places.LIVE, *places.SLOW]
    assert [name for name in listed if not (ROOT / name).exists()] == []
    assert len(listed) == len(set(listed))


def test_what_joins_a_bus_is_listed_as_live(places):
    live = [ROOT / name for name in places.LIVE]
    unlisted = [
        path
        for path in (ROOT / "tests").rglob("test_*.py")
        if "free_domain" in path.read_text("utf-8")
        and path != Path(__file__)
        and not {path, *path.parents} & {*live}
    ]
    assert unlisted == []


def test_a_test_that_is_listed_nowhere_is_fast_and_has_the_usual_timeout(request, pytestconfig):
    names = {mark.name for mark in request.node.iter_markers()}
    assert names.isdisjoint({"live", "slow", "timeout"})
    assert float(pytestconfig.getini("timeout")) == 300.0
