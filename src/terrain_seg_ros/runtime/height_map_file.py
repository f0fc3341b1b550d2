"""Read a height map: a GeoTIFF of floats, or a .npy with a .yaml beside it."""

from __future__ import annotations

import importlib
import math
import struct
import tokenize
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import check_regular_file
from terrain_seg_ros.core.files.yaml_file import read_yaml
from terrain_seg_ros.core.ground.height_map import HeightMap
from terrain_seg_ros.parameters.node_settings import NodeSettings

POST_LIMIT = 100_000_000
"""Larger maps are refused: 400 MB of heights; cut out the part that the vehicle drives on."""
MAX_FILE_BYTES = 2**30
NPY_HEADER_BYTES = 10_000
DEFLATE_RATIO = 1100
"""No data is packed more densely (zlib's own figure is 1032)."""
SQUARE_WITHIN = 1e-6
"""Relative difference of the two sides of a cell that rounding explains."""
SCALE_TAG, TIE_POINT_TAG, TRANSFORM_TAG = 33550, 33922, 34264
KEYS_TAG, NODATA_TAG = 34735, 42113
"""Tags of GeoTIFF (OGC 19-008r4) and, for nodata, of GDAL."""
RASTER_TYPE_KEY, PIXEL_IS_POINT = 1025, 2
DAMAGED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
)
"""What files that are cut off or corrupt raise on the way through tifffile and NumPy."""
META = ("origin_x_m", "origin_y_m", "resolution_m")


def read_height_map(parameters: NodeSettings) -> HeightMap | None:
    """Return the height map that the parameters name; None where it is not the ground.

    Raises:
        ConfigError: it is not named, cannot be read, too large, or not placed.
    """
    if parameters.pipeline.ground.source != "height_map":
        return None
    name = parameters.height_map
    if not name:
        raise ConfigError(
            "ground.source is height_map but ground.height_map is empty; name a .tif or .npy file"
        )
    path = Path(name).expanduser()
    if not path.is_file():
        raise ConfigError(f"ground.height_map {path}: there is no such file; check the path")
    readers = {".tif": _read_geotiff, ".tiff": _read_geotiff, ".npy": _read_npy}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise ConfigError(
            f"ground.height_map {path}: ends in {path.suffix!r}, expected one of {sorted(readers)}"
        )
    check_regular_file(path, MAX_FILE_BYTES)
    return reader(path)


def _read_npy(path: Path) -> HeightMap:
    """Return a map of which row 0 has the lowest y; the .yaml beside it says where it lies."""
    meta_path = path.with_suffix(".yaml")
    meta = read_yaml(meta_path, f"{', '.join(META)} and optionally nodata")
    unknown = sorted(set(map(str, meta)) - {*META, "nodata"})
    if unknown:
        raise ConfigError(f"{meta_path}: key {unknown[0]!r} is unknown, expected {list(META)}")
    values = {name: _number(meta, name, meta_path) for name in META}
    nodata = _number(meta, "nodata", meta_path) if meta.get("nodata") is not None else None
    try:
        stored = np.load(path, mmap_mode="r", allow_pickle=False, max_header_size=NPY_HEADER_BYTES)
    except DAMAGED as error:
        raise ConfigError(f"{path}: is no readable .npy file: {_reason(error)}") from error
    if not isinstance(stored, np.ndarray):
        raise ConfigError(f"{path}: is an archive of arrays, expected one array as .npy")
    return HeightMap(_heights(stored, nodata, path), **values)


def _number(meta: Any, name: str, path: Path) -> float:
    value = meta.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{path}: {name} is {value!r}, expected a number")
    return float(value)


def _heights(stored: NDArray[Any], nodata: float | None, path: Path) -> NDArray[np.float32]:
    _check(stored.shape, stored.dtype, path)
    heights = np.array(stored, dtype=np.float32)
    bad = ~np.isfinite(heights)
    if nodata is not None:
        bad |= heights == np.float32(nodata)
    heights[bad] = np.nan
    return heights


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check_parts(shape: tuple[Any, ...], path: Path) -> None:
    """Check the size of strips or tiles before one is unpacked."""
    if math.prod(int(side) for side in shape) > POST_LIMIT:
        raise ConfigError(f"{path}: has strips or tiles of {shape}, more than {POST_LIMIT} heights")


def _check(shape: tuple[int, ...], dtype: np.dtype[Any], path: Path) -> None:
    if len(shape) != 2 or dtype.kind != "f":
        raise ConfigError(
            f"{path}: holds {dtype} of shape {shape}, expected floats of shape (rows, cols), metres"
        )
    if shape[0] * shape[1] > POST_LIMIT:
        raise ConfigError(
            f"{path}: {shape[1]} x {shape[0]} heights are more than {POST_LIMIT}; cut out the part "
            "that the vehicle drives on"
        )
    size = path.stat().st_size
    if shape[0] * shape[1] * dtype.itemsize > size * DEFLATE_RATIO:
        raise ConfigError(
            f"{path}: declares {shape[1]} x {shape[0]} heights, but has only {size} bytes; it is "
            "cut off or damaged"
        )


def _read_geotiff(path: Path) -> HeightMap:
    """Return the first page of a GeoTIFF; its rows run from north (highest y) to south."""
    tifffile = _tifffile()
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            tags = {
                code: page.tags[code].value
                for code in (SCALE_TAG, TIE_POINT_TAG, TRANSFORM_TAG, KEYS_TAG, NODATA_TAG)
                if code in page.tags
            }
            _check(tuple(page.shape), np.dtype(page.dtype), path)
            _check_parts(tuple(page.chunks), path)
            stored = page.asarray()
        resolution_m, left_m, top_m = _georeference(tags, path)
        heights = _heights(stored, _nodata(tags, path), path)[::-1]
    except (tifffile.TiffFileError, *DAMAGED) as error:
        raise ConfigError(
            f"{path}: is no readable GeoTIFF ({_reason(error)}); write it uncompressed or with "
            "deflate"
        ) from error
    return HeightMap(
        np.ascontiguousarray(heights),
        origin_x_m=left_m,
        origin_y_m=top_m - (heights.shape[0] - 1) * resolution_m,
        resolution_m=resolution_m,
    )


def _tifffile() -> Any:
    try:
        return importlib.import_module("tifffile")
    except ImportError as error:
        raise ConfigError(
            "a GeoTIFF needs the package tifffile: pip install 'tifffile>=2024.8,<2027'; or give "
            "the heights as .npy with a .yaml"
        ) from error


def _georeference(tags: dict[int, Any], path: Path) -> tuple[float, float, float]:
    """Return the resolution, and x and y of the middle of the top left pixel."""
    if TRANSFORM_TAG in tags or SCALE_TAG not in tags or TIE_POINT_TAG not in tags:
        raise ConfigError(
            f"{path}: is not placed by ModelPixelScale and ModelTiepoint; write it north-up in "
            "metres of grid_frame"
        )
    scale_x, scale_y = (float(value) for value in tags[SCALE_TAG][:2])
    tie = [float(value) for value in tags[TIE_POINT_TAG]]
    if len(tie) != 6 or not scale_x > 0.0 or abs(scale_x - scale_y) > SQUARE_WITHIN * scale_x:
        raise ConfigError(
            f"{path}: has pixels of {scale_x} x {scale_y} and {len(tie) // 6} tie points, expected "
            "square pixels and one tie point"
        )
    # A raster of areas counts from the corner of its first pixel, one of points from its middle.
    middle = 0.0 if _is_point(tags.get(KEYS_TAG, ())) else 0.5
    left_m = tie[3] + (middle - tie[0]) * scale_x
    top_m = tie[4] - (middle - tie[1]) * scale_y
    return scale_x, left_m, top_m


def _is_point(keys: Any) -> bool:
    entries = [int(value) for value in keys][4:]
    rows = [entries[first : first + 4] for first in range(0, len(entries), 4)]
    return any(row[0] == RASTER_TYPE_KEY and row[-1] == PIXEL_IS_POINT for row in rows)


def _nodata(tags: dict[int, Any], path: Path) -> float | None:
    if NODATA_TAG not in tags:
        return None
    text = str(tags[NODATA_TAG]).strip("\0 ")
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"{path}: has nodata {text!r}, expected a number") from error
