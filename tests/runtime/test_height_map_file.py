"""Test reading height maps: placement, nodata, and what is refused."""

import sys
import warnings

import numpy as np
import pytest
import rasterio
import yaml
from rasterio.transform import Affine, from_origin

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime import height_map_file
from terrain_seg_ros.runtime.height_map_file import read_height_map

HEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4)
NORTH_UP = from_origin(10.0, 20.0, 0.5, 0.5)
MOON = "+proj=eqc +lat_ts=0 +lat_0=0 +lon_0=0 +x_0=0 +y_0=0 +R=1737400 +units=m +no_defs"
DEGREES = "+proj=longlat +R=1737400 +no_defs"
FEET = MOON.replace("+units=m", "+units=ft")
PDS3_LABEL = """PDS_VERSION_ID = PDS3\r
RECORD_TYPE = FIXED_LENGTH\r
RECORD_BYTES = 16\r
FILE_RECORDS = {records}\r
LABEL_RECORDS = {first}\r
^IMAGE = {first_plus}\r
OBJECT = IMAGE\r
  LINES = 3\r
  LINE_SAMPLES = 4\r
  SAMPLE_TYPE = PC_REAL\r
  SAMPLE_BITS = 32\r
  BANDS = 1\r
  MISSING_CONSTANT = 7.0\r
END_OBJECT = IMAGE\r
OBJECT = IMAGE_MAP_PROJECTION\r
  MAP_PROJECTION_TYPE = "EQUIRECTANGULAR"\r
  A_AXIS_RADIUS = 1737.4 <KM>\r
  B_AXIS_RADIUS = 1737.4 <KM>\r
  C_AXIS_RADIUS = 1737.4 <KM>\r
  CENTER_LATITUDE = 0.0 <DEG>\r
  CENTER_LONGITUDE = 0.0 <DEG>\r
  MAP_SCALE = 2.0 <M/PIXEL>\r
  LINE_PROJECTION_OFFSET = -9.5 <PIXEL>\r
  SAMPLE_PROJECTION_OFFSET = -4.5 <PIXEL>\r
END_OBJECT = IMAGE_MAP_PROJECTION\r
END\r
"""


def raster(folder, heights=HEIGHTS, *, name="map.tif", driver="GTiff", tags=None, **options):
    """Write heights as any format that GDAL writes."""
    path = folder / name
    bands = heights if heights.ndim == 3 else heights[np.newaxis]
    count, rows, cols = bands.shape
    settings = {"transform": NORTH_UP, "crs": MOON, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver=driver,
            width=cols,
            height=rows,
            count=count,
            dtype=heights.dtype,
            **settings,
        ) as file:
            file.write(bands)
            file.update_tags(**(tags or {}))
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


@pytest.mark.parametrize("kind", ["npy", "tif", "tiled", "deflated", "big", "jp2"])
def test_any_changed_bytes_are_a_map_or_one_clear_error(tmp_path, kind):
    options = {
        "tiled": {"tiled": True, "blockxsize": 16, "blockysize": 16},
        "deflated": {"compress": "deflate"},
        "big": {"BIGTIFF": "YES"},
    }
    heights = np.random.default_rng(0).random((20, 30)).astype(np.float32)
    if kind == "npy":
        path = npy(tmp_path, heights)
    elif kind == "jp2":
        path = raster(tmp_path, heights.astype(np.int16), name="map.jp2", driver="JP2OpenJPEG")
    else:
        path = raster(tmp_path, heights, **options.get(kind, {}))
    whole, rng = path.read_bytes(), np.random.default_rng(7)
    head = min(len(whole), 128 if kind == "npy" else 500)
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


def check_placed(found):
    np.testing.assert_array_equal(found.heights_m, HEIGHTS[::-1])
    assert found.heights_m.dtype == np.float32
    assert found.resolution_m == 0.5
    # The origin of a raster is the corner of its first pixel, ours the middle of the lowest.
    assert found.origin_x_m == 10.25
    assert found.origin_y_m == 20.0 - 0.25 - 2 * 0.5
    assert found.at(np.array([10.25]), np.array([19.75]))[0] == HEIGHTS[0, 0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"crs": None},
        {"compress": "deflate"},
        {"ENDIANNESS": "BIG"},
        {"driver": "COG"},
        {"driver": "PDS4", "name": "map.xml"},
    ],
)
def test_a_raster_runs_from_north_to_south(tmp_path, options):
    check_placed(read(raster(tmp_path, **options)))


@pytest.mark.parametrize(
    "options",
    [{}, {"name": "map.jp2", "driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}],
)
def test_signed_integers_are_heights_too(tmp_path, options):
    check_placed(read(raster(tmp_path, HEIGHTS.astype(np.int16), **options)))


def test_scale_and_offset_of_a_raster_are_applied(tmp_path):
    path = raster(tmp_path, HEIGHTS.astype(np.int16))
    with rasterio.open(path, "r+") as file:
        file.scales, file.offsets = (0.5,), (-100.0,)
    np.testing.assert_array_equal(read(path).heights_m, HEIGHTS[::-1] * 0.5 - 100.0)


@pytest.mark.parametrize("name", ["map.img", "map.IMG"])
def test_a_pds3_file_with_its_label_is_read(tmp_path, name):
    label = PDS3_LABEL.format(records=67, first=64, first_plus=65).encode()
    path = tmp_path / name
    path.write_bytes(label.ljust(64 * 16) + HEIGHTS.tobytes())
    found = read(path)
    expected = np.where(HEIGHTS == 7.0, np.nan, HEIGHTS)[::-1]
    np.testing.assert_array_equal(found.heights_m, expected)
    assert found.resolution_m == 2.0


def test_a_detached_pds3_label_is_read_with_its_data(tmp_path):
    label = PDS3_LABEL.format(records=3, first=0, first_plus='"map.img"')
    (tmp_path / "map.lbl").write_bytes(label.replace("LABEL_RECORDS = 0\r\n", "").encode())
    (tmp_path / "map.img").write_bytes(HEIGHTS.tobytes())
    assert np.isnan(read(tmp_path / "map.lbl").heights_m[1, 3])


def test_a_label_that_refers_to_another_folder_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "map.img").write_bytes(HEIGHTS.tobytes())
    (tmp_path / "here").mkdir()
    label = PDS3_LABEL.format(records=3, first=0, first_plus='"../elsewhere/map.img"')
    path = tmp_path / "here" / "map.lbl"
    path.write_bytes(label.replace("LABEL_RECORDS = 0\r\n", "").encode())
    assert "keep label and data in one folder" in refusal(path)


def test_a_raster_of_points_counts_from_the_middle_of_its_first_pixel(tmp_path):
    placed = from_origin(10.25, 19.75, 0.5, 0.5)
    path = raster(tmp_path, transform=placed, tags={"AREA_OR_POINT": "Point"})
    with rasterio.open(path) as file:
        corner = file.transform
    found = read(path)
    assert (found.origin_x_m, found.origin_y_m) == (corner.c + 0.25, corner.f - 1.25)


def test_nodata_is_not_known(tmp_path):
    found = read(raster(tmp_path, nodata=7.0))
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
    (tmp_path / "folder.tif").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder.tif")
    (tmp_path / "map.png").write_bytes(b"x")
    assert ".png" in refusal(tmp_path / "map.png")
    assert "ground.height_map is empty" in refusal("")
    (tmp_path / "bad.tif").write_bytes(b"II*\0 not a tiff")
    assert "not a readable GTiff" in refusal(tmp_path / "bad.tif")
    bad_nodata = raster(tmp_path, HEIGHTS.astype(np.int16), name="points.tif", nodata=-32768)
    assert np.isfinite(read(bad_nodata).heights_m).all()
    monkeypatch.setattr(height_map_file, "POST_LIMIT", 11)
    assert "more than 11" in refusal(raster(tmp_path))
    assert "more than 11" in refusal(npy(tmp_path))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"transform": Affine.identity()}, "does not say where it lies"),
        ({"transform": Affine(0.5, 0, 10, 0, -0.6, 20)}, "square pixels"),
        ({"transform": NORTH_UP @ Affine.rotation(10)}, "rotated or not north-up"),
        ({"transform": Affine(0.5, 0, 10, 0, 0.5, 20)}, "rotated or not north-up"),
        ({"crs": DEGREES}, "degrees of latitude and longitude; project it to metres"),
        ({"crs": FEET}, "expected metres"),
        ({"heights": HEIGHTS.astype(np.uint8)}, "uint8"),
        ({"heights": HEIGHTS.astype(np.uint16)}, "uint16"),
        ({"heights": HEIGHTS.astype(np.complex64)}, "complex64"),
        ({"heights": np.zeros((3, 4, 5), np.float32)}, "has 3 bands"),
    ],
)
def test_a_raster_that_would_be_misread_is_refused(tmp_path, options, text):
    assert text in refusal(raster(tmp_path, **options))


def test_heights_that_are_not_metres_are_refused(tmp_path):
    path = raster(tmp_path)
    with rasterio.open(path, "r+") as file:
        file.units = ("ft",)
    assert "heights in 'ft', expected metres" in refusal(path)


def test_another_format_under_a_known_name_is_refused(tmp_path):
    """A virtual raster could read any other file."""
    path = tmp_path / "map.tif"
    raster(tmp_path, name="real.tif")
    path.write_text(
        '<VRTDataset rasterXSize="4" rasterYSize="3"><VRTRasterBand dataType="Float32" band="1">'
        "<SimpleSource><SourceFilename>real.tif</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    assert "not a readable GTiff" in refusal(path)


def test_a_tiff_that_is_cut_off_is_refused(tmp_path):
    heights = np.random.default_rng(1).random((200, 200)).astype(np.float32)
    path = raster(tmp_path, heights, compress="deflate")
    path.write_bytes(path.read_bytes()[:-1200])
    assert "not a readable GTiff" in refusal(path)


def test_bad_arrays_and_places_are_refused(tmp_path):
    path = npy(tmp_path, resolution_m="small")
    assert "resolution_m is 'small'" in refusal(path)
    assert "resolution" in refusal(npy(tmp_path, resolution_m=-1.0))
    assert "'scale' is unknown" in refusal(npy(tmp_path, scale=1.0))
    assert "origin_x_m is None" in refusal(npy(tmp_path, meta={"resolution_m": 1.0}))
    path = npy(tmp_path, np.array([["a", None]], dtype=object))
    assert "not a readable .npy" in refusal(path)
    path.write_bytes(b"\x93NUMPY\x01\x00")
    assert "not a readable .npy" in refusal(path)
    path.with_suffix(".yaml").unlink()
    assert "map.yaml: cannot be read" in refusal(path)


def test_without_rasterio_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    path = raster(tmp_path)
    monkeypatch.setitem(sys.modules, "rasterio", None)
    assert "pip install 'rasterio>=1.3,<2'" in refusal(path)
