"""See whether other participants publish a topic of ours."""

from __future__ import annotations

from typing import Any

from terrain_seg_ros.dds.cyclone import (
    BuiltinDataReader,
    BuiltinTopicDcpsPublication,
    InstanceState,
)
from terrain_seg_ros.dds.participant import Participant

TAKE_LIMIT = 500
"""Endpoints that are looked at; more in one domain are not counted."""


class OtherPublishers:
    """Count the writers of one topic that belong to other participants."""

    def __init__(self, participant: Participant, dds_name: str) -> None:
        """Listen to what discovery finds."""
        self._own = participant.entity.guid
        self._dds_name = dds_name
        self._reader: Any = BuiltinDataReader(participant.entity, BuiltinTopicDcpsPublication)

    def count(self) -> int:
        """Return how many there are now."""
        if self._reader is None:
            return 0
        found = self._reader.read(TAKE_LIMIT)
        return sum(
            item.topic_name == self._dds_name and item.participant_key != self._own
            for item in found
            if item.sample_info.instance_state == InstanceState.Alive
        )

    def close(self) -> None:
        """Stop listening."""
        self._reader = None
