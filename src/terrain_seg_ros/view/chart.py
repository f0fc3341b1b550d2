"""A chart of lines over time, as SVG: what it shows is fixed, and as wide as its panel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from terrain_seg_ros.view.html_text import safe
from terrain_seg_ros.view.time_series import SPAN_S, Line

WIDTH, HEIGHT = 376, 120
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 6, 16
SHORTEST_SPAN_S = 10.0
GAP_S = 5.0
"""A longer pause between two values is left open."""
_STEPS = (1.0, 2.0, 5.0, 10.0)
_TICKS_AT_MOST = 4
_AXIS, _GRID = "#9aa0ac", "#50545e"
_SMALL = "font-size:12px;line-height:1.4"


def chart(title: str, lines: Sequence[Line], unit: str, span_s: float) -> str:
    """Return a chart of the last seconds as HTML, with the last value of each line by its name."""
    top = _top(lines)
    parts = [*_value_axis(top), *_time_axis(span_s)]
    parts += [_drawn(line, span_s, top) for line in lines if line.values.size]
    return (
        f'<div style="{_SMALL};padding:4px 12px">'
        f'<div style="font-weight:600">{safe(title)}</div>{_legend(lines, unit)}'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="100%" '
        f'style="display:block;font-size:10px">{"".join(parts)}</svg></div>'
    )


def step_of(top: float) -> float:
    """Return the distance of the ticks up to a value: 1, 2 or 5 times a power of ten."""
    rough = top / _TICKS_AT_MOST
    power = 10.0 ** math.floor(math.log10(rough))
    return next(step * power for step in _STEPS if step * power >= rough * 0.999)


def span_of(lines: Sequence[Line]) -> float:
    """Return the seconds that charts of some lines cover."""
    oldest_s = [-float(line.time_s[0]) for line in lines if line.time_s.size]
    return min(SPAN_S, max([SHORTEST_SPAN_S, *oldest_s]))


def _top(lines: Sequence[Line]) -> float:
    """Return the end of the value axis, a whole number of steps."""
    highest = max([0.0, *(float(line.values.max()) for line in lines if line.values.size)])
    if highest <= 0.0:
        return 1.0
    step = step_of(highest)
    return step * math.ceil(highest / step * 1.001)


def _value_axis(top: float) -> list[str]:
    step = step_of(top)
    parts = []
    for number in range(round(top / step) + 1):
        y = _y(number * step, top)
        parts.append(
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="{_GRID}"/>'
            f'<text x="{_LEFT - 5}" y="{y + 3.5}" fill="{_AXIS}" text-anchor="end">'
            f"{number * step:g}</text>"
        )
    return parts


def _time_axis(span_s: float) -> list[str]:
    step_s = step_of(span_s)
    y = HEIGHT - 4
    return [
        f'<text x="{_x(-number * step_s, span_s)}" y="{y}" fill="{_AXIS}" '
        f'text-anchor="{"middle" if number else "end"}">'
        f"{f'-{number * step_s:g} s' if number else 'now'}</text>"
        for number in range(int(span_s / step_s) + 1)
    ]


def _drawn(line: Line, span_s: float, top: float) -> str:
    """Return a line with gaps where it has pauses; a value by itself is a dot."""
    breaks = np.flatnonzero(np.diff(line.time_s) > GAP_S) + 1
    parts = []
    for times_s, values in zip(np.split(line.time_s, breaks), np.split(line.values, breaks)):
        places = [
            f"{_x(time_s, span_s)},{_y(value, top)}"
            for time_s, value in zip(times_s.tolist(), values.tolist())
        ]
        places += places[:1] if len(places) == 1 else []
        parts.append(
            f'<polyline points="{" ".join(places)}" fill="none" stroke="{line.color}" '
            'stroke-width="1.5" stroke-linejoin="round" stroke-linecap="round"/>'
        )
    return "".join(parts)


def _legend(lines: Sequence[Line], unit: str) -> str:
    items = [
        f'<span style="white-space:nowrap;margin-right:12px"><span style="color:{line.color}">'
        f"&#9632;</span> {safe(line.name)} <b>{_last(line, unit)}</b></span>"
        for line in lines
    ]
    return "".join(items)


def _last(line: Line, unit: str) -> str:
    if not line.values.size:
        return "&ndash;"
    value = float(line.values[-1])
    return safe(f"{value:.0f}{unit}" if value >= 100.0 else f"{value:.3g}{unit}")


def _x(time_s: float, span_s: float) -> float:
    return round(WIDTH - _RIGHT + (WIDTH - _LEFT - _RIGHT) * time_s / span_s, 1)


def _y(value: float, top: float) -> float:
    return round(HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * value / top, 1)
