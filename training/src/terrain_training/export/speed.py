"""How long one bare call of each file takes in each runtime of this machine."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from terrain_seg_ros.core.backend import Backend
from terrain_seg_ros.inference.self_test import time_backends
from terrain_seg_ros.model_store.loaded_model import LoadedModel, probe_image
from terrain_training.export.runtimes import openvino_backends, reference_backend


def bare_calls(models: Sequence[LoadedModel]) -> dict[str, Any]:
    """Return the median milliseconds of each file, runtime and precision, measured in turns.

    Args:
        models: of one network; the first is float32.
    """
    pairs: list[tuple[str, Backend]] = []
    for model in models:
        runs = [reference_backend(model), *openvino_backends(model)]
        pairs += [(model.card.precision, backend) for backend in runs]
    medians = time_backends([backend for _, backend in pairs], probe_image(models[0]))
    rows = []
    for (file, backend), median_ms in zip(pairs, medians):
        row = {"file": file, "backend": backend.name, "precision": backend.precision}
        rows.append({**row, "median_ms": round(median_ms, 3)})
        backend.close()
    return {"threads": torch.get_num_threads(), "processor": _processor(), "rows": rows}


def _processor() -> str:
    """Return the processor's name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
