"""The GridMap is read as grid_map reads it: see `grid_map_reader`."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.grid_map_reader import GridMap
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.types import GridSnapshot
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.grid_map_message import encode_grid_map
from terrain_seg_ros.messages.header_message import stamp_ns

TYPE = "grid_map_msgs/msg/GridMap"


def snapshot(rows, cols, **changes):
    cost = np.zeros((rows, cols), np.int8)
    values = {
        "cost": cost,
        "hazard": cost.astype(np.float32),
        "reason": cost.astype(np.uint8),
        "resolution_m": 0.25,
        "origin_x_m": -3.5,
        "origin_y_m": 12.25,
        "frame_id": "odom",
        "stamp_ns": 1_700_000_000_123_456_789,
    }
    return GridSnapshot(**{**values, **changes})


@given(
    rows=st.integers(1, 7),
    cols=st.integers(1, 7),
    origin=st.tuples(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6)),
)
@settings(max_examples=50)
def test_every_cell_has_its_value_where_grid_map_looks_for_it(rows, cols, origin):
    values = np.arange(rows * cols, dtype=np.float32).reshape(rows, cols)
    values[0, 0] = np.nan
    x_m, y_m = origin[0] * 0.25, origin[1] * 0.25
    grid = snapshot(rows, cols, origin_x_m=x_m, origin_y_m=y_m)
    message = encode_grid_map(
        cdr.message_class, grid, {"hazard": values, "age": values + 1.0}, basic=["hazard"]
    )
    found = GridMap(cdr.deserialize(bytes(cdr.serialize(message, TYPE)), TYPE))
    assert found.basic == ["hazard"]
    for row in range(rows):
        for col in range(cols):
            place = (x_m + (col + 0.5) * 0.25, y_m + (row + 0.5) * 0.25)
            np.testing.assert_equal(found.at("hazard", *place), values[row, col])
            np.testing.assert_equal(found.at("age", *place), values[row, col] + np.float32(1.0))


def test_place_stamp_and_frame(types, round_trip):
    grid = snapshot(4, 8)
    layers = {"hazard": grid.hazard}
    message = round_trip(encode_grid_map(types, grid, layers, basic=["hazard"]), TYPE)
    assert (message.header.frame_id, stamp_ns(message.header)) == ("odom", grid.stamp_ns)
    info = message.info
    assert (info.resolution, info.length_x, info.length_y) == (0.25, 2.0, 1.0)
    assert (info.pose.position.x, info.pose.position.y, info.pose.position.z) == (-2.5, 12.75, 0.0)
    assert info.pose.orientation.w == 1.0


def test_layers_that_do_not_fit_are_refused():
    grid = snapshot(4, 8)
    with pytest.raises(MessageError, match="'age' is"):
        encode_grid_map(cdr.message_class, grid, {"age": grid.hazard[:2]}, basic=[])
    with pytest.raises(MessageError, match="'other' is none of"):
        encode_grid_map(cdr.message_class, grid, {"hazard": grid.hazard}, basic=["other"])
