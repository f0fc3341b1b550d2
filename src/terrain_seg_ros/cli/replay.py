"""`terrain-seg replay`: rerun the node over recorded bags, add its topics, score the result."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

from tqdm import tqdm

from terrain_seg_ros.bag.limits import check_limits, read_limits
from terrain_seg_ros.bag.page import Replayed, write_page
from terrain_seg_ros.bag.plan import ReplayOptions, skippable_topics
from terrain_seg_ros.bag.replay import Progress, replay
from terrain_seg_ros.bag.score_plan import TruthOptions, plan_score
from terrain_seg_ros.bag.scores import why_nothing_came
from terrain_seg_ros.bag.tables import bag_table, cost_line, report_lines
from terrain_seg_ros.cli.bag_arguments import add_image_topics_argument, bag_path
from terrain_seg_ros.cli.error_text import describe_os_error
from terrain_seg_ros.cli.many_replays import Results, replay_all
from terrain_seg_ros.cli.options import (
    add_json_argument,
    add_label_arguments,
    add_mode_argument,
    add_model_arguments,
    add_params_argument,
    read_parameters,
)
from terrain_seg_ros.cli.replay_outputs import check_outputs
from terrain_seg_ros.core.errors import ConfigError, TerrainSegError
from terrain_seg_ros.fleet.arguments import add_cluster_argument
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.report.output_place import write_whole
from terrain_seg_ros.report.table import printable

_BAR = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
_ADVICE = "`terrain-seg doctor BAG` says what the bag lacks"
EXIT_LIMIT_MISSED = 1
EXIT_NOTHING_CAME = 1
EXIT_WRONG_INPUT = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line; what is not given comes from the parameters."""
    parser.add_argument(
        "sources",
        type=bag_path,
        nargs="+",
        metavar="IN",
        help="bag to read: a folder, a .mcap or a .db3 file, with images, camera_info and TF (or "
        "give --params, see docs/tutorials/your_bag.md); several are processed in parallel",
    )
    parser.add_argument(
        "target",
        type=Path,
        metavar="OUT",
        help="bag to write, never overwritten: a new folder, or a file if it ends in .mcap; with "
        "several IN a folder that receives one bag of the same name for each",
    )
    add_params_argument(parser)
    add_image_topics_argument(parser)
    parser.add_argument(
        "--namespace",
        default=NAMESPACE,
        metavar="NAME",
        help="namespace of the added topics (default: %(default)s)",
    )
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        choices=skippable_topics(),
        help="leave out a large topic; may be repeated",
    )
    parser.add_argument(
        "--page",
        type=Path,
        metavar="DIR",
        help="folder for one page about the replay: frames, the fused map of the drive with the "
        "path, what was assumed and refused; with several IN a folder in it for each",
    )
    _add_score_arguments(parser)
    add_mode_argument(parser)
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Replay the bags, print what was done, and judge it by the limits.

    Raises:
        ConfigError: a bag, topic, truth, limit or parameter cannot be used, or OUT exists.
        MessageError: the bag is damaged.
        ModelError: the model cannot be used.
        InferenceError: the backend cannot be used.
    """
    check_outputs(arguments)
    if arguments.cluster is not None and len(arguments.sources) == 1:
        raise ConfigError("--cluster distributes several bags, but one is given; omit it")
    limits = read_limits(arguments.limits) if arguments.limits is not None else []
    lines: list[str] = []
    with _ended_by_signals():
        if len(arguments.sources) > 1:
            results: Results = replay_all(arguments, replay_alone)
        else:
            scores, lines = _run_one(arguments)
            results = {arguments.sources[0].name: scores}
    with _bag_is_complete(arguments):
        missed = {name: check_limits(limits, scores) for name, scores in results.items() if scores}
        if arguments.json is not None:
            content = results if len(arguments.sources) > 1 else next(iter(results.values()))
            text = json.dumps(
                {"bags": content} if len(arguments.sources) > 1 else content, indent=2
            )
            write_whole(arguments.json, f"{text}\n")
        if len(arguments.sources) > 1:
            lines = [bag_table(results, missed), cost_line(results)]
        for name, missed_lines in missed.items():
            place = f" in {name}" if len(results) > 1 else ""
            lines += [f"missed{place}: {line}" for line in missed_lines]
        print("\n".join(lines), flush=True)
    return _exit_code(results, missed)


def _exit_code(results: Results, missed: Mapping[str, Sequence[str]]) -> int:
    """Report the bags that produced nothing and why; return the exit code."""
    nothing = {name: why_nothing_came(scores) for name, scores in results.items() if scores}
    for name, why in nothing.items():
        if why:
            print(f"terrain-seg: error: {printable(f'{name}: {why}')}; {_ADVICE}", file=sys.stderr)
    if not all(results.values()):
        return EXIT_WRONG_INPUT
    if any(nothing.values()):
        return EXIT_NOTHING_CAME
    return EXIT_LIMIT_MISSED if any(missed.values()) else 0


def _add_score_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--truth",
        action="append",
        default=[],
        metavar="[CAMERA=]TOPIC|DIR",
        help="ground truth masks: an image topic of IN, or a folder of masks named by stamp, such "
        "as 1700000000123456789.png; once per camera",
    )
    add_label_arguments(parser)
    parser.add_argument(
        "--limits",
        type=Path,
        metavar="FILE",
        help="YAML file of minima and maxima of the scores; exit code 1 if one is missed",
    )
    add_json_argument(parser, "the scores")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="bags processed at once (default: one per processor)"
    )
    add_cluster_argument(parser, "bags")


def replay_alone(arguments: argparse.Namespace) -> dict[str, Any]:
    """Replay one of several bags, in a process of its own, and return its scores.

    They hold `cpu_s`, the processor time of this process since its start, in seconds.
    OUT did not exist when the command began: what is there was left by a worker of a cluster that
    was lost, and is replaced.

    Raises:
        TerrainSegError: as `run`; also for a file or folder that the system refuses.
    """
    target: Path = arguments.target
    try:
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        scores, lines = _run_one(arguments)
        print("\n".join(lines))
        return {**scores, "cpu_s": round(time.process_time(), 2)}
    except OSError as error:
        raise ConfigError(describe_os_error(error)) from error


def _run_one(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Replay one bag, write its page, and return its scores and the lines to print."""
    source, target = arguments.sources[0], arguments.target
    parameters = read_parameters(arguments)
    options = ReplayOptions(
        namespace=arguments.namespace, image_topics=arguments.image_topic, skip=arguments.skip
    )
    truth = TruthOptions(arguments.truth, arguments.map, arguments.ignore)
    plan = plan_score(source, parameters, truth, replay=options)
    started_s = time.monotonic()
    with tqdm(total=1.0, desc=printable(source.name), bar_format=_BAR, disable=None) as bar:

        def show(progress: Progress) -> None:
            bar.set_postfix_str(f"{progress.images} images", refresh=False)
            bar.update(progress.share - bar.n)

        report = replay(
            source,
            target,
            parameters,
            options=replace(options, other_topics=plan.truth_topics),
            on_progress=show,
        )
    with _bag_is_complete(arguments):
        scores = plan.scores(target, report)
        took_s = time.monotonic() - started_s
        lines = [
            *report_lines(report, scores, parameters, source=source, target=target, took_s=took_s)
        ]
        if arguments.page is not None:
            replayed = Replayed(source, target, options, parameters, report, scores)
            lines += ["", f"page: {write_page(replayed, arguments.page)}"]
    return scores, lines


@contextmanager
def _bag_is_complete(arguments: argparse.Namespace) -> Iterator[None]:
    """Say in errors of what follows the replay that its bag, or bags, can be used.

    Raises:
        ConfigError: the scores, the page, the JSON or the output failed.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, TerrainSegError) as error:
        text = describe_os_error(error) if isinstance(error, OSError) else str(error)
        one = len(arguments.sources) == 1
        done = "OUT '{}' is complete" if one else "the bags in OUT '{}' are complete"
        raise ConfigError(f"{text}; {done.format(arguments.target)}") from error


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End at SIGTERM, or where the terminal is closed, so that no half-written bag is left."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as under nohup
            before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
