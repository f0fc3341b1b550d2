"""Run the live node for long and watch memory, threads and open files (`make endurance`).

The node runs in a process of its own on the DDS bus: first a drive with moving TF at the rate of
the camera, then, in a new process with the lander's parameters, a descent. Pictures of generated
worlds repeat; places do not. All outputs are subscribed. The page says what grew.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.bench.watched_process import (
    TREND_MIB_PER_HOUR,
    Drift,
    Holding,
    judge,
    look_at,
)
from terrain_seg_ros.core.errors import ConfigError, TerrainSegError
from terrain_seg_ros.core.geometry.camera import CameraModel, camera_from_field_of_view
from terrain_seg_ros.core.geometry.frames import BODY_R_OPTICAL, rotation_from_rpy
from terrain_seg_ros.core.types import U8, Transform
from terrain_seg_ros.dds.discovery import Discovery, choose_domain
from terrain_seg_ros.dds.endpoints import Reader, Writer, wait_for_subscribers
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.messages.camera_info_message import encode_camera_info
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.topic_spec import Direction
from terrain_seg_ros.messages.topics import topic, topics
from terrain_seg_ros.messages.transform_message import StampedTransform, encode_transforms
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.report.machine import machine
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_seg_ros.report.table import markdown_table
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.render import render_view
from terrain_seg_ros.worlds.settings import default_settings
from terrain_seg_ros.worlds.world import Body

DESCENT_SHARE = 0.2
"""The share of the time that the descent takes."""
WARM_UP_SHARE = 0.2
"""The share of each part that is not judged: the grid, the windows and the allocator fill up."""
SAMPLE_S = 2.0
SETTLE_S = 3.0
WAIT_S = 120.0
PICTURES = 8
WIDTH_PX, HEIGHT_PX, FIELD_OF_VIEW_RAD = 320, 240, 1.1
SPEED_MPS, CURVE_RAD_PER_S, MAST_M, PITCH_RAD = 0.3, 0.02, 1.5, 0.35
HIGHEST_M, LOWEST_M = 60.0, 3.0
LEAST_ANSWERED = 0.5
"""The share of the pictures of which a grid must come, for the run to say something."""
OPTICAL = "camera_optical"
MODEL = "worlds_small"
_TITLE = "# Endurance"
_OWN = f"{_TITLE}\n\nWritten by `make endurance"


@dataclass(frozen=True)
class Course:
    """One part: how the node is started, what the camera sees, and how the vehicle moves.

    `pose` and `picture` take the share of the part that has passed and the seconds since its start.
    """

    name: str
    mode: str
    mounting: Transform
    pose: Callable[[float, float], Transform]
    picture: Callable[[float, float], U8]


@dataclass(frozen=True)
class Outcome:
    """What one part gave: pictures sent, masks received, samples, drifts, the node's summary."""

    name: str
    seconds: float
    sent: int
    masks: int
    samples: list[Holding]
    drifts: list[Drift]
    summary: dict[str, Any]

    @property
    def faults(self) -> list[str]:
        """Return what is not as it should be."""
        found = [
            f"{self.name}: {item.name} grew from {item.first:g} to {item.last:g}"
            for item in self.drifts
            if not item.is_flat
        ]
        grids = self.summary["grids_out"]
        if grids < LEAST_ANSWERED * self.sent:
            found.append(f"{self.name}: only {grids} grids came of {self.sent} pictures")
        return found


class _Vehicle:
    """The camera, TF, and a subscriber of everything, on the bus."""

    def __init__(self, domain: int) -> None:
        self._member = Participant(domain, Discovery.HOST)
        self._writers = {
            name: Writer(self._member, topic(name), dds_name=dds_topic_name(name, NAMESPACE))
            for name in ("image", "camera_info", "/tf", "/tf_static")
        }
        self._readers = {
            spec.name: Reader(self._member, spec, dds_name=dds_topic_name(spec.name, NAMESPACE))
            for spec in topics(Direction.OUT)
        }
        self._camera = _camera()

    def wait(self) -> None:
        """Wait until the node listens.

        Raises:
            ConfigError: it does not.
        """
        wait_for_subscribers(self._writers.values(), 1, timeout_s=WAIT_S)
        time.sleep(SETTLE_S)

    def mount(self, mounting: Transform) -> None:
        """Publish where the camera is on the vehicle."""
        item = StampedTransform("base_link", OPTICAL, 0, mounting)
        self._writers["/tf_static"].write(encode_transforms(message_class, [item]))

    def show(self, pixels: U8, pose: Transform) -> None:
        """Publish a pose, the intrinsics and a picture, and take what has come meanwhile."""
        stamp = time.time_ns()
        item = StampedTransform("odom", "base_link", stamp, pose)
        header = make_header(message_class, stamp, OPTICAL)
        self._writers["/tf"].write(encode_transforms(message_class, [item]))
        info = encode_camera_info(message_class, self._camera, header)
        self._writers["camera_info"].write(info)
        self._writers["image"].write(encode_image(message_class, pixels, "mono8", header))
        self.listen()

    def listen(self) -> None:
        """Take what has come, undecoded."""
        for reader in self._readers.values():
            reader.take_payloads()

    def received(self, name: str) -> int:
        """Return how many messages of an output have come."""
        return self._readers[name].received

    def close(self) -> None:
        """Leave the bus."""
        for writer in self._writers.values():
            writer.close()
        for reader in self._readers.values():
            reader.close()
        self._member.close()


def run_course(
    course: Course, *, seconds: float, rate_hz: float, domain: int, folder: Path
) -> Outcome:
    """Run a node through one part and watch it.

    Args:
        course: the part.
        seconds: how long.
        rate_hz: of the camera.
        domain: of the bus.
        folder: takes the parameters and the node's summary.

    Raises:
        TerrainSegError: the node does not start, or ends by itself.
    """
    summary = folder / f"{course.name}.json"
    process = subprocess.Popen(_command(course, domain, folder, summary), stdout=subprocess.DEVNULL)
    vehicle = _Vehicle(domain)
    try:
        vehicle.wait()
        vehicle.mount(course.mounting)
        samples, sent = _watch(course, vehicle, process, seconds=seconds, rate_hz=rate_hz)
        time.sleep(SETTLE_S)
        vehicle.listen()
        masks = vehicle.received("mask")
    finally:
        process.terminate()
        process.wait(WAIT_S)
        vehicle.close()
    judged = [item for item in samples if item.at_s >= WARM_UP_SHARE * seconds]
    told = json.loads(summary.read_text(encoding="utf-8"))
    return Outcome(course.name, seconds, sent, masks, samples, judge(judged), told)


def _watch(
    course: Course,
    vehicle: _Vehicle,
    process: subprocess.Popen[bytes],
    *,
    seconds: float,
    rate_hz: float,
) -> tuple[list[Holding], int]:
    """Return what the node held, and how many pictures it was shown."""
    samples: list[Holding] = []
    started_s = time.monotonic()
    sent = 0
    while (now_s := time.monotonic() - started_s) < seconds:
        share = now_s / seconds
        vehicle.show(course.picture(share, now_s), course.pose(share, now_s))
        sent += 1
        if now_s >= len(samples) * SAMPLE_S:
            samples.append(look_at(process.pid, now_s))
        time.sleep(max(0.0, started_s + sent / rate_hz - time.monotonic()))
    return samples, sent


def _command(course: Course, domain: int, folder: Path, summary: Path) -> list[str]:
    parameters = folder / f"{course.name}.yaml"
    parameters.write_text(
        json.dumps(
            {
                "/**": {
                    "ros__parameters": {
                        "model": MODEL,
                        "observability.max_novelty": 0.0,
                        "landing.enable": True,
                        "grid.whole_period_s": 1.0,
                        "points_decimation": 2,
                        "filter_masks.max_rate_hz": 5.0,
                        "downlink.budget_bytes_per_min": 20_000,
                    }
                }
            }
        ),
        encoding="utf-8",
    )
    words = [sys.executable, "-m", "terrain_seg_ros.cli.main", "run", "--mode", course.mode]
    words += ["--domain", str(domain), "--discovery", "host", "--params", str(parameters)]
    return [*words, "--json", str(summary)]


def drive_course() -> Course:
    """Return a drive along a wide curve over generated ground of Mars."""
    mounting = Transform(
        rotation_from_rpy(0.0, PITCH_RAD, 0.0) @ BODY_R_OPTICAL, np.array([0.0, 0.0, MAST_M])
    )
    poses = [Transform(np.eye(3), np.array([1.5 * n - 6.0, 0.0, 0.0])) for n in range(PICTURES)]
    pictures = _rendered(Body.MARS, [pose @ mounting for pose in poses])
    radius_m = SPEED_MPS / CURVE_RAD_PER_S

    def pose(_: float, at_s: float) -> Transform:
        yaw_rad = CURVE_RAD_PER_S * at_s
        place = np.array([math.sin(yaw_rad), 1.0 - math.cos(yaw_rad), 0.0]) * radius_m
        place[0] += 0.02 * at_s  # the circles wander, so that the ground is always new
        return Transform(rotation_from_rpy(0.0, 0.0, yaw_rad), place)

    return Course("drive", "rover", mounting, pose, lambda _, at_s: pictures[int(at_s) % PICTURES])


def descent_course() -> Course:
    """Return a descent onto generated ground of the Moon, looking straight down."""
    mounting = Transform(rotation_from_rpy(0.0, math.pi / 2.0, 0.0) @ BODY_R_OPTICAL, np.zeros(3))
    shares = [number / (PICTURES - 1) for number in range(PICTURES)]

    def pose(share: float, _: float) -> Transform:
        height_m = HIGHEST_M * (LOWEST_M / HIGHEST_M) ** share
        return Transform(np.eye(3), np.array([4.0 * share - 2.0, 0.0, height_m]))

    pictures = _rendered(Body.MOON, [pose(share, 0.0) @ mounting for share in shares])
    return Course(
        "descent",
        "lander",
        mounting,
        pose,
        lambda share, _: pictures[round(share * (PICTURES - 1))],
    )


def _camera() -> CameraModel:
    return camera_from_field_of_view(
        width_px=WIDTH_PX, height_px=HEIGHT_PX, horizontal_fov_rad=FIELD_OF_VIEW_RAD
    )


def _rendered(body: Body, places: Sequence[Transform]) -> list[U8]:
    """Return the pictures (HEIGHT_PX, WIDTH_PX) that the camera takes at places of a world."""
    settings = replace(default_settings(body), rms_slope_rad=0.0, crater_saturation=0.0)
    world = generate_world(body, 1, side_m=120.0, spacing_m=0.5, settings=settings)
    return [render_view(world, _camera(), place, seed=n) for n, place in enumerate(places)]


def page(result: dict[str, Any], outcomes: Sequence[Outcome]) -> str:
    """Return the evidence page."""
    faults = [fault for outcome in outcomes for fault in outcome.faults]
    verdict = (
        f"**Not passed**: {'; '.join(faults)}."
        if faults
        else ("**Flat.** Nothing grew by more than it may.")
    )
    lines = [
        _TITLE,
        "",
        f'Written by `make endurance ARGS="--minutes {result["minutes"]:g}"`: the node without ROS '
        "on the DDS bus in a process of its own, every output subscribed, landing sites, filter "
        f"masks, updates and downlink on; `{MODEL}`, pictures of {WIDTH_PX} x {HEIGHT_PX} at "
        f"{result['rate_hz']:g} Hz. The drive follows a curve with TF for every picture; the "
        f"descent goes from {HIGHEST_M:g} m to {LOWEST_M:g} m in a new process with the lander's "
        "parameters.",
        "",
        f"{result['machine']}, {result['date']}; load average at the end {result['load']}.",
        "",
        verdict,
        "",
        *markdown_table(
            (
                *("part", "backend", "minutes", "pictures", "masks received", "grids"),
                *("p50 ms", "p99 ms", "dropped", "refused"),
            ),
            map(_run_cells, outcomes),
        ),
        "",
        f"Samples every {SAMPLE_S:g} s; the first {WARM_UP_SHARE:.0%} of each part is warm-up. "
        "Medians of the first and the last third of the rest, and the steady growth (the median "
        "slope of all pairs of samples), which in memory may be at most "
        f"{TREND_MIB_PER_HOUR:g} MiB an hour:",
        "",
        *markdown_table(
            (
                *("part", "quantity", "first third", "last third", "largest", "may grow by"),
                *("grows an hour", ""),
            ),
            [_drift_cells(outcome, item) for outcome in outcomes for item in outcome.drifts],
        ),
    ]
    return "\n".join([*lines, ""])


def _run_cells(outcome: Outcome) -> Sequence[str]:
    told = outcome.summary
    total = told["latency_ms"].get("total", {})
    return (
        outcome.name,
        f"{told['backend']} {told['precision']}",
        f"{outcome.seconds / 60.0:.1f}",
        str(outcome.sent),
        str(outcome.masks),
        str(told["grids_out"]),
        *(f"{total.get(key, math.nan):.1f}" for key in ("p50", "p99")),
        *(str(sum(told[key].values())) for key in ("dropped", "refused")),
    )


def _drift_cells(outcome: Outcome, item: Drift) -> Sequence[str]:
    numbers = (item.first, item.last, item.most, item.limit)
    steady = "-" if math.isnan(item.per_hour) else f"{item.per_hour:.1f}"
    judged = "flat" if item.is_flat else "**grew**"
    return (outcome.name, item.name, *(f"{value:.1f}" for value in numbers), steady, judged)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run drive and descent; return 1 where something grew, 2 where it could not be run."""
    parser = argparse.ArgumentParser(prog="make endurance", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0, help="in all (%(default)s)")
    parser.add_argument("--rate", type=float, default=10.0, help="pictures a second (%(default)s)")
    parser.add_argument("--domain", type=int, help="of the bus (ROS_DOMAIN_ID, or 0)")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page to a file")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to a file")
    given = parser.parse_args(arguments)
    try:
        _check(given)
        outcomes, result = _run(given)
    except (TerrainSegError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    text = page(result, outcomes)
    if given.markdown is not None:
        write_whole(given.markdown, text)
    if given.json is not None:
        figures = {**result, "parts": [asdict(outcome) for outcome in outcomes]}
        write_whole(given.json, json.dumps(figures, indent=1) + "\n")
    print(text)
    return int(any(outcome.faults for outcome in outcomes))


def _check(given: argparse.Namespace) -> None:
    """Check the command line.

    Raises:
        ConfigError: a number is out of range, or a file is another one's.
    """
    if not 2.0 <= given.minutes <= 10_000.0 or not 0.1 <= given.rate <= 100.0:
        raise ConfigError(
            f"--minutes is {given.minutes:g} and --rate {given.rate:g}, expected 2 to 10000 and "
            "0.1 to 100"
        )
    if given.markdown is not None:
        check_output_file(
            given.markdown, option="--markdown", is_own=lambda text: text.startswith(_OWN)
        )
    if given.json is not None:
        check_output_file(given.json, option="--json", is_own=holds_json("minutes", "parts"))


def _run(given: argparse.Namespace) -> tuple[list[Outcome], dict[str, Any]]:
    seconds = given.minutes * 60.0
    domain = choose_domain(given.domain)
    courses = ((drive_course, 1.0 - DESCENT_SHARE), (descent_course, DESCENT_SHARE))
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="terrain-seg-endurance-") as folder:
        for make, share in courses:
            course = make()
            print(f"{course.name}: {share * given.minutes:.1f} minutes", file=sys.stderr)
            outcomes.append(
                run_course(
                    course,
                    seconds=share * seconds,
                    rate_hz=given.rate,
                    domain=domain,
                    folder=Path(folder),
                )
            )
    result = {
        "minutes": given.minutes,
        "rate_hz": given.rate,
        "model": MODEL,
        "machine": machine(),
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "load": Path("/proc/loadavg").read_text(encoding="ascii").split()[0],
    }
    return outcomes, result


if __name__ == "__main__":
    sys.exit(main())
