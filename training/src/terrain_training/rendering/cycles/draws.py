"""Random numbers that several choices of a picture share."""

from __future__ import annotations

import math

import numpy as np


def random_of(seed: int, *path: int) -> np.random.Generator:
    """Return numbers of one world or picture that depend on no other one."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, *path))))


def log_uniform(random: np.random.Generator, low: float, high: float) -> float:
    """Return a number between two whose logarithm is even."""
    return math.exp(random.uniform(math.log(low), math.log(high)))
