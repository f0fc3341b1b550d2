"""Play one of the demo's recordings on the bus, in place of the simulator; its own process."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rosbags.highlevel import AnyReader

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.sim.outlets import BusOutlet, full_name
from terrain_seg_ros.sim.topics import SIM_TOPICS

WAIT_S = 60.0
SETTLE_S = 0.5
LINGER_S = 1.0
PROGRESS_EVERY = 10


def play(bag: Path, outlet: BusOutlet, *, period_s: float) -> None:
    """Publish a recording, one picture's messages after each period."""
    groups = list(_by_stamp(bag))
    for index, (_, messages) in enumerate(groups):
        for name, payload in messages:
            outlet.send_payload(name, payload)
        time.sleep(period_s)
        if (index + 1) % PROGRESS_EVERY == 0 or index + 1 == len(groups):
            print(f"played {index + 1} of {len(groups)} pictures", flush=True)


def _by_stamp(bag: Path) -> Iterator[tuple[int, list[tuple[str, bytes]]]]:
    """Yield the messages of the simulator's topics, those of one time together."""
    names = {full_name(spec.name, NAMESPACE): spec.name for spec in SIM_TOPICS}
    at_ns, group = -1, list[tuple[str, bytes]]()
    with AnyReader([bag]) as reader:
        connections = [item for item in reader.connections if item.topic in names]
        for connection, stamp_ns, data in reader.messages(connections=connections):
            if stamp_ns != at_ns and group:
                yield at_ns, group
                group = []
            at_ns = stamp_ns
            group.append((names[connection.topic], bytes(data)))
    if group:
        yield at_ns, group


def main() -> int:
    """Play a recording once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", type=int, required=True)
    parser.add_argument("--bag", type=Path, required=True)
    parser.add_argument("--listeners", type=int, required=True)
    parser.add_argument("--period", type=float, required=True)
    arguments = parser.parse_args()
    try:
        with BusOutlet(
            SIM_TOPICS,
            domain_id=arguments.domain,
            discovery=Discovery.HOST.value,
            namespace=NAMESPACE,
        ) as outlet:
            outlet.wait_for_subscribers(arguments.listeners, timeout_s=WAIT_S)
            time.sleep(SETTLE_S)
            play(arguments.bag, outlet, period_s=arguments.period)
            time.sleep(LINGER_S)
    except (TerrainSegError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
