"""Charts are drawn to scale, with their last values in words."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from terrain_seg_ros.view.chart import HEIGHT, WIDTH, chart, span_of, step_of
from terrain_seg_ros.view.time_series import Line

SVG = re.compile("<svg.*</svg>")


def line(times_s, values, name="delay"):
    return Line(name, "#ffffff", np.array(times_s, float), np.array(values, float))


def drawn(lines, unit=""):
    return chart("Title", lines, unit, span_of(lines))


def polylines(html):
    """Return the points of each polyline."""
    svg = ElementTree.fromstring(SVG.search(html).group())
    found = [item.get("points").split() for item in svg.iter("polyline")]
    return [[tuple(map(float, point.split(","))) for point in points] for points in found]


def test_lines_are_to_scale_and_inside():
    ((first, middle, last),) = polylines(drawn([line([-10, -5, 0], [0, 50, 100])]))
    assert first[0] < middle[0] < last[0]
    assert middle == pytest.approx([(a + b) / 2 for a, b in zip(first, last)], abs=0.1)
    assert 0 <= last[1] < first[1] <= HEIGHT
    assert last[0] <= WIDTH


def test_a_pause_is_left_open_and_a_value_by_itself_is_a_dot():
    pieces = polylines(drawn([line([-20, -19, 0], [1, 2, 3])]))
    assert [len(points) for points in pieces] == [2, 2]
    assert pieces[1][0] == pieces[1][1]


def test_the_last_value_stands_beside_the_name():
    html = drawn([line([-1, 0], [1, 41.26]), line([], [], "node p99")], " ms")
    assert "delay <b>41.3 ms</b>" in html
    assert "node p99 <b>&ndash;</b>" in html


def test_nothing_and_zeros_are_drawn_too():
    assert polylines(drawn([])) == []
    assert len(polylines(drawn([line([-1, 0], [0, 0])]))) == 1


@pytest.mark.parametrize(("top", "step"), [(1.0, 0.5), (4.0, 1.0), (100.0, 50.0), (0.03, 0.01)])
def test_ticks_are_round_numbers(top, step):
    assert step_of(top) == pytest.approx(step)
