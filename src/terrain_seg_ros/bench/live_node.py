"""Measure the way from a published image to the received mask: `terrain_seg_measure`.

The ROS node, the node without ROS and the bare call of the runtime are measured in one run, with
the same model, backend, images and rate. One rclpy node plays the camera and receives.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor

from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.messages.diagnostics_message import decode_diagnostics
from terrain_seg_ros.messages.header_message import make_header, stamp_ns
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.model_store.loaded_model import probe_image
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.report.table import text_table
from terrain_seg_ros.ros.message_classes import ROS_TYPES, message_class
from terrain_seg_ros.ros.quality import quality_of
from terrain_seg_ros.runtime.path_timing import rgb_image
from terrain_seg_ros.runtime.session import Session

WAIT_S = 90.0
OUTPUTS = ("mask", "confidence", "hazard_grid")
PARAMETERS = """/**:
  ros__parameters:
    model: {model}
    backend: {backend}
    precision: {precision}
    horizontal_fov_rad: 1.0
    mounting: {{use_tf: false}}
"""


class _Camera:
    """A node that publishes images and receives the results."""

    def __init__(self, pixels_hw3: U8) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("terrain_seg_measure", context=self.context)
        self._image = self.node.create_publisher(
            message_class(topic("image").type), "/terrain/image", quality_of(topic("image"))
        )
        self.came_s: dict[str, dict[int, float]] = {name: {} for name in OUTPUTS}
        self.values: dict[str, str] = {}
        for name in OUTPUTS:
            self._listen(f"/terrain/{name}", name, self._taker(name))
        self._listen("/diagnostics", "/diagnostics", self._state)
        self._pixels = pixels_hw3
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the bus."""
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self.context)

    @property
    def is_heard(self) -> bool:
        """Return whether the node under test has subscribed."""
        return int(self._image.get_subscription_count()) > 0

    def publish_image(self) -> tuple[int, float]:
        """Publish an image; return its stamp and the moment of publication."""
        stamp = time.time_ns()
        header = make_header(ROS_TYPES, stamp, "camera")
        message = encode_image(ROS_TYPES, self._pixels, "rgb8", header)
        moment_s = time.perf_counter()
        self._image.publish(message)
        return stamp, moment_s

    def change(self, transition: int) -> None:
        """Ask the lifecycle node for a transition.

        Raises:
            InferenceError: it fails.
        """
        client = self.node.create_client(ChangeState, "/terrain/terrain_seg/change_state")
        request = ChangeState.Request(transition=Transition(id=transition))
        if not client.wait_for_service(WAIT_S):
            raise InferenceError("the node does not offer its transitions; see its log above")
        future = client.call_async(request)
        _wait(future.done, "the transition")
        if not future.result().success:
            raise InferenceError("a transition failed; see the node's log above")

    def _listen(self, full_name: str, row: str, take: Any) -> None:
        spec = topic(row)
        kind = message_class(spec.type)
        self.node.create_subscription(kind, full_name, take, quality_of(spec))

    def _taker(self, name: str) -> Any:
        def take(message: Any) -> None:
            self.came_s[name][stamp_ns(message.header)] = time.perf_counter()

        return take

    def _state(self, message: Any) -> None:
        for status in decode_diagnostics(message):
            self.values = dict(status.values)

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            return


def measure(
    command: Sequence[str], *, lifecycle: bool, pixels_hw3: U8, count: int, rate_hz: float
) -> dict[str, Any]:
    """Start a node, show it images and return what came back.

    Args:
        command: starts the node in the namespace /terrain.
        lifecycle: whether it must be configured and activated.
        pixels_hw3: the image that is sent again and again.
        count: how many images.
        rate_hz: how fast.

    Raises:
        InferenceError: the node does not start or does not answer.
    """
    started_s = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    camera = _Camera(pixels_hw3)
    try:
        if lifecycle:
            camera.change(Transition.TRANSITION_CONFIGURE)
            camera.change(Transition.TRANSITION_ACTIVATE)
        _wait(lambda: camera.is_heard, "the node's subscription")
        _wait(lambda: _answered(camera), "the first mask")
        startup_s = time.perf_counter() - started_s
        sent = {}
        next_s = time.perf_counter()
        for _ in range(count):
            stamp, moment_s = camera.publish_image()
            sent[stamp] = moment_s
            next_s += 1.0 / rate_hz
            time.sleep(max(0.0, next_s - time.perf_counter()))
        time.sleep(2.0)
        return _figures(camera, sent, startup_s)
    finally:
        camera.close()
        process.terminate()
        process.wait(WAIT_S)


def bare_ms(parameters: dict[str, str], count: int) -> tuple[float, dict[str, str], U8]:
    """Return the median of the runtime's call alone, what ran, and an image that suits the model.

    Raises:
        InferenceError: the backend cannot be used.
    """
    with Session(load_parameters(overrides=parameters)) as session:
        image = probe_image(session.model)
        times = []
        for _ in range(count):
            start_s = time.perf_counter()
            session.backend(image)
            times.append((time.perf_counter() - start_s) * 1e3)
            time.sleep(0.02)
        return float(np.median(times)), session.describe(), image[0].squeeze()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure both nodes and print a table."""
    parser = argparse.ArgumentParser(prog="terrain_seg_measure", description=__doc__)
    parser.add_argument("--model", default="mars_navcam", help="name or path (%(default)s)")
    parser.add_argument("--backend", default="openvino", help="the same for both (%(default)s)")
    parser.add_argument("--precision", default="fp32", help="the same for both (%(default)s)")
    parser.add_argument("--size", default="640x480", help="of the images (%(default)s)")
    parser.add_argument("--count", type=int, default=150, help="images (%(default)s)")
    parser.add_argument("--rate", type=float, default=30.0, help="per second (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")
    given = parser.parse_args(arguments)
    try:
        result = _measure_all(given)
    except (ConfigError, InferenceError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if given.json is not None:
        given.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    names = list(result["rows"][0])
    rows = [[_cell(row[name]) for name in names] for row in result["rows"]]
    print(f"{result['about']}, bare call {result['bare_ms']:.2f} ms, {result['date']}")
    print(text_table(names, rows))
    return 0


def _measure_all(given: argparse.Namespace) -> dict[str, Any]:
    width, _, height = given.size.partition("x")
    if not (width.isdigit() and height.isdigit()) or given.count < 1 or given.rate <= 0.0:
        raise ConfigError(
            f"--size {given.size!r}, --count {given.count} and --rate {given.rate} must be like "
            "640x480, 150 and 30"
        )
    chosen = {name: getattr(given, name) for name in ("model", "backend", "precision")}
    median_ms, about, pixels = bare_ms(chosen, 50)
    folder = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108
    file = folder / f"terrain_seg_measure_{os.getpid()}.yaml"
    file.write_text(PARAMETERS.format(**chosen), encoding="utf-8")
    here = [sys.executable, "-m"]
    nodes = {
        "rclpy node": [*here, "terrain_seg_ros.ros.main", "--ros-args", "-r", "__ns:=/terrain"]
        + ["--params-file", str(file)],
        "node without ROS": [*here, "terrain_seg_ros.cli.main", "run", "--params", str(file)]
        + ["--discovery", "host"],
    }
    pixels_hw3 = rgb_image(pixels, int(width), int(height))
    rows = []
    try:
        for name, command in nodes.items():
            figures = measure(
                command,
                lifecycle=name == "rclpy node",
                pixels_hw3=pixels_hw3,
                count=given.count,
                rate_hz=given.rate,
            )
            rows.append({"node": name, **figures})
    finally:
        file.unlink()
    return {
        "about": ", ".join(about.values()),
        "bare_ms": median_ms,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "rmw": rclpy.get_rmw_implementation_identifier(),
        "size": given.size,
        "rate_hz": given.rate,
        "rows": rows,
    }


def _figures(camera: _Camera, sent: dict[int, float], startup_s: float) -> dict[str, Any]:
    masks, grids = camera.came_s["mask"], camera.came_s["hazard_grid"]
    times_ms = [(masks[stamp] - at_s) * 1e3 for stamp, at_s in sent.items() if stamp in masks]
    if not times_ms:
        raise InferenceError("no mask came back")
    median, p90, p99 = np.percentile(times_ms, [50.0, 90.0, 99.0]).tolist()
    return {
        "sent": len(sent),
        "masks": len(times_ms),
        "grids": sum(stamp in grids for stamp in sent),
        "median_ms": median,
        "p90_ms": p90,
        "p99_ms": p99,
        "startup_s": startup_s,
        "node_total": camera.values.get("latency_total_ms", ""),
        "node_publish": camera.values.get("latency_publish_ms", ""),
    }


def _answered(camera: _Camera) -> bool:
    camera.publish_image()
    time.sleep(0.1)
    return bool(camera.came_s["mask"])


def _wait(condition: Any, what: str) -> None:
    end_s = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end_s:
            raise InferenceError(f"waited {WAIT_S:g} s in vain for {what}")
        time.sleep(0.01)


def _cell(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    sys.exit(main())
