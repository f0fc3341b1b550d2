"""Which topics of a bag are outputs of this node, recorded in an earlier run or replay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from terrain_seg_ros.messages.topic_spec import Direction
from terrain_seg_ros.messages.topics import topic, topics
from terrain_seg_ros.parameters.file import NAMESPACE

_UNMISTAKABLE = ("hazard_points", "hazard_grid")
"""Outputs that nothing else publishes: those with other names of ours beside them are ours too."""


def own_outputs(types: Mapping[str, str] | Iterable[tuple[str, str]]) -> frozenset[str]:
    """Return the topics that this node published, from the types of all topics by full name.

    A topic is ours where it has name and type of a row of the table, and lies in our usual
    namespace, or beside an output that nothing else publishes.
    """
    items = dict(types)
    rows = {(spec.name, spec.type) for spec in topics(Direction.OUT)}
    marks = {(name, topic(name).type) for name in _UNMISTAKABLE}
    folders = {_folder(name) for name, kind in items.items() if (_last(name), kind) in marks}
    return frozenset(
        name
        for name, kind in items.items()
        if (_last(name), kind) in rows
        and (name.startswith(f"{NAMESPACE}/") or _folder(name) in folders)
    )


def _last(name: str) -> str:
    return name.rpartition("/")[2]


def _folder(name: str) -> str:
    return name.rpartition("/")[0]
