"""A reader for untrusted .npz files; sizes are checked before memory is allocated."""

from __future__ import annotations

import io
import math
import re
import zipfile
import zlib
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError

NPY_HEADER_BYTES = 10_000
"""Largest header of a .npy file, which describes shape and type."""
_HEADER = re.compile(
    r"\{'descr': '([<>|]?[biuf]\d{1,2})', 'fortran_order': (True|False), "
    r"'shape': \(((?:\d{1,12}, ?)*\d{0,12})\),? ?\}\s*"
)
_PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    MemoryError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)
"""The exceptions that zipfile raises for damaged, encrypted and forged files."""


def npz_names(data: bytes) -> list[str]:
    """Return the names of the arrays in the bytes of a .npz file, without .npy.

    Raises:
        ConfigError: the file is damaged; the message completes "FILE ...".
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    except _DAMAGE as error:
        raise _unreadable(error) from error


def read_npz(data: bytes, names: Sequence[str], *, limit_bytes: int) -> dict[str, NDArray[Any]]:
    """Return numeric arrays from the bytes of a .npz file.

    Args:
        data: the content of the file.
        names: the arrays to read, without .npy; others are ignored.
        limit_bytes: limit of the unpacked size of the file.

    Raises:
        ConfigError: the file is damaged, lacks an array, contains objects or exceeds the limit;
            the message completes "FILE ...".
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked = sum(item.file_size for item in archive.infolist())
            if unpacked > limit_bytes:
                raise ConfigError(f"unpacks to {unpacked} bytes, the limit is {limit_bytes}")
            return {name: _read(archive, name) for name in names}
    except _DAMAGE as error:
        raise _unreadable(error) from error


def _unreadable(error: Exception) -> ConfigError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ConfigError(f"cannot be read ({reason})")


def _read(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    item = archive.getinfo(f"{name}.npy")
    if item.compress_type not in _PLAIN:
        raise ConfigError(f"contains {name} with a compression other than deflate")
    with archive.open(item) as file:
        return read_npy(file, name, item.file_size)


def read_npy(file: IO[bytes], name: str, size_bytes: int) -> NDArray[Any]:
    """Return the numeric array in a .npy stream of a known size.

    Raises:
        ConfigError: the header is invalid, does not match the size or declares another type.
    """
    shape, by_columns, dtype, begin = _read_header(file, name)
    count = math.prod(shape)
    left = size_bytes - begin
    if count * dtype.itemsize > left:
        raise ConfigError(
            f"contains {name} whose header declares {dtype} of shape {shape}, but only {left} "
            "bytes follow"
        )
    values = np.frombuffer(file.read(count * dtype.itemsize), dtype=dtype)
    if values.size != count:
        raise ConfigError(f"contains {name}, which is truncated")
    return values.reshape(shape, order="F" if by_columns else "C")


def _read_header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    """Return shape, whether the order is Fortran's, type, and the number of bytes read.

    NumPy evaluates the header as Python; this accepts only what NumPy writes for plain numbers.
    """
    begin = file.read(8)
    length_bytes = {b"\x01": 2, b"\x02": 4}.get(begin[6:7], 0)
    if begin[:6] != b"\x93NUMPY" or not length_bytes:
        raise ConfigError(f"contains {name}, which is not a .npy file of version 1 or 2")
    length = int.from_bytes(file.read(length_bytes), "little")
    if length > NPY_HEADER_BYTES:
        raise ConfigError(
            f"contains {name} with a header of {length} bytes, at most {NPY_HEADER_BYTES} are read"
        )
    text = file.read(length).decode("latin1")
    found = _HEADER.fullmatch(text)
    if found is None:
        raise ConfigError(
            f"contains {name} with the header {text.strip()[:100]!r}, expected numbers"
        )
    shape = tuple(int(part) for part in found[3].split(",") if part.strip())
    try:
        dtype = np.dtype(found[1])
    except TypeError:
        raise ConfigError(f"contains {name} of the unknown type {found[1]!r}") from None
    return shape, found[2] == "True", dtype, 8 + length_bytes + length
