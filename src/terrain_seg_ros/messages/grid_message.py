"""Grids: the fused grid to nav_msgs/OccupancyGrid, and any OccupancyGrid to arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.types import GridSnapshot
from terrain_seg_ros.messages.header_message import make_header, make_time, stamp_ns
from terrain_seg_ros.messages.message_types import Types, sequence_of

SIDE_LIMIT_CELLS = 32767
RESOLUTION_LIMIT_M = 1e-6
"""Nav2's static layer refuses grids beyond these."""


@dataclass(frozen=True)
class GridValues:
    """An OccupancyGrid.

    `values` is (rows, cols), row 0 the lowest y, column 0 the lowest x; the origin is the corner
    of cell (0, 0) in `frame_id`.
    """

    values: NDArray[np.int8]
    resolution_m: float
    origin_x_m: float
    origin_y_m: float
    frame_id: str
    stamp_ns: int

    def __post_init__(self) -> None:
        """Check what Nav2 checks."""
        rows, cols = self.values.shape
        if not (1 <= rows <= SIDE_LIMIT_CELLS and 1 <= cols <= SIDE_LIMIT_CELLS):
            raise MessageError(
                f"grid has {cols}x{rows} cells, expected 1 to {SIDE_LIMIT_CELLS} a side; "
                "change its size or resolution"
            )
        if not (math.isfinite(self.resolution_m) and self.resolution_m >= RESOLUTION_LIMIT_M):
            raise MessageError(
                f"grid resolution is {self.resolution_m} m, expected {RESOLUTION_LIMIT_M} or more"
            )
        if not (math.isfinite(self.origin_x_m) and math.isfinite(self.origin_y_m)):
            raise MessageError(
                f"grid origin is ({self.origin_x_m}, {self.origin_y_m}), expected finite metres"
            )
        if not self.frame_id:
            raise MessageError("grid has an empty frame_id; name a frame such as odom")


class GridPart(NamedTuple):
    """A rectangle of cells by its lowest column and row."""

    col: int
    row: int
    width: int
    height: int


def encode_cost_grid(types: Types, snapshot: GridSnapshot) -> Any:
    """Return the cost as an OccupancyGrid: 0 free, 1 to 98 graded, 100 hazard, -1 not observed.

    Raises:
        MessageError: Nav2 would refuse the grid or misread a value.
    """
    return encode_layer(types, snapshot, snapshot.cost)


def encode_grid_update(types: Types, snapshot: GridSnapshot, part: GridPart) -> Any:
    """Return a part of the cost as a map_msgs/OccupancyGridUpdate of the whole grid.

    Raises:
        MessageError: Nav2 would misread a value, or the part lies outside the grid.
    """
    rows, cols = snapshot.cost.shape
    inside = part.row >= 0 and part.row + part.height <= rows
    if not (inside and part.col >= 0 and part.col + part.width <= cols):
        raise MessageError(f"{part} lies outside the grid of {cols}x{rows} cells")
    values = snapshot.cost[part.row : part.row + part.height, part.col : part.col + part.width]
    _check_cost(values)
    return types("map_msgs/msg/OccupancyGridUpdate")(
        header=make_header(types, snapshot.stamp_ns, snapshot.frame_id),
        x=part.col,
        y=part.row,
        width=part.width,
        height=part.height,
        data=sequence_of(types, values),
    )


def encode_layer(types: Types, snapshot: GridSnapshot, values: NDArray[np.int8]) -> Any:
    """Return values made from a snapshot, such as its safe map, as an OccupancyGrid.

    Raises:
        MessageError: Nav2 would refuse the grid or misread a value.
    """
    _check_cost(values)
    return _encode(types, snapshot, values)


def encode_speed_mask(types: Types, snapshot: GridSnapshot, percent: NDArray[np.int8]) -> Any:
    """Return speed limits in per cent, 0 where there is none, as an OccupancyGrid.

    99 is a limit like any other here: no costmap reads it as a cost.

    Raises:
        MessageError: Nav2 would refuse the grid or a value.
    """
    if percent.size and (percent.min() < 0 or percent.max() > 100):
        raise MessageError(
            f"speed limits span {percent.min()} to {percent.max()} %, expected 0 to 100"
        )
    return _encode(types, snapshot, percent)


def encode_reason_grid(types: Types, snapshot: GridSnapshot) -> Any:
    """Return the reasons as an OccupancyGrid of `Reason` codes, 0 where a cell is observed.

    Raises:
        MessageError: Nav2 would refuse the grid.
    """
    return _encode(types, snapshot, snapshot.reason.astype(np.int8))


def decode_grid(message: Any) -> GridValues:
    """Return the values of an OccupancyGrid.

    Raises:
        MessageError: size, data, resolution, frame or origin cannot be used.
    """
    info, pose = message.info, message.info.origin
    q = pose.orientation
    if (q.x, q.y, q.z, q.w) != (0.0, 0.0, 0.0, 1.0):
        raise MessageError(
            f"grid origin has quaternion ({q.x}, {q.y}, {q.z}, {q.w}), expected (0, 0, 0, 1); "
            "rotated grids are not read"
        )
    flat = np.asarray(message.data, dtype=np.int8)
    rows, cols = int(info.height), int(info.width)
    if flat.size != rows * cols:
        raise MessageError(f"grid of {cols}x{rows} cells has {flat.size} values; check it")
    return GridValues(
        values=flat.reshape(rows, cols),
        resolution_m=float(info.resolution),
        origin_x_m=float(pose.position.x),
        origin_y_m=float(pose.position.y),
        frame_id=str(message.header.frame_id),
        stamp_ns=stamp_ns(message.header),
    )


def apply_grid_update(grid: GridValues, message: Any) -> GridValues:
    """Return a grid with the part that a map_msgs/OccupancyGridUpdate holds replaced.

    Raises:
        MessageError: the part lies outside the grid or in another frame, or lacks values.
    """
    part = GridPart(int(message.x), int(message.y), int(message.width), int(message.height))
    rows, cols = grid.values.shape
    inside = 0 <= part.row <= rows - part.height and 0 <= part.col <= cols - part.width
    if not inside or str(message.header.frame_id) != grid.frame_id:
        raise MessageError(
            f"{part} in {message.header.frame_id!r} is no part of the grid of {cols}x{rows} cells "
            f"in {grid.frame_id!r}"
        )
    flat = np.asarray(message.data, dtype=np.int8)
    if flat.size != part.width * part.height:
        raise MessageError(f"{part} has {flat.size} values; check the publisher")
    values = grid.values.copy()
    values[part.row : part.row + part.height, part.col : part.col + part.width] = flat.reshape(
        part.height, part.width
    )
    return replace(grid, values=values, stamp_ns=stamp_ns(message.header))


def _check_cost(cost: NDArray[np.int8]) -> None:
    if cost.size and (cost.min() < -1 or cost.max() > 100 or bool((cost == 99).any())):
        raise MessageError(
            f"cost spans {cost.min()} to {cost.max()}, expected -1 to 100 without 99, which Nav2 "
            "reads as free"
        )


def _encode(types: Types, snapshot: GridSnapshot, values: NDArray[np.int8]) -> Any:
    grid = GridValues(
        values=values,
        resolution_m=snapshot.resolution_m,
        origin_x_m=snapshot.origin_x_m,
        origin_y_m=snapshot.origin_y_m,
        frame_id=snapshot.frame_id,
        stamp_ns=snapshot.stamp_ns,
    )
    return encode_grid_values(types, grid)


def encode_grid_values(types: Types, grid: GridValues) -> Any:
    """Return values as an OccupancyGrid; `decode_grid` reads it back."""
    rows, cols = grid.values.shape
    point = types("geometry_msgs/msg/Point")
    quaternion = types("geometry_msgs/msg/Quaternion")
    origin = types("geometry_msgs/msg/Pose")(
        position=point(x=float(grid.origin_x_m), y=float(grid.origin_y_m), z=0.0),
        orientation=quaternion(x=0.0, y=0.0, z=0.0, w=1.0),
    )
    info = types("nav_msgs/msg/MapMetaData")(
        map_load_time=make_time(types, grid.stamp_ns),
        resolution=float(grid.resolution_m),
        width=cols,
        height=rows,
        origin=origin,
    )
    return types("nav_msgs/msg/OccupancyGrid")(
        header=make_header(types, grid.stamp_ns, grid.frame_id),
        info=info,
        data=sequence_of(types, grid.values),
    )
