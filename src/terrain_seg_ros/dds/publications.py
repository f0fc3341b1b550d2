"""The writers of a domain, which its participants announce to each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from terrain_seg_ros.dds.cyclone import (
    BuiltinDataReader,
    BuiltinTopicDcpsPublication,
    InstanceState,
)
from terrain_seg_ros.dds.participant import Participant

LIMIT = 500
"""Writers of the domain that are looked through; further ones are not listed."""


class Publications:
    """Lists the writers of a domain, again and again without holding more memory."""

    def __init__(self, participant: Participant) -> None:
        """Listen to announcements."""
        self._reader: Any = BuiltinDataReader(participant.entity, BuiltinTopicDcpsPublication)
        self._reader._cqos_conv = _without_quality

    def alive(self) -> Iterator[tuple[str, Any]]:
        """Yield DDS name of the topic and GUID of the participant of each writer that exists."""
        for item in self._reader.read(LIMIT):
            if item.sample_info.instance_state == InstanceState.Alive:
                yield str(item.topic_name), item.participant_key


def _without_quality(_: Any) -> None:
    """Return nothing in place of a writer's quality of service.

    The conversion of cyclonedds 11.0 never frees the user data that `dds_qget_userdata` copies:
    some 80 bytes for each writer, every time.
    """
