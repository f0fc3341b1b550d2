"""ROS types on a DDS bus: their description, quality of service, raw samples."""

from __future__ import annotations

import functools
from typing import Any

from terrain_seg_ros.dds.cyclone import Policy, Qos, make_idl_struct
from terrain_seg_ros.dds.idl_fields import idl_fields
from terrain_seg_ros.dds.names import dds_type_name
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.topic_spec import Durability, Reliability, TopicSpec

WRITE_TIMEOUT_NS = 200_000_000
"""A reliable writer waits this long for a reader that does not keep up, then gives up one
message; ROS waits for ever, which would let one stopped subscriber stop the node."""
_UNLIMITED = -1


@functools.lru_cache(maxsize=64)
def sample_class(message_type: str) -> Any:
    """Return the class of the samples of a type: an envelope around CDR bytes.

    The bytes are made and read by `messages.cdr`, outside Cyclone, so that a malformed sample is
    counted where it is read and harms no other. The fields serve only to describe the type.
    """
    base = _struct(message_type, dds_type_name(message_type))
    base.__init__ = _hold
    base.serialize = _serialize
    base.serialize_key = _serialize_key
    base.deserialize = classmethod(_deserialize)
    base.deserialize_key = classmethod(_deserialize_key)
    return base


@functools.lru_cache(maxsize=64)
def _nested_class(message_type: str) -> Any:
    """Return the struct of a nested type, under a name that is this package's own.

    Peers compare nested types by their fields, not by their names. Cyclone DDS answers every type
    lookup on the bus with the types that it knows, also those that were sent to others, and a
    Fast DDS 3 that hears a part of what it asked for never connects that endpoint. A type of
    another name has another hash, so nothing of ours is ever a part of what was asked for.
    """
    return _struct(message_type, f"terrain_seg_ros::{dds_type_name(message_type)}")


def _struct(message_type: str, name: str) -> Any:
    fields = idl_fields(message_type, _nested_class)
    return make_idl_struct(message_type.rsplit("/", 1)[1], name, fields, dataclassify=False)


def endpoint_qos(spec: TopicSpec, *, writer: bool, type_hash: str | None = None) -> Any:
    """Return the quality of service of a reader or writer of a row of the table.

    Args:
        spec: the row.
        writer: whether it is for a writer.
        type_hash: the type's hash where that of the type store is not ROS's.
    """
    reliable = spec.reliability is Reliability.RELIABLE
    latched = spec.durability is Durability.TRANSIENT_LOCAL
    policies = [
        Policy.Reliability.Reliable(WRITE_TIMEOUT_NS)
        if reliable
        else Policy.Reliability.BestEffort,
        Policy.Durability.TransientLocal if latched else Policy.Durability.Volatile,
        Policy.History.KeepLast(spec.depth),
        Policy.DataRepresentation(use_cdrv0_representation=True),
        Policy.Userdata(f"typehash={type_hash or cdr.type_hash(spec.type)};".encode("ascii")),
    ]
    if writer:
        policies.append(Policy.WriterDataLifecycle(autodispose=False))
    if writer and latched:
        keep_last = Policy.History.KeepLast(spec.depth)
        policies.append(Policy.DurabilityService(0, keep_last, _UNLIMITED, _UNLIMITED, _UNLIMITED))
    return Qos(*policies)


def _hold(self: Any, payload: bytes = b"") -> None:
    self.payload = payload


def _serialize(self: Any, *_: Any, **__: Any) -> bytes:
    payload: bytes = self.payload
    return payload


def _serialize_key(_: Any, *__: Any, **___: Any) -> bytes:
    return b"\x00\x01\x00\x00"


def _deserialize(cls: Any, data: bytes, *_: Any, **__: Any) -> Any:
    return cls(data)


def _deserialize_key(cls: Any, *_: Any, **__: Any) -> Any:
    return cls()
