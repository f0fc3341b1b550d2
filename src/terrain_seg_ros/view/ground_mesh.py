"""The ground as a mesh with one texel per cell, in the binary form of glTF 2.0.

The material is unlit and the texture is not smoothed, so that colours are nearly those of the
legend, but for the browser's tone mapping, and cells have edges.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.types import F32, U8
from terrain_seg_ros.view.ground import Ground

VERTICES_A_SIDE = 128
"""Of a ground with measured heights; the texture has every cell."""
TEXELS_A_SIDE = 1024
"""Of a larger grid every n-th cell is shown."""
_MAGIC, _JSON, _BINARY = 0x46546C67, 0x4E4F534A, 0x004E4942
_FLOAT, _UNSIGNED_INT, _ARRAY, _ELEMENTS = 5126, 5125, 34962, 34963
_NEAREST, _MIPMAPS, _CLAMP = 9728, 9987, 33071
_UNLIT = "KHR_materials_unlit"


def ground_mesh(ground: Ground, rgb: U8) -> bytes:
    """Return a ground relative to the corner of its cell (0, 0), heights in the frame of its grid.

    Args:
        ground: the heights.
        rgb: (rows, cols, 3), the colours of the cells.
    """
    points, places = _vertices(ground)
    stride = -(-max(rgb.shape[:2]) // TEXELS_A_SIDE)
    shown = np.ascontiguousarray(rgb[::stride, ::stride, ::-1])
    _, picture = cv2.imencode(".png", shown, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    parts = [
        points.reshape(-1, 3).astype("<f4").tobytes(),
        places.reshape(-1, 2).astype("<f4").tobytes(),
        _triangles(*points.shape[:2]).astype("<u4").tobytes(),
        picture.tobytes(),
    ]
    return _packed(_description(parts, points), b"".join(map(_padded, parts)))


def _vertices(ground: Ground) -> tuple[F32, F32]:
    """Return points (rows, cols, 3) in metres and their places in the texture (rows, cols, 2)."""
    rows, cols = ground.height_m.shape
    counts = (
        (2, 2) if not ground.is_measured else tuple(min(n, VERTICES_A_SIDE) for n in (rows, cols))
    )
    share_y, share_x = (np.linspace(0.0, 1.0, count) for count in counts)
    y, x = np.meshgrid(share_y, share_x, indexing="ij")
    row = np.minimum((y * rows).astype(int), rows - 1)
    col = np.minimum((x * cols).astype(int), cols - 1)
    grid = ground.grid
    points = np.stack(
        [
            x * cols * grid.resolution_m,
            y * rows * grid.resolution_m,
            ground.height_m[row, col],
        ],
        axis=-1,
    )
    return points.astype(np.float32), np.stack([x, y], axis=-1).astype(np.float32)


def _triangles(rows: int, cols: int) -> NDArray[np.uint32]:
    first = (np.arange(rows - 1)[:, np.newaxis] * cols + np.arange(cols - 1)).ravel()
    corners = [first, first + 1, first + cols + 1, first, first + cols + 1, first + cols]
    return np.stack(corners, axis=1).astype(np.uint32)


def _description(parts: list[bytes], points: F32) -> dict[str, Any]:
    views, offset = [], 0
    for part, target in zip(parts, (_ARRAY, _ARRAY, _ELEMENTS, None)):
        view = {"buffer": 0, "byteOffset": offset, "byteLength": len(part)}
        views.append(view if target is None else {**view, "target": target})
        offset += len(_padded(part))
    flat = points.reshape(-1, 3)
    accessors = [
        {
            "bufferView": 0,
            "componentType": _FLOAT,
            "count": len(flat),
            "type": "VEC3",
            "min": flat.min(axis=0).tolist(),
            "max": flat.max(axis=0).tolist(),
        },
        {"bufferView": 1, "componentType": _FLOAT, "count": len(flat), "type": "VEC2"},
        {
            "bufferView": 2,
            "componentType": _UNSIGNED_INT,
            "count": len(parts[2]) // 4,
            "type": "SCALAR",
        },
    ]
    primitive = {"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2, "material": 0}
    surface = {"baseColorTexture": {"index": 0}, "metallicFactor": 0.0, "roughnessFactor": 1.0}
    sampler = {
        "magFilter": _NEAREST,
        "minFilter": _MIPMAPS,
        "wrapS": _CLAMP,
        "wrapT": _CLAMP,
    }
    return {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [primitive]}],
        "materials": [
            {"pbrMetallicRoughness": surface, "doubleSided": True, "extensions": {_UNLIT: {}}}
        ],
        "extensionsUsed": [_UNLIT],
        "textures": [{"source": 0, "sampler": 0}],
        "images": [{"bufferView": 3, "mimeType": "image/png"}],
        "samplers": [sampler],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": offset}],
    }


def _packed(description: dict[str, Any], binary: bytes) -> bytes:
    text = _padded(json.dumps(description).encode("ascii"), b" ")
    size = 12 + 8 + len(text) + 8 + len(binary)
    return b"".join(
        [
            struct.pack("<III", _MAGIC, 2, size),
            struct.pack("<II", len(text), _JSON),
            text,
            struct.pack("<II", len(binary), _BINARY),
            binary,
        ]
    )


def _padded(data: bytes, filler: bytes = b"\x00") -> bytes:
    return data + filler * (-len(data) % 4)
