"""`terrain-seg bench`: the bare runtime call against the whole path, per backend."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError, TerrainSegError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.model_store import load_model
from terrain_seg_ros.inference.registry import (
    installed_backends,
    try_backends,
    usable_precisions,
)
from terrain_seg_ros.inference.self_test import parity_refusal, probe_image
from terrain_seg_ros.parameters import load_parameters
from terrain_seg_ros.report.table import text_table
from terrain_seg_ros.runtime.path_timing import PathTiming, time_path
from terrain_seg_ros.runtime.session import Session

NAME = "bench"
HELP = "measure the bare runtime call against the whole path, per backend"
SIZES = ("640x480", "1280x720")
MAX_SIDE_PX = 8192
PERCENTILES = (50, 90, 99)
GRID_STAGES = ("project", "fuse", "cost")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--model", default="mars_navcam", help="name or path of the model")
    parser.add_argument(
        "--size",
        action="append",
        metavar="WxH",
        help=f"image size; may be given again (default: {' and '.join(SIZES)})",
    )
    parser.add_argument("--backend", action="append", help="only this backend; may be given again")
    parser.add_argument("--rounds", type=int, default=200, help="timed rounds (default 200)")
    parser.add_argument("--threads", type=int, default=0, help="0 leaves it to the runtime")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file")


def run(arguments: argparse.Namespace) -> int:
    """Measure every backend and precision and print a table."""
    sizes = [_size(text) for text in arguments.size or SIZES]
    if not 1 <= arguments.rounds <= 100_000:
        raise ConfigError(f"--rounds is {arguments.rounds}, expected 1 to 100000")
    model = load_model(arguments.model)
    pixels = [probe_image(model)[0].squeeze()]
    options = BackendOptions(threads=arguments.threads)
    auto, trials = try_backends(model, options)
    chosen = (auto.name, auto.precision)
    auto.close()
    rows = []
    for backend, precision in _candidates(arguments.backend):
        for size in sizes:
            print(f"{backend} {precision} {size[0]}x{size[1]} ...", file=sys.stderr)
            row = _row(arguments, backend, precision, size, pixels)
            row["passes_parity"] = not parity_refusal(model.card, backend, precision)
            row["auto"] = (backend, precision) == chosen
            rows.append(row)
    result = {
        "model": f"{model.card.name} {model.card.version}",
        "model_sha256": model.card.sha256,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "machine": _machine(),
        "rounds": arguments.rounds,
        "auto": {
            "backend": chosen[0],
            "precision": chosen[1],
            "trials": [vars(trial) for trial in trials],
        },
        "rows": rows,
    }
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    _print(result)
    return 0


def _candidates(only: Sequence[str] | None) -> Iterator[tuple[str, str]]:
    names = [item.value for item in installed_backends()]
    unknown = sorted(set(only or ()) - set(names))
    if unknown:
        raise ConfigError(f"--backend {unknown[0]!r} is not installed; there are {names}")
    for name in only or names:
        for precision in usable_precisions(installed_backends()[names.index(name)]):
            yield name, precision


def _row(
    arguments: argparse.Namespace,
    backend: str,
    precision: str,
    size: tuple[int, int],
    pixels: Sequence[U8],
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "backend": backend,
        "precision": precision,
        "size": f"{size[0]}x{size[1]}",
    }
    overrides = {
        "model": arguments.model,
        "backend": backend,
        "precision": precision,
        "threads": arguments.threads,
    }
    try:
        with Session(load_parameters(overrides=overrides)) as session:
            timing = time_path(
                session, pixels, width_px=size[0], height_px=size[1], rounds=arguments.rounds
            )
    except TerrainSegError as error:
        return {**row, "error": str(error)}
    return {**row, **_figures(timing)}


def _figures(timing: PathTiming) -> dict[str, Any]:
    return {
        "bare_ms": float(np.median(timing.bare_ms)),
        "end_to_end_ms": float(np.median(timing.end_to_end_ms)),
        "overhead_ms": timing.overhead_ms,
        "grid_ms": sum(timing.stage_ms[stage] for stage in GRID_STAGES),
        "ratio": timing.ratio,
        "bare_percentiles_ms": _percentiles(timing.bare_ms),
        "end_to_end_percentiles_ms": _percentiles(timing.end_to_end_ms),
        "stage_median_ms": dict(timing.stage_ms),
    }


def _percentiles(samples_ms: Sequence[float]) -> dict[str, float]:
    values = np.percentile(samples_ms, PERCENTILES).tolist()
    return {f"p{name}": float(value) for name, value in zip(PERCENTILES, values)}


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise ConfigError(f"--size is {text!r}, expected WIDTHxHEIGHT such as 640x480")
    if not (16 <= int(width) <= MAX_SIDE_PX and 16 <= int(height) <= MAX_SIDE_PX):
        raise ConfigError(f"--size is {text!r}, expected sides of 16 to {MAX_SIDE_PX}")
    return int(width), int(height)


def _machine() -> str:
    model = platform.processor() or platform.machine()
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return (
        f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"
    )


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _print(result: dict[str, Any]) -> None:
    print(f"{result['model']} on {result['machine']}, {result['date']}, {result['rounds']} rounds")
    head = ["backend", "precision", "size", "bare ms", "end to end ms", "p99", "overhead ms"]
    lines = [_cells(row) for row in result["rows"]]
    print(text_table([*head, "of it grid", "ratio", "note"], lines))


def _cells(row: dict[str, Any]) -> list[str]:
    start = [row["backend"], row["precision"], row["size"]]
    if "error" in row:
        return [*start, "-", "-", "-", "-", "-", "-", row["error"]]
    note = "auto" if row["auto"] else "" if row["passes_parity"] else "fails parity"
    figures = (
        row["bare_ms"],
        row["end_to_end_ms"],
        row["end_to_end_percentiles_ms"]["p99"],
        row["overhead_ms"],
        row["grid_ms"],
        row["ratio"],
    )
    return [*start, *(f"{value:.2f}" for value in figures), note]
