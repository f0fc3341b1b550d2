"""Settings of the tests of both distributions: Hypothesis without a clock, and the markers.

How long an example takes says how busy the machine is and nothing about the code.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

ROOT = Path(__file__).parent
LIVE = (
    "tests/dds",
    "tests/demo",
    "tests/fuzz/test_fuzz_live.py",
    "tests/ros",
)
"""Tests that join a bus or start processes that do, as folders or files."""
SLOW = ()
"""Tests of a second or more each, or of several in all, as folders or files."""
SLOW_TIMEOUT_S = 1200


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line("markers", "live: joins a real bus or starts processes that do")
    config.addinivalue_line("markers", "slow: takes a second or more on two quiet cores")
    config.addinivalue_line("markers", "timeout: seconds after which a test counts as hung")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the place of its file; live and slow ones have a longer timeout."""
    for item in items:
        place = item.path.relative_to(ROOT)
        places = {str(place), *map(str, place.parents)}
        names = [name for name, known in (("live", LIVE), ("slow", SLOW)) if places & {*known}]
        for name in names:
            item.add_marker(name)
        if names and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SLOW_TIMEOUT_S))
