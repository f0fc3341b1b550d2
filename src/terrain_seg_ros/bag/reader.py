"""Read ROS 2 bags as a stream: MCAP and sqlite3, as a folder or a single file."""

from __future__ import annotations

import importlib
import importlib.util
import struct
from collections.abc import Callable, Collection, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from rosbags.interfaces import Connection
from rosbags.rosbag2 import Reader, ReaderError

from terrain_seg_ros.bag import bounded_bags
from terrain_seg_ros.core.errors import ConfigError, MessageError, TerrainSegError
from terrain_seg_ros.core.regular_file import check_regular_file, open_regular_file

bounded_bags.install()

_ROS1_MAGIC = b"#ROSBAG"
_SUFFIXES = (".mcap", ".db3")
_METADATA = "metadata.yaml"
MAX_METADATA_BYTES = 4 * 2**20
_NAME_A_BAG = "name a bag's folder, or a .mcap or .db3 file"
_BUILT_IN_DAMAGE: tuple[type[Exception], ...] = (
    ReaderError,
    ArithmeticError,
    AssertionError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
_LIBRARY_ERRORS = (
    ("apsw", "Error"),
    ("sqlite3", "Error"),
    ("compression.zstd", "ZstdError"),
    ("backports.zstd", "ZstdError"),
    ("zstandard", "ZstdError"),
)
_REPAIR = (
    "copy it anew, or repair it with `mcap recover` (MCAP), `sqlite3 FILE .recover` (sqlite3) or "
    "`ros2 bag reindex` (metadata.yaml); only topics of ROS 2 can be read"
)


class BagMessage(NamedTuple):
    """Hold one message as it was recorded: CDR bytes and the time of recording."""

    connection: Connection
    log_ns: int
    data: bytes


class BagReader:
    """Give the connections and messages of a bag; memory does not grow with the bag.

    Use it in a `with` statement.
    """

    def __init__(self, path: Path | str) -> None:
        """Check that the path looks like a ROS 2 bag.

        Raises:
            ConfigError: there is nothing, or something else.
        """
        self.path = Path(path)
        self._reader = _checked_reader(self.path)

    def __enter__(self) -> BagReader:
        """Open the bag and read its index.

        Raises:
            ConfigError: the bag is damaged or of an unknown version.
        """
        with self._translated(ConfigError, "cannot be opened"):
            self._reader.open()
            try:
                bounded_bags.check_chunks(self._reader)
            except ReaderError:
                self._reader.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bag."""
        self._reader.close()

    @property
    def connections(self) -> list[Connection]:
        """Return the connections, in the bag's order."""
        return list(self._reader.connections)

    @property
    def start_ns(self) -> int:
        """Return when the first message was recorded; 0 in an empty bag."""
        return self._reader.start_time if self.message_count else 0

    @property
    def end_ns(self) -> int:
        """Return when the last message was recorded; 0 in an empty bag."""
        return self._reader.end_time - 1 if self.message_count else 0

    @property
    def message_count(self) -> int:
        """Return how many messages the index tells of."""
        return self._reader.message_count

    def messages(self, connections: Collection[Connection] = ()) -> Iterator[BagMessage]:
        """Yield messages in the order of recording, of some connections or of all.

        Raises:
            MessageError: the bag is damaged at this place.
        """
        with closing(self._stream(connections)) as stream:
            while True:
                with self._translated(MessageError, "is damaged"):
                    item = next(stream, None)
                if item is None:
                    return
                yield BagMessage(*item)

    def _stream(
        self, connections: Collection[Connection]
    ) -> Generator[tuple[Connection, int, bytes], None, None]:
        yield from self._reader.messages(connections)

    @contextmanager
    def _translated(
        self, error_type: Callable[[str], TerrainSegError], what: str
    ) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            reason = str(error) or type(error).__name__
            raise error_type(f"bag '{self.path}' {what}: {reason}; {_REPAIR}") from error


def _checked_reader(path: Path) -> Reader:
    if not path.exists():
        raise ConfigError(f"bag '{path}' does not exist; {_NAME_A_BAG}")
    if not path.is_dir():
        check_regular_file(path, remedy=_NAME_A_BAG)
    if path.is_file() and _begins_as_ros1(path):
        raise ConfigError(
            f"bag '{path}' is a ROS 1 bag, expected ROS 2; convert it with "
            f"`rosbags-convert --src {path} --dst FOLDER`"
        )
    if path.is_file() and path.suffix not in _SUFFIXES:
        raise ConfigError(
            f"bag '{path}' has an unknown suffix, expected {' or '.join(_SUFFIXES)} or a folder "
            "with metadata.yaml; rename or decompress it"
        )
    if path.is_dir():
        _check_folder(path)
    return Reader(path)


def _check_folder(path: Path) -> None:
    if not (path / _METADATA).exists():
        raise ConfigError(_no_metadata(path))
    check_regular_file(path / _METADATA, MAX_METADATA_BYTES, remedy=_NAME_A_BAG)
    for file in path.iterdir():
        if any(suffix in _SUFFIXES for suffix in file.suffixes):
            check_regular_file(file, remedy=_NAME_A_BAG)


def _begins_as_ros1(path: Path) -> bool:
    with open_regular_file(path) as file:
        return file.read(len(_ROS1_MAGIC)) == _ROS1_MAGIC


def _no_metadata(path: Path) -> str:
    files = sorted(item.name for item in path.iterdir() if item.suffix in _SUFFIXES)
    remedy = f"name its file {files[0]} or run `ros2 bag reindex`" if files else "name a bag"
    return f"folder '{path}' is no bag, as it has no metadata.yaml; {remedy}"


def _library_errors() -> tuple[type[Exception], ...]:
    """Return the errors, with a root of their own, of the libraries that rosbags may use."""
    found = []
    for module, name in _LIBRARY_ERRORS:
        if importlib.util.find_spec(module.partition(".")[0]) is not None:
            with suppress(ImportError):
                found.append(getattr(importlib.import_module(module), name))
    return tuple(found)


_DAMAGE = _BUILT_IN_DAMAGE + _library_errors()
"""What rosbags and the libraries below it raise on damaged bytes."""
