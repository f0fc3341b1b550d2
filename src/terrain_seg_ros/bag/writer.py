"""Write MCAP bags that `ros2 bag` and Foxglove open."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from rosbags.interfaces import (
    Connection,
    ConnectionExtRosbag2,
    MessageDefinitionFormat,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import (
    Stores,
    TypesysError,
    get_types_from_idl,
    get_types_from_msg,
    get_typestore,
)

from terrain_seg_ros.bag.scratch import scratch_folder
from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.messages.cdr import Payload, serialize, type_hash, type_store
from terrain_seg_ros.messages.topic_spec import Durability, Reliability, TopicSpec

if TYPE_CHECKING:
    from rosbags.interfaces.typing import Typesdict
    from rosbags.typesys.store import Typestore

log = logging.getLogger(__name__)

_FILE_SUFFIX = ".mcap"
_VERSION: Literal[8] = 8
"""Of metadata.yaml: Humble and Iron cannot read the profiles of version 9, Jazzy reads both."""
_FOREVER = QosTime(9223372036, 854775807)
"""RMW_DURATION_INFINITE: 2^63 - 1 nanoseconds."""
_IDL_SEPARATOR = "=" * 80 + "\n"
_IDL_PART = f"{_IDL_SEPARATOR}IDL: "
_UNPARSABLE = (TypesysError, LookupError, ValueError, TypeError, AttributeError, RecursionError)
_RELIABILITY = {
    Reliability.RELIABLE: QosReliability.RELIABLE,
    Reliability.BEST_EFFORT: QosReliability.BEST_EFFORT,
}
_DURABILITY = {
    Durability.VOLATILE: QosDurability.VOLATILE,
    Durability.TRANSIENT_LOCAL: QosDurability.TRANSIENT_LOCAL,
}


class BagWriter:
    """Write one bag: a folder, or a single file where the path ends in .mcap.

    Use it in a `with` statement. The bag appears under its name only once it is complete; after
    an error nothing is left.
    """

    def __init__(self, path: Path | str) -> None:
        """Check the path.

        Raises:
            ConfigError: it exists already, or asks for another format.
        """
        self.path = Path(path)
        self.message_count = 0
        if self.path.exists() or self.path.is_symlink():
            raise ConfigError(
                f"bag '{self.path}' exists already and is not overwritten; name another, or "
                "remove it"
            )
        if self.path.suffix in {".db3", ".bag"}:
            raise ConfigError(
                f"bag '{self.path}' ends in {self.path.suffix}, but bags are written as MCAP; "
                f"name a folder or a {_FILE_SUFFIX} file"
            )
        self._single = self.path.suffix == _FILE_SUFFIX

    def __enter__(self) -> BagWriter:
        """Begin the bag beside its final place."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        name = self.path.stem if self._single else self.path.name
        with ExitStack() as stack:
            scratch = stack.enter_context(scratch_folder(self.path.parent))
            self._writer = Writer(
                scratch / name, version=_VERSION, storage_plugin=StoragePlugin.MCAP
            )
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
            self._writer.open()
            self._remove_scratch = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Finish the bag and give it its name; after an error remove it.

        Raises:
            ConfigError: another bag was created at its place.
        """
        with self._remove_scratch:
            if kind is None:
                self._writer.close()
                self._move()
            else:
                self._writer.abort()

    def copy_connection(self, connection: Connection) -> Connection:
        """Return a connection like one of another bag; the same one if there is one already."""
        extra = connection.ext
        if not isinstance(extra, ConnectionExtRosbag2):
            extra = ConnectionExtRosbag2("cdr", [])
        known = self._known(connection.topic, connection.msgtype, extra)
        if known is not None:
            return known
        definition, digest = _definition(connection)
        return self._writer.add_connection(
            connection.topic,
            connection.msgtype,
            msgdef=definition,
            rihs01=digest,
            serialization_format=extra.serialization_format,
            offered_qos_profiles=extra.offered_qos_profiles,
        )

    def add_connection(self, name: str, spec: TopicSpec) -> Connection:
        """Return a connection for a row of the table of topics, under its full name."""
        qos = [qos_of(spec)]
        known = self._known(name, spec.type, ConnectionExtRosbag2("cdr", qos))
        if known is not None:
            return known
        return self._writer.add_connection(
            name, spec.type, typestore=type_store(), offered_qos_profiles=qos
        )

    def write(self, connection: Connection, log_ns: int, data: Payload) -> None:
        """Write the CDR bytes of one message.

        Raises:
            MessageError: the time cannot be stored.
        """
        if not 0 <= log_ns < 2**63:
            raise MessageError(
                f"message of {connection.topic!r} has the log time {log_ns} ns, expected 0 to "
                "2^63 - 1; check the recorder's clock"
            )
        self._writer.write(connection, log_ns, memoryview(data))
        self.message_count += 1

    def write_message(self, connection: Connection, log_ns: int, message: object) -> None:
        """Serialise and write one message.

        Raises:
            MessageError: a field holds what its type cannot.
        """
        self.write(connection, log_ns, serialize(message, connection.msgtype))

    def _known(
        self, topic: str, message_type: str, extra: ConnectionExtRosbag2
    ) -> Connection | None:
        for item in self._writer.connections:
            if (item.topic, item.msgtype, item.ext) == (topic, message_type, extra):
                return item
        return None

    def _move(self) -> None:
        if self.path.exists():
            raise ConfigError(
                f"bag '{self.path}' was created in the meantime and is not overwritten; name "
                "another"
            )
        folder = self._writer.path
        source = folder / f"{folder.name}{_FILE_SUFFIX}" if self._single else folder
        source.rename(self.path)


def qos_of(spec: TopicSpec) -> Qos:
    """Return the quality of service of a row of the table of topics."""
    return Qos(
        QosHistory.KEEP_LAST,
        spec.depth,
        _RELIABILITY[spec.reliability],
        _DURABILITY[spec.durability],
        _FOREVER,
        _FOREVER,
        QosLiveliness.AUTOMATIC,
        _FOREVER,
        avoid_ros_namespace_conventions=False,
    )


def _definition(connection: Connection) -> tuple[str, str]:
    """Return definition and hash of a connection's type, so that they agree.

    IDL becomes ROS's own text. An unknown or unparsable type gets an empty definition, as a
    reader would otherwise fail on the whole bag.
    """
    text, name = connection.msgdef.data, connection.msgtype
    if not text and name in type_store().types:
        text = type_store().generate_msgdef(name, ros_version=2)[0]
        return text, connection.digest or type_hash(name)
    try:
        if connection.msgdef.format is MessageDefinitionFormat.IDL:
            store = _store_of(_types_of_idl(text))
            text = store.generate_msgdef(name, ros_version=2)[0]
        else:
            store = _store_of(get_types_from_msg(text, name))
        return text, store.hash_rihs01(name)
    except _UNPARSABLE:
        log.warning("definition of %s cannot be parsed and is not copied", name)
        return "", _store_of(get_types_from_msg("", name)).hash_rihs01(name)


def _types_of_idl(text: str) -> Typesdict:
    """Return the types of an IDL file, or of several that are separated as by rosbag2."""
    if not text.startswith(_IDL_PART):
        return get_types_from_idl(text)
    types: Typesdict = {}
    for part in text.split(_IDL_SEPARATOR)[1:]:
        types.update(get_types_from_idl(part.partition("\n")[2]))
    return types


def _store_of(types: Typesdict) -> Typestore:
    store = get_typestore(Stores.EMPTY)
    store.register(types)
    return store
