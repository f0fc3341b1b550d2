"""Sheets of pictures have a legend, heads, and captions that fit below each tile."""

import numpy as np
import pytest

from terrain_seg_ros.report.captioned_sheet import Tile, captioned_sheet

RED, BLUE = (200, 30, 30), (30, 30, 200)


def filled(rgb, *, height=10, width=20):
    return np.full((height, width, 3), rgb, dtype=np.uint8)


def sheet(tiles, **changes):
    given = {"heads": ("image", "truth"), "legend": [("soil", RED)], "picture_px": 100}
    return captioned_sheet(tiles, **(given | changes))


def has(picture, rgb):
    return int((picture == rgb).all(axis=2).sum())


def test_pictures_are_scaled_and_keep_their_shape():
    drawn = sheet([Tile((filled(BLUE), filled(BLUE)), "one")], legend=[])
    assert has(drawn, BLUE) == 2 * 100 * 50
    assert drawn.shape[1] < 240


def test_a_legend_shows_the_colour_of_each_label():
    tiles = [Tile((filled(BLUE), filled(BLUE)))]
    assert has(sheet(tiles), RED) > 100
    assert has(sheet(tiles, legend=[]), RED) == 0


def test_tiles_stand_in_columns():
    tiles = [Tile((filled(BLUE), filled(RED)), str(number)) for number in range(3)]
    one, two = sheet(tiles), sheet(tiles, columns=2)
    assert two.shape[1] > 1.9 * one.shape[1]
    assert two.shape[0] < one.shape[0]


@pytest.mark.parametrize("caption", ["", "short", "two\nlines", "a" * 500])
def test_captions_of_any_length_fit(caption):
    drawn = sheet([Tile((filled(BLUE), np.zeros((10, 20), np.uint8)), caption)])
    usual = sheet([Tile((filled(BLUE), filled(RED)), "x" * (1 if caption else 0))])
    assert drawn.shape[1] == usual.shape[1]
    assert has(drawn, BLUE) == has(usual, BLUE)
    ground = sheet([Tile((filled(BLUE), filled(RED)), caption)], legend=[])[-12:]
    assert (ground == ground[0, 0]).all()
