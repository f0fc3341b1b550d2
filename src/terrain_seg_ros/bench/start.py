"""What a fresh process needs: seconds to its first mask, memory, and calls with two images.

Run as `python -m terrain_seg_ros.bench.start JSON`, it prints its figures as JSON.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.core.backend import Backend
from terrain_seg_ros.core.errors import InferenceError, TerrainSegError
from terrain_seg_ros.core.kernel import compile_kernels
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_names import BackendName, engine_backends
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.engines.prepare import prepare_engine
from terrain_seg_ros.model_store.loaded_model import LoadedModel
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.report.machine import vram_mib
from terrain_seg_ros.runtime.session import Session

MODULE = "terrain_seg_ros.bench.start"
BATCHES = (1, 2)
WARM_UP_CALLS = 3
TIMEOUT_S = 3600.0
"""Of one process; TensorRT may build an engine in it."""


def measure_starts(
    overrides: Mapping[str, Any], backend: str, precision: str, *, rounds: int
) -> dict[str, Any]:
    """Return the figures of a cold start, and of one whose engine was prepared.

    Loops over pixels are compiled before, and kept, as after the first start of an installation.

    Args:
        overrides: parameters, such as the model.
        backend: its name.
        precision: to compute in.
        rounds: timed calls per batch size.

    Raises:
        InferenceError: the process failed; the message is its own.
    """
    name = BackendName(backend)
    compile_kernels()
    with tempfile.TemporaryDirectory() as folder:
        given = {
            **overrides,
            "backend": backend,
            "precision": precision,
            "engine_cache_dir": folder,
            "engine_build": "wait",
        }
        cold = _measure(given, rounds)
        if name not in engine_backends():
            return {**cold, "cached_start_s": None}
        model, options = _model_and_options(given)
        prepare_engine(name, model, replace(options, precision=precision))
        return {**cold, "cached_start_s": _measure(given, 1)["start_s"]}


def _model_and_options(given: Mapping[str, Any]) -> tuple[LoadedModel, BackendOptions]:
    asked = load_parameters(overrides=dict(given)).inference
    return load_model(asked.model, asked.model_trust()), asked.backend_options()


def _measure(overrides: Mapping[str, Any], rounds: int) -> dict[str, Any]:
    request = json.dumps({"overrides": dict(overrides), "rounds": rounds})
    started_s = time.time()
    try:
        done = subprocess.run(
            [sys.executable, "-m", MODULE, request],
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InferenceError(f"a start took more than {TIMEOUT_S} s; prepare it first") from error
    if done.returncode != 0:
        raise InferenceError(done.stderr.strip().splitlines()[-1] if done.stderr else "no message")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    figures["start_s"] = figures.pop("ready_at_s") - started_s
    return figures


def main(request: str) -> int:
    """Start, work and print the figures."""
    asked = json.loads(request)
    with Session(load_parameters(overrides=asked["overrides"])) as session:
        card = session.model.card
        shape = (max(BATCHES), card.height_px, card.width_px, card.channel_count)
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        session.backend(images[:1])
        ready_at_s = time.time()
        rounds = int(asked["rounds"])
        batches = {
            str(size): _median_ms(session.backend, images[:size], rounds) for size in BATCHES
        }
        figures = {
            "ready_at_s": ready_at_s,
            "batch_ms": batches,
            "rss_mib": peak_memory_mib(),
            "vram_mib": vram_mib(os.getpid()),
        }
    print(json.dumps(figures))
    return 0


def peak_memory_mib() -> float:
    """Return the peak memory of this process; `getrusage` would include that of its parent."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024.0
    return 0.0


def _median_ms(backend: Backend, images: U8, rounds: int) -> float:
    times_ms = []
    for turn in range(WARM_UP_CALLS + rounds):
        start_s = time.perf_counter()
        backend(images)
        if turn >= WARM_UP_CALLS:
            times_ms.append((time.perf_counter() - start_s) * 1e3)
    return statistics.median(times_ms)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except TerrainSegError as error:
        print(f"terrain-seg: error: {error}", file=sys.stderr)
        sys.exit(2)
