"""Tests of the size that a picture declares, checked before it is decoded."""

import struct
import zlib

import cv2
import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.core.image import picture_header
from terrain_seg_ros.core.image.image_file import decode_file, read_image
from terrain_seg_ros.core.image.picture_header import checked_header
from terrain_seg_ros.messages.picture_size import picture_size

GREY = np.arange(35, dtype=np.uint8).reshape(5, 7)
COLOR = np.dstack([GREY, GREY, GREY])


def encoded(suffix, pixels=COLOR, *options):
    return bytes(cv2.imencode(suffix, pixels, list(options))[1])


def png(width_px, height_px, depth=8, color=2, *chunks):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width_px, height_px, depth, color, 0, 0, 0)
    body = [chunk(b"IHDR", header), *(chunk(*item) for item in chunks)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body) + chunk(b"IEND", b"")


def resized(data, places, form, value):
    """Return the data with another number at some places."""
    changed = bytearray(data)
    for place in places:
        struct.pack_into(form, changed, place, value)
    return bytes(changed)


@pytest.mark.parametrize(
    ("suffix", "pixels"),
    [
        (".png", COLOR),
        (".png", GREY),
        (".png", GREY.astype(np.uint16)),
        (".jpg", COLOR),
        (".jpg", GREY),
        (".tif", COLOR),
        (".tif", GREY.astype(np.uint16)),
        (".bmp", COLOR),
        (".webp", COLOR),
        (".pgm", GREY),
        (".ppm", COLOR),
        (".pgm", GREY.astype(np.uint16)),
    ],
)
def test_what_opencv_writes_declares_what_it_is(tmp_path, suffix, pixels):
    data = encoded(suffix, pixels)
    header = checked_header(data)
    assert (header.height_px, header.width_px) == pixels.shape[:2]
    assert header.bytes_per_pixel >= pixels.itemsize * (3 if pixels.ndim == 3 else 1)
    (tmp_path / f"image{suffix}").write_bytes(data)
    assert decode_file(tmp_path / f"image{suffix}").shape[:2] == pixels.shape[:2]


@pytest.mark.requirement("TSR-ROB-006")
def test_every_kind_that_declares_too_much_is_refused_before_it_is_decoded(tmp_path):
    large = 60_000
    tiff = encoded(".tif")
    directory = struct.unpack_from("<I", tiff, 4)[0]
    entries = [directory + 2 + 12 * k for k in range(struct.unpack_from("<H", tiff, directory)[0])]
    sizes = [at + 8 for at in entries if struct.unpack_from("<H", tiff, at)[0] in (256, 257)]
    webp = encoded(".webp", COLOR, cv2.IMWRITE_WEBP_QUALITY, 50)
    jpeg = encoded(".jpg")
    frame = jpeg.index(b"\xff\xc0")
    for name, data in {
        "png": png(large, large),
        "jpg": resized(jpeg, (frame + 5, frame + 7), ">H", large),
        "tif": resized(tiff, sizes, "<H", large),
        "bmp": resized(encoded(".bmp"), (18, 22), "<i", large),
        "bmp upside down": resized(encoded(".bmp"), (18, 22), "<i", -large),
        "webp": resized(webp, (26, 28), "<H", 0x3FFF),
        "ppm": b"P6\n# a remark\n60000 60000\n255\n",
        "16 bits": png(8000, 7000, 16, 6),
        "16 bits and transparency": png(8000, 7000, 16, 0, (b"tRNS", b"\0\0")),
    }.items():
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(ConfigError, match="more than the limit") as refused:
            read_image(path)
        assert "\n" not in str(refused.value), name


def test_a_message_of_two_megabytes_cannot_become_gigabytes():
    with pytest.raises(MessageError, match=f"limit of {picture_header.DECODED_LIMIT_BYTES} bytes"):
        picture_size(memoryview(png(8000, 8000, 16, 6)))
    assert picture_size(memoryview(png(8000, 8000, 8, 6))) == (8000, 8000)


def test_scans_without_end_are_refused():
    whole = encoded(".jpg", np.zeros((4000, 4000), np.uint8), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    assert 1 < checked_header(whole).scans < 30
    scan = whole.rindex(b"\xff\xda")
    many = whole[:scan] + whole[scan:-2] * 200 + whole[-2:]
    with pytest.raises(MessageError, match="scans, more than the limit"):
        checked_header(many)


def test_an_end_marker_in_a_remark_hides_no_scans():
    whole = encoded(".jpg", np.zeros((4000, 4000), np.uint8), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = whole.rindex(b"\xff\xda")
    remark = b"\xff\xfe\x00\x04\xff\xd9"
    many = whole[:scan] + (remark + whole[scan:-2]) * 200 + whole[-2:]
    with pytest.raises(MessageError, match="scans, more than the limit"):
        checked_header(many)


@pytest.mark.parametrize(
    "data", [b"\0\0\0\x0cjP  \r\n\x87\n", b"\x76\x2f\x31\x01", b"GIF89a", b"x"]
)
def test_other_kinds_are_refused_with_the_remedy(tmp_path, data):
    path = tmp_path / "image"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"unknown image format.*convert it to PNG"):
        read_image(path)


def test_damaged_headers_are_one_line():
    random = np.random.default_rng(0)
    for suffix in (".png", ".jpg", ".tif", ".bmp", ".webp", ".ppm"):
        whole = encoded(suffix)
        for _ in range(500):
            data = bytearray(whole)
            for place in random.integers(0, min(len(data), 120), random.integers(1, 5)):
                data[place] = random.integers(0, 256)
            try:
                checked_header(bytes(data[: random.integers(0, len(data) + 1)]))
            except MessageError as error:
                assert "\n" not in str(error)
