"""A sheet of pictures as one picture: a legend, heads, and captions below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.pictures import Legend, legend_strip

_GROUND, _INK, _SOFT = (21, 20, 15), (233, 230, 225), (164, 158, 149)
_FONT, _SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.45
_Line = tuple[str, tuple[int, int, int]]
"""Text and its colour."""
_HEAD_PX, _LINE_PX, _GAP_PX, _EDGE_PX = 26, 19, 4, 12


@dataclass(frozen=True)
class Tile:
    """Pictures of one size that belong together, (H, W, 3) RGB or (H, W) grey, and text below."""

    pictures: Sequence[U8]
    caption: str = ""


def captioned_sheet(
    tiles: Sequence[Tile],
    *,
    heads: Sequence[str],
    legend: Legend,
    columns: int = 1,
    picture_px: int = 256,
) -> U8:
    """Return tiles in rows, (H, W, 3) RGB.

    Args:
        tiles: at least one, all with the same number of pictures.
        heads: of the pictures of a tile, such as "image" and "prediction"; empty for none.
        legend: labels and colours above the tiles; empty for none.
        columns: tiles in a row; fewer if there are fewer tiles.
        picture_px: width of a picture; pictures are scaled to it.
    """
    columns = min(columns, len(tiles))
    height_px = max(_height_px(tile.pictures[0], picture_px) for tile in tiles)
    texts = [_lines(tile.caption, _width_px(tile, picture_px)) for tile in tiles]
    lines = max(len(text) for text in texts)
    drawn = [
        _drawn(tile, picture_px, height_px, [*text, *[("", _SOFT)] * (lines - len(text))])
        for tile, text in zip(tiles, texts)
    ]
    while len(drawn) % columns:
        drawn.append(np.full_like(drawn[0], _GROUND))
    rows = [_beside([_head(heads, picture_px)] * columns)] if heads else []
    rows += [_beside(drawn[start : start + columns]) for start in range(0, len(drawn), columns)]
    body = np.vstack(rows)
    if legend:
        strip = legend_strip(legend, width_px=body.shape[1])
        strip[(strip == 0).all(axis=2)] = _GROUND
        body = np.vstack([strip, body])
    shape = (body.shape[0] + 2 * _EDGE_PX, body.shape[1] + 2 * _EDGE_PX, 3)
    framed: U8 = np.full(shape, _GROUND, dtype=np.uint8)
    framed[_EDGE_PX:-_EDGE_PX, _EDGE_PX:-_EDGE_PX] = body
    return framed


def _height_px(picture: U8, width_px: int) -> int:
    height, width = picture.shape[:2]
    return max(1, round(int(height) * width_px / int(width)))


def _width_px(tile: Tile, picture_px: int) -> int:
    return len(tile.pictures) * (picture_px + _GAP_PX) - _GAP_PX


def _lines(caption: str, width_px: int) -> list[_Line]:
    """Return the lines of a caption, wrapped between words; the first one is the brightest."""
    lines: list[_Line] = []
    for number, given in enumerate(caption.split("\n") if caption else []):
        ink = _INK if number == 0 else _SOFT
        line = ""
        for word in given.split():
            longer = f"{line} {word}" if line else word
            if line and _text_px(longer) > width_px:
                lines.append((line, ink))
                longer = word
            line = longer
        lines.append((line, ink))
    return lines


def _head(heads: Sequence[str], picture_px: int) -> U8:
    width_px = len(heads) * (picture_px + _GAP_PX) - _GAP_PX
    strip: U8 = np.full((_HEAD_PX, width_px, 3), _GROUND, dtype=np.uint8)
    for number, text in enumerate(heads):
        _write(strip, text, (number * (picture_px + _GAP_PX), 17), picture_px, _SOFT)
    return strip


def _drawn(tile: Tile, picture_px: int, height_px: int, lines: Sequence[_Line]) -> U8:
    parts = []
    for picture in tile.pictures:
        box: U8 = np.full((height_px, picture_px, 3), _GROUND, dtype=np.uint8)
        scaled = _scaled(picture, picture_px)
        box[: scaled.shape[0]] = scaled
        parts.append(box)
    pictures = _beside(parts, gap_px=_GAP_PX)
    text: U8 = np.full((len(lines) * _LINE_PX + 12, pictures.shape[1], 3), _GROUND, dtype=np.uint8)
    for number, (line, ink) in enumerate(lines):
        _write(text, line, (0, 15 + number * _LINE_PX), pictures.shape[1], ink)
    return np.vstack([pictures, text])


def _scaled(picture: U8, width_px: int) -> U8:
    """Return a picture at a width, RGB; small ones keep their pixels, which become squares."""
    rgb = cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB) if picture.ndim == 2 else picture
    how = cv2.INTER_AREA if width_px < picture.shape[1] else cv2.INTER_NEAREST
    size = (width_px, _height_px(picture, width_px))
    return np.asarray(cv2.resize(rgb, size, interpolation=how), dtype=np.uint8)


def _beside(parts: Sequence[U8], *, gap_px: int = 4 * _GAP_PX) -> U8:
    gap: U8 = np.full((parts[0].shape[0], gap_px, 3), _GROUND, dtype=np.uint8)
    spaced = [each for part in parts for each in (gap, part)][1:]
    return np.hstack(spaced)


def _text_px(text: str) -> int:
    return int(cv2.getTextSize(text, _FONT, _SCALE, 1)[0][0])


def _write(
    strip: U8, text: str, place: tuple[int, int], width_px: int, ink: tuple[int, int, int]
) -> None:
    """Write a line of text; of a word that is too long, the middle is left out."""
    shown, half = text, len(text) // 2
    while _text_px(shown) > width_px and half > 0:
        half -= 1
        shown = f"{text[:half]}...{text[len(text) - half :]}"
    cv2.putText(strip, shown, place, _FONT, _SCALE, ink, 1, cv2.LINE_AA)
