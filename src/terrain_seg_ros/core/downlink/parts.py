"""Landing sites, health and the thumbnail as sections of a packet."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from terrain_seg_ros.core.downlink.packet import inflate
from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.files.strict_json import read_json
from terrain_seg_ros.core.types import U8

SITES_LIMIT = 8
HEALTH_LIMIT_BYTES = 4096
THUMBNAIL_PX = 64
NAME_LIMIT_BYTES = 64
_SITE = struct.Struct("<IdddffB")
_PICTURE = struct.Struct("<BBBB")


@dataclass(frozen=True)
class Site:
    """A landing site in the grid's frame.

    `z_m` is NaN where it is not known. `is_selected`: an operator has selected it.
    """

    site_id: int
    x_m: float
    y_m: float
    z_m: float
    clear_radius_m: float
    p_safe: float
    is_selected: bool = False


@dataclass(frozen=True)
class Thumbnail:
    """A small mask (H, W) of class ids, with a colour (n, 3) per id; `camera` took its image."""

    mask: U8
    palette_rgb: U8
    camera: str = ""

    def picture(self) -> U8:
        """Return the mask in its colours (H, W, 3) RGB; ids without a colour are black."""
        colors: U8 = np.zeros((256, 3), dtype=np.uint8)
        colors[: len(self.palette_rgb)] = self.palette_rgb
        picture: U8 = colors[self.mask]
        return picture


def pack_sites(sites: Sequence[Site]) -> bytes:
    """Return the content of a section of type SITES, of the first `SITES_LIMIT` sites."""
    return b"".join(
        _SITE.pack(
            site.site_id & 0xFFFFFFFF,
            site.x_m,
            site.y_m,
            site.z_m,
            site.clear_radius_m,
            site.p_safe,
            site.is_selected,
        )
        for site in sites[:SITES_LIMIT]
    )


def unpack_sites(data: bytes) -> tuple[Site, ...]:
    """Return the landing sites in a section of type SITES, the chosen one first.

    Raises:
        MessageError: it is cut, too long, or a number is not finite.
    """
    if len(data) % _SITE.size or len(data) > SITES_LIMIT * _SITE.size:
        raise MessageError(
            f"downlink sites have {len(data)} bytes, expected up to {SITES_LIMIT} times "
            f"{_SITE.size}"
        )
    sites = tuple(
        Site(site_id, x_m, y_m, z_m, clear_m, p_safe, bool(selected))
        for site_id, x_m, y_m, z_m, clear_m, p_safe, selected in _SITE.iter_unpack(data)
    )
    for site in sites:
        numbers = (site.x_m, site.y_m, site.clear_radius_m, site.p_safe)
        if not all(map(math.isfinite, numbers)):
            raise MessageError(f"downlink site {site.site_id} holds numbers that are not finite")
    return sites


def pack_health(health: Mapping[str, Any]) -> bytes:
    """Return the content of a section of type HEALTH: JSON, packed by zlib.

    Raises:
        MessageError: it is longer than `HEALTH_LIMIT_BYTES`.
    """
    text = json.dumps(health, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    content = text.encode("utf-8", errors="replace")
    if len(content) > HEALTH_LIMIT_BYTES:
        raise MessageError(
            f"downlink health has {len(content)} bytes, expected at most {HEALTH_LIMIT_BYTES}"
        )
    return zlib.compress(content, 9)


def unpack_health(data: bytes) -> dict[str, Any]:
    """Return what a section of type HEALTH says.

    Raises:
        MessageError: it is damaged, too long, or not a JSON object.
    """
    try:
        health = read_json(inflate(data, HEALTH_LIMIT_BYTES))
    except ValueError as error:
        raise MessageError(f"downlink health is not JSON: {error}") from error
    if not isinstance(health, dict):
        raise MessageError(f"downlink health is a {type(health).__name__}, expected an object")
    return health


def make_thumbnail(mask: U8, palette_rgb: U8, camera: str) -> Thumbnail:
    """Return a mask (H, W) with its longer side reduced to `THUMBNAIL_PX`, by nearest pixels."""
    scale = min(1.0, THUMBNAIL_PX / max(mask.shape))
    height, width = (max(1, round(side * scale)) for side in mask.shape)
    small = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
    return Thumbnail(np.asarray(small, dtype=np.uint8), palette_rgb, camera)


def pack_thumbnail(picture: Thumbnail) -> bytes:
    """Return the content of a section of type THUMBNAIL.

    Raises:
        MessageError: a side is longer than `THUMBNAIL_PX`.
    """
    height, width = picture.mask.shape
    if max(height, width) > THUMBNAIL_PX:
        raise MessageError(f"thumbnail has {width}x{height} pixels, expected {THUMBNAIL_PX}")
    colors = picture.palette_rgb[:255]
    name = picture.camera.encode("utf-8")[:NAME_LIMIT_BYTES]
    head = _PICTURE.pack(height, width, len(colors), len(name))
    return head + name + colors.tobytes() + zlib.compress(picture.mask.tobytes(), 9)


def unpack_thumbnail(data: bytes) -> Thumbnail:
    """Return the picture in a section of type THUMBNAIL.

    Raises:
        MessageError: it is damaged or too large.
    """
    if len(data) < _PICTURE.size:
        raise MessageError(f"downlink thumbnail of {len(data)} bytes is cut")
    height, width, color_count, name_length = _PICTURE.unpack_from(data)
    name_end = _PICTURE.size + name_length
    colors_end = name_end + 3 * color_count
    if not (1 <= height <= THUMBNAIL_PX and 1 <= width <= THUMBNAIL_PX) or colors_end > len(data):
        raise MessageError(f"downlink thumbnail of {width}x{height} pixels is cut or too large")
    pixels = inflate(data[colors_end:], height * width)
    if len(pixels) != height * width:
        raise MessageError(f"downlink thumbnail lacks pixels: it has {len(pixels)}")
    return Thumbnail(
        np.frombuffer(pixels, dtype=np.uint8).reshape(height, width),
        np.frombuffer(data[name_end:colors_end], dtype=np.uint8).reshape(-1, 3),
        data[_PICTURE.size : name_end].decode("utf-8", errors="replace"),
    )
