"""Pictures that belong to no set of terrain, drawn from a seed, to measure whether they are found.

Every kind takes a generator and a picture (H, W, 3) of the set, and returns one as large. Some draw
it anew, others damage what they were given.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from terrain_seg_ros.core.types import U8

Random = np.random.Generator
Maker = Callable[[Random, U8], U8]
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_DUPLEX)
_LETTERS = list("abcdefghijklmnopqrstuvwxyz    ABCDEFGHIJ0123456789")


def street(random: Random, picture: U8) -> U8:
    """Draw a street: sky, houses with windows, a road with a line, cars."""
    canvas, (height, width) = _canvas(picture, _shade(random, 150, 240))
    horizon = int(height * random.uniform(0.4, 0.6))
    left = 0
    while left < width:
        across = max(2, int(width * random.uniform(0.12, 0.3)))
        top = int(horizon * random.uniform(0.05, 0.7))
        _box(canvas, (left, top), (left + across, horizon), _shade(random, 50, 190))
        for row in range(top + 3, horizon - 4, max(4, height // 14)):
            for column in range(left + 2, left + across - 3, max(4, width // 18)):
                corner = (column + max(2, width // 40), row + max(2, height // 30))
                _box(canvas, (column, row), corner, _shade(random, 20, 90))
        left += across
    _box(canvas, (0, horizon), (width, height), _shade(random, 110, 150))
    middle = int(width * random.uniform(0.35, 0.65))
    road = [(middle - width // 20, horizon), (middle + width // 20, horizon), (width, height)]
    cv2.fillPoly(canvas, [np.array([*road, (0, height)], np.int32)], _shade(random, 60, 90))
    end = (int(width * random.uniform(0.4, 0.6)), height)
    cv2.line(canvas, (middle, horizon), end, (235, 235, 235), max(1, width // 90))
    for _ in range(int(random.integers(1, 4))):
        size = height * random.uniform(0.08, 0.2)
        x, y = random.uniform(0, width), random.uniform(horizon, height)
        _box(canvas, (int(x), int(y - size)), (int(x + 2 * size), int(y)), _shade(random, 10, 250))
        for wheel in (0.5, 1.5):
            at = (int(x + wheel * size), int(y))
            cv2.circle(canvas, at, max(1, int(size / 4)), (15, 15, 15), -1)
    return _grained(random, canvas, 4.0)


def text_page(random: Random, picture: U8) -> U8:
    """Draw a page or a screen of text."""
    dark = random.random() < 0.3
    canvas, (height, width) = _canvas(picture, (25, 25, 28) if dark else (246, 246, 244))
    ink = (220, 225, 220) if dark else (20, 20, 30)
    if random.random() < 0.5:
        _box(canvas, (0, 0), (width, height // 9), _shade(random, 60, 200))
    scale = max(0.3, height / 560.0) * random.uniform(0.8, 1.6)
    step = max(6, int(26 * scale))
    font = FONTS[int(random.integers(len(FONTS)))]
    for row in range(step + height // 9, height - 2, step):
        line = "".join(random.choice(_LETTERS, int(random.integers(10, 70))).tolist())
        cv2.putText(canvas, line, (width // 30 + 2, row), font, scale, ink, 1, cv2.LINE_AA)
    return canvas


def portrait(random: Random, picture: U8) -> U8:
    """Draw head and shoulders of a person."""
    canvas, (height, width) = _canvas(picture, _shade(random, 60, 220))
    ramp = np.linspace(random.uniform(-40, 0), random.uniform(0, 40), width)[None, :, None]
    canvas = np.asarray(np.clip(canvas + ramp, 0, 255), np.uint8)
    x, y = int(width * random.uniform(0.38, 0.62)), int(height * random.uniform(0.35, 0.48))
    radius = height * random.uniform(0.17, 0.27)
    skin = (int(random.integers(120, 240)), int(random.integers(90, 190)), 100)
    body = (int(1.9 * radius), int(1.6 * radius))
    low = (x, int(y + 2.6 * radius))
    cv2.ellipse(canvas, low, body, 0, 180, 360, _shade(random, 20, 220), -1)
    _box(canvas, (low[0] - body[0], low[1]), (low[0] + body[0], height), _shade(random, 20, 220))
    hair, head = (int(0.95 * radius), int(1.3 * radius)), (int(0.8 * radius), int(1.05 * radius))
    cv2.ellipse(canvas, (x, int(y - 0.15 * radius)), hair, 0, 0, 360, _shade(random, 10, 90), -1)
    cv2.ellipse(canvas, (x, y), head, 0, 0, 360, skin, -1)
    for side in (-1, 1):
        eye = (int(x + side * 0.32 * radius), int(y - 0.15 * radius))
        size = (max(1, int(0.14 * radius)), max(1, int(0.08 * radius)))
        cv2.ellipse(canvas, eye, size, 0, 0, 360, (245, 245, 245), -1)
        cv2.circle(canvas, eye, max(1, int(0.07 * radius)), (30, 20, 20), -1)
    mouth = (max(1, int(0.3 * radius)), max(1, int(0.12 * radius)))
    cv2.ellipse(canvas, (x, int(y + 0.45 * radius)), mouth, 0, 0, 180, (150, 50, 60), -1)
    blurred = np.asarray(cv2.GaussianBlur(canvas, (0, 0), max(0.5, height / 300)), np.uint8)
    return _grained(random, blurred, 3.0)


def planet(random: Random, picture: U8) -> U8:
    """Draw a lit disc with bands before a black sky."""
    height, width = picture.shape[:2]
    radius = height * random.uniform(0.22, 0.42)
    centre = width * random.uniform(0.35, 0.65), height * random.uniform(0.4, 0.6)
    rows, columns = np.mgrid[:height, :width]
    x, y = (columns - centre[0]) / radius, (rows - centre[1]) / radius
    depth = np.sqrt(np.maximum(1.0 - x * x - y * y, 0.0))
    angle = random.uniform(0, 2 * np.pi)
    light = np.maximum(0.75 * (x * np.cos(angle) + y * np.sin(angle)) + 0.65 * depth, 0.0)
    bands = 1.0 + 0.25 * np.sin(random.uniform(6, 16) * y + random.uniform(0, 6))
    tint = np.array(_shade(random, 120, 255), np.float64)
    disc = np.where((depth > 0)[..., None], (light * bands)[..., None] * tint, 2.0)
    for _ in range(int(random.integers(10, 50))):
        disc[int(random.integers(height)), int(random.integers(width))] = random.uniform(80, 255)
    return _grained(random, np.clip(disc, 0, 255).astype(np.uint8), 1.5)


def noise(random: Random, picture: U8) -> U8:
    """Draw noise: of pixels, of stripes or of blocks."""
    height, width = picture.shape[:2]
    block = int(random.choice([1, 1, 2, 4]))
    rows, columns = -(-height // block), -(-width // block)
    shape = (rows, 1, 3) if random.random() < 0.2 else (rows, columns, 3)
    grains = random.integers(0, 256, shape, dtype=np.uint8)
    grown = grains.repeat(block, axis=0).repeat(block if shape[1] > 1 else width, axis=1)
    return np.ascontiguousarray(grown[:height, :width])


def drawing(random: Random, picture: U8) -> U8:
    """Draw coloured shapes on plain ground, as a chart or a cartoon has."""
    canvas, (height, width) = _canvas(picture, _shade(random, 190, 255))
    for _ in range(int(random.integers(5, 14))):
        at = (int(random.integers(width)), int(random.integers(height)))
        size = max(2, int(height * random.uniform(0.05, 0.28)))
        colour, kind = _shade(random, 0, 255), int(random.integers(4))
        if kind == 0:
            cv2.circle(canvas, at, size, colour, -1)
        elif kind == 1:
            _box(canvas, at, (at[0] + size, at[1] + size), colour)
        elif kind == 2:
            points = np.array(at) + random.integers(-size, size + 1, (3, 2))
            cv2.fillPoly(canvas, [points.astype(np.int32)], colour)
        else:
            end = (int(random.integers(width)), int(random.integers(height)))
            cv2.line(canvas, at, end, colour, max(1, height // 60))
    return canvas


def empty_frame(random: Random, picture: U8) -> U8:
    """Draw what a covered or blinded camera gives: black or white with a little noise."""
    level = random.uniform(2, 14) if random.random() < 0.5 else random.uniform(244, 253)
    return _grained(random, np.full(picture.shape, level, np.uint8), random.uniform(0.5, 2.5))


def blurred(random: Random, picture: U8) -> U8:
    """Put a picture far out of focus."""
    sigma = min(picture.shape[:2]) * random.uniform(0.025, 0.06)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.uint8)


def inverted(random: Random, picture: U8) -> U8:
    """Make a negative."""
    del random
    return np.asarray(255 - picture, np.uint8)


def torn(random: Random, picture: U8) -> U8:
    """Damage a picture as a lost packet does: what follows is grey, shifted or repeated."""
    result: U8 = picture.copy()
    height = picture.shape[0]
    top = int(height * random.uniform(0.2, 0.6))
    kind = int(random.integers(3))
    if kind == 0:
        result[top:] = 128
    elif kind == 1:
        result[top:] = result[top]
    else:
        step = max(2, height // 16)
        for row in range(top, height, step):
            shift = int(random.integers(picture.shape[1]))
            result[row : row + step] = np.roll(picture[row : row + step], shift, axis=1)
    return result


def fisheye(random: Random, picture: U8) -> U8:
    """Show a picture as another camera does: a bright round image in a black frame, with a date."""
    height, width = picture.shape[:2]
    radius = 0.5 * min(height, width) * random.uniform(0.85, 1.0)
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    x, y = (columns - width / 2) / radius, (rows - height / 2) / radius
    away = np.sqrt(x * x + y * y)
    source = (0.55 + 0.45 * away) * radius
    map_x = (width / 2 + x * source).astype(np.float32)
    map_y = (height / 2 + y * source).astype(np.float32)
    bent = cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    lit = np.clip(bent.astype(np.float32) * 1.25 + 15, 0, 255)
    result = np.where((away < 1.0)[..., None], lit, 4.0).astype(np.uint8)
    date = f"20{int(random.integers(10, 30))}-{int(random.integers(1, 13)):02d} CAM2"
    font, ink = FONTS[0], (250, 250, 250)
    cv2.putText(result, date, (2, height - 4), font, max(0.3, height / 500), ink, 1, cv2.LINE_AA)
    return result


def pasted_object(group: Random) -> Maker:
    """Return what pastes one object, drawn from the group's generator, into every picture."""
    side = 64
    shape = np.full((side, side, 3), _shade(group, 0, 255), np.uint8)
    alpha = np.zeros((side, side), np.uint8)
    body = (int(group.integers(14, 28)), int(group.integers(20, 31)))
    cv2.ellipse(alpha, (32, 32), body, float(group.uniform(-20, 20)), 0, 360, 255, -1)
    for _ in range(int(group.integers(3, 8))):
        at = (int(group.integers(12, 52)), int(group.integers(8, 56)))
        cv2.circle(shape, at, int(group.integers(3, 10)), _shade(group, 0, 255), -1)
    for _ in range(int(group.integers(1, 4))):
        ends = group.integers(8, 56, 4).tolist()
        cv2.line(shape, (ends[0], ends[1]), (ends[2], ends[3]), _shade(group, 0, 255), 3)
    scale = float(group.uniform(0.28, 0.5))

    def paste(random: Random, picture: U8) -> U8:
        height, width = picture.shape[:2]
        size = max(8, int(min(height, width) * scale * random.uniform(0.9, 1.1)))
        small = cv2.resize(shape, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
        share = cv2.resize(alpha, (size, size), interpolation=cv2.INTER_AREA)[..., None] / 255.0
        top, left = int(random.integers(height - size)), int(random.integers(width - size))
        result: U8 = picture.copy()
        part = result[top : top + size, left : left + size]
        part[:] = np.clip(small * share + part * (1.0 - share), 0, 255).astype(np.uint8)
        return result

    return paste


WHOLE: dict[str, Maker] = {
    "street": street,
    "text": text_page,
    "portrait": portrait,
    "planet": planet,
    "noise": noise,
    "drawing": drawing,
    "empty_frame": empty_frame,
    "blurred": blurred,
    "inverted": inverted,
    "torn": torn,
    "fisheye": fisheye,
}
"""Kinds whose pictures have nothing in common but the kind."""
PASTED = "pasted_object"
KINDS = (*WHOLE, PASTED)


def maker_of(kind: str, group: Random) -> Maker:
    """Return what makes pictures of a kind; `group` decides what they share."""
    return pasted_object(group) if kind == PASTED else WHOLE[kind]


def _canvas(picture: U8, colour: tuple[int, int, int]) -> tuple[U8, tuple[int, int]]:
    height, width = picture.shape[:2]
    return np.full((height, width, 3), colour, np.uint8), (height, width)


def _shade(random: Random, low: int, high: int) -> tuple[int, int, int]:
    red, green, blue = random.integers(low, high + 1, 3).tolist()
    return red, green, blue


def _box(canvas: U8, first: tuple[int, int], last: tuple[int, int], colour: object) -> None:
    cv2.rectangle(canvas, first, last, colour, -1)  # type: ignore[call-overload]


def _grained(random: Random, picture: U8, sigma: float) -> U8:
    return np.clip(picture + random.normal(0, sigma, picture.shape), 0, 255).astype(np.uint8)
