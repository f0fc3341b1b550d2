"""Play the demo's frames as camera topics on the bus; a process of its own."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.dds.discovery import Discovery
from terrain_seg_ros.dds.endpoints import Writer, wait_for_subscribers
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.demo.frames import (
    BASE_FRAME,
    CAMERA_FRAME,
    GRID_FRAME,
    HOLD,
    PERIOD_NS,
    DemoFrame,
    demo_camera,
    first_frames,
)
from terrain_seg_ros.messages.camera_info_message import encode_camera_info
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.messages.transform_message import StampedTransform, encode_transforms
from terrain_seg_ros.parameters.file import NAMESPACE

WAIT_S = 60.0
SETTLE_S = 0.5
"""After that, for node and recorder to find each other too; `--settle` changes it."""
LINGER_S = 1.0
"""After the last frame, for the node to finish it."""


class Player:
    """Publish images, intrinsics and transforms."""

    def __init__(self, participant: Participant) -> None:
        """Make the writers."""
        self._writers = {
            name: Writer(participant, topic(name), dds_name=dds_topic_name(name, NAMESPACE))
            for name in ("image", "camera_info", "/tf")
        }

    def wait_for_subscribers(self, count: int, *, timeout_s: float) -> None:
        """Wait until every topic has its subscribers.

        Raises:
            ConfigError: they did not appear in time.
        """
        wait_for_subscribers(self._writers.values(), count, timeout_s=timeout_s)

    def play(self, frame: DemoFrame, stamp_ns: int) -> None:
        """Publish one camera image, its intrinsics before it and its transforms first."""
        pixels = frame.pixels()
        header = make_header(message_class, stamp_ns, CAMERA_FRAME)
        camera = demo_camera(pixels.shape[1], pixels.shape[0])
        places = [
            StampedTransform(GRID_FRAME, BASE_FRAME, stamp_ns, frame.place()),
            StampedTransform(BASE_FRAME, CAMERA_FRAME, stamp_ns, frame.mounting()),
        ]
        self._writers["/tf"].write(encode_transforms(message_class, places))
        self._writers["camera_info"].write(encode_camera_info(message_class, camera, header))
        self._writers["image"].write(encode_image(message_class, pixels, "mono8", header))


def play(
    frames: Sequence[DemoFrame], player: Player, *, progress: Callable[[int, int], None]
) -> None:
    """Play each frame for as long as the vehicle stands, at the camera's rate."""
    total = len(frames) * HOLD
    next_ns = time.monotonic_ns()
    for count in range(total):
        time.sleep(max(0.0, (next_ns - time.monotonic_ns()) / 1e9))
        next_ns += PERIOD_NS
        player.play(frames[count // HOLD], time.time_ns())
        progress(count + 1, total)


def main() -> int:
    """Play all frames once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domain", type=int, required=True)
    parser.add_argument("--pictures", type=int)
    parser.add_argument("--warm-up", action="store_true", help="show the first image once before")
    parser.add_argument("--settle", type=float, default=SETTLE_S)
    parser.add_argument("--listeners", type=int, required=True)
    arguments = parser.parse_args()
    try:
        frames = first_frames(arguments.pictures)
        _run(arguments, frames)
    except TerrainSegError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _run(arguments: argparse.Namespace, frames: Sequence[DemoFrame]) -> None:
    participant = Participant(arguments.domain, Discovery.HOST)
    try:
        player = Player(participant)
        print("waiting until node and recorder listen", flush=True)
        player.wait_for_subscribers(arguments.listeners, timeout_s=WAIT_S)
        time.sleep(arguments.settle)
        if arguments.warm_up:
            player.play(frames[0], time.time_ns())
            time.sleep(SETTLE_S)
        play(frames, player, progress=_show)
        time.sleep(LINGER_S)
    finally:
        participant.close()


def _show(done: int, total: int) -> None:
    if done % HOLD == 0:
        print(f"played {done} of {total} frames", flush=True)


if __name__ == "__main__":
    sys.exit(main())
