"""`terrain-train render-score`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from tqdm import tqdm

from terrain_training.commands.common import add_render_python, positive
from terrain_training.rendering.cycles.blender_python import find_blender_python
from terrain_training.rendering.cycles.score_pictures import read_plan, render_plan

HELP = "path-trace the images of a plan of `terrain-seg score --plan`"
EXAMPLES = (
    "terrain-train render-score plan.json --out renders",
    "terrain-train render-score plan.json --out renders --samples 24",
)
INTERRUPTED = "finished images are kept; run the same command again to continue"
SAMPLES = 9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "plan", type=Path, metavar="PLAN", help="file of 'terrain-seg score --plan'"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="a new folder, or one to go on with"
    )
    parser.add_argument(
        "--samples",
        type=positive,
        default=SAMPLES,
        metavar="N",
        help="rays for each pixel (default %(default)s)",
    )
    add_render_python(parser)


def run(options: argparse.Namespace) -> int:
    """Render what is missing and say what comes next.

    Raises:
        ConfigError: plan, folder or Python cannot be used.
        TrainingError: the render process died, or the disk is full.
    """
    plan = read_plan(options.plan)
    python = find_blender_python(options.render_python)
    with tqdm(unit="image", mininterval=1.0, disable=None) as bar:

        def begin(total: int, there: int) -> None:
            bar.reset(total=total)
            bar.update(there)

        def report(_: str) -> None:
            bar.update()

        render_plan(
            plan,
            options.out,
            python,
            samples=options.samples,
            begin=begin,
            report=report,
        )
    folder = shlex.quote(str(options.out))
    print(f"written  {options.out}")
    print(f"next     terrain-seg score --masks model --model NAME --renders {folder}")
    return 0
