"""The state of node and source in words, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from terrain_seg_ros.messages.diagnostics_message import Level, Status
from terrain_seg_ros.view.history import STATUS_NAME
from terrain_seg_ros.view.html_text import note, table
from terrain_seg_ros.view.moment import Moment

OTHERS_SHOWN = 8
"""Statuses of other nodes that are shown, with name and message only."""
LEVEL_COLORS = {
    Level.OK: "#6fcf97",
    Level.WARN: "#f2b84b",
    Level.ERROR: "#ff6b6b",
    Level.STALE: "#9aa0ac",
}
_FIRST = ("model", "backend", "precision", "images_in", "images_out", "dropped", "refused")
"""Values that are shown first."""


def state_html(moment: Moment, source: str, notice: str) -> str:
    """Return what is shown, what is wrong with it, and how the node is.

    Args:
        moment: what is known.
        source: the bag or bus.
        notice: what is wrong with the source, empty if all is well.
    """
    lines = [note(source)]
    if notice:
        lines.append(note(notice, color=LEVEL_COLORS[Level.WARN], bold=True))
    own = _own(moment.statuses)
    if own is not None:
        level = Level.STALE if notice else own.level
        text = f"{own.level.name}: {own.message}"
        lines.append(note(text, color=LEVEL_COLORS[level], bold=not notice))
    elif not notice:
        lines.append(note("nothing on /diagnostics yet", color=LEVEL_COLORS[Level.STALE]))
    return "".join(lines)


def diagnostics_html(moment: Moment) -> str:
    """Return this node's diagnostics with all values, those of others by their message."""
    own = _own(moment.statuses)
    parts = []
    if own is not None:
        parts.append(table(_ordered(own.values)))
    others = [status for status in moment.statuses if status is not own][:OTHERS_SHOWN]
    for status in others:
        text = f"{status.name}: {status.level.name}, {status.message}"
        parts.append(note(text, color=LEVEL_COLORS[status.level]))
    return "".join(parts) or note("nothing yet")


def topics_html(missing: Sequence[str], problems: Mapping[str, str]) -> str:
    """Return the topics that are absent, and what was wrong with messages of others."""
    rows = [(name, text) for name, text in problems.items()]
    parts = []
    if rows:
        parts.append(note("cannot be shown:", color=LEVEL_COLORS[Level.WARN]) + table(rows))
    if missing:
        parts.append(note(f"nothing from {', '.join(missing)}"))
    return "".join(parts) or note("all topics have come, and all messages were readable")


def _own(statuses: Sequence[Status]) -> Status | None:
    return next((status for status in statuses if status.name.startswith(STATUS_NAME)), None)


def _ordered(values: Mapping[str, str]) -> list[tuple[str, str]]:
    first = [(key, values[key]) for key in _FIRST if key in values]
    return first + [(key, text) for key, text in values.items() if key not in _FIRST]
