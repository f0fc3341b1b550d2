"""Close the loop in worlds of known truth: how much ground is called safe that is not."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.sim.paths import DescentSettings, DriveSettings
from terrain_seg_ros.sim.scenarios import MODES, SCENARIOS
from terrain_seg_ros.sim.score import ScoreRequest, score_worlds
from terrain_seg_ros.sim.tally import Tally, figures, missed_floors

NAME = "score"
HELP = "drive and descend through worlds of known truth; count what is wrongly called safe"
EXIT_FLOOR = 1
MAX_WORLDS = 1000
MIN_VIEWS, MAX_VIEWS = 2, 10_000

_SHOWN = (
    ("false_safe_share", "false safe"),
    ("safe_found_share", "safe found"),
    ("hazard_recall", "rocks found"),
    ("hazard_precision", "precision"),
    ("observed_share", "observed"),
    ("safe_landing_share", "safe landings"),
    ("landing_offered_share", "offered"),
)


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
    _print(result)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    missed = missed_floors(result)
    for line in missed:
        print(f"FAILED: {line}")
    return EXIT_FLOOR if missed else 0


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
    for option in ("json", "pictures"):
        path = getattr(arguments, option)
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigError(f"--{option}: there is no folder {str(path.parent)!r}; make it")
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
        "seed": arguments.seed,
        "date": datetime.now(tz=timezone.utc).date().isoformat(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        **figures(ordered),
        "scenarios": {
            name: figures([tally for tally in ordered if tally.scenario == name]) for name in names
        },
        "bodies": {
            body: figures([tally for tally in ordered if tally.body == body]) for body in bodies
        },
    }


def _progress(tally: Tally, done: int, count: int) -> str:
    called, false = tally.called_safe_m2, tally.false_safe_m2
    return (
        f"{done}/{count} {tally.scenario} {tally.body} seed {tally.seed}: called safe "
        f"{called:.0f} m2, of it falsely {false:.2f} m2"
    )


def _print(result: Mapping[str, Any]) -> None:
    rows = [("all", result), *result["scenarios"].items(), *result["bodies"].items()]
    shown = [(key, title) for key, title in _SHOWN if result[key] is not None]
    header = ("", "worlds", *(title for _, title in shown))
    cells = [
        (name, str(part["worlds"]), *(_share(part, key) for key, _ in shown)) for name, part in rows
    ]
    widths = [max(len(row[index]) for row in (header, *cells)) for index in range(len(header))]
    for row in (header, *cells):
        print("  ".join(text.ljust(width) for text, width in zip(row, widths)).rstrip())
    print(
        f"false-safe area {result['false_safe_area_m2']:.2f} m2 of "
        f"{result['called_safe_area_m2']:.0f} m2 called safe"
    )
    if result["landing_to_best_m"] is not None:
        print(f"median distance to the best true site {result['landing_to_best_m']:.2f} m")
    latency = result["latency_ms"]
    print(f"latency median {latency['median']} ms, p99 {latency['p99']} ms a picture")
    for size, bands in _filled(result["hazard_recall_by_size_and_range"]):
        texts = [f"{band} {one['recall']:.3f} of {one['rocks']}" for band, one in bands]
        print(f"rocks of {size} found: " + ", ".join(texts))


def _filled(
    table: Mapping[str, Mapping[str, Any]],
) -> Iterable[tuple[str, list[tuple[str, Any]]]]:
    for size, bands in table.items():
        filled = [(band, one) for band, one in bands.items() if one["rocks"]]
        if filled:
            yield size, filled


def _share(part: Mapping[str, Any], key: str) -> str:
    value, interval = part[key], part[f"{key}_interval"]
    if value is None:
        return "-"
    text = f"{value:.5f}" if key == "false_safe_share" else f"{value:.3f}"
    if interval is None:
        return text
    digits = 5 if key == "false_safe_share" else 3
    return f"{text} [{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
