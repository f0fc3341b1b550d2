"""The demo's second act: the ROS 2 node and the node without ROS on the same images."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.highlevel import AnyReader

from terrain_seg_ros.demo.frames import HOLD
from terrain_seg_ros.demo.processes import END_LIMIT_S, follow, module_command, started
from terrain_seg_ros.demo.recorder import TWIN_OUTPUTS
from terrain_seg_ros.demo.ros_node import (
    SETTLE_S,
    node_command,
    operator_command,
    ros_environment,
)
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.parameters.file import NAMESPACE

PICTURES = 4
LISTENERS = 3
"""Two nodes and the recorder."""
TWIN_NAMESPACE = "/terrain_dds"
LIMIT_S = 60.0
IMAGE_TOPIC = f"{NAMESPACE}/image"
NAMES = {NAMESPACE: "ROS 2 node (rclpy)", TWIN_NAMESPACE: "node without ROS"}


@dataclass(frozen=True)
class TwinResult:
    """What two nodes made of the same images.

    Attributes:
        images: how many were sent.
        answered: masks of each node, by its name.
        identical: at how many stamps the two are equal, and at how many both answered, by output.
        latency_ms: median and 99th percentile from the image's stamp to the recorded mask.
        bag: what was recorded.
    """

    images: int
    answered: dict[str, int]
    identical: dict[str, tuple[int, int]]
    latency_ms: dict[str, tuple[float, float]]
    bag: Path

    @property
    def rows(self) -> list[list[str]]:
        """Return node, images, masks and latency as cells."""
        return [
            [name, str(self.images), str(count), *(f"{ms:.1f}" for ms in self.latency_ms[name])]
            for name, count in self.answered.items()
        ]

    @property
    def text(self) -> str:
        """Return one line on what is identical."""
        parts = [f"{name} {same} of {both}" for name, (same, both) in self.identical.items()]
        return "identical between the two nodes: " + ", ".join(parts)


HEADER = ["node", "images", "masks", "median ms", "p99 ms"]
"""Of `TwinResult.rows`; the time is from publishing the image to recording its mask."""


def play_twins(
    parameters: dict[str, str],
    *,
    pictures: int,
    out: Path,
    domain: int,
    viewers: int = 0,
    show: Callable[[str], None],
) -> TwinResult:
    """Run both nodes on the first pictures at once, record and compare.

    Args:
        parameters: model, backend and precision of both.
        pictures: how many were played before; at most `PICTURES` of them are.
        out: folder of the demo.
        domain: DDS domain.
        viewers: how many listen beside the nodes and the recorder.
        show: gets lines of progress.

    Raises:
        InferenceError: a process failed or took too long.
    """
    folder = out / "twins"
    folder.mkdir(parents=True, exist_ok=True)
    bag = folder / time.strftime("bag_%Y%m%d_%H%M%S")
    pictures = min(pictures, PICTURES)
    limit_s = LIMIT_S + 2 * END_LIMIT_S
    ros = ros_environment(domain)
    with_ros = node_command(parameters, json_file=folder / "node_ros.json", limit_s=limit_s)
    without = module_command("cli.main", "run", "--domain", domain, "--discovery", "host")
    without += ["--namespace", TWIN_NAMESPACE, "--image-topic", f"{NAMESPACE}/image"]
    without += ["--camera-info-topic", f"{NAMESPACE}/camera_info", "--duration", str(limit_s)]
    without += ["--json", str(folder / "node_dds.json")]
    for name, value in parameters.items():
        without += [f"--{name}", value]
    recorder = module_command("demo.recorder", "--domain", domain, "--bag", bag)
    recorder += ["--twin", TWIN_NAMESPACE]
    player = module_command("demo.player", "--domain", domain, "--pictures", pictures)
    # A reader of Cyclone DDS misses the first sample of a writer of Fast DDS.
    player += ["--listeners", str(LISTENERS + viewers), "--settle", str(SETTLE_S)]
    player.append("--warm-up")
    with (
        started("recorder", recorder, folder=folder) as recording,
        started("node_ros", with_ros, folder=folder, changes=ros) as first,
        started("operator", operator_command(), folder=folder, changes=ros) as operating,
        started("node_dds", without, folder=folder) as second,
        started("player", player, folder=folder) as playing,
    ):
        follow(playing, [recording, first, operating, second], limit_s=LIMIT_S, show=show)
        for child in (operating, first, second, recording):
            child.interrupt()
    return compare(bag, pictures * HOLD)


def compare(bag: Path, images: int) -> TwinResult:
    """Compare what two nodes answered in a bag to the same images, stamp by stamp.

    The first image of the bag warms the connections up and does not count.
    """
    found: dict[tuple[str, str], dict[int, tuple[bytes, int]]] = {}
    wanted = {f"{space}/{name}": (NAMES[space], name) for space in NAMES for name in TWIN_OUTPUTS}
    shown: list[int] = []
    with AnyReader([bag]) as reader:
        topics = {*wanted, IMAGE_TOPIC}
        connections = [item for item in reader.connections if item.topic in topics]
        for connection, log_ns, data in reader.messages(connections=connections):
            message: Any = reader.deserialize(data, connection.msgtype)
            stamp = stamp_ns(message.header)
            if connection.topic == IMAGE_TOPIC:
                shown.append(stamp)
                continue
            content = np.asarray(message.data).tobytes()
            found.setdefault(wanted[connection.topic], {})[stamp] = (content, log_ns)
    for answers in found.values():
        answers.pop(min(shown, default=0), None)
    names = list(NAMES.values())
    answered = {name: found.get((name, "mask"), {}) for name in names}
    return TwinResult(
        images=images,
        answered={name: len(masks) for name, masks in answered.items()},
        identical={
            output: _equal(*(found.get((name, output), {}) for name in names))
            for output in TWIN_OUTPUTS
        },
        latency_ms={name: _latency_ms(masks) for name, masks in answered.items()},
        bag=bag,
    )


def _equal(
    first: dict[int, tuple[bytes, int]], second: dict[int, tuple[bytes, int]]
) -> tuple[int, int]:
    both = first.keys() & second.keys()
    return sum(first[stamp][0] == second[stamp][0] for stamp in both), len(both)


def _latency_ms(masks: dict[int, tuple[bytes, int]]) -> tuple[float, float]:
    """Return median and 99th percentile; (NaN, NaN) without masks."""
    if not masks:
        return float("nan"), float("nan")
    times_ms = [(log_ns - stamp) / 1e6 for stamp, (_, log_ns) in masks.items()]
    return float(np.percentile(times_ms, 50)), float(np.percentile(times_ms, 99))
