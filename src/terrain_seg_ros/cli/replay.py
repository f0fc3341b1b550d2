"""`terrain-seg replay`: read a bag and write it again with all our topics added."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from terrain_seg_ros.bag.plan import LAZY_TOPICS, NAMESPACE, ReplayOptions
from terrain_seg_ros.bag.replay import Progress, ReplayReport, replay
from terrain_seg_ros.cli.model_arguments import add_model_arguments
from terrain_seg_ros.parameters import Parameters, load_parameters
from terrain_seg_ros.report.table import text_table

NAME = "replay"
HELP = "read a bag and write it again with all our topics added"
STATUS_PERIOD_S = 2.0
_PARAMETER_OPTIONS = ("model", "backend", "precision", "threads")
_NO_INFO = "no camera_info"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line; what is not given comes from the parameters."""
    parser.add_argument(
        "source", type=Path, metavar="IN", help="bag to read: a folder, a .mcap or a .db3 file"
    )
    parser.add_argument(
        "target",
        type=Path,
        metavar="OUT",
        help="bag to write: a new folder, or a file where it ends in .mcap; never overwritten",
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
        choices=LAZY_TOPICS,
        help="leave out a large topic; may be given again",
    )
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Replay the bag and print what was done.

    Raises:
        ConfigError: a bag, topic or parameter cannot be used, or OUT exists.
        MessageError: the bag is damaged.
        ModelError: the model cannot be used.
        InferenceError: the backend cannot be used.
    """
    started_s = time.monotonic()
    report = replay(
        arguments.source,
        arguments.target,
        _parameters(arguments),
        options=ReplayOptions(
            namespace=arguments.namespace,
            image_topics=arguments.image_topic,
            skip=arguments.skip,
        ),
        on_progress=_ProgressLines(started_s),
    )
    took_s = time.monotonic() - started_s
    print(text_table(("what", "value"), list(_rows(arguments, report, took_s))))
    if report.health.latency:
        stages = [
            (stage, f"{item.median_ms:.2f}", f"{item.p90_ms:.2f}", f"{item.p99_ms:.2f}")
            for stage, item in report.health.latency.items()
        ]
        print()
        print(text_table(("stage", "p50 ms", "p90 ms", "p99 ms"), stages))
    if report.health.refused:
        print("\nRefused, the last of each kind:")
    for reason in report.health.refused:
        print(f"  {reason.value}: {report.health.refusal_texts.get(reason, '')}")
    return 0


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
    return load_parameters(*arguments.params, overrides=given)


def _rows(
    arguments: argparse.Namespace, report: ReplayReport, took_s: float
) -> Iterator[tuple[str, str]]:
    health = report.health
    yield "bag read", str(arguments.source)
    yield "bag written", str(arguments.target)
    for camera in report.cameras:
        yield f"camera {camera.name}", f"{camera.image_topic}, {camera.info_topic or _NO_INFO}"
    yield from report.about.items()
    yield "messages copied", str(report.messages_copied)
    yield "messages added", str(report.messages_added)
    yield from (("replaced", name) for name in report.replaced_topics)
    yield "images in", str(health.images_in)
    yield "images out", str(health.images_out)
    yield "grids out", str(health.grids_out)
    yield from ((f"dropped: {reason.value}", str(n)) for reason, n in health.dropped.items())
    yield from ((f"refused: {reason.value}", str(n)) for reason, n in health.refused.items())
    yield from (("note", f"{note.value} ({n} times)") for note, n in health.notes.items())
    yield "seconds", f"{took_s:.1f}"
