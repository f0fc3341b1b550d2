"""What a downlink says, as files: a map for map_server, pictures, arrays, JSON."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from terrain_seg_ros.core.downlink.receiver import DownlinkReceiver, ReceivedGrid
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid.costs import COST_LETHAL, I8
from terrain_seg_ros.core.types import U8, Reason
from terrain_seg_ros.report.output_place import write_whole
from terrain_seg_ros.report.pictures import grid_colors

SUMMARY = "summary.json"
SUMMARY_KEYS = ("packets", "lost", "gaps", "grid")
OCCUPIED, FREE, UNKNOWN = 0, 254, 128
"""Grey levels of the map; map_server reads (255 - level) / 255 as its occupancy."""
_MAP_YAML = """\
image: map.pgm
mode: trinary
resolution: {resolution_m!r}
origin: [{x_m!r}, {y_m!r}, 0.0]
negate: 0
occupied_thresh: 0.65
free_thresh: 0.2
"""
_SHORTEST_PX = 512


def write_downlink(receiver: DownlinkReceiver, folder: Path) -> list[str]:
    """Write what was received into a folder; return the names of the files.

    Raises:
        ConfigError: the folder cannot be written.
    """
    files: dict[str, bytes] = {}
    grid = receiver.grid()
    if grid is not None:
        files.update(_grid_files(grid))
    if receiver.thumbnail is not None:
        files["thumbnail.png"] = _png(receiver.thumbnail.picture())
    files[SUMMARY] = json.dumps(summary(receiver), indent=2, ensure_ascii=False).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise ConfigError(
            f"'{folder}' cannot be written ({error.strerror}); check its permissions and the free "
            "space, or give another --out"
        ) from error
    return list(files)


def summary(receiver: DownlinkReceiver) -> dict[str, Any]:
    """Return what was received as JSON has it, without the arrays."""
    last, sites = receiver.last, receiver.sites
    return {
        "packets": receiver.packets,
        "lost": receiver.lost,
        "late": receiver.late,
        "damaged": receiver.damaged_count,
        "damage": receiver.damaged,
        "streams": receiver.streams,
        "gaps": [
            {"stream": gap.stream, "first": gap.first, "last": gap.last} for gap in receiver.gaps
        ],
        "last_stamp_ns": None if last is None else last.stamp_ns,
        "grid": _about(receiver.grid()),
        "sites": None if sites is None else [_finite(vars(site)) for site in sites],
        "health": receiver.health,
    }


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with None for NaN, which JSON does not have."""
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in values.items()
    }


def _about(grid: ReceivedGrid | None) -> dict[str, Any] | None:
    if grid is None:
        return None
    x_m, y_m = _origin_m(grid)
    return {
        "frame_id": grid.extent.frame_id,
        "resolution_m": grid.extent.resolution_m,
        "origin_x_m": x_m,
        "origin_y_m": y_m,
        "rows": grid.extent.rows,
        "cols": grid.extent.cols,
        "hazard_cells": int((grid.cost == COST_LETHAL).sum()),
        "safe_cells": int(((grid.cost >= 0) & (grid.cost < COST_LETHAL)).sum()),
        "not_observed_cells": int((grid.cost < 0).sum()),
    }


def _origin_m(grid: ReceivedGrid) -> tuple[float, float]:
    extent = grid.extent
    return extent.first_col * extent.resolution_m, extent.first_row * extent.resolution_m


def _grid_files(grid: ReceivedGrid) -> dict[str, bytes]:
    x_m, y_m = _origin_m(grid)
    arrays = io.BytesIO()
    np.savez_compressed(
        arrays,
        cost=grid.cost,
        stamp_ns=grid.stamp_ns,
        resolution_m=grid.extent.resolution_m,
        origin_x_m=x_m,
        origin_y_m=y_m,
        frame_id=np.array(grid.extent.frame_id),
    )
    text = _MAP_YAML.format(resolution_m=grid.extent.resolution_m, x_m=x_m, y_m=y_m)
    return {
        "map.npz": arrays.getvalue(),
        "map.png": _png(_picture(grid.cost)),
        "map.pgm": _pgm(grid.cost),
        "map.yaml": text.encode(),
    }


def _picture(cost: I8) -> U8:
    """Return the grid in colours, x to the right and y up, cells enlarged where they are few."""
    reason = np.full(cost.shape, int(Reason.OUTSIDE_VIEW), dtype=np.uint8)
    colors = grid_colors(cost, reason)[::-1]
    factor = max(1, _SHORTEST_PX // min(cost.shape))
    picture: U8 = colors.repeat(factor, axis=0).repeat(factor, axis=1)
    return picture


def _pgm(cost: I8) -> bytes:
    """Return the map as map_server reads it: the top row is that of the highest y."""
    level = np.where(cost == COST_LETHAL, OCCUPIED, np.where(cost < 0, UNKNOWN, FREE))
    rows, cols = cost.shape
    return f"P5\n{cols} {rows}\n255\n".encode() + level[::-1].astype(np.uint8).tobytes()


def _png(picture_rgb: U8) -> bytes:
    done, data = cv2.imencode(".png", np.ascontiguousarray(picture_rgb[..., ::-1]))
    if not done:
        raise ConfigError("OpenCV cannot write PNG files; install opencv-python-headless")
    return data.tobytes()
