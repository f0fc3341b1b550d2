"""`terrain-seg replay`: read bags, write them again with all our topics added, and score them."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from terrain_seg_ros.bag.limits import check_limits, read_limits
from terrain_seg_ros.bag.plan import ReplayOptions, skippable_topics
from terrain_seg_ros.bag.replay import Progress, replay
from terrain_seg_ros.bag.scores import why_nothing_came
from terrain_seg_ros.cli.model_arguments import add_mode_argument, add_model_arguments
from terrain_seg_ros.cli.replay_many import Results, run_many
from terrain_seg_ros.cli.replay_score import ScorePlan, plan_score
from terrain_seg_ros.cli.replay_tables import bag_table, print_report
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.parameters.parameters import Parameters, load_parameters
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole

NAME = "replay"
HELP = "read bags, write them again with all our topics added, and score them"
STATUS_PERIOD_S = 2.0
EXIT_LIMIT_MISSED = 1
EXIT_NOTHING_CAME = 1
EXIT_WRONG_INPUT = 2
EXIT_TERMINATED = 143
_PARAMETER_OPTIONS = ("model", "backend", "precision", "threads")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line; what is not given comes from the parameters."""
    parser.add_argument(
        "sources",
        type=Path,
        nargs="+",
        metavar="IN",
        help="bag to read: a folder, a .mcap or a .db3 file; several are read in parallel",
    )
    parser.add_argument(
        "target",
        type=Path,
        metavar="OUT",
        help="bag to write: a new folder, or a file where it ends in .mcap; never overwritten. "
        "With several IN a folder that takes one bag of the same name for each",
    )
    parser.add_argument(
        "--params",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="parameter file on top of the shipped one; may be given again, the last one wins",
    )
    parser.add_argument(
        "--image-topic",
        action="append",
        default=[],
        metavar="NAME",
        help="use these image topics only; may be given again (default: one per camera found)",
    )
    parser.add_argument(
        "--namespace",
        default=NAMESPACE,
        metavar="NAME",
        help="namespace of our topics (default: %(default)s)",
    )
    parser.add_argument(
        "--skip",
        action="append",
        default=[],
        choices=skippable_topics(),
        help="leave out a large topic; may be given again",
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
    if arguments.json is not None:
        check_output_file(arguments.json, option="--json", is_own=_is_own_json)
    limits = read_limits(arguments.limits) if arguments.limits is not None else []
    with _ended_by_sigterm():
        if len(arguments.sources) > 1:
            results: Results = run_many(arguments)
        else:
            results = {arguments.sources[0].name: _run_one(arguments)}
    missed = {name: check_limits(limits, scores) for name, scores in results.items() if scores}
    if arguments.json is not None:
        content = results if len(arguments.sources) > 1 else next(iter(results.values()))
        text = json.dumps({"bags": content} if len(arguments.sources) > 1 else content, indent=2)
        write_whole(arguments.json, f"{text}\n")
    if len(arguments.sources) > 1:
        print(bag_table(results, missed))
    for name, lines in missed.items():
        for line in lines:
            print(f"missed in {name}: {line}" if len(results) > 1 else f"missed: {line}")
    return _exit_code(results, missed)


def _is_own_json(text: str) -> bool:
    """Say whether a text is the scores of one bag or of several."""
    return holds_json("grid_availability", "latency_ms")(text) or holds_json("bags")(text)


def _exit_code(results: Results, missed: Mapping[str, Sequence[str]]) -> int:
    """Say of which bags nothing came and why; return the exit code."""
    nothing = {name: why_nothing_came(scores) for name, scores in results.items() if scores}
    for name, why in nothing.items():
        if why:
            print(f"terrain-seg: error: {name}: {why}", file=sys.stderr)
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
        help="true masks: an image topic of IN, or a folder of masks named by stamp, such as "
        "1700000000123456789.png; once per camera",
    )
    parser.add_argument(
        "--ignore",
        type=int,
        default=IGNORE,
        metavar="VALUE",
        help="truth value that does not count (default %(default)s)",
    )
    parser.add_argument(
        "--map",
        metavar="VALUE=name,...",
        help="what truth values mean, by class name or 'ignore'; without it they are class ids",
    )
    parser.add_argument(
        "--limits",
        type=Path,
        metavar="FILE",
        help="YAML of minima and maxima of the scores; exit code 1 where one is missed",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores there as well")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="bags at once (default: one per processor)"
    )


def _run_one(arguments: argparse.Namespace) -> dict[str, Any]:
    source, target = arguments.sources[0], arguments.target
    parameters = _parameters(arguments)
    plan = plan_score(arguments, parameters)
    started_s = time.monotonic()
    report = replay(
        source,
        target,
        parameters,
        options=_options(arguments, plan),
        on_progress=_ProgressLines(started_s),
    )
    scores = plan.scores(target, report)
    took_s = time.monotonic() - started_s
    print_report(report, scores, source=source, target=target, took_s=took_s)
    return scores


def _options(arguments: argparse.Namespace, plan: ScorePlan) -> ReplayOptions:
    return ReplayOptions(
        namespace=arguments.namespace,
        image_topics=arguments.image_topic,
        other_topics=plan.truth_topics,
        skip=arguments.skip,
    )


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """End at SIGTERM as at an error, so that no half-written bag is left."""

    def end(_: int, __: FrameType | None) -> None:
        raise SystemExit(EXIT_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _ProgressLines:
    """Print now and then how far the replay is."""

    def __init__(self, started_s: float) -> None:
        self._next_s = started_s + STATUS_PERIOD_S

    def __call__(self, progress: Progress) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s:
            return
        self._next_s = now_s + STATUS_PERIOD_S
        print(
            f"terrain-seg: {progress.share:4.0%} of the bag, {progress.images} images",
            file=sys.stderr,
            flush=True,
        )


def _parameters(arguments: argparse.Namespace) -> Parameters:
    given = {
        name: getattr(arguments, name)
        for name in _PARAMETER_OPTIONS
        if getattr(arguments, name) is not None
    }
    return load_parameters(*arguments.params, overrides=given, shipped=arguments.mode)
