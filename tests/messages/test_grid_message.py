import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.types import GridSnapshot, Reason
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.grid_message import (
    GridPart,
    decode_grid,
    encode_cost_grid,
    encode_grid_update,
    encode_reason_grid,
    encode_speed_mask,
)

GRID = "nav_msgs/msg/OccupancyGrid"
STAMP_NS = 1_700_000_000_123_456_789


def _snapshot(cost=None, **changes):
    cost = np.array([[0, 98, 100], [-1, 1, 50]], np.int8) if cost is None else cost
    reason = np.full(cost.shape, Reason.TOO_FAR, np.uint8)
    values = {
        "cost": cost,
        "hazard": np.zeros(cost.shape, np.float32),
        "reason": reason,
        "resolution_m": 0.25,
        "origin_x_m": -3.5,
        "origin_y_m": 12.25,
        "frame_id": "odom",
        "stamp_ns": STAMP_NS,
    }
    return GridSnapshot(**(values | changes))


@pytest.mark.parametrize("encode", [encode_cost_grid, encode_reason_grid])
def test_round_trip(types, round_trip, encode):
    snapshot = _snapshot()
    grid = decode_grid(round_trip(encode(types, snapshot), GRID))
    layer = snapshot.cost if encode is encode_cost_grid else snapshot.reason
    np.testing.assert_array_equal(grid.values, layer)
    assert (grid.resolution_m, grid.origin_x_m, grid.origin_y_m) == (0.25, -3.5, 12.25)
    assert (grid.frame_id, grid.stamp_ns) == ("odom", STAMP_NS)


@settings(max_examples=40)
@given(
    rows=st.integers(1, 9),
    cols=st.integers(1, 9),
    seed=st.integers(0, 99),
    x_m=st.floats(-1e6, 1e6),
)
def test_any_grid_survives(rows, cols, seed, x_m):
    cost = np.random.default_rng(seed).integers(-1, 99, (rows, cols), dtype=np.int8)
    message = encode_cost_grid(cdr.message_class, _snapshot(cost, origin_x_m=x_m))
    grid = decode_grid(cdr.deserialize(cdr.serialize(message, GRID), GRID))
    np.testing.assert_array_equal(grid.values, cost)
    assert grid.origin_x_m == x_m


def test_fields_are_what_nav2_accepts(types):
    message = encode_cost_grid(types, _snapshot())
    q = message.info.origin.orientation
    assert (q.x, q.y, q.z, q.w) == (0.0, 0.0, 0.0, 1.0)
    assert message.info.origin.position.z == 0.0
    assert (message.info.width, message.info.height, len(message.data)) == (3, 2, 6)
    stamp, loaded = message.header.stamp, message.info.map_load_time
    assert (loaded.sec, loaded.nanosec) == (stamp.sec, stamp.nanosec)
    assert (stamp.sec, stamp.nanosec) == divmod(STAMP_NS, 10**9)
    assert list(message.data) == [0, 98, 100, -1, 1, 50]


@pytest.mark.requirement("TSR-NAV-002")
@pytest.mark.parametrize("value", [99, 101, 127, -2, -128])
def test_cost_that_nav2_misreads_is_refused(value):
    with pytest.raises(MessageError, match="without 99"):
        encode_cost_grid(cdr.message_class, _snapshot(np.full((2, 2), value, np.int8)))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"frame_id": ""}, "empty frame_id"),
        ({"resolution_m": 0.0}, "resolution is 0.0"),
        ({"resolution_m": float("nan")}, "resolution is nan"),
        ({"origin_x_m": float("inf")}, "origin is"),
        ({"cost": np.zeros((1, 32768), np.int8)}, "32768x1 cells"),
        ({"cost": np.zeros((0, 3), np.int8)}, "3x0 cells"),
    ],
)
def test_grid_that_nav2_refuses_is_not_sent(changes, text):
    with pytest.raises(MessageError, match=text):
        encode_cost_grid(cdr.message_class, _snapshot(**changes))


def test_wrong_number_of_values_is_refused():
    message = encode_cost_grid(cdr.message_class, _snapshot())
    message.data = message.data[:-1]
    with pytest.raises(MessageError, match="3x2 cells has 5 values"):
        decode_grid(message)


def test_rotated_grid_is_refused():
    message = encode_cost_grid(cdr.message_class, _snapshot())
    message.info.origin.orientation.w = 0.0
    with pytest.raises(MessageError, match="quaternion"):
        decode_grid(message)


def test_speed_limits_may_be_99_but_not_unknown(types, round_trip):
    snapshot = _snapshot()
    percent = np.array([[0, 98, 99], [100, 1, 50]], np.int8)
    grid = decode_grid(round_trip(encode_speed_mask(types, snapshot, percent), GRID))
    np.testing.assert_array_equal(grid.values, percent)
    with pytest.raises(MessageError, match="-1 to 50"):
        encode_speed_mask(types, snapshot, np.array([[0, 0, 0], [-1, 1, 50]], np.int8))


def test_an_update_is_a_part_of_the_grid(types, round_trip):
    snapshot = _snapshot()
    message = encode_grid_update(types, snapshot, GridPart(col=1, row=0, width=2, height=2))
    update = round_trip(message, "map_msgs/msg/OccupancyGridUpdate")
    assert (update.x, update.y, update.width, update.height) == (1, 0, 2, 2)
    assert list(update.data) == [98, 100, 1, 50]
    assert update.header.frame_id == "odom"


@pytest.mark.parametrize("part", [(-1, 0, 1, 1), (0, 0, 4, 1), (0, 1, 1, 2), (3, 0, 1, 1)])
def test_an_update_outside_the_grid_is_refused(types, part):
    with pytest.raises(MessageError, match="outside the grid"):
        encode_grid_update(types, _snapshot(), GridPart(*part))
