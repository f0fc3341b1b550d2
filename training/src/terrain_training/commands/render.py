"""`terrain-train render`."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.fleet.arguments import add_cluster_argument
from terrain_seg_ros.worlds.world import Body
from terrain_training.commands.common import add_render_python, positive, share
from terrain_training.cpu import available_cores
from terrain_training.progress import Progress
from terrain_training.rendering.cast_to_labels import RockRule
from terrain_training.rendering.cycles.blender_python import find_blender_python
from terrain_training.rendering.cycles.request import RULES, CyclesRequest
from terrain_training.rendering.cycles.views import Task
from terrain_training.rendering.cycles.write_cycles import Taken, relabel, write_cycles
from terrain_training.rendering.write_renders import RenderRequest, write_renders

HELP = "render labelled training images of generated worlds"
EXAMPLES = (
    "terrain-train render --count 700 --seed 1 --out data/renders",
    "terrain-train render --engine cycles --task moon_rover --count 3000 --out data/moon",
)
INTERRUPTED = (
    "with the engine cycles all finished pictures are kept, with numpy none; run the same command "
    "again to continue"
)
BODIES = {"mars": (Body.MARS,), "moon": (Body.MOON,), "both": (Body.MOON, Body.MARS)}
NUMPY_ONLY = ("lander_share", "min_rock", "min_across")
CYCLES_ONLY = ("task", "samples", "relabel", "render_python")
LANDER_SHARE, MIN_ROCK_M, MIN_ACROSS_PX, SAMPLES = 0.3, 0.2, 3.0, 9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--engine",
        choices=("numpy", "cycles"),
        default="numpy",
        help="numpy needs nothing else; cycles path-traces the Moon with Blender's bpy in its own "
        "Python ('make .venv-render/.render'), about 4 CPU seconds a picture of 256 x 256 pixels "
        "(default %(default)s)",
    )
    parser.add_argument(
        "--body",
        choices=sorted(BODIES),
        help="default: both with numpy, moon with cycles, which has no other",
    )
    parser.add_argument(
        "--count", type=positive, required=True, metavar="N", help="pictures in all"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="another seed, other worlds (default %(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="a new folder; with cycles also one of the same command, which then goes on",
    )
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
    _add_work_arguments(parser)
    _add_numpy_arguments(parser.add_argument_group("with --engine numpy"))
    _add_cycles_arguments(parser.add_argument_group("with --engine cycles"))


def _add_work_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--validation-share", type=share, default=0.15, help="of the worlds (default %(default)s)"
    )
    parser.add_argument("--jobs", type=positive, help="processes (default: one for each processor)")
    add_cluster_argument(parser, "worlds")


def _add_numpy_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--lander-share",
        type=share,
        help=f"of the worlds, seen from 15 to 50 m above (default {LANDER_SHARE})",
    )
    group.add_argument(
        "--min-rock",
        type=float,
        metavar="M",
        help=f"diameter from which a rock is one; smaller ones are ground (default {MIN_ROCK_M})",
    )
    group.add_argument(
        "--min-across",
        type=float,
        metavar="PX",
        help=f"rocks that look smaller are left out of loss and scores (default {MIN_ACROSS_PX})",
    )


def _add_cycles_arguments(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--task",
        choices=tuple(RULES),
        help="cameras and classes of a rover on the Moon or Mars, or of a lunar lander from 500 to "
        "10 m (default: the rover of --body; without --body, moon_rover)",
    )
    group.add_argument(
        "--samples",
        type=positive,
        metavar="N",
        help=f"rays for each pixel: more take longer and show less noise (default {SAMPLES})",
    )
    group.add_argument(
        "--relabel",
        action="store_true",
        default=None,
        help="write the masks of the pictures in --out anew by this version's rule; render nothing",
    )
    add_render_python(group)


def run(options: argparse.Namespace) -> int:
    """Render and say what comes next.

    Raises:
        ConfigError: an argument cannot be used, or the folder has other pictures already.
    """
    foreign = CYCLES_ONLY if options.engine == "numpy" else NUMPY_ONLY
    given = [
        f"--{name.replace('_', '-')}" for name in foreign if getattr(options, name) is not None
    ]
    if given:
        raise ConfigError(f"{', '.join(given)} does not apply to --engine {options.engine}")
    return _run_numpy(options) if options.engine == "numpy" else _run_cycles(options)


def _run_numpy(options: argparse.Namespace) -> int:
    def value_or(value: float | None, default: float) -> float:
        return default if value is None else value

    rule = RockRule(
        value_or(options.min_rock, MIN_ROCK_M), value_or(options.min_across, MIN_ACROSS_PX)
    )
    request = RenderRequest(
        out=options.out,
        count=options.count,
        seed=options.seed,
        bodies=BODIES[options.body or "both"],
        size_px=options.size,
        views=options.views,
        lander_share=value_or(options.lander_share, LANDER_SHARE),
        validation_share=options.validation_share,
        rule=rule,
        jobs=options.jobs or available_cores(),
        cluster=options.cluster,
    )
    with Progress("render", total=request.count, unit="picture") as progress:
        counts = write_renders(request, report=progress.add)
    print(f"written  {_counted(counts)} in {options.out}")
    print(f"next     terrain-train train worlds_small --data {shlex.quote(str(options.out))}")
    return 0


def _run_cycles(options: argparse.Namespace) -> int:
    task: Task = options.task or ("mars_rover" if options.body == "mars" else "moon_rover")
    if options.body not in (None, task.split("_")[0]):
        raise ConfigError(f"--body is {options.body}, which does not fit --task {task}")
    request = CyclesRequest(
        out=options.out,
        count=options.count,
        seed=options.seed,
        task=task,
        size_px=options.size,
        views=options.views,
        validation_share=options.validation_share,
        samples=options.samples or SAMPLES,
        rule=RULES[task](),
    )
    if options.relabel:
        print(f"labelled {relabel(request)} pictures anew in {options.out}")
        return 0
    taken = _render(request, options)
    if taken:
        mean_s = sum(picture.cpu_s for picture in taken) / len(taken)
        peak_mb = max(picture.peak_mb for picture in taken)
        print(
            f"rendered {len(taken)} pictures, {mean_s:.2f} CPU seconds each, peak memory of a "
            f"process {peak_mb:.0f} MB"
        )
    counts = {split: len(names) for split, names in request.stems().items()}
    print(f"written  {_counted(counts)} in {options.out}")
    print(f"next     terrain-train render-sheet {shlex.quote(str(options.out))} --out sheet.jpg")
    return 0


def _counted(pictures: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {split}" for split, count in pictures.items()) + " pictures"


def _render(request: CyclesRequest, options: argparse.Namespace) -> list[Taken]:
    """Render what is missing, with a progress bar, and return what was rendered."""
    python = find_blender_python(options.render_python)
    taken: list[Taken] = []
    with tqdm(total=request.count, unit="picture", mininterval=1.0, disable=None) as bar:

        def begin(there: int) -> None:
            bar.update(there)

        def report(picture: Taken) -> None:
            taken.append(picture)
            bar.update()

        jobs = options.jobs or available_cores()
        write_cycles(
            request, python, jobs=jobs, report=report, begin=begin, cluster=options.cluster
        )
    return taken
