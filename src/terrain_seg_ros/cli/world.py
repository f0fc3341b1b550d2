"""`terrain-seg world`: write a generated world for Gazebo."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from terrain_seg_ros.report.output_place import check_output_folder
from terrain_seg_ros.worlds.gazebo.world_to_sdf import (
    MIN_ROCK_M,
    SIDE_M,
    SPACING_M,
    VEHICLES,
    gazebo_world,
    write_sdf,
)
from terrain_seg_ros.worlds.world import Body

_OWN_SDF = re.compile(r"(moon|mars)_[0-9]+\.sdf")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--body",
        choices=[body.value for body in Body],
        default="moon",
        help="body of the world (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="seed of the world (default: %(default)s)"
    )
    parser.add_argument(
        "--sdf", type=Path, required=True, metavar="DIR", help="folder of the SDF file"
    )
    parser.add_argument(
        "--vehicle", choices=VEHICLES, default="rover", help="vehicle in it (default: %(default)s)"
    )
    parser.add_argument(
        "--side-m",
        type=float,
        default=SIDE_M,
        metavar="M",
        help="side length of the world (default: %(default)s)",
    )
    parser.add_argument(
        "--spacing-m",
        type=float,
        default=SPACING_M,
        metavar="M",
        help="distance between heights of the ground (default: %(default)s)",
    )
    parser.add_argument(
        "--min-rock-m",
        type=float,
        default=MIN_ROCK_M,
        metavar="M",
        help="leave out smaller rocks, many of which slow Gazebo down (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Generate, write, and print the SDF file's path.

    Raises:
        ConfigError: an argument cannot be used.
    """
    check_output_folder(arguments.sdf, option="--sdf", is_own=_has_world)
    body = Body(arguments.body)
    world = gazebo_world(
        body,
        arguments.seed,
        side_m=arguments.side_m,
        spacing_m=arguments.spacing_m,
        min_rock_m=arguments.min_rock_m,
    )
    print(write_sdf(world, arguments.sdf, vehicle=arguments.vehicle))
    return 0


def _has_world(folder: Path) -> bool:
    return any(_OWN_SDF.fullmatch(path.name) for path in folder.iterdir())
