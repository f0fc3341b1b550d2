"""`terrain-seg bench`: the bare runtime call against the whole path, per backend."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError, InferenceError, TerrainSegError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.loaded_model import LoadedModel
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
MIN_SIDE_PX = 16
MAX_SIDE_PX = 8192
MAX_ROUNDS = 100_000
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
    """Measure every backend and precision and print a table.

    Raises:
        ConfigError: a size, the rounds or a backend's name is wrong.
        ModelError: the model cannot be used.
        InferenceError: no backend can run it, or none got through the whole path.
    """
    sizes = [_size(text) for text in arguments.size or SIZES]
    if not 1 <= arguments.rounds <= MAX_ROUNDS:
        raise ConfigError(f"--rounds is {arguments.rounds}, expected 1 to {MAX_ROUNDS}")
    options = BackendOptions(threads=arguments.threads)
    candidates = _candidates(arguments.backend)
    model = load_model(arguments.model)
    _try_file(arguments.json)
    pixels = [probe_image(model)[0].squeeze()]
    auto, trials = try_backends(model, options)
    chosen = (auto.name, auto.precision)
    auto.close()
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for backend, precision in candidates:
        for size in sizes:
            print(f"{backend} {precision} {_size_text(size)} ...", file=sys.stderr)
            row = _row(arguments, backend, precision, size, pixels)
            row["passes_parity"] = not parity_refusal(model.card, backend, precision)
            row["auto"] = (backend, precision) == chosen
            (failed if "error" in row else rows).append(row)
    result = {
        **_about(model),
        "rounds": arguments.rounds,
        "auto": {
            "backend": chosen[0],
            "precision": chosen[1],
            "trials": [vars(trial) for trial in trials],
        },
        "rows": rows,
        "failed": failed,
    }
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    _print(result)
    if not rows:
        raise InferenceError("nothing was measured; the lines above say why")
    return 0


def _about(model: LoadedModel) -> dict[str, Any]:
    return {
        "model": f"{model.card.name} {model.card.version}",
        "model_sha256": model.card.sha256,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "machine": _machine(),
    }


def _try_file(path: Path | None) -> None:
    """Open the file to write before minutes of measuring; what it holds stays until then.

    Raises:
        OSError: it cannot be written.
    """
    if path is not None:
        with path.open("a", encoding="utf-8"):
            return


def _candidates(only: Sequence[str] | None) -> list[tuple[str, str]]:
    """Return the backends and precisions to measure.

    Raises:
        ConfigError: one that was asked for is not installed.
    """
    installed = {item.value: item for item in installed_backends()}
    unknown = sorted(set(only or ()) - set(installed))
    if unknown:
        raise ConfigError(
            f"--backend {unknown[0]!r} is not installed; there are {list(installed)}, and "
            "`terrain-seg doctor` tells how to get others"
        )
    return [
        (name, precision)
        for name in dict.fromkeys(only or installed)
        for precision in usable_precisions(installed[name])
    ]


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
        "size": _size_text(size),
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
    found = re.fullmatch(r"([0-9]{1,6})x([0-9]{1,6})", text)
    if found is None:
        raise ConfigError(f"--size is {text!r}, expected WIDTHxHEIGHT such as 640x480")
    width_px, height_px = int(found[1]), int(found[2])
    if not all(MIN_SIDE_PX <= side <= MAX_SIDE_PX for side in (width_px, height_px)):
        raise ConfigError(
            f"--size is {text!r}, expected sides of {MIN_SIDE_PX} to {MAX_SIDE_PX} pixels"
        )
    return width_px, height_px


def _size_text(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


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
    for row in result["failed"]:
        name = f"{row['backend']} {row['precision']} {row['size']}"
        print(f"not measured: {name}: {row['error']}")


def _cells(row: dict[str, Any]) -> list[str]:
    start = [row["backend"], row["precision"], row["size"]]
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
