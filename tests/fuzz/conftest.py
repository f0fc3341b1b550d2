"""Seed and length of the runs; `make fuzz` gives longer ones."""

from __future__ import annotations

import numpy as np
import pytest

SEED, COUNT = 20261129, 1.0


def pytest_addoption(parser):
    parser.addoption("--fuzz-seed", type=int, default=SEED, help="what chooses the changes")
    parser.addoption("--fuzz-count", type=float, default=COUNT, help="times the usual number")


@pytest.fixture
def rng(request):
    """Return the generator that makes every choice of a test."""
    return np.random.default_rng(request.config.getoption("--fuzz-seed", SEED))


@pytest.fixture
def times(request):
    """Return a function that scales a number of changes by what was asked for."""
    factor = request.config.getoption("--fuzz-count", COUNT)
    return lambda count: max(1, round(count * factor))
