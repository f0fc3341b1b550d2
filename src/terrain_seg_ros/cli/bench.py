"""`terrain-seg bench`: time each backend, the runtime alone and the complete pipeline."""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from terrain_seg_ros.bench.measure import BenchPlan, candidates, measure
from terrain_seg_ros.bench.peers import read_peers
from terrain_seg_ros.bench.report import is_own_markdown, markdown
from terrain_seg_ros.bench.terminal import result_lines
from terrain_seg_ros.bench.trtexec import read_trtexec
from terrain_seg_ros.cli.options import add_json_argument
from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.report.output_place import check_output_file, holds_json

SIZES = ("640x480", "1280x720")
MIN_SIDE_PX = 16
MAX_SIDE_PX = 8192
MAX_ROUNDS = 100_000
_OWN = {"json": holds_json("rows", "rounds", "auto"), "markdown": is_own_markdown}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "--model", default="mars_navcam", metavar="NAME|PATH", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--size",
        action="append",
        metavar="WxH",
        help=f"image size; may be repeated (default: {' and '.join(SIZES)})",
    )
    parser.add_argument(
        "--backend", action="append", metavar="NAME", help="only this backend; may be repeated"
    )
    parser.add_argument(
        "--rounds", type=int, default=200, metavar="N", help="timed rounds (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, default=0, metavar="N", help="threads; 0: let the runtime decide"
    )
    add_json_argument(parser, "the figures")
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="also write the tables to a file"
    )
    parser.add_argument(
        "--no-starts",
        action="store_true",
        help="skip fresh processes: start-up time, memory, two images at once",
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="skip other ways of running the network"
    )
    parser.add_argument(
        "--no-geometry", action="store_true", help="skip the stages after the network"
    )
    parser.add_argument(
        "--peers",
        type=Path,
        metavar="JSON",
        help="output of `terrain-train peers --json`, to compare with PyTorch",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="LOG",
        help="output of trtexec for the same engine, to compare TensorRT with",
    )


def run(arguments: argparse.Namespace) -> int:
    """Measure every backend and precision and print tables.

    Raises:
        ConfigError: a size, the rounds or a backend's name is wrong.
        ModelError: the model cannot be used.
        InferenceError: no backend can run it, or none completed the whole path.
    """
    sizes = [_size(text) for text in arguments.size or SIZES]
    if not 1 <= arguments.rounds <= MAX_ROUNDS:
        raise ConfigError(f"--rounds is {arguments.rounds}, expected 1 to {MAX_ROUNDS}")
    BackendOptions(threads=arguments.threads)
    model = load_model(arguments.model)
    plan = BenchPlan(
        model=arguments.model,
        sizes=sizes,
        candidates=candidates(model, arguments.backend),
        rounds=arguments.rounds,
        threads=arguments.threads,
        has_starts=not arguments.no_starts,
        has_peers=not arguments.no_peers,
        has_geometry=not arguments.no_geometry,
    )
    for option, is_own in _OWN.items():
        path = getattr(arguments, option)
        if path is not None:
            check_output_file(path, option=f"--{option}", is_own=is_own)
        _try_file(path)
    torch_peers = None if arguments.peers is None else read_peers(arguments.peers)
    against = None if arguments.against is None else read_trtexec(arguments.against)
    result = measure(plan, model, say=_say)
    result["torch_peers"] = torch_peers
    result["trtexec"] = None if against is None else asdict(against)
    _write(arguments, result)
    print("\n".join(result_lines(result)))
    if not result["rows"]:
        raise InferenceError("nothing was measured; the lines above say why")
    return 0


def _write(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if arguments.markdown is not None and result["rows"]:
        arguments.markdown.write_text(markdown(result), encoding="utf-8")


def _try_file(path: Path | None) -> None:
    """Open the file to write before minutes of measuring; what it holds stays until then.

    Raises:
        OSError: it cannot be written.
    """
    if path is not None:
        with path.open("a", encoding="utf-8"):
            return


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", text)
    if found is None:
        raise ConfigError(f"--size is {text!r}, expected WIDTHxHEIGHT such as 640x480")
    width_px, height_px = int(found[1]), int(found[2])
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in (width_px, height_px)):
        raise ConfigError(
            f"--size is {text!r}, expected sides of {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels"
        )
    return width_px, height_px


def _say(text: str) -> None:
    print(text, file=sys.stderr)
