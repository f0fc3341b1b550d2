"""Tests of arrays in files that may claim anything."""

import io
import struct
import zipfile

import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.array_file import read_npz


def npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def npy(header, body=b""):
    text = header.encode("latin1")
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def archive(data, name="image.npy", kind=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as out:
        out.writestr(name, data)
    return file.getvalue()


def read(data, limit_bytes=10_000):
    return read_npz(data, ["image"], limit_bytes=limit_bytes)["image"]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
        np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3)),
        np.zeros((0, 4), np.int16),
        np.float64(3.0),
    ],
)
def test_what_numpy_wrote_is_read(array):
    found = read(npz(image=array, other=np.zeros(3)))
    assert found.dtype == np.asarray(array).dtype
    assert np.array_equal(found, array)


def test_a_header_that_promises_ten_gigabytes_takes_no_memory():
    promise = "{'descr': '|u1', 'fortran_order': False, 'shape': (100000, 100000)}"
    with pytest.raises(ConfigError, match=r"declares uint8 of shape \(100000, 100000\)"):
        read(archive(npy(promise)))


def test_an_archive_beyond_the_limit_is_refused_before_it_is_unpacked():
    with pytest.raises(ConfigError, match="unpacks to 10128 bytes, the limit is 10000"):
        read(npz(image=np.zeros(10_000, np.uint8)))


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-4, -4)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2.5,)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<q9', 'fortran_order': 3, 'shape': (1,)}",
        "[" * 5000,
        "(" * 9000 + ")" * 9000,
        "-" * 9000 + "1",
        "{" + " " * 20_000 + "}",
        "",
        "\0",
    ],
)
def test_odd_headers_are_one_line(header):
    with pytest.raises(ConfigError) as refused:
        read(archive(npy(header, b"\0" * 100)), limit_bytes=100_000)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused(kind):
    with pytest.raises(ConfigError, match="a compression other than deflate"):
        read(archive(b"1" * 50, kind=kind))


def test_damaged_archives_are_one_line():
    whole = npz(image=np.arange(200, dtype=np.uint8))
    random = np.random.default_rng(0)
    for _ in range(1000):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 6)):
            data[place] = random.integers(0, 256)
        try:
            read(bytes(data[: random.integers(0, len(data) + 1)]))
        except ConfigError as error:
            assert "\n" not in str(error)
    for data in (b"", b"junk", archive(b""), archive(b"\x93NUMPY\x09\x00"), archive(b"", "x")):
        with pytest.raises(ConfigError):
            read(data)
