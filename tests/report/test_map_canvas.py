"""Rolling grids become one map: what was seen last stays, and memory is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.grid_message import GridValues
from terrain_seg_ros.report import map_canvas
from terrain_seg_ros.report.map_canvas import MapCanvas

CELL_M = 0.1
HERE = np.zeros((1, 2))


def grid(values, x_m=0.0, y_m=0.0):
    return GridValues(np.asarray(values, dtype=np.int8), CELL_M, x_m, y_m, "odom", 1)


def at(cut, x_m, y_m):
    """Return cost and reason of the cell at a place."""
    row, col = np.floor(cut.row_col(np.array([[x_m, y_m]]))[0]).astype(int)
    return int(cut.cost[row, col]), int(cut.reason[row, col])


def test_cells_that_leave_the_grid_keep_what_was_seen_last():
    canvas = MapCanvas()
    canvas.paste(grid([[0, 100], [50, -1]]), None)
    canvas.paste(grid([[20, -1], [-1, 7]], x_m=CELL_M), None)
    cut = canvas.cut(HERE)
    assert at(cut, 0.05, 0.05)[0] == 0
    assert at(cut, 0.15, 0.05)[0] == 20, "the newer value"
    assert at(cut, 0.05, 0.15)[0] == 50
    assert at(cut, 0.15, 0.15)[0] == -1
    assert at(cut, 0.25, 0.15)[0] == 7


@pytest.mark.parametrize("corner_m", [(-3.0, -7.0), (25.5, -25.7), (51.2, 25.6)])
def test_grids_lie_where_their_origin_says_on_both_sides_of_zero_and_of_tiles(corner_m):
    values = np.arange(60 * 60).reshape(60, 60) % 90
    canvas = MapCanvas()
    canvas.paste(grid(values, *corner_m), None)
    cut = canvas.cut(np.array([corner_m]))
    for row, col in ((0, 0), (59, 59), (13, 47)):
        place = (corner_m[0] + (col + 0.5) * CELL_M, corner_m[1] + (row + 0.5) * CELL_M)
        assert at(cut, *place)[0] == values[row, col]


def test_reasons_are_kept_for_cells_that_nobody_observed():
    canvas = MapCanvas()
    reason = grid([[Reason.OBSERVED, Reason.SHADOW]])
    canvas.paste(grid([[0, -1]]), reason)
    canvas.paste(grid([[-1, -1]]), grid([[Reason.OUTSIDE_VIEW, Reason.OUTSIDE_VIEW]]))
    cut = canvas.cut(HERE)
    assert at(cut, 0.05, 0.05)[0] == 0
    assert at(cut, 0.15, 0.05) == (-1, Reason.SHADOW)


def test_the_cut_is_square_and_holds_the_path_too():
    canvas = MapCanvas()
    canvas.paste(grid(np.zeros((4, 4))), None)
    cut = canvas.cut(np.array([[0.0, 0.0], [9.0, 2.0]]))
    assert cut.cost.shape[0] == cut.cost.shape[1] >= 90
    places = cut.row_col(np.array([[0.0, 0.0], [9.0, 2.0]]))
    assert (places >= 0).all()
    assert (places < cut.cost.shape[0]).all()


def test_a_long_drive_is_shown_with_several_cells_in_one_as_costly_as_the_worst(monkeypatch):
    monkeypatch.setattr(map_canvas, "SIDE_LIMIT_CELLS", 128)
    values = np.zeros((300, 300))
    values[123, 77] = 100
    canvas = MapCanvas()
    canvas.paste(grid(values), None)
    cut = canvas.cut(HERE)
    assert cut.cell_m == pytest.approx(4 * CELL_M)
    assert cut.cost.shape[0] <= 128
    assert (cut.cost == 100).sum() == 1
    assert at(cut, 7.75, 12.35)[0] == 100


def test_a_map_that_is_full_says_so_and_keeps_what_it_has(monkeypatch):
    monkeypatch.setattr(map_canvas, "TILE_LIMIT", 1)
    canvas = MapCanvas()
    canvas.paste(grid([[0]]), None)
    assert not canvas.is_full
    canvas.paste(grid([[0]], x_m=100.0), None)
    assert canvas.is_full
    assert (canvas.cut(HERE).cost == 0).sum() == 1


def test_an_empty_map_has_no_picture():
    assert MapCanvas().cut(HERE) is None
