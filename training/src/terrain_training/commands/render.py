"""`terrain-train render`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from terrain_seg_ros.worlds.world import Body
from terrain_training.commands.common import positive, share
from terrain_training.cpu import available_cores
from terrain_training.progress import Progress
from terrain_training.rendering.cast_to_labels import RockRule
from terrain_training.rendering.write_renders import RenderRequest, write_renders

HELP = "render labelled training images of generated worlds"
INTERRUPTED = "nothing was written; run the same command again to start over"
BODIES = {"mars": (Body.MARS,), "moon": (Body.MOON,), "both": (Body.MOON, Body.MARS)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--body", choices=sorted(BODIES), default="both", help="default both")
    parser.add_argument(
        "--count", type=positive, required=True, metavar="N", help="pictures in all"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed, other worlds (default %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder")
    parser.add_argument(
        "--size", type=positive, default=256, metavar="PX", help="of a side (default %(default)s)"
    )
    parser.add_argument(
        "--views",
        type=positive,
        default=5,
        metavar="N",
        help="pictures of each world (default %(default)s)",
    )
    parser.add_argument(
        "--lander-share",
        type=share,
        default=0.3,
        help="of the worlds, seen from 15 to 50 m above (default %(default)s)",
    )
    parser.add_argument(
        "--validation-share", type=share, default=0.15, help="of the worlds (default %(default)s)"
    )
    parser.add_argument(
        "--min-rock",
        type=float,
        default=0.2,
        metavar="M",
        help="diameter from which a rock is one; smaller ones are ground (default %(default)s)",
    )
    parser.add_argument(
        "--min-across",
        type=float,
        default=3.0,
        metavar="PX",
        help="rocks that look smaller are left out of loss and scores (default %(default)s)",
    )
    parser.add_argument("--jobs", type=positive, help="processes (default: one for each processor)")


def run(options: argparse.Namespace) -> int:
    """Render and say what comes next.

    Raises:
        ConfigError: an argument cannot be used, or the folder has pictures already.
    """
    request = RenderRequest(
        out=options.out,
        count=options.count,
        seed=options.seed,
        bodies=BODIES[options.body],
        size_px=options.size,
        views=options.views,
        lander_share=options.lander_share,
        validation_share=options.validation_share,
        rule=RockRule(options.min_rock, options.min_across),
        jobs=options.jobs or available_cores(),
    )
    with Progress("render", total=request.count, unit="picture") as progress:
        counts = write_renders(request, report=progress.add)
    print(f"written  {counts} in {options.out}")
    data = shlex.quote(str(options.out))
    print(f"next     terrain-train train training/configs/worlds_small.yaml --data {data}")
    return 0
