"""Maps show north up, the path where it was, and errors in their colours."""

from __future__ import annotations

import numpy as np
import pytest

from terrain_seg_ros.report.map_pictures import (
    COMPARISON_LEGEND,
    FALSE_FREE_RGB,
    FALSE_HAZARD_RGB,
    OUTSIDE_RGB,
    PATH_RGB,
    SITE_RGB,
    UNSEEN_RGB,
    comparison_colors,
    draw_scale,
    map_picture,
    truth_colors,
)
from terrain_seg_ros.report.pictures import FREE_RGB, LETHAL_RGB

COST = np.array([[0, 100, 0, 100, -1, 40, 0]], dtype=np.int8)
TRUTH = np.array([[0, 100, 100, 0, 100, 0, -1]], dtype=np.int8)


def test_every_combination_has_its_colour():
    expected = [
        FREE_RGB,
        LETHAL_RGB,
        FALSE_FREE_RGB,
        FALSE_HAZARD_RGB,
        UNSEEN_RGB,
        FREE_RGB,
        UNSEEN_RGB,
    ]
    assert [tuple(cell) for cell in comparison_colors(COST, TRUTH)[0].tolist()] == expected
    assert {rgb for _, rgb in COMPARISON_LEGEND} >= set(expected)


def test_truth_outside_the_world_is_dark():
    colors = truth_colors(TRUTH)[0].tolist()
    assert tuple(colors[0]) == FREE_RGB
    assert tuple(colors[1]) == LETHAL_RGB
    assert tuple(colors[6]) == OUTSIDE_RGB


def picture(**changes):
    colors = np.zeros((20, 20, 3), np.uint8)
    colors[19, 0] = FREE_RGB  # highest y, lowest x
    path = np.array([[2.0, 4.0], [2.0, 14.0]])
    values = {"path_row_col": path, "heading_row_col": np.array([0.0, 1.0]), **changes}
    return map_picture(colors, side_px=200, **values)


def test_north_is_up_and_the_path_is_where_it_was():
    shown = picture()
    assert tuple(shown[5, 5]) == FREE_RGB
    assert tuple(shown[180, 90]) == PATH_RGB
    assert (shown[:150, 20:] == 0).all()


def test_the_landing_site_is_marked():
    assert not (picture() == SITE_RGB).all(axis=2).any()
    shown = picture(site_row_col=[12.0, 6.0])
    rows, cols = np.nonzero((shown == SITE_RGB).all(axis=2))
    assert abs(rows.mean() - 80) < 3
    assert abs(cols.mean() - 60) < 3


@pytest.mark.parametrize(("m_per_px", "length_px"), [(0.1, 50), (0.02, 50), (1.0, 50), (0.03, 67)])
def test_the_scale_is_a_round_length_of_at_most_a_quarter(m_per_px, length_px):
    picture = np.zeros((300, 300, 3), dtype=np.uint8)
    draw_scale(picture, m_per_px=m_per_px)
    (columns,) = np.nonzero((picture[284] == PATH_RGB).all(axis=1))
    assert abs(np.ptp(columns) - length_px) <= 3
