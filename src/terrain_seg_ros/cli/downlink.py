"""`terrain-seg downlink`: decode what came over the slow link."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from terrain_seg_ros.bag.downlink_packets import read_packets
from terrain_seg_ros.core.downlink.receiver import DownlinkReceiver
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.downlink_files import SUMMARY, SUMMARY_KEYS, summary, write_downlink
from terrain_seg_ros.report.output_place import check_output_folder, has_own_file, holds_json
from terrain_seg_ros.report.table import printable

_GAPS_SHOWN = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="SOURCE",
        help="a bag with the topic `downlink`, or a file of packets one after the other",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help=f"folder of the results: map.png, map.npz, map.pgm with map.yaml (for "
        f"map_server), thumbnail.png and {SUMMARY}",
    )
    parser.add_argument(
        "--topic", default="", metavar="NAME", help="topic in the bag, where it has several"
    )


def run(arguments: argparse.Namespace) -> int:
    """Decode all packets and write what is known after the last one.

    Raises:
        ConfigError: the source cannot be read, has no packet, or nothing can be written.
        MessageError: the bag is damaged.
    """
    is_own = has_own_file(SUMMARY, holds_json(*SUMMARY_KEYS))
    check_output_folder(arguments.out, option="--out", is_own=is_own)
    receiver = DownlinkReceiver()
    for packet in read_packets(arguments.source, arguments.topic):
        receiver.take(packet)
    if not receiver.packets:
        why = f"; last: {receiver.damaged[-1]}" if receiver.damaged else ""
        raise ConfigError(
            f"'{arguments.source}' has no downlink packet that can be read, "
            f"{receiver.damaged_count} are damaged{why}"
        )
    names = write_downlink(receiver, arguments.out)
    _say(receiver)
    print(f"{', '.join(names)} are in {arguments.out}")
    return 0


def _say(receiver: DownlinkReceiver) -> None:
    print(
        f"{receiver.packets} packets in {receiver.streams} streams, {receiver.lost} lost, "
        f"{receiver.late} late, {receiver.damaged_count} damaged"
    )
    for gap in receiver.gaps[:_GAPS_SHOWN]:
        print(
            f"terrain-seg: warning: packets {gap.first} to {gap.last} are missing; cells are not "
            "observed until they are sent again",
            file=sys.stderr,
        )
    if len(receiver.gaps) > _GAPS_SHOWN:
        rest = len(receiver.gaps) - _GAPS_SHOWN
        print(f"terrain-seg: warning: {rest} more gaps, see {SUMMARY}", file=sys.stderr)
    about = summary(receiver)
    if about["grid"] is not None:
        cells = about["grid"]
        print(
            f"grid: {cells['hazard_cells']} hazard, {cells['safe_cells']} safe, "
            f"{cells['not_observed_cells']} not observed"
        )
    if receiver.sites is not None:
        print(f"landing sites: {len(receiver.sites)}")
    if receiver.health is not None:
        level, message = (receiver.health.get(key, "") for key in ("level", "message"))
        print(printable(f"health: {level}: {message}"))
