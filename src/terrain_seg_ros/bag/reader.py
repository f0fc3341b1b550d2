"""Read ROS 2 bags as a stream: MCAP and sqlite3, as a folder or a single file."""

from __future__ import annotations

import importlib
import importlib.util
import struct
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rosbags.interfaces import Connection, ConnectionExtRosbag2
from rosbags.rosbag2 import ReaderError

from terrain_seg_ros.bag import bounded_unpack
from terrain_seg_ros.bag.bag_files import (
    METADATA,
    PACKED,
    SUFFIXES,
    BagFiles,
    check_folder,
    find_files,
    is_storage,
    storage_files,
)
from terrain_seg_ros.bag.mcap_file import McapFile
from terrain_seg_ros.bag.sqlite_file import SqliteFile
from terrain_seg_ros.core.errors import ConfigError, MessageError, TerrainSegError
from terrain_seg_ros.core.files.regular_file import check_regular_file, open_regular_file

_SCRATCH = "terrain-bag-"
_ROS1_MAGIC = b"#ROSBAG"
_NAME_A_BAG = "name a bag's folder, or a .mcap or .db3 file"
_BUILT_IN_DAMAGE: tuple[type[Exception], ...] = (
    ReaderError,
    ArithmeticError,
    AssertionError,
    BufferError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
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
    "copy it again, or repair it with `mcap recover` (MCAP), `sqlite3 FILE .recover` (sqlite3) or "
    "`ros2 bag reindex` (metadata.yaml); only topics of ROS 2 can be read"
)
_Storage = McapFile | SqliteFile


class BagMessage(NamedTuple):
    """One message as it was recorded: CDR bytes and the time of recording.

    `defect` says what is wrong with how it is stored; it has no data then.
    """

    connection: Connection
    log_ns: int
    data: bytes
    defect: str = ""


class BagReader:
    """The connections and messages of a bag; memory does not grow with the bag.

    Connections of one topic and type are one, whatever their quality of service and in however
    many files. Use it in a `with` statement; `foreign` then says why some topics are not ROS 2
    topics, by their name, and `notes` what was found on opening that users should know.
    """

    def __init__(self, path: Path | str) -> None:
        """Check that the path looks like a ROS 2 bag.

        Raises:
            ConfigError: there is nothing, or something else.
        """
        self.path = Path(path)
        _check(self.path)
        self.foreign: dict[str, str] = {}
        self.notes: list[str] = []
        self.connections: list[Connection] = []
        self.message_count = 0
        self.start_ns = self.end_ns = 0
        """When the first and the last message were recorded; 0 in an empty bag."""
        self._packed = False
        self._storages: list[tuple[_Storage, dict[int, Connection]]] = []
        self._stack = ExitStack()

    def __enter__(self) -> BagReader:
        """Open the bag and read its index.

        Raises:
            ConfigError: the bag is damaged or of an unknown version.
        """
        with ExitStack() as stack, self._translated(ConfigError, "cannot be opened"):
            self._open(stack, find_files(self.path))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the bag."""
        self._stack.close()

    def messages(
        self, connections: Collection[Connection] = (), *, since_ns: int = 0
    ) -> Iterator[BagMessage]:
        """Yield messages in the order of recording, of some connections or of all.

        Args:
            connections: the connections; empty means all.
            since_ns: leave out what was recorded earlier, without reading all of it.

        Raises:
            MessageError: the bag is damaged at this place.
        """
        ids = {item.id for item in connections or self.connections}
        for storage, known in self._storages:
            chosen = {number: item for number, item in known.items() if item.id in ids}
            stream: Iterator[tuple[int, Any, Any]] = storage.messages(chosen, since_ns=since_ns)
            while chosen:
                with self._translated(MessageError, "is damaged"):
                    item = next(stream, None)
                if item is None:
                    break
                yield self._message(chosen[item[0]], item[1], item[2])

    def _message(self, connection: Connection, log_ns: Any, data: Any) -> BagMessage:
        if not isinstance(log_ns, int) or not 0 <= log_ns < 2**63:
            return BagMessage(connection, 0, b"", f"its time of recording is {log_ns!r:.40}")
        if not isinstance(data, bytes):
            return BagMessage(connection, log_ns, b"", f"its data is {type(data).__name__}")
        if not self._packed:
            return BagMessage(connection, log_ns, data)
        try:
            plain = bounded_unpack.unpack_zstd(data, bounded_unpack.MAX_CHUNK_BYTES)
        except ReaderError as error:
            return BagMessage(connection, log_ns, b"", str(error))
        return BagMessage(connection, log_ns, plain)

    def _open(self, stack: ExitStack, files: BagFiles) -> None:
        @cache
        def scratch() -> Path:
            return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=_SCRATCH)))

        tried = [_opened(path, scratch, stack) for path in files.paths]
        storages = [item for item in tried if not isinstance(item, Exception)]
        lost = {
            path.name: item for path, item in zip(files.paths, tried) if isinstance(item, Exception)
        }
        if lost and not storages:
            raise next(iter(lost.values()))
        self._packed = files.packed
        storages.sort(key=lambda item: item.start_ns)
        filled = [item for item in storages if item.message_count]
        self.start_ns = min((item.start_ns for item in filled), default=0)
        self.end_ns = max((item.end_ns for item in filled), default=0)
        self.message_count = sum(item.message_count for item in storages)
        self.notes = [*files.notes]
        for name, why in lost.items():
            self.notes.append(f"{name} cannot be opened ({_words(why)}): its messages are lost")
        for storage in storages:
            self.notes += storage.notes
            self.foreign.update(storage.foreign)
        self._join(storages, files)
        told = files.message_count
        if told is not None and told != self.message_count and not lost:
            self.notes.append(
                f"{METADATA} lists {told} messages, the files hold {self.message_count}: all of "
                "those were read"
            )

    def _join(self, storages: list[_Storage], files: BagFiles) -> None:
        """Make one connection of those of a topic and type."""
        known: dict[tuple[str, str], Connection] = {}
        differing = []
        for storage in storages:
            numbers: dict[int, Connection] = {}
            for item in storage.connections:
                key = (item.topic, item.msgtype)
                first = known.get(key)
                told = files.quality.get(key)
                if first is None:
                    if told is not None and _quality(item) and told != _quality(item):
                        differing.append(item.topic)
                    first = _owned(item, len(known) + 1, files)
                else:
                    first = first._replace(msgcount=first.msgcount + item.msgcount)
                known[key] = first
                numbers[item.id] = first
            self._storages.append((storage, numbers))
        self.connections = list(known.values())
        by_id = {item.id: item for item in self.connections}
        for _, numbers in self._storages:
            numbers.update({number: by_id[item.id] for number, item in numbers.items()})
        if differing:
            self.notes.append(
                f"quality of service differs between {METADATA} and the files for "
                f"{', '.join(differing)}: their messages are still read"
            )

    @contextmanager
    def _translated(
        self, error_type: Callable[[str], TerrainSegError], what: str
    ) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            raise error_type(f"bag '{self.path}' {what}: {_words(error)}; {_REPAIR}") from error


def _words(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _quality(item: Connection) -> list[Any]:
    return item.ext.offered_qos_profiles if isinstance(item.ext, ConnectionExtRosbag2) else []


def _owned(item: Connection, number: int, files: BagFiles) -> Connection:
    """Return a storage's connection under its number in the bag, with the data of the metadata."""
    key = (item.topic, item.msgtype)
    quality = files.quality.get(key) or _quality(item)
    return item._replace(
        id=number,
        digest=item.digest or files.digests.get(key, ""),
        ext=ConnectionExtRosbag2("cdr", quality),
    )


def _opened(
    path: Path, scratch: Callable[[], Path], stack: ExitStack
) -> McapFile | SqliteFile | Exception:
    """Return an open file, closed with the stack, or what is wrong with it."""
    try:
        storage = _storage(path, scratch)
        stack.callback(storage.close)
        storage.open()
    except _DAMAGE as error:
        return error
    return storage


def _storage(path: Path, scratch: Callable[[], Path]) -> _Storage:
    if path.name.endswith(PACKED):
        plain = scratch() / path.name.removesuffix(PACKED)
        bounded_unpack.unpack_zstd_file(path, plain)
        path = plain
    if path.suffix == ".mcap":
        return McapFile(path)
    if path.suffix == ".db3":
        return SqliteFile(path, scratch)
    raise ReaderError(f"{path.name} has an unknown suffix")


def _check(path: Path) -> None:
    if not path.exists():
        raise ConfigError(f"bag '{path}' does not exist; {_NAME_A_BAG}")
    if not path.is_dir():
        check_regular_file(path, remedy=_NAME_A_BAG)
    if path.is_file() and _begins_as_ros1(path):
        raise ConfigError(
            f"bag '{path}' is a ROS 1 bag, expected ROS 2; convert it with "
            f"`rosbags-convert --src {path} --dst FOLDER`"
        )
    if path.is_file() and not is_storage(path):
        raise ConfigError(
            f"bag '{path}' has an unknown suffix, expected {' or '.join(SUFFIXES)} or a folder "
            "with metadata.yaml; rename or decompress it"
        )
    if path.is_dir() and not (path / METADATA).is_file() and not storage_files(path):
        raise ConfigError(
            f"folder '{path}' is not a bag: it has no {METADATA} and no {' or '.join(SUFFIXES)} "
            "file; name a bag"
        )
    if path.is_dir():
        check_folder(path, _NAME_A_BAG)


def _begins_as_ros1(path: Path) -> bool:
    with open_regular_file(path) as file:
        return file.read(len(_ROS1_MAGIC)) == _ROS1_MAGIC


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
