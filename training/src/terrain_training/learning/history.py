"""The history of a run as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def flat_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return an epoch of the history with a column for each value, such as `iou_sand`."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat.update({f"{name}_{key}": item for key, item in value.items()})
        else:
            flat[name] = value
    return flat
