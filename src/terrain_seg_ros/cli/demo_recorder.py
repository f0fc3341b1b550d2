"""Record the demo's topics from the bus into an MCAP bag; a process of its own."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

from terrain_seg_ros.bag.writer import BagWriter
from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Reader
from terrain_seg_ros.dds.idl_types import dds_topic_name
from terrain_seg_ros.dds.node_topics import NAMESPACE
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages.interfaces import INTERFACES

SKIPPED = (
    "points",
    "points_mask",
    "points_confidence",
    "color_mask",
    "image/compressed",
    "/tf_static",
)
"""Too large for a small bag, or not played."""
QUEUE = 100
POLL_S = 0.005


def record(participant: Participant, bag: Path, stop: list[int]) -> int:
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
        for spec in INTERFACES:
            if spec.name in SKIPPED:
                continue
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
    arguments = parser.parse_args()
    stop: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: stop.append(received))
    try:
        participant = Participant(arguments.domain, Discovery.HOST)
        try:
            record(participant, arguments.bag, stop)
        finally:
            participant.close()
    except (TerrainSegError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
