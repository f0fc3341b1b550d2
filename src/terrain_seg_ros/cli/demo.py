"""`terrain-seg demo`: real rover images, then simulated worlds, through the live node."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from terrain_seg_ros.cli.demo_page import DemoPage
from terrain_seg_ros.demo.play import DemoRequest, DemoResult, nobody, play_demo
from terrain_seg_ros.demo.twins import HEADER
from terrain_seg_ros.inference.backend_names import backend_names
from terrain_seg_ros.inference.backend_options import AUTO
from terrain_seg_ros.report.run_tables import (
    LATENCY_HEAD,
    SHARE_HEAD,
    latency_rows,
    share_rows,
)
from terrain_seg_ros.report.table import text_table


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "--model",
        default="mars_navcam",
        metavar="NAME|PATH",
        help="model of the node (default: %(default)s)",
    )
    parser.add_argument(
        "--backend",
        default=AUTO,
        choices=backend_names(),
        help="backend of the node (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/demo"),
        metavar="DIR",
        help="folder of the results; each run adds a bag and replaces the rest "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--domain", type=int, metavar="N", help="DDS domain (default: one that is free)"
    )
    parser.add_argument(
        "--pictures", type=int, metavar="N", help="play only the first N images (default: all)"
    )
    parser.add_argument(
        "--no-ros", action="store_true", help="run the node without ROS even where rclpy can be had"
    )
    parser.add_argument(
        "--no-sim", action="store_true", help="skip the simulated drive and descent"
    )
    parser.add_argument(
        "--view",
        action="store_true",
        help="show the run live in the browser (extra `view`); in a terminal the page then goes on "
        "with the recording until Ctrl-C",
    )


def run(arguments: argparse.Namespace) -> int:
    """Play everything and print what the node did and where the results are.

    Raises:
        ConfigError: an argument, the folder, Cyclone DDS or viser cannot be used.
        ModelError: the model cannot be used.
        InferenceError: a process failed or took too long.
    """
    page = DemoPage(arguments.out, _say) if arguments.view else None
    request = DemoRequest(
        model=arguments.model,
        backend=arguments.backend,
        out=arguments.out,
        domain=arguments.domain,
        pictures=arguments.pictures,
        has_scenes=not arguments.no_sim,
        with_ros=not arguments.no_ros,
        watch=nobody if page is None else page.live,
    )
    result = play_demo(request, say=_say, show=_progress())
    _print_summary(result)
    for played in result.scenes:
        print(f"\n{played.scene.title}: {played.source}")
    print("\nmade:")
    for name, path in result.paths.items():
        print(f"  {name:<14}{path}", flush=True)
    if page is not None:
        page.show_recording(result.paths["bag"])
    return 0


def _progress() -> Callable[[str], None]:
    """Return what shows progress: one line that changes, on a terminal; else line by line."""
    if not sys.stderr.isatty():
        return lambda line: _say(line) if line else None

    def rewrite(line: str) -> None:
        sys.stderr.write(f"\rterrain-seg: {line}\x1b[K" if line else "\n")
        sys.stderr.flush()

    return rewrite


def _print_summary(result: DemoResult) -> None:
    summary = result.summary
    facts = [
        ["node", result.node],
        ["model", summary["model"]],
        ["backend", f"{summary['backend']} in {summary['precision']}"],
        ["pictures", str(len(result.frames))],
        ["frames in", str(summary["images_in"])],
        ["frames out", str(summary["images_out"])],
        ["dropped", str(sum(summary["dropped"].values()))],
        ["refused", str(sum(summary["refused"].values()))],
    ]
    for head, rows in (
        (["what", "value"], facts),
        (LATENCY_HEAD, latency_rows(summary["latency_ms"])),
        (SHARE_HEAD, share_rows(result.shares)),
    ):
        print(f"\n{text_table(head, rows)}")
    if result.twins is not None:
        print(f"\nboth nodes on the same images, at once; {result.twins.text}")
        print(text_table(HEADER, result.twins.rows))


def _say(text: str) -> None:
    print(f"terrain-seg: {text}", file=sys.stderr, flush=True)
