"""Record the demo's topics from the bus into an MCAP bag; a process of its own."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from terrain_seg_ros.bag.writer import BagWriter
from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Reader
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages.topic_spec import TopicSpec
from terrain_seg_ros.messages.topics import topic, topics
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.sim.topics import SIM_TOPICS

SKIPPED = (
    "points",
    "points_mask",
    "points_confidence",
    "color_mask",
    "image/compressed",
    "/tf_static",
)
"""Too large for a small bag, or not played."""
SKIPPED_OF_SIM = ("image", "depth", "truth/mask", "confidence")
"""The image comes as JPEG, the others are not shown."""
TWIN_OUTPUTS = ("mask", "hazard_grid", "hazard_reason")
"""What is compared between two nodes."""
QUEUE = 100
POLL_S = 0.005


def recorded_topics(*, sim: bool) -> list[TopicSpec]:
    """Return what is recorded of a camera's topics and ours, or of the simulator's and ours."""
    ours = [spec for spec in topics() if spec.name not in SKIPPED]
    if not sim:
        return ours
    simulated = {spec.name: spec for spec in SIM_TOPICS if spec.name not in SKIPPED_OF_SIM}
    others = [spec for spec in ours if spec.name not in (*simulated, *SKIPPED_OF_SIM)]
    return [*simulated.values(), *others]


def twin_topics(namespace: str) -> list[TopicSpec]:
    """Return what is recorded of a second node, in a namespace of its own."""
    return [topic(name).renamed(f"{namespace}/{name}") for name in TWIN_OUTPUTS]


def record(
    participant: Participant, bag: Path, stop: list[int], *, topics: Sequence[TopicSpec]
) -> int:
    """Record until a signal was noted in `stop` or the starting process is gone.

    Returns:
        How many messages there are.

    Raises:
        ConfigError: the bag exists already.
        OSError: the bag cannot be written.
    """
    readers = []
    parent = os.getppid()
    with BagWriter(bag) as writer:
        for spec in topics:
            name = dds_topic_name(spec.name, NAMESPACE)
            reader = Reader(participant, replace(spec, depth=QUEUE), dds_name=name)
            topic_name = name.removeprefix("rt")
            readers.append((reader, writer.add_connection(topic_name, spec)))
        while not stop and os.getppid() == parent:
            for reader, connection in readers:
                for payload in reader.take_payloads():
                    writer.write(connection, time.time_ns(), payload)
            time.sleep(POLL_S)
        return writer.message_count


def main() -> int:
    """Record until SIGINT or SIGTERM, or until the process that started this one is gone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", type=int, required=True)
    parser.add_argument("--bag", type=Path, required=True)
    parser.add_argument("--twin", help="namespace of a second node whose outputs are recorded too")
    parser.add_argument("--sim", action="store_true", help="the simulator's topics too")
    arguments = parser.parse_args()
    stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: stop.append(received))
    try:
        participant = Participant(arguments.domain, Discovery.HOST)
        try:
            topics = recorded_topics(sim=arguments.sim)
            if arguments.twin is not None:
                topics += twin_topics(arguments.twin)
            record(participant, arguments.bag, stop, topics=topics)
        finally:
            participant.close()
    except (TerrainSegError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
