"""A stream that ends its reader where it grows beyond all measure."""

from __future__ import annotations

import gzip
import io

MAX_READ_BYTES = 16 * 2**20
"""Of one read: a header that claims more is made to fill the memory."""


class TooMuchError(Exception):
    """An archive goes beyond its limits; the message completes "ARCHIVE ..."."""


class BoundedFile(io.RawIOBase):
    """Read a stream up to a limit of bytes, and never much at once."""

    def __init__(self, file: gzip.GzipFile, *, limit_bytes: int) -> None:
        """Take the stream, which stays the caller's to close."""
        super().__init__()
        self._file = file
        self._limit_bytes = limit_bytes

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: forwards by reading."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes.

        Raises:
            TooMuchError: that is too much at once or in all.
        """
        if not 0 <= size <= MAX_READ_BYTES:
            raise TooMuchError("has a header that claims too much")
        self._check(self._file.tell())
        return self._file.read(size)

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        """Go to a position from the start.

        Raises:
            TooMuchError: it is beyond the limit.
        """
        if whence != io.SEEK_SET:
            raise TooMuchError("is laid out in an odd way")
        self._check(position)
        return self._file.seek(position)

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def _check(self, position: int) -> None:
        if position > self._limit_bytes:
            raise TooMuchError(f"unpacks to more than {self._limit_bytes} bytes")
