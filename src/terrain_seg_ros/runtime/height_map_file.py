"""Read a height map: a raster that GDAL knows (GeoTIFF, PDS, JPEG 2000), or a .npy and a .yaml.

Rasters are read with rasterio (GDAL). GeoTIFF and COG follow OGC 19-008r4, PDS3 and PDS4 the
standards of NASA's Planetary Data System, JP2 is ISO/IEC 15444-1 with a GeoJP2 or GML box.
"""

from __future__ import annotations

import importlib
import logging
import math
import tokenize
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
DRIVERS = {
    ".tif": "GTiff",
    ".tiff": "GTiff",
    ".jp2": "JP2OpenJPEG",
    ".img": "PDS",
    ".lbl": "PDS",
    ".xml": "PDS4",
}
"""The format of GDAL that a suffix stands for; no other one is tried on a file."""
METRES = ("", "m", "metre", "meter", "metres", "meters")
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
    tokenize.TokenError,
)
"""What truncated or corrupt files raise in NumPy and rasterio."""
META = ("origin_x_m", "origin_y_m", "resolution_m")


def read_height_map(parameters: NodeSettings) -> HeightMap | None:
    """Return the height map that the parameters name; None where it is not the ground.

    Raises:
        ConfigError: it is not named, too large or damaged, or is not placed in metres.
    """
    if parameters.pipeline.ground.source != "height_map":
        return None
    name = parameters.height_map
    if not name:
        raise ConfigError("ground.source is height_map but ground.height_map is empty; name a file")
    path = Path(name).expanduser()
    if not path.exists():
        raise ConfigError(f"ground.height_map {path}: there is no such file; check the path")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        check_regular_file(path, MAX_FILE_BYTES)
        return _read_npy(path)
    if suffix not in DRIVERS:
        raise ConfigError(
            f"ground.height_map {path}: ends in {path.suffix!r}, expected one of "
            f"{sorted([*DRIVERS, '.npy'])}"
        )
    check_regular_file(path, MAX_FILE_BYTES)
    return _read_raster(path, DRIVERS[suffix])


def _read_npy(path: Path) -> HeightMap:
    """Return an array whose row 0 has the lowest y; the .yaml beside it says where it lies."""
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
        raise ConfigError(
            f"{path}: is not a readable .npy file ({_reason(error)}); write it with numpy.save"
        ) from error
    if not isinstance(stored, np.ndarray):
        raise ConfigError(f"{path}: is an archive of arrays, expected one array as .npy")
    _check_dtype(stored.dtype, "f", path)
    if stored.ndim != 2:
        raise ConfigError(f"{path}: has shape {stored.shape}, expected (rows, cols)")
    _check_size(stored.shape, stored.dtype, path, path.stat().st_size)
    heights = np.array(stored, dtype=np.float32)
    is_unknown = ~np.isfinite(heights)
    if nodata is not None:
        is_unknown |= heights == np.float32(nodata)
    heights[is_unknown] = np.nan
    return HeightMap(heights, **values)


def _number(meta: Any, name: str, path: Path) -> float:
    value = meta.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigError(f"{path}: {name} is {value!r}, expected a number")
    return float(value)


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _check_dtype(dtype: np.dtype[Any], kinds: str, path: Path) -> None:
    """Refuse what looks like an image: 8 bits, unsigned or complex numbers."""
    if dtype.kind not in kinds or dtype.itemsize < 2:
        expected = "floats" if kinds == "f" else "floats or signed integers of 16 or 32 bits"
        raise ConfigError(
            f"{path}: holds {dtype}, expected {expected}, in metres; if these are heights, convert "
            "them to float32"
        )


def _check_size(shape: Sequence[int], dtype: np.dtype[Any], path: Path, size_bytes: int) -> None:
    """Check the size of a map before it is read."""
    rows, cols = shape
    if rows * cols > POST_LIMIT:
        raise ConfigError(
            f"{path}: {cols} x {rows} heights are more than {POST_LIMIT}; cut out the part that "
            "the vehicle drives on"
        )
    if rows * cols * dtype.itemsize > size_bytes * DEFLATE_RATIO:
        raise ConfigError(
            f"{path}: declares {cols} x {rows} heights, but has only {size_bytes} bytes; it is "
            "truncated or damaged"
        )


def _read_raster(path: Path, driver: str) -> HeightMap:
    """Return the only band of a raster; its rows run from north (highest y) to south."""
    rasterio = _rasterio()
    base = rasterio.errors.RasterioError
    # What is damaged is told once, in the error.
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path, driver=driver) as raster:
                _check_raster(raster, path)
                _check_crs(raster.crs, path, base)
                resolution_m, left_m, top_m = _placed(raster.transform, path)
                stored = raster.read(1, masked=True)
                scale, offset_m = float(raster.scales[0]), float(raster.offsets[0])
    except (base, rasterio._err.CPLE_BaseError, *DAMAGED) as error:
        raise ConfigError(
            f"{path}: is not a readable {driver} file ({_reason(error)}); check it with gdalinfo, "
            "name the label (.lbl, .xml) if there is one, or convert it to a GeoTIFF"
        ) from error
    heights = stored.astype(np.float32) * np.float32(scale) + np.float32(offset_m)
    heights = np.ma.filled(heights, np.nan)[::-1]
    heights[~np.isfinite(heights)] = np.nan
    return HeightMap(
        np.ascontiguousarray(heights),
        origin_x_m=left_m,
        origin_y_m=top_m - (heights.shape[0] - 1) * resolution_m,
        resolution_m=resolution_m,
    )


def _rasterio() -> Any:
    try:
        return importlib.import_module("rasterio")
    except ImportError as error:
        raise ConfigError(
            f"a height map of this format needs the package rasterio ({error}): pip install "
            "'rasterio>=1.3,<2' (the extra `dem` of this package); or give the heights as .npy "
            "with a .yaml"
        ) from error


def _check_raster(raster: Any, path: Path) -> None:
    """Check bands, numbers, units and size before a height is read."""
    if raster.count != 1:
        raise ConfigError(
            f"{path}: has {raster.count} bands, expected one of heights; extract it with "
            "gdal_translate -b"
        )
    dtype = np.dtype(raster.dtypes[0])
    _check_dtype(dtype, "fi", path)
    unit = str(raster.units[0] or "").strip()
    if unit.lower() not in METRES:
        raise ConfigError(f"{path}: has heights in {unit!r}, expected metres; convert them")
    outside = [
        name for name in raster.files if Path(name).resolve().parent != path.resolve().parent
    ]
    if outside:
        raise ConfigError(f"{path}: refers to {outside[0]!r}; keep label and data in one folder")
    for name in raster.files:
        check_regular_file(Path(name), MAX_FILE_BYTES)
    size_bytes = sum(Path(name).stat().st_size for name in raster.files)
    _check_size((raster.height, raster.width), dtype, path, size_bytes)
    if math.prod(raster.block_shapes[0]) > POST_LIMIT:
        raise ConfigError(
            f"{path}: has strips or tiles of {raster.block_shapes[0]}, more than {POST_LIMIT} "
            "heights; write it with smaller ones"
        )


def _check_crs(crs: Any, path: Path, base: type[Exception]) -> None:
    """Refuse degrees and feet; without a reference system the map is in metres of grid_frame."""
    if crs is None:
        return
    remedy = "project it to metres, such as with gdalwarp -t_srs"
    if crs.is_geographic:
        raise ConfigError(f"{path}: is in degrees of latitude and longitude; {remedy}")
    try:
        unit, factor = crs.linear_units_factor
    except base:
        unit, factor = "an unknown unit", math.nan
    if factor != 1.0:
        raise ConfigError(f"{path}: is projected in {unit}, expected metres; {remedy}")


def _placed(transform: Any, path: Path) -> tuple[float, float, float]:
    """Return the resolution, and x and y of the middle of the top left pixel."""
    if transform.is_identity:
        raise ConfigError(
            f"{path}: does not say where it lies (no geotransform); write it north-up in metres of "
            "grid_frame"
        )
    if transform.b != 0.0 or transform.d != 0.0 or not transform.e < 0.0 < transform.a:
        raise ConfigError(
            f"{path}: is rotated or not north-up (geotransform {tuple(transform)[:6]}); warp it "
            "with gdalwarp"
        )
    width_m, height_m = float(transform.a), -float(transform.e)
    if abs(width_m - height_m) > SQUARE_WITHIN * width_m:
        raise ConfigError(
            f"{path}: has pixels of {width_m} x {height_m}, expected square pixels; resample it "
            "with gdalwarp -tr"
        )
    return width_m, transform.c + 0.5 * width_m, transform.f - 0.5 * height_m
