"""`terrain-seg bench`: the bare runtime call against the whole path, per backend."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.bench.geometry import time_geometry
from terrain_seg_ros.bench.machine import accelerators, machine
from terrain_seg_ros.bench.peers import read_peers, time_peers
from terrain_seg_ros.bench.report import is_own_markdown, is_plot, markdown, plot_svg
from terrain_seg_ros.bench.start import measure_starts
from terrain_seg_ros.bench.terminal import print_result
from terrain_seg_ros.bench.trtexec import read_trtexec
from terrain_seg_ros.core.errors import ConfigError, InferenceError, TerrainSegError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.registry import (
    installed_backends,
    model_precisions,
    try_backends,
)
from terrain_seg_ros.inference.self_test import parity_refusal
from terrain_seg_ros.model_store.loaded_model import LoadedModel, probe_image
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.report.output_place import check_output_file, holds_json
from terrain_seg_ros.runtime.path_timing import PathTiming, rgb_image, time_path
from terrain_seg_ros.runtime.session import Session

SIZES = ("640x480", "1280x720")
MIN_SIDE_PX = 16
MAX_SIDE_PX = 8192
MAX_ROUNDS = 100_000
PERCENTILES = (50, 90, 99)
GRID_STAGES = ("project", "fuse", "cost")
_OWN = {"json": holds_json("rows", "rounds", "auto"), "markdown": is_own_markdown, "plot": is_plot}


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
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write tables to a file")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="write a picture to a file")
    parser.add_argument(
        "--no-starts",
        action="store_true",
        help="leave out fresh processes: start, memory, energy, two images at once",
    )
    parser.add_argument(
        "--no-peers", action="store_true", help="leave out the usual ways of running the network"
    )
    parser.add_argument(
        "--no-geometry", action="store_true", help="leave out the stages after the network"
    )
    parser.add_argument(
        "--peers",
        type=Path,
        metavar="JSON",
        help="what `terrain-train peers --json` wrote, to show PyTorch beside them",
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="LOG",
        help="what trtexec printed of the same engine, to compare TensorRT with",
    )


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
    model = load_model(arguments.model)
    candidates = _candidates(model, arguments.backend)
    for option, is_own in _OWN.items():
        path = getattr(arguments, option)
        if path is not None:
            check_output_file(path, option=f"--{option}", is_own=is_own)
        _try_file(path)
    torch_peers = None if arguments.peers is None else read_peers(arguments.peers)
    against = None if arguments.against is None else read_trtexec(arguments.against)
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
            row["passes_parity"] = not parity_refusal(
                model.file(precision).card, backend, precision
            )
            row["auto"] = (backend, precision) == chosen
            (failed if "error" in row else rows).append(row)
    result = {
        **_about(model),
        "accelerators": accelerators(),
        "rounds": arguments.rounds,
        "auto": {
            "backend": chosen[0],
            "precision": chosen[1],
            "trials": [vars(trial) for trial in trials],
        },
        "rows": rows,
        "starts": [] if arguments.no_starts else _starts(arguments, candidates),
        "peers": None if arguments.no_peers else _peers(arguments, model, pixels[0], sizes[0]),
        "torch_peers": torch_peers,
        "geometry": [] if arguments.no_geometry else _geometry(arguments),
        "trtexec": None if against is None else asdict(against),
        "failed": failed,
    }
    _write(arguments, result)
    print_result(result)
    if not rows:
        raise InferenceError("nothing was measured; the lines above say why")
    return 0


def _write(arguments: argparse.Namespace, result: dict[str, Any]) -> None:
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if arguments.markdown is not None and result["rows"]:
        arguments.markdown.write_text(markdown(result), encoding="utf-8")
    if arguments.plot is not None and result["rows"]:
        arguments.plot.write_text(plot_svg(result), encoding="utf-8")


def _starts(
    arguments: argparse.Namespace, candidates: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    """Return the figures of fresh processes; one that failed says why."""
    given = {"model": arguments.model, "threads": arguments.threads}
    rows = []
    for backend, precision in candidates:
        print(f"{backend} {precision} start ...", file=sys.stderr)
        row: dict[str, Any] = {"backend": backend, "precision": precision}
        try:
            figures = measure_starts(given, backend, precision, rounds=arguments.rounds)
        except TerrainSegError as error:
            figures = {"error": str(error)}
        rows.append({**row, **figures})
    return rows


def _peers(
    arguments: argparse.Namespace, model: LoadedModel, pixels: U8, size: tuple[int, int]
) -> dict[str, Any]:
    """Return the usual ways' figures, on an image of one size."""
    print(f"peers {_size_text(size)} ...", file=sys.stderr)
    image = rgb_image(pixels, *size)
    given = {"rounds": arguments.rounds, "threads": arguments.threads}
    return {
        "size": _size_text(size),
        "ways": time_peers(arguments.model, model, image, **given),
    }


def _geometry(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    print("geometry ...", file=sys.stderr)
    return time_geometry(arguments.rounds)


def _about(model: LoadedModel) -> dict[str, Any]:
    return {
        "model": f"{model.card.name} {model.card.version}",
        "model_sha256": model.card.sha256,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "machine": machine(),
    }


def _try_file(path: Path | None) -> None:
    """Open the file to write before minutes of measuring; what it holds stays until then.

    Raises:
        OSError: it cannot be written.
    """
    if path is not None:
        with path.open("a", encoding="utf-8"):
            return


def _candidates(model: LoadedModel, only: Sequence[str] | None) -> list[tuple[str, str]]:
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
        for precision in model_precisions(installed[name], model)
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
