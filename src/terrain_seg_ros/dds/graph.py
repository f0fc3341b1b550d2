"""Publish the node in the ROS graph, so that `ros2 node list` and `ros2 node info` list it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from terrain_seg_ros.dds.endpoints import Reader, Writer
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages import cdr
from terrain_seg_ros.messages.topic_spec import Group, output

GRAPH_TOPIC = "ros_discovery_info"
"""The one ROS topic without the prefix rt/."""
GRAPH_TYPE_HASH = "RIHS01_91a0593bacdcc50ea9bdcf849a938b128412cc1ea821245c663bcd26f83c295e"
"""Of the type with `uint8[16]`, as ROS has it; the type store writes `char[16]`, the same bytes."""
GRAPH = output(
    GRAPH_TOPIC,
    "rmw_dds_common/msg/ParticipantEntitiesInfo",
    "Nodes of each participant, with their endpoints.",
    group=Group.NONE,
    latched=True,
)


class GraphEntry:
    """Publish one node with its endpoints."""

    def __init__(self, participant: Participant, *, namespace: str, name: str) -> None:
        """Make an entry that is not published yet; `publish` does that."""
        self._participant = participant
        self._namespace = namespace
        self._name = name
        self._writer = Writer(participant, GRAPH, dds_name=GRAPH_TOPIC, type_hash=GRAPH_TYPE_HASH)

    def publish(self, readers: Iterable[Reader], writers: Iterable[Writer]) -> None:
        """Publish the node with these endpoints; call it again when they change."""
        node = cdr.message_class("rmw_dds_common/msg/NodeEntitiesInfo")(
            node_namespace=self._namespace,
            node_name=self._name,
            reader_gid_seq=[_gid(reader.gid) for reader in readers],
            writer_gid_seq=[_gid(writer.gid) for writer in writers],
        )
        self._send([node])

    def close(self) -> None:
        """Publish that the node is gone and leave the topic."""
        self._send([])
        self._writer.close()

    def _send(self, nodes: list[Any]) -> None:
        info = cdr.message_class(GRAPH.type)
        self._writer.write(info(gid=_gid(self._participant.gid), node_entities_info_seq=nodes))


def _gid(value: bytes) -> Any:
    return cdr.message_class("rmw_dds_common/msg/Gid")(data=np.frombuffer(value, dtype=np.uint8))
