"""Layers of the grid to grid_map_msgs/GridMap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.types import F32, GridSnapshot
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.message_types import Types, sequence_of


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
