"""Outlines of vehicles for property tests."""

import math

import numpy as np
from hypothesis import strategies as st


@st.composite
def outlines(draw):
    """Draw a star-shaped outline in cells, about a point that need not be the base frame's."""
    count = draw(st.integers(3, 7))
    turn = draw(st.floats(0.0, 6.0))
    steps = np.array(draw(st.lists(st.floats(0.3, 1.0), min_size=count, max_size=count)))
    reaches = np.array(draw(st.lists(st.floats(0.5, 4.0), min_size=count, max_size=count)))
    direction = turn + np.cumsum(steps) / steps.sum() * 2.0 * math.pi
    x = reaches * np.cos(direction) + draw(st.floats(-2.0, 2.0))
    y = reaches * np.sin(direction) + draw(st.floats(-2.0, 2.0))
    return tuple(zip(x.tolist(), y.tolist()))
