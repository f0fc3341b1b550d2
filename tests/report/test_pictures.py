"""Tests of the pictures for people, pixel by pixel where it matters."""

import numpy as np
import pytest

from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.report.pictures import (
    FREE_RGB,
    GRADED_RGB,
    LETHAL_RGB,
    REASON_RGB,
    brightened,
    confidence_picture,
    grid_colors,
    grid_legend,
    grid_picture,
    legend_strip,
    sheet,
)

UNSEEN = REASON_RGB[Reason.OUTSIDE_VIEW]
CELLS = 40
CELL_M = 0.5
VEHICLE = (20.0, 20.0)


def unknown_grid():
    cost = np.full((CELLS, CELLS), -1, dtype=np.int8)
    return cost, np.full((CELLS, CELLS), Reason.OUTSIDE_VIEW, dtype=np.uint8)


def drawn(cost, reason):
    """Return 80 x 80 pixels: 8 m from top to bottom, 7 m of it ahead, so 5 pixels per cell."""
    return grid_picture(
        cost, reason, resolution_m=CELL_M, vehicle_row_col=VEHICLE, side_px=80, ahead_m=7.0
    )


def where(picture, rgb):
    rows, cols = np.nonzero((picture == rgb).all(axis=2))
    return rows.mean(), cols.mean(), len(rows)


def test_every_cost_and_reason_has_its_colour():
    cost = np.array([[0, 98, 100, -1, -1]], dtype=np.int8)
    reason = np.array([[0, 0, 0, Reason.LOW_CONFIDENCE, Reason.STALE]], dtype=np.uint8)
    colors = grid_colors(cost, reason)[0]
    assert tuple(colors[0]) == FREE_RGB
    np.testing.assert_allclose(colors[1], GRADED_RGB, atol=5)
    assert tuple(colors[2]) == LETHAL_RGB
    assert tuple(colors[3]) == REASON_RGB[Reason.LOW_CONFIDENCE]
    assert tuple(colors[4]) == REASON_RGB[Reason.STALE]


def test_more_cost_is_always_nearer_to_the_graded_colour():
    cost = np.arange(99, dtype=np.int8)[None]
    red = grid_colors(cost, np.zeros_like(cost, dtype=np.uint8))[0, :, 0].astype(int)
    assert (np.diff(red) >= 0).all()
    assert red[-1] - red[0] > 150


def test_all_reasons_look_different():
    assert set(REASON_RGB) == set(Reason) - {Reason.OBSERVED}
    assert len({FREE_RGB, GRADED_RGB, LETHAL_RGB, *REASON_RGB.values()}) == len(REASON_RGB) + 3


def test_ahead_is_up_and_left_is_left():
    cost, reason = unknown_grid()
    # From 3.0 m ahead (+x, columns) and 1.5 m to the left (+y, rows).
    cost[23, 26] = 100
    row, col, count = where(drawn(cost, reason), LETHAL_RGB)
    assert count == 25
    # Its centre lies 3.25 m ahead and 1.75 m left of the vehicle, at ten pixels per metre.
    assert row == pytest.approx(70.0 - 32.5 - 0.5)
    assert col == pytest.approx(40.0 - 17.5 - 0.5)


def test_beyond_the_grid_is_outside_the_view():
    cost, reason = np.zeros((8, 8), dtype=np.int8), np.zeros((8, 8), dtype=np.uint8)
    picture = grid_picture(
        cost, reason, resolution_m=CELL_M, vehicle_row_col=(4.0, 4.0), side_px=80, ahead_m=7.0
    )
    assert tuple(picture[2, 2]) == UNSEEN
    assert tuple(picture[58, 50]) == FREE_RGB


def test_the_vehicle_and_the_range_ring_are_drawn_to_scale():
    cost, reason = unknown_grid()
    picture = drawn(cost, reason)
    assert tuple(picture[70, 40]) == (235, 235, 235)
    ring = np.nonzero((picture[:, 40] != UNSEEN).any(axis=1))[0]
    assert any(abs(row - 20) <= 1 for row in ring), "five metres ahead"


def test_the_legend_names_what_occurs_in_the_colours_that_are_drawn():
    legend = dict(grid_legend([Reason.TOO_FAR, Reason.LOW_CONFIDENCE, Reason.OBSERVED]))
    assert list(legend) == [
        "free",
        "graded",
        "hazard",
        "not observed: too far",
        "not observed: low confidence",
    ]
    assert legend["hazard"] == LETHAL_RGB
    assert legend["not observed: too far"] == REASON_RGB[Reason.TOO_FAR]


def test_the_legend_strip_shows_each_colour_and_breaks_rows():
    legend = grid_legend(list(REASON_RGB))
    wide, narrow = legend_strip(legend, width_px=4000), legend_strip(legend, width_px=300)
    assert wide.shape == (34, 4000, 3)
    assert narrow.shape[0] > 5 * 34
    assert narrow.shape[0] % 34 == 0
    for strip in (wide, narrow):
        for _, rgb in legend:
            assert where(strip, rgb)[2] >= 100
    assert where(narrow, FREE_RGB)[0] < where(narrow, REASON_RGB[Reason.TOO_FAR])[0]


def test_confidence_is_bright_where_high():
    levels = confidence_picture(np.array([[0, 128, 255]], dtype=np.uint8))[0].astype(int)
    assert list(np.argsort(levels.sum(axis=1))) == [0, 1, 2]
    red, green, blue = levels[2]
    assert red > 200 > 60 > blue, "the bright end is yellow, so red and blue are not swapped"
    assert green > 200


def test_brightened_uses_all_levels_and_keeps_the_order():
    pixels = np.tile(np.arange(100, 150, dtype=np.uint8), (50, 1))
    result = brightened(pixels)
    assert (result.min(), result.max()) == (0, 255)
    assert (np.diff(result[0].astype(int)) >= 0).all()


def test_brightened_survives_a_flat_picture():
    assert brightened(np.full((4, 4, 3), 77, dtype=np.uint8)).max() == 0


def test_sheet_puts_pictures_row_by_row():
    pictures = [np.full((10, 20, 3), value, dtype=np.uint8) for value in (50, 100, 150)]
    result = sheet(pictures, columns=2, gap_px=4)
    assert result.shape == (24, 44, 3)
    assert [result[5, 5, 0], result[5, 30, 0], result[20, 5, 0]] == [50, 100, 150]
    assert (result[10:14] == 0).all()
    assert (result[:, 20:24] == 0).all()
    assert (result[14:, 24:] == 0).all()


def test_sheet_is_no_wider_than_its_pictures():
    picture = np.full((10, 20, 3), 9, dtype=np.uint8)
    assert sheet([picture], columns=6).shape == (10, 20, 3)


def test_sheet_writes_labels_into_their_own_pictures():
    pictures = [np.zeros((40, 60, 3), dtype=np.uint8)] * 2
    result = sheet(pictures, columns=2, gap_px=6, labels=["00", "11"])
    assert not np.array_equal(result[:, :60], result[:, 66:])
    assert result[:, :60].any()
    assert result[:, 66:].any()
    assert not result[30:].any()
