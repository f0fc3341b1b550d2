"""`terrain-seg score`: score simulated drives and descents against ground truth."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm

from terrain_seg_ros.cli.options import add_json_argument, add_mode_argument, add_params_argument
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.fleet.arguments import add_cluster_argument
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.report.output_place import (
    check_output_file,
    check_output_folder,
    holds_json,
    write_whole,
)
from terrain_seg_ros.score.paths import DescentSettings, DriveSettings
from terrain_seg_ros.score.rendered_ahead import RenderedAhead
from terrain_seg_ros.score.report import is_own_markdown, markdown, result_lines
from terrain_seg_ros.score.result import progress_line, score_result
from terrain_seg_ros.score.scenarios import SCENARIOS
from terrain_seg_ros.score.score_worlds import (
    ScoreRequest,
    has_own_pictures,
    picture_plan,
    score_worlds,
)
from terrain_seg_ros.score.tally import missed_floors
from terrain_seg_ros.score.variants import read_variants

EXIT_FLOOR = 1
MAX_WORLDS = 1000
MIN_VIEWS, MAX_VIEWS = 2, 10_000
MIN_BASELINE_M, MAX_BASELINE_M = 0.01, 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "--worlds",
        type=int,
        default=20,
        metavar="N",
        help="number of worlds (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the first world, each following one adds 1 (default: %(default)s)",
    )
    parser.add_argument(
        "--masks",
        choices=("truth", "ground", "model"),
        default="truth",
        help="truth: ground truth masks, which test the geometry alone; ground: the same without "
        "any rock, which show what measured heights find by themselves; model: the masks of a "
        "network, which test the whole system (default: %(default)s)",
    )
    add_mode_argument(parser)
    parser.add_argument(
        "--model", metavar="NAME", help="model for --masks model (default: the mode's own)"
    )
    parser.add_argument(
        "--stereo-baseline",
        type=float,
        metavar="M",
        help="where depth is measured, by a stereo camera of this baseline: noise of 0.25 px in "
        "disparity, holes and hidden edges (default: the true depth)",
    )
    parser.add_argument(
        "--scenario",
        action="append",
        default=[],
        metavar="NAME",
        help="only this scenario; may be repeated (default: all of the mode): "
        + ", ".join(scenario.name for scenario in SCENARIOS),
    )
    parser.add_argument(
        "--views",
        type=int,
        metavar="N",
        help=f"images in each world (default: {DriveSettings().count} of a drive, "
        f"{DescentSettings().count} of a descent)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=0,
        metavar="N",
        help="worlds processed at once (default: one per processor)",
    )
    add_cluster_argument(parser, "worlds")
    _add_parameter_arguments(parser.add_argument_group("parameters"))
    _add_network_arguments(parser.add_argument_group("with --masks model"))
    _add_output_arguments(parser)


def _add_parameter_arguments(parser: argparse._ArgumentGroup) -> None:
    add_params_argument(parser, more="; those of a scenario are on top of it")
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="NAME=VALUE,...",
        help="also score other values of a parameter that can change while the node runs, on the "
        "same images and with all else as given; may be repeated",
    )
    parser.add_argument(
        "--against",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="also score with such parameters of a file, on the same images; may be repeated",
    )


def _add_network_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--max-novelty",
        type=float,
        metavar="X",
        help="novelty from which an image is refused as unlike the network's training; 0 refuses "
        "none (default: the parameter observability.max_novelty)",
    )
    parser.add_argument(
        "--renders",
        type=Path,
        metavar="DIR",
        help="images that 'terrain-train render-score' made ahead; mode, worlds, views, seed and "
        "scenarios are those of its plan",
    )


def _add_output_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--plan",
        type=Path,
        metavar="FILE",
        help="score nothing: write worlds and views on the Moon for 'terrain-train render-score'",
    )
    add_json_argument(parser, "all figures")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="also write the tables to a file"
    )
    parser.add_argument(
        "--pictures",
        type=Path,
        metavar="DIR",
        help="draw truth, grid and path of each world in this folder",
    )


def run(arguments: argparse.Namespace) -> int:
    """Score and print; 1 where a floor is missed.

    Raises:
        ConfigError: an argument cannot be used.
        ModelError: the model cannot be used.
    """
    request = _request(arguments)
    if arguments.plan is not None:
        return _write_plan(request, arguments.plan)
    done = []
    worlds = score_worlds(request, say=_say)
    for tallies in tqdm(worlds, total=request.worlds, unit="world", disable=None):
        done.append(tallies)
        _say(progress_line(tallies[0], len(done), request.worlds))
    result = score_result(done, request)
    print("\n".join(result_lines(result)))
    if arguments.markdown is not None:
        write_whole(arguments.markdown, markdown(result))
    if arguments.json is not None:
        write_whole(arguments.json, json.dumps(result, indent=2) + "\n")
    missed = missed_floors(result)
    for line in missed:
        print(f"FAILED: {line}")
    return EXIT_FLOOR if missed else 0


def _write_plan(request: ScoreRequest, path: Path) -> int:
    check_output_file(path, option="--plan", is_own=holds_json("format", "scenes"))
    plan = picture_plan(request)
    write_whole(path, json.dumps(plan) + "\n")
    count = sum(len(scene["world_T_camera"]) for scene in plan["scenes"])
    print(f"{count} views of {request.worlds} worlds planned in {path}")
    print(f"next  terrain-train render-score {shlex.quote(str(path))} --out DIR")
    return 0


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
    baseline = arguments.stereo_baseline
    if baseline is not None and not MIN_BASELINE_M <= baseline <= MAX_BASELINE_M:
        raise ConfigError(
            f"--stereo-baseline is {baseline}, expected {MIN_BASELINE_M} to {MAX_BASELINE_M} m"
        )
    if arguments.model is not None and arguments.masks != "model":
        raise ConfigError(
            f"--model needs --masks model: with --masks {arguments.masks} no model runs"
        )
    if arguments.renders is not None:
        return _with_parameters(_request_of_renders(arguments), arguments)
    _check_places(arguments)
    request = ScoreRequest(
        worlds=arguments.worlds,
        seed=arguments.seed,
        masks=arguments.masks,
        mode=arguments.mode,
        model=arguments.model,
        scenarios=tuple(arguments.scenario),
        jobs=arguments.jobs or min(os.cpu_count() or 1, arguments.worlds),
        pictures=arguments.pictures,
        views=arguments.views,
        max_novelty=arguments.max_novelty,
        stereo_baseline_m=arguments.stereo_baseline,
        cluster=arguments.cluster,
    )
    return _with_parameters(request, arguments)


def _with_parameters(request: ScoreRequest, arguments: argparse.Namespace) -> ScoreRequest:
    """Return the request with parameter files and variants, each of which is checked."""
    params = tuple(arguments.params)
    overrides = {}
    if arguments.max_novelty is not None:
        overrides["observability.max_novelty"] = arguments.max_novelty
    base = load_parameters(*params, overrides=overrides, shipped=request.mode)
    if arguments.plan is not None or request.renders is not None:
        _check_mounting(base, shipped=load_parameters(shipped=request.mode))
    variants = read_variants(arguments.vary, arguments.against, base=base)
    return replace(request, params=params, variants=variants)


def _check_mounting(given: NodeSettings, *, shipped: NodeSettings) -> None:
    """Check that images made ahead, which have the shipped mounting, fit the parameters.

    Raises:
        ConfigError: the mounting is another.
    """
    if given.mounting != shipped.mounting:
        raise ConfigError(
            "--params changes `mounting`, but images made ahead have the shipped one; omit it, or "
            "score without --plan and --renders"
        )


def _request_of_renders(arguments: argparse.Namespace) -> ScoreRequest:
    """Return the request whose images were made ahead."""
    if arguments.masks != "model":
        raise ConfigError(
            f"--renders needs --masks model: --masks {arguments.masks} needs no images"
        )
    _check_places(arguments)
    ahead = RenderedAhead(arguments.renders)
    return ScoreRequest(
        worlds=ahead.worlds,
        seed=ahead.seed,
        masks=arguments.masks,
        mode=ahead.mode,
        model=arguments.model,
        scenarios=ahead.scenarios,
        jobs=arguments.jobs or min(os.cpu_count() or 1, ahead.worlds),
        pictures=arguments.pictures,
        views=ahead.views,
        max_novelty=arguments.max_novelty,
        stereo_baseline_m=arguments.stereo_baseline,
        renders=arguments.renders,
        cluster=arguments.cluster,
    )


def _say(text: str) -> None:
    tqdm.write(text, file=sys.stderr)
