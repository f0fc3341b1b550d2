"""Writers and readers of whole ROS messages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from threading import Lock
from typing import Any

from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.dds.cyclone import DataReader, DataWriter, DDSException
from terrain_seg_ros.dds.idl_types import endpoint_qos, sample_class
from terrain_seg_ros.dds.participant import Participant, gid_of
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.topic_spec import TopicSpec

POLL_S = 0.05
_TIMED_OUT = -10
"""DDS_RETCODE_TIMEOUT: a reliable reader did not keep up."""


class Writer:
    """Publish the messages of one topic; every method may be called from any thread."""

    def __init__(
        self,
        participant: Participant,
        spec: TopicSpec,
        *,
        dds_name: str,
        type_hash: str | None = None,
    ) -> None:
        """Make a writer.

        Args:
            participant: the membership that owns it.
            spec: type and quality of service; the name counts only in messages.
            dds_name: the name on the bus, from `dds_topic_name`.
            type_hash: the type's hash where that of the type store is not ROS's.

        Raises:
            ConfigError: the name cannot be used, or the participant is closed.
        """
        self.spec = spec
        self.dds_name = dds_name
        self.given_up = 0
        """Messages given up because a reliable reader did not keep up."""
        self._sample = sample_class(spec.type)
        topic = participant.topic(dds_name, spec.type)
        qos = endpoint_qos(spec, writer=True, type_hash=type_hash)
        try:
            self._entity: Any = DataWriter(participant.entity, topic, qos=qos)
        except DDSException as error:
            raise _refused("writer", dds_name, error) from error
        self._lock = Lock()

    def write(self, message: Any) -> bool:
        """Send a message; return whether it was sent, which a stuck reader can prevent.

        Raises:
            MessageError: a field holds what its type cannot, or the writer is closed.
        """
        return self.write_payload(cdr.serialize(message, self.spec.type))

    def write_payload(self, payload: bytes | memoryview) -> bool:
        """Send CDR bytes unchanged; return whether they were sent.

        Raises:
            MessageError: Cyclone refuses them, or the writer is closed.
        """
        with self._lock:
            if self._entity is None:
                raise MessageError(f"{self.dds_name!r} cannot be written: the writer is closed")
            try:
                self._entity.write(self._sample(bytes(payload)))
            except DDSException as error:
                if error.code != _TIMED_OUT:
                    raise MessageError(
                        f"{self.dds_name!r} cannot be written: {error}; check the network"
                    ) from error
                self.given_up += 1
                return False
        return True

    @property
    def subscriber_count(self) -> int:
        """Return how many readers are matched now."""
        # Not by the list of them: Cyclone's asks twice, and fails where one joins in between.
        with self._lock:
            if self._entity is None:
                return 0
            return int(self._entity.get_publication_matched_status().current_count)

    @property
    def gid(self) -> bytes:
        """Return the 16 bytes that name the writer in the ROS graph."""
        return gid_of(self._entity)

    def wait_delivered(self, timeout_ns: int) -> bool:
        """Wait until all reliable readers have what was written; return whether they have."""
        with self._lock:
            if self._entity is None:
                return True
            try:
                return bool(self._entity.wait_for_acks(timeout_ns))
            except DDSException:
                return False

    def close(self) -> None:
        """Leave the topic; a later `write` is refused."""
        with self._lock:
            self._entity = None


class Reader:
    """Receive the messages of one topic; not to be shared between threads."""

    def __init__(self, participant: Participant, spec: TopicSpec, *, dds_name: str) -> None:
        """Make a reader; the arguments are those of `Writer`.

        Raises:
            ConfigError: the name cannot be used, or the participant is closed.
        """
        self.spec = spec
        self.dds_name = dds_name
        self.received = 0
        """Samples that arrived, well-formed or not."""
        self.malformed = 0
        """Samples whose bytes were not a message of the type."""
        self.last_error = ""
        topic = participant.topic(dds_name, spec.type)
        try:
            self._entity: Any = DataReader(
                participant.entity, topic, qos=endpoint_qos(spec, writer=False)
            )
        except DDSException as error:
            raise _refused("reader", dds_name, error) from error

    def take(self) -> Iterator[Any]:
        """Yield the messages that arrived since the last call; malformed ones are counted."""
        for payload in self.take_payloads():
            try:
                message = cdr.deserialize(payload, self.spec.type)
            except MessageError as error:
                self.malformed += 1
                self.last_error = str(error)
                continue
            yield message

    def take_payloads(self) -> list[bytes]:
        """Return the CDR bytes of what arrived since the last call, without decoding them."""
        if self._entity is None:
            return []
        samples = self._entity.take(self.spec.depth)
        payloads = [sample.payload for sample in samples if sample.sample_info.valid_data]
        self.received += len(payloads)
        return payloads

    @property
    def lost(self) -> int:
        """Return how many samples the bus counts as lost."""
        entity = self._entity
        return 0 if entity is None else int(entity.get_sample_lost_status().total_count)

    @property
    def publisher_count(self) -> int:
        """Return how many writers are matched now."""
        entity = self._entity
        if entity is None:
            return 0
        return int(entity.get_subscription_matched_status().current_count)

    @property
    def incompatible(self) -> int:
        """Return how many writers offered less than this reader asks for, since the start."""
        entity = self._entity
        if entity is None:
            return 0
        return int(entity.get_requested_incompatible_qos_status().total_count)

    @property
    def entity(self) -> Any:
        """Return Cyclone's own reader, None after `close`."""
        return self._entity

    @property
    def gid(self) -> bytes:
        """Return the 16 bytes that name the reader in the ROS graph."""
        return gid_of(self._entity)

    def close(self) -> None:
        """Leave the topic."""
        self._entity = None


def wait_for_subscribers(writers: Iterable[Writer], count: int, *, timeout_s: float) -> None:
    """Wait until each writer has so many subscribers.

    Raises:
        ConfigError: they did not appear in time.
    """
    end_s = time.monotonic() + timeout_s
    for writer in writers:
        while writer.subscriber_count < count:
            if time.monotonic() > end_s:
                raise ConfigError(
                    f"{count} subscribers of {writer.dds_name.removeprefix('rt')} did not appear "
                    f"within {timeout_s:.0f} s; start the node on the same domain, or wait for "
                    "fewer"
                )
            time.sleep(POLL_S)


def _refused(kind: str, dds_name: str, error: DDSException) -> ConfigError:
    return ConfigError(f"{kind} of {dds_name!r} cannot be made: {error}; check name and quality")
