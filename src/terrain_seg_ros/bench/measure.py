"""Measure every backend and precision: the bare runtime call, the whole path, starts and peers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import numpy as np

from terrain_seg_ros.bench.geometry import time_geometry
from terrain_seg_ros.bench.peers import time_peers
from terrain_seg_ros.bench.start import measure_starts
from terrain_seg_ros.core.errors import ConfigError, TerrainSegError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.registry import (
    installed_backends,
    model_precisions,
    try_backends,
)
from terrain_seg_ros.inference.self_test import parity_refusal
from terrain_seg_ros.model_store.loaded_model import LoadedModel, probe_image
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.report.machine import accelerators, machine
from terrain_seg_ros.runtime.path_timing import PathTiming, rgb_image, time_path
from terrain_seg_ros.runtime.session import Session

PERCENTILES = (50, 90, 99)
GRID_STAGES = ("project", "fuse", "cost")
Say = Callable[[str], None]
Size = tuple[int, int]
"""Width and height of an image in pixels."""


@dataclass(frozen=True)
class BenchPlan:
    """What to measure.

    Attributes:
        model: name or path of the model.
        sizes: image sizes.
        candidates: backends with precisions.
        rounds: timed rounds.
        threads: of the runtime; 0: let it decide.
        has_starts: measure fresh processes.
        has_peers: measure other ways of running the network.
        has_geometry: measure the stages after the network.
    """

    model: str
    sizes: Sequence[Size]
    candidates: Sequence[tuple[str, str]]
    rounds: int
    threads: int
    has_starts: bool = True
    has_peers: bool = True
    has_geometry: bool = True


def candidates(model: LoadedModel, only: Sequence[str] | None) -> list[tuple[str, str]]:
    """Return the backends and precisions to measure.

    Raises:
        ConfigError: one that was asked for is not installed.
    """
    installed = {item.value: item for item in installed_backends()}
    unknown = sorted(set(only or ()) - set(installed))
    if unknown:
        raise ConfigError(
            f"--backend {unknown[0]!r} is not installed; installed are {list(installed)}, and "
            "`terrain-seg doctor` says how to install others"
        )
    return [
        (name, precision)
        for name in dict.fromkeys(only or installed)
        for precision in model_precisions(installed[name], model)
    ]


def measure(plan: BenchPlan, model: LoadedModel, *, say: Say) -> dict[str, Any]:
    """Return all figures; what could not be measured is under `failed`.

    Raises:
        InferenceError: no backend can run the model.
    """
    pixels = [probe_image(model)[0].squeeze()]
    auto, trials = try_backends(model, BackendOptions(threads=plan.threads))
    chosen = (auto.name, auto.precision)
    auto.close()
    rows: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for backend, precision in plan.candidates:
        for size in plan.sizes:
            say(f"{backend} {precision} {size_text(size)} ...")
            row = _row(plan, backend, precision, size, pixels)
            refusal = parity_refusal(model.file(precision).card, backend, precision)
            row["passes_parity"] = not refusal
            row["auto"] = (backend, precision) == chosen
            (failed if "error" in row else rows).append(row)
    return {
        "model": f"{model.card.name} {model.card.version}",
        "model_sha256": model.card.sha256,
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
        "machine": machine(),
        "accelerators": accelerators(),
        "rounds": plan.rounds,
        "auto": {
            "backend": chosen[0],
            "precision": chosen[1],
            "trials": [vars(trial) for trial in trials],
        },
        "rows": rows,
        "starts": _starts(plan, say) if plan.has_starts else [],
        "peers": _peers(plan, model, pixels[0], say) if plan.has_peers else None,
        "geometry": _geometry(plan, say) if plan.has_geometry else [],
        "failed": failed,
    }


def size_text(size: Size) -> str:
    """Return a size as WIDTHxHEIGHT."""
    return f"{size[0]}x{size[1]}"


def _starts(plan: BenchPlan, say: Say) -> list[dict[str, Any]]:
    """Return the figures of fresh processes; one that failed has its error."""
    given = {"model": plan.model, "threads": plan.threads}
    rows = []
    for backend, precision in plan.candidates:
        say(f"{backend} {precision} start ...")
        row: dict[str, Any] = {"backend": backend, "precision": precision}
        try:
            figures = measure_starts(given, backend, precision, rounds=plan.rounds)
        except TerrainSegError as error:
            figures = {"error": str(error)}
        rows.append({**row, **figures})
    return rows


def _peers(plan: BenchPlan, model: LoadedModel, pixels: U8, say: Say) -> dict[str, Any]:
    """Return the figures of other ways of running the network, on images of the first size."""
    size = plan.sizes[0]
    say(f"peers {size_text(size)} ...")
    image = rgb_image(pixels, *size)
    ways = time_peers(plan.model, model, image, rounds=plan.rounds, threads=plan.threads)
    return {"size": size_text(size), "ways": ways}


def _geometry(plan: BenchPlan, say: Say) -> list[dict[str, Any]]:
    say("geometry ...")
    return time_geometry(plan.rounds)


def _row(
    plan: BenchPlan,
    backend: str,
    precision: str,
    size: Size,
    pixels: Sequence[U8],
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "backend": backend,
        "precision": precision,
        "size": size_text(size),
    }
    overrides = {
        "model": plan.model,
        "backend": backend,
        "precision": precision,
        "threads": plan.threads,
    }
    try:
        with Session(load_parameters(overrides=overrides)) as session:
            timing = time_path(
                session, pixels, width_px=size[0], height_px=size[1], rounds=plan.rounds
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
