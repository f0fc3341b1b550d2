"""Test reading height maps: placement, nodata, and what is refused."""

import sys

import numpy as np
import pytest
import yaml

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime import height_map_file
from terrain_seg_ros.runtime.height_map_file import read_height_map

tifffile = pytest.importorskip("tifffile")

HEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4)
SCALE = (33550, "d", 3, (0.5, 0.5, 0.0), True)


def tie(x_m=10.0, y_m=20.0, col=0.0, row=0.0):
    return (33922, "d", 6, (col, row, 0.0, x_m, y_m, 0.0), True)


def keys(raster_type):
    return (34735, "H", 8, (1, 1, 0, 1, 1025, 0, 1, raster_type), True)


def geotiff(folder, heights=HEIGHTS, *tags, name="map.tif", **options):
    path = folder / name
    tifffile.imwrite(path, heights, extratags=list(tags), **options)
    return path


def npy(folder, heights=HEIGHTS, meta=None, **changes):
    path = folder / "map.npy"
    np.save(path, heights)
    values = {"origin_x_m": 1.0, "origin_y_m": -2.0, "resolution_m": 0.25, **changes}
    path.with_suffix(".yaml").write_text(yaml.safe_dump(meta or values))
    return path


def read(path):
    overrides = {"ground.source": "height_map", "ground.height_map": str(path)}
    return read_height_map(load_parameters(overrides=overrides))


def test_heights_that_stand_for_no_data_must_be_declared(tmp_path):
    heights = HEIGHTS.copy()
    heights[1, 1] = np.finfo(np.float32).min
    with pytest.raises(ConfigError, match=r"-3.40282e\+38 m.*declare it as nodata"):
        read(npy(tmp_path, heights))


def test_an_archive_of_arrays_is_refused(tmp_path):
    path = npy(tmp_path)
    with path.open("wb") as file:
        np.savez(file, a=HEIGHTS)
    with pytest.raises(ConfigError, match="archive of arrays"):
        read(path)


@pytest.mark.parametrize("kind", ["npy", "tif", "tiled", "deflated", "big"])
def test_any_changed_bytes_are_a_map_or_one_clear_error(tmp_path, kind, caplog):
    options = {"tiled": {"tile": (16, 16)}, "deflated": {"compression": "zlib"}}
    options["big"] = {"bigtiff": True}
    heights = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    path = (
        npy(tmp_path, heights)
        if kind == "npy"
        else geotiff(tmp_path, heights, SCALE, tie(), **options.get(kind, {}))
    )
    whole, rng = path.read_bytes(), np.random.default_rng(7)
    head = min(len(whole), 128 if kind == "npy" else 500)
    caplog.set_level("CRITICAL", logger="tifffile")
    overrides = {"ground.source": "height_map", "ground.height_map": str(path)}
    parameters = load_parameters(overrides=overrides)
    for index in range(300):
        data = bytearray(whole)
        for at in rng.integers(0, head if index % 3 else len(whole), rng.integers(1, 6)):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data if index % 10 else data[: rng.integers(0, len(data))])
        try:
            read_height_map(parameters)
        except ConfigError as error:
            assert "\n" not in str(error)


def test_without_need_nothing_is_read():
    overrides = {"ground.height_map": "/nowhere/map.tif"}
    assert read_height_map(load_parameters(overrides=overrides)) is None


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"byteorder": ">"}])
def test_a_geotiff_runs_from_north_to_south(tmp_path, options):
    found = read(geotiff(tmp_path, HEIGHTS, SCALE, tie(), **options))
    np.testing.assert_array_equal(found.heights_m, HEIGHTS[::-1])
    assert found.heights_m.dtype == np.float32
    assert found.resolution_m == 0.5
    # The tie point is the corner of the first pixel, the origin the middle of the lowest.
    assert found.origin_x_m == 10.25
    assert found.origin_y_m == 20.0 - 0.25 - 2 * 0.5
    assert found.at(np.array([10.25]), np.array([19.75]))[0] == HEIGHTS[0, 0]


def test_a_raster_of_points_counts_from_the_middle_of_its_first_pixel(tmp_path):
    found = read(geotiff(tmp_path, HEIGHTS, SCALE, tie(), keys(2)))
    assert (found.origin_x_m, found.origin_y_m) == (10.0, 19.0)
    area = read(geotiff(tmp_path, HEIGHTS, SCALE, tie(), keys(1), name="area.tif"))
    assert (area.origin_x_m, area.origin_y_m) == (10.25, 18.75)


def test_the_tie_point_may_be_any_pixel(tmp_path):
    found = read(geotiff(tmp_path, HEIGHTS, SCALE, tie(11.0, 19.0, col=2.0, row=2.0)))
    assert (found.origin_x_m, found.origin_y_m) == (10.25, 18.75)


def test_nodata_is_not_known(tmp_path):
    nodata = (42113, "s", 0, "7", True)
    found = read(geotiff(tmp_path, HEIGHTS, SCALE, tie(), nodata))
    assert np.isnan(found.heights_m).sum() == 1
    assert np.isnan(found.heights_m[1, 3])
    odd = HEIGHTS.copy()
    odd[0, 0] = np.inf
    assert np.isnan(read(npy(tmp_path, odd, nodata=3.0)).heights_m).sum() == 2


@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4"])
def test_an_array_has_its_lowest_row_first_and_its_place_beside_it(tmp_path, dtype):
    found = read(npy(tmp_path, HEIGHTS.astype(dtype)))
    np.testing.assert_array_equal(found.heights_m, HEIGHTS)
    assert (found.origin_x_m, found.origin_y_m, found.resolution_m) == (1.0, -2.0, 0.25)


def refusal(path):
    with pytest.raises(ConfigError) as caught:
        read(path)
    return str(caught.value)


def test_what_is_no_map_is_refused(tmp_path, monkeypatch):
    assert "no such file" in refusal(tmp_path / "none.tif")
    (tmp_path / "map.png").write_bytes(b"x")
    assert ".png" in refusal(tmp_path / "map.png")
    assert "ground.height_map is empty" in refusal("")
    (tmp_path / "bad.tif").write_bytes(b"II*\0 not a tiff")
    assert "no readable GeoTIFF" in refusal(tmp_path / "bad.tif")
    assert "ModelPixelScale" in refusal(geotiff(tmp_path))
    oblong = (33550, "d", 3, (0.5, 0.6, 0.0), True)
    assert "square pixels" in refusal(geotiff(tmp_path, HEIGHTS, oblong, tie()))
    assert "uint16" in refusal(geotiff(tmp_path, HEIGHTS.astype(np.uint16), SCALE, tie()))
    colours = np.zeros((3, 4, 3), dtype=np.float32)
    assert "(3, 4, 3)" in refusal(geotiff(tmp_path, colours, SCALE, tie(), photometric="rgb"))
    bad_nodata = (42113, "s", 0, "none", True)
    assert "nodata 'none'" in refusal(geotiff(tmp_path, HEIGHTS, SCALE, tie(), bad_nodata))
    monkeypatch.setattr(height_map_file, "POST_LIMIT", 11)
    assert "more than 11" in refusal(geotiff(tmp_path, HEIGHTS, SCALE, tie()))
    assert "more than 11" in refusal(npy(tmp_path))


def test_a_tiff_that_is_cut_off_is_refused(tmp_path):
    path = geotiff(tmp_path, np.zeros((200, 200), np.float32), SCALE, tie(), compression="zlib")
    path.write_bytes(path.read_bytes()[:-120])
    assert "GeoTIFF" in refusal(path)


def test_bad_arrays_and_places_are_refused(tmp_path):
    path = npy(tmp_path, resolution_m="small")
    assert "resolution_m is 'small'" in refusal(path)
    assert "resolution" in refusal(npy(tmp_path, resolution_m=-1.0))
    assert "'scale' is unknown" in refusal(npy(tmp_path, scale=1.0))
    assert "origin_x_m is None" in refusal(npy(tmp_path, meta={"resolution_m": 1.0}))
    path = npy(tmp_path, np.array([["a", None]], dtype=object))
    assert "no readable .npy" in refusal(path)
    path.write_bytes(b"\x93NUMPY\x01\x00")
    assert "no readable .npy" in refusal(path)
    path.with_suffix(".yaml").unlink()
    assert "map.yaml: cannot be read" in refusal(path)


def test_without_tifffile_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    path = geotiff(tmp_path, HEIGHTS, SCALE, tie())
    monkeypatch.setitem(sys.modules, "tifffile", None)
    assert "pip install 'tifffile>=2024.8,<2027'" in refusal(path)
