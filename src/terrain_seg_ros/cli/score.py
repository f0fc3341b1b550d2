"""Close the loop in worlds of known truth: how much ground is called safe that is not."""

from __future__ import annotations

import argparse
import json
import os
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from terrain_seg_ros.bench.machine import machine
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.report.output_place import (
    check_output_file,
    check_output_folder,
    holds_json,
    write_whole,
)
from terrain_seg_ros.score.paths import DescentSettings, DriveSettings
from terrain_seg_ros.score.report import is_own_markdown, markdown, result_lines
from terrain_seg_ros.score.scenarios import MODES, SCENARIOS
from terrain_seg_ros.score.score_worlds import ScoreRequest, has_own_pictures, score_worlds
from terrain_seg_ros.score.tally import Tally, figures, missed_floors

NAME = "score"
HELP = "drive and descend through worlds of known truth; count what is wrongly called safe"
EXIT_FLOOR = 1
MAX_WORLDS = 1000
MIN_VIEWS, MAX_VIEWS = 2, 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--worlds", type=int, default=20, metavar="N", help="how many (default %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first world; the next has +1")
    parser.add_argument(
        "--masks",
        choices=("truth", "model"),
        default="truth",
        help="truth isolates the geometry, model measures the system (default %(default)s)",
    )
    parser.add_argument("--mode", choices=MODES, default="rover", help="default %(default)s")
    parser.add_argument("--model", metavar="NAME", help="of --masks model (default: as shipped)")
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        metavar="NAME",
        help="only this one (repeat for more); default: all of the mode in turn: "
        + ", ".join(scenario.name for scenario in SCENARIOS),
    )
    parser.add_argument(
        "--views",
        type=int,
        metavar="N",
        help=f"pictures in each world (default: {DriveSettings().count} of a drive, "
        f"{DescentSettings().count} of a descent)",
    )
    parser.add_argument(
        "--jobs", type=int, default=0, help="worlds at a time (default: one per processor)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write tables there")
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR", help="draw truth, grid and path of each world there"
    )


def run(arguments: argparse.Namespace) -> int:
    """Score and print; 1 where a floor is missed.

    Raises:
        ConfigError: an argument cannot be used.
        ModelError: the model cannot be used.
    """
    request = _request(arguments)
    tallies = []
    for tally in score_worlds(request):
        tallies.append(tally)
        print(_progress(tally, len(tallies), request.worlds), file=sys.stderr, flush=True)
    result = _result(tallies, arguments)
    print("\n".join(result_lines(result)))
    if arguments.markdown is not None:
        write_whole(arguments.markdown, markdown(result))
    if arguments.json is not None:
        write_whole(arguments.json, json.dumps(result, indent=2) + "\n")
    missed = missed_floors(result)
    for line in missed:
        print(f"FAILED: {line}")
    return EXIT_FLOOR if missed else 0


def _check_places(arguments: argparse.Namespace) -> None:
    own_json = holds_json("command", "scenarios", "masks")
    for option, is_own in (("json", own_json), ("markdown", is_own_markdown)):
        path = getattr(arguments, option)
        if path is not None:
            check_output_file(path, option=f"--{option}", is_own=is_own)
    if arguments.pictures is not None:
        check_output_folder(arguments.pictures, option="--pictures", is_own=has_own_pictures)


def _request(arguments: argparse.Namespace) -> ScoreRequest:
    if not 1 <= arguments.worlds <= MAX_WORLDS:
        raise ConfigError(f"--worlds is {arguments.worlds}, expected 1 to {MAX_WORLDS}")
    if arguments.seed < 0:
        raise ConfigError(f"--seed is {arguments.seed}, expected 0 or more")
    if arguments.views is not None and not MIN_VIEWS <= arguments.views <= MAX_VIEWS:
        raise ConfigError(f"--views is {arguments.views}, expected {MIN_VIEWS} to {MAX_VIEWS}")
    if arguments.jobs < 0:
        raise ConfigError(f"--jobs is {arguments.jobs}, expected 1 or more, or 0")
    if arguments.model is not None and arguments.masks != "model":
        raise ConfigError("--model needs --masks model: with true masks no model runs")
    _check_places(arguments)
    return ScoreRequest(
        worlds=arguments.worlds,
        seed=arguments.seed,
        masks=arguments.masks,
        mode=arguments.mode,
        model=arguments.model,
        scenarios=tuple(arguments.scenario),
        jobs=arguments.jobs or min(os.cpu_count() or 1, arguments.worlds),
        pictures=arguments.pictures,
        views=arguments.views,
    )


def _result(tallies: list[Tally], arguments: argparse.Namespace) -> dict[str, Any]:
    ordered = sorted(tallies, key=lambda tally: (tally.scenario, tally.seed))
    names = list(dict.fromkeys(tally.scenario for tally in ordered))
    bodies = sorted({tally.body for tally in ordered})
    return {
        "command": "terrain-seg score",
        "mode": arguments.mode,
        "masks": arguments.masks,
        "model": _model(arguments),
        "seed": arguments.seed,
        "given": {"model": arguments.model, "views": arguments.views},
        "date": datetime.now(tz=timezone.utc).date().isoformat(),
        "machine": machine(),
        **figures(ordered),
        "scenarios": {
            name: figures([tally for tally in ordered if tally.scenario == name]) for name in names
        },
        "bodies": {
            body: figures([tally for tally in ordered if tally.body == body]) for body in bodies
        },
    }


def _model(arguments: argparse.Namespace) -> str:
    """Return the name and version of the model that saw the pictures; none did with true masks."""
    if arguments.masks == "truth":
        return ""
    card = load_card(arguments.model or load_parameters(shipped=arguments.mode).inference.model)
    return f"{card.name} {card.version}"


def _progress(tally: Tally, done: int, count: int) -> str:
    called, false = tally.called_safe_m2, tally.false_safe_m2
    return (
        f"{done}/{count} {tally.scenario} {tally.body} seed {tally.seed}: called safe "
        f"{called:.0f} m2, of it falsely {false:.2f} m2"
    )
