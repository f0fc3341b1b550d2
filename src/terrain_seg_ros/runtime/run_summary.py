"""What a live node did, as JSON: the same from the ROS 2 node and from the node without ROS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from terrain_seg_ros.runtime.health import HealthSnapshot

SUMMARY_KEYS = ("images_in", "images_out", "ended_by")
"""Keys by which a summary file is known again."""


def run_summary(health: HealthSnapshot, about: Mapping[str, str]) -> dict[str, Any]:
    """Return the counters and latencies of a run beside what is known `about` it.

    Args:
        health: the counters.
        about: model, backend and how the run ended.
    """
    return {
        **about,
        "images_in": health.images_in,
        "images_out": health.images_out,
        "grids_out": health.grids_out,
        "dropped": {reason.value: count for reason, count in health.dropped.items()},
        "refused": {reason.value: count for reason, count in health.refused.items()},
        "notes": {note.value: count for note, count in health.notes.items()},
        "assumed": dict(health.remarks),
        "refusal_texts": {reason.value: text for reason, text in health.refusal_texts.items()},
        "warnings": list(health.standing.values()),
        "latency_ms": {
            stage: {"p50": item.median_ms, "p90": item.p90_ms, "p99": item.p99_ms}
            for stage, item in health.latency.items()
        },
    }
