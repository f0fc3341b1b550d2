"""`terrain-train peers`."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_training.benchmarks.peers import time_peers
from terrain_training.commands.common import (
    add_threads,
    cell,
    positive,
    print_table,
    use_threads,
)

HELP = "time an exported model against PyTorch, plain and compiled, and ONNX Runtime"
EXAMPLES = (
    "terrain-train peers mars_navcam --model mars_navcam",
    "terrain-train peers runs/mine-1 --model out/mine --size 1280x960",
)
INTERRUPTED = "run the same command again to start over"
MAX_SIDE_PX = 8192


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="RUN|RECIPE",
        help="folder of a run, or a recipe (its network gets random weights)",
    )
    parser.add_argument(
        "--model",
        type=Path,
        required=True,
        metavar="MODEL",
        help="folder or name of the model exported from it",
    )
    parser.add_argument("--size", default="640x480", metavar="WxH", help="size of the image")
    parser.add_argument(
        "--rounds", type=positive, default=50, metavar="N", help="timed calls of each peer"
    )
    parser.add_argument("--no-compile", action="store_true", help="leave out torch.compile")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures to this file as JSON"
    )
    add_threads(parser)


def run(options: argparse.Namespace) -> int:
    """Time and print all, ours first.

    Raises:
        ConfigError: the run, the recipe or an argument is wrong.
        ModelError: the model cannot be used.
        InferenceError: no backend can run it.
    """
    threads = use_threads(options)
    found = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", options.size)
    if found is None or not 16 <= min(int(found[1]), int(found[2])) <= MAX_SIDE_PX:
        raise ConfigError(f"--size is {options.size!r}, expected WIDTHxHEIGHT such as 640x480")
    if options.json is not None:
        check_output_file(options.json, option="--json", is_own=holds_json("size", "ways"))
    shape = (int(found[2]), int(found[1]), 3)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    times = time_peers(
        options.source,
        options.model,
        image,
        rounds=options.rounds,
        threads=threads,
        compiled=not options.no_compile,
    )
    ours = times[0].median_ms
    rows = []
    for item in times:
        ratio = None if item.median_ms is None or not ours else item.median_ms / ours
        rows.append((item.name, cell(item.median_ms, 1), cell(ratio, 2), item.error or ""))
    print_table(("way", "median ms", "times ours", ""), rows)
    if options.json is not None:
        content = {"size": options.size, "ways": [asdict(item) for item in times]}
        write_whole(options.json, json.dumps(content, indent=2) + "\n")
    return 0
