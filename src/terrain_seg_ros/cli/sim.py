"""`terrain-seg sim`: simulate a drive or descent, on the DDS bus or into a bag."""

from __future__ import annotations

import argparse
import json
import math
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from terrain_seg_ros.bag.writer import BagWriter
from terrain_seg_ros.cli.interrupt import Interrupt
from terrain_seg_ros.cli.options import (
    add_bus_arguments,
    add_json_argument,
    add_mode_argument,
    add_params_argument,
    read_parameters,
)
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds.discovery import choose_discovery, choose_domain
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_seg_ros.report.table import text_table
from terrain_seg_ros.sim.opengl import load_mujoco
from terrain_seg_ros.sim.outlets import BagOutlet, BusOutlet
from terrain_seg_ros.sim.play import WAIT_S, play, wait_for_subscribers
from terrain_seg_ros.sim.simulator import ENCODINGS, SimSettings, Simulator
from terrain_seg_ros.sim.topics import chosen_topics
from terrain_seg_ros.worlds.world import Body

LINGER_S = 1.0
"""After the last picture, for listeners to finish it."""
BODIES = {"rover": Body.MARS, "lander": Body.MOON}
SIDES_M = {"rover": 60.0, "lander": 100.0}
FOV_DEG = {"rover": 66.0, "lander": 50.0}
COUNTS = {"rover": 60, "lander": 25}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    add_mode_argument(parser)
    _add_world_arguments(parser)
    _add_camera_arguments(parser)
    where = parser.add_argument_group("output")
    where.add_argument(
        "--bag", type=Path, metavar="PATH", help="write a bag instead of publishing on the bus"
    )
    where.add_argument(
        "--leave-out",
        nargs="+",
        default=[],
        metavar="TOPIC",
        help="do not publish these topics, such as depth or truth/mask",
    )
    add_bus_arguments(where)
    where.add_argument(
        "--namespace",
        default=NAMESPACE,
        metavar="NAME",
        help="namespace of the topics (default: %(default)s)",
    )
    where.add_argument(
        "--wait-for",
        type=int,
        default=0,
        metavar="N",
        help=f"wait up to {WAIT_S:.0f} s until /tf has N subscribers",
    )
    add_json_argument(where, "the summary")


def _add_world_arguments(parser: argparse.ArgumentParser) -> None:
    world = parser.add_argument_group("world and path")
    world.add_argument(
        "--body",
        choices=[item.value for item in Body],
        help="world to generate (default: mars for a rover, moon for a lander)",
    )
    world.add_argument(
        "--seed", type=int, default=0, help="seed of the world (default: %(default)s)"
    )
    world.add_argument(
        "--side-m",
        type=float,
        metavar="M",
        help="side length of the world (default: 60, lander 100)",
    )
    world.add_argument(
        "--spacing-m",
        type=float,
        default=0.1,
        metavar="M",
        help="distance between heights of the ground (default: %(default)s)",
    )
    world.add_argument(
        "--sun-elevation-deg",
        type=float,
        metavar="DEG",
        help="sun above the horizon (default: the body's own)",
    )
    world.add_argument(
        "--speed-mps",
        type=float,
        default=0.5,
        metavar="V",
        help="speed of a rover (default: %(default)s)",
    )
    world.add_argument(
        "--start-m",
        type=float,
        default=50.0,
        metavar="M",
        help="first height of a lander (default: %(default)s)",
    )
    world.add_argument(
        "--end-m",
        type=float,
        default=20.0,
        metavar="M",
        help="last height of a lander (default: %(default)s)",
    )
    add_params_argument(world, more=", for mounting.*, frames and grid.*")


def _add_camera_arguments(parser: argparse.ArgumentParser) -> None:
    camera = parser.add_argument_group("camera")
    camera.add_argument(
        "--size",
        default="640x480",
        metavar="WxH",
        help="image size in pixels (default: %(default)s)",
    )
    camera.add_argument(
        "--fov-deg",
        type=float,
        metavar="DEG",
        help="horizontal field of view (default: 66, lander 50)",
    )
    camera.add_argument(
        "--encoding",
        choices=ENCODINGS,
        default=ENCODINGS[0],
        help="encoding of the images (default: %(default)s)",
    )
    camera.add_argument(
        "--jpeg", action="store_true", help="publish image/compressed instead of image"
    )
    camera.add_argument(
        "--rate",
        type=float,
        default=5.0,
        metavar="HZ",
        help="images per second of simulated time (default: %(default)s)",
    )
    camera.add_argument(
        "--pictures", type=int, metavar="N", help="number of images (default: 60, lander 25)"
    )
    camera.add_argument(
        "--realtime",
        action="store_true",
        help="follow the wall clock instead of running at full speed",
    )


def run(arguments: argparse.Namespace) -> int:
    """Simulate and publish; print what was done.

    Raises:
        ConfigError: an argument cannot be used, or MuJoCo, OpenGL or Cyclone DDS is missing.
        GeometryError: the world is too small for the path.
    """
    settings = _settings(arguments)
    if arguments.json is not None:
        own = holds_json("mode", "body", "seed", "simulated_s")
        check_output_file(arguments.json, option="--json", is_own=own)
    specs = chosen_topics(arguments.leave_out, jpeg=arguments.jpeg)
    load_mujoco()
    with ExitStack() as stack:
        interrupt = stack.enter_context(Interrupt())
        outlet: BagOutlet | BusOutlet
        if arguments.bag is not None:
            writer = stack.enter_context(BagWriter(arguments.bag))
            outlet = BagOutlet(writer, specs, arguments.namespace)
        else:
            outlet = stack.enter_context(
                BusOutlet(
                    specs,
                    domain_id=choose_domain(arguments.domain),
                    discovery=choose_discovery(arguments.discovery).value,
                    namespace=arguments.namespace,
                )
            )
        _say("making the world")
        parameters = read_parameters(arguments, {})
        simulator = stack.enter_context(Simulator(settings, parameters))
        if isinstance(outlet, BusOutlet):
            wait_for_subscribers(outlet, arguments.wait_for, say=_say)
        facts = play(
            simulator,
            outlet,
            jpeg=arguments.jpeg,
            realtime=arguments.realtime,
            stop=lambda: interrupt.asked,
            say=_say,
        )
        if isinstance(outlet, BusOutlet):
            time.sleep(LINGER_S)
    _summarise(facts, arguments)
    return 0


def _settings(arguments: argparse.Namespace) -> SimSettings:
    width_px, height_px = _size(arguments.size)
    mode = arguments.mode
    sun_deg = arguments.sun_elevation_deg
    return SimSettings(
        mode=mode,
        body=BODIES[mode] if arguments.body is None else Body(arguments.body),
        seed=arguments.seed,
        side_m=SIDES_M[mode] if arguments.side_m is None else arguments.side_m,
        spacing_m=arguments.spacing_m,
        width_px=width_px,
        height_px=height_px,
        horizontal_fov_rad=math.radians(
            FOV_DEG[mode] if arguments.fov_deg is None else arguments.fov_deg
        ),
        encoding=arguments.encoding,
        rate_hz=arguments.rate,
        pictures=COUNTS[mode] if arguments.pictures is None else arguments.pictures,
        speed_mps=arguments.speed_mps,
        start_m=arguments.start_m,
        end_m=arguments.end_m,
        sun_elevation_rad=None if sun_deg is None else math.radians(sun_deg),
    )


def _size(text: str) -> tuple[int, int]:
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ConfigError(f"--size is {text!r}, expected WIDTHxHEIGHT such as 640x480")
    return int(parts[0]), int(parts[1])


def _say(text: str) -> None:
    print(text, flush=True)


def _summarise(facts: dict[str, Any], arguments: argparse.Namespace) -> None:
    print(text_table(("what", "value"), [(key, str(value)) for key, value in facts.items()]))
    if arguments.bag is not None:
        print(f"bag: {arguments.bag}")
    if arguments.json is not None:
        write_whole(arguments.json, json.dumps(facts, indent=2) + "\n")
