"""Layers of the grid to grid_map_msgs/GridMap and back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.types import F32, GridSnapshot
from terrain_seg_ros.messages.grid_message import SIDE_LIMIT_CELLS
from terrain_seg_ros.messages.header_message import make_header, stamp_ns
from terrain_seg_ros.messages.message_types import Types, sequence_of

LAYER_LIMIT = 32
"""Layers of one message that are read; this node publishes fewer."""


class GridLayers(NamedTuple):
    """Layers (rows, cols) float32 by name, NaN where unknown; row 0 is y lowest, column 0 x lowest.

    The origin is the corner of cell (0, 0) in `frame_id`.
    """

    layers: Mapping[str, F32]
    resolution_m: float
    origin_x_m: float
    origin_y_m: float
    frame_id: str
    stamp_ns: int


def encode_grid_map(
    types: Types, snapshot: GridSnapshot, layers: Mapping[str, F32], *, basic: Sequence[str]
) -> Any:
    """Return layers (rows, cols) of a grid as a GridMap.

    grid_map counts its indices from the corner of the largest x and y, the first index along x,
    and stores columns one after another (grid_map_core's GridMapMath.cpp, grid_map_ros's
    GridMapMsgHelpers.hpp). So a layer is turned round whole, and its rows become the columns of
    grid_map's matrix. The pose is that of the grid's middle. NaN is unknown.

    Args:
        types: message classes.
        snapshot: gives the place and the stamp.
        layers: by name, float32.
        basic: the layers that must be finite for a cell to be valid.

    Raises:
        MessageError: a layer has not the grid's shape, or a basic layer is none of them.
    """
    rows, cols = snapshot.cost.shape
    for name, values in layers.items():
        if values.shape != (rows, cols):
            raise MessageError(f"layer {name!r} is {values.shape}, expected {(rows, cols)}")
    unknown = [name for name in basic if name not in layers]
    if unknown:
        raise MessageError(f"basic layer {unknown[0]!r} is none of {list(layers)}")
    length_x_m, length_y_m = cols * snapshot.resolution_m, rows * snapshot.resolution_m
    pose = types("geometry_msgs/msg/Pose")(
        position=types("geometry_msgs/msg/Point")(
            x=float(snapshot.origin_x_m + length_x_m / 2.0),
            y=float(snapshot.origin_y_m + length_y_m / 2.0),
            z=0.0,
        ),
        orientation=types("geometry_msgs/msg/Quaternion")(x=0.0, y=0.0, z=0.0, w=1.0),
    )
    info = types("grid_map_msgs/msg/GridMapInfo")(
        resolution=float(snapshot.resolution_m),
        length_x=float(length_x_m),
        length_y=float(length_y_m),
        pose=pose,
    )
    return types("grid_map_msgs/msg/GridMap")(
        header=make_header(types, snapshot.stamp_ns, snapshot.frame_id),
        info=info,
        layers=list(layers),
        basic_layers=list(basic),
        data=[_matrix(types, values) for values in layers.values()],
        outer_start_index=0,
        inner_start_index=0,
    )


def decode_grid_map(message: Any) -> GridLayers:
    """Return the layers of a GridMap whose buffer starts at its first cell, as ours does.

    Raises:
        MessageError: sizes, place or layout contradict each other or cannot be used.
    """
    info = message.info
    if (message.outer_start_index, message.inner_start_index) != (0, 0):
        raise MessageError("grid_map starts within its buffer, expected start indices of 0")
    numbers = (info.resolution, info.length_x, info.length_y)
    if not all(math.isfinite(value) and value > 0.0 for value in numbers):
        raise MessageError(f"grid_map has resolution and lengths {numbers}, expected above 0 m")
    cols, rows = (round(length / info.resolution) for length in numbers[1:])
    if not (1 <= rows <= SIDE_LIMIT_CELLS and 1 <= cols <= SIDE_LIMIT_CELLS):
        raise MessageError(f"grid_map has {cols}x{rows} cells, expected 1 to {SIDE_LIMIT_CELLS}")
    middle = info.pose.position
    if not (math.isfinite(middle.x) and math.isfinite(middle.y)):
        raise MessageError(f"grid_map lies at ({middle.x}, {middle.y}), expected finite metres")
    pairs = list(zip(message.layers, message.data))[:LAYER_LIMIT]
    return GridLayers(
        {str(name): _values(array, rows, cols, str(name)) for name, array in pairs},
        float(info.resolution),
        float(middle.x - info.length_x / 2.0),
        float(middle.y - info.length_y / 2.0),
        str(message.header.frame_id),
        stamp_ns(message.header),
    )


def _values(array: Any, rows: int, cols: int, name: str) -> F32:
    flat = np.asarray(array.data, dtype=np.float32)
    if flat.size != rows * cols:
        raise MessageError(f"layer {name!r} has {flat.size} values, expected {rows * cols}")
    return flat.reshape(rows, cols)[::-1, ::-1]


def _matrix(types: Types, values: F32) -> Any:
    rows, cols = values.shape
    dimension = types("std_msgs/msg/MultiArrayDimension")
    layout = types("std_msgs/msg/MultiArrayLayout")(
        dim=[
            dimension(label="column_index", size=rows, stride=rows * cols),
            dimension(label="row_index", size=cols, stride=cols),
        ],
        data_offset=0,
    )
    turned = np.ascontiguousarray(values[::-1, ::-1], dtype=np.float32)
    return types("std_msgs/msg/Float32MultiArray")(layout=layout, data=sequence_of(types, turned))
