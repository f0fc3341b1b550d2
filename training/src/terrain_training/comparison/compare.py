"""Make each row of a comparison: train, evaluate, export, measure."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.fleet.pieces import Place, absolute, run_pieces
from terrain_seg_ros.inference.backend_options import FULL_PRECISION, BackendOptions
from terrain_seg_ros.inference.registry import create_backend, installed_backends
from terrain_seg_ros.model_store.model_store import load_model
from terrain_training.comparison.plan import Item
from terrain_training.data.factory import open_source
from terrain_training.evaluation.run import ALL, EvaluationRequest, evaluate
from terrain_training.evaluation.subject import open_subject
from terrain_training.export.export_model import ExportRequest, export_model
from terrain_training.learning.loaders import TRAIN, VALIDATION
from terrain_training.learning.run import Machine, TrainingRequest, train
from terrain_training.learning.run_folder import RunFolder
from terrain_training.metrics.figures import EvaluationFigures
from terrain_training.recipe.load import load_recipe

log = logging.getLogger(__name__)

MODEL_FOLDER = "model"
WARMUP_CALLS = 5
TIMED_CALLS = 30
RESAMPLES = 200


@dataclass(frozen=True)
class CompareRequest:
    """How every row is made: here, or by the workers of the Dask scheduler at `cluster`."""

    machine: Machine
    skip_bad: bool
    threads: int
    cluster: str | None = None


@dataclass(frozen=True)
class RowResult:
    """What came of a row; with an `error`, what is missing is None or empty.

    `scores` holds one evaluation per split or further data set, in float32 by ONNX Runtime;
    `milliseconds` the median of a call with one image per backend, in float32.
    """

    name: str
    parameters: int | None
    epochs: int
    history: tuple[dict[str, Any], ...]
    validation_iou: float | None
    scores: dict[str, EvaluationFigures]
    milliseconds: dict[str, float]
    error: str | None


def compare(
    items: Sequence[Item], request: CompareRequest, *, out: Path
) -> Iterator[tuple[int, RowResult]]:
    """Yield index and row of each item when it is made; one that fails says why.

    Args:
        items: what is compared.
        request: how.
        out: folder of the runs, which exists and which all workers of a cluster see.

    Raises:
        ConfigError: the cluster cannot be used.
    """
    if request.cluster is not None:
        items = [_everywhere(item) for item in items]
    named = {path for item in items for path in (item.recipe, item.data, *item.also.values())}
    place = Place(
        cluster=request.cluster,
        own_process=request.cluster is not None,
        writes=out,
        reads=tuple(sorted(path for path in named if path is not None and path.exists())),
    )
    for outcome in run_pieces(partial(_make, request), items, place, say=log.info):
        row = outcome.result
        if row is None:
            log.warning("%s: %s", items[outcome.index].name, outcome.error)
            row = _row(items[outcome.index], {}, {}, str(outcome.error))
        yield outcome.index, row


def _everywhere(item: Item) -> Item:
    """Return an item with paths that hold on every machine."""
    return replace(
        item,
        recipe=item.recipe and absolute(item.recipe),
        run=item.run.absolute(),
        data=item.data.absolute(),
        also={name: path.absolute() for name, path in item.also.items()},
    )


def _make(request: CompareRequest, item: Item) -> RowResult:
    """Train, export and score an item.

    Raises:
        TerrainSegError: something failed.
    """
    if request.cluster is not None:
        torch.set_num_threads(request.threads)
    log.info("%s", item.name)
    _train(item, request)
    model = item.run / MODEL_FOLDER
    export_model(ExportRequest(run=item.run, data=item.data, out=model, skip_bad=request.skip_bad))
    return _row(item, dict(_scores(item, request)), _milliseconds(model, request.threads), None)


def _train(item: Item, request: CompareRequest) -> None:
    if item.recipe is None:
        return
    train(
        load_recipe(item.recipe, overrides=item.overrides),
        TrainingRequest(
            data=item.data, out=item.run, machine=request.machine, skip_bad=request.skip_bad
        ),
    )


def _scores(item: Item, request: CompareRequest) -> Iterator[tuple[str, EvaluationFigures]]:
    """Yield the figures on every split but that of the training, and on further data."""
    subject = open_subject(
        item.run / MODEL_FOLDER,
        recipe=None,
        backend="onnxruntime",
        precision=FULL_PRECISION,
        threads=request.threads,
    )
    splits = open_source(subject.recipe.data, item.data, run=item.run).splits()
    wanted = [(split, item.data, split) for split in splits if split != TRAIN]
    wanted += [(name, path, ALL) for name, path in item.also.items()]
    for name, path, split in wanted:
        evaluation = evaluate(
            subject,
            EvaluationRequest(
                data=path, split=split, skip_bad=request.skip_bad, resamples=RESAMPLES
            ),
        )
        yield name, evaluation.figures


def _milliseconds(folder: Path, threads: int) -> dict[str, float]:
    model = load_model(folder)
    card = model.card
    shape = (1, card.height_px, card.width_px, card.channel_count)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    found = {}
    for name in installed_backends():
        backend = create_backend(name, model, BackendOptions(threads, FULL_PRECISION))
        times_ms = []
        for call in range(WARMUP_CALLS + TIMED_CALLS):
            start_s = time.perf_counter()
            backend(image)
            if call >= WARMUP_CALLS:
                times_ms.append(1e3 * (time.perf_counter() - start_s))
        backend.close()
        found[name.value] = statistics.median(times_ms)
    return found


def _row(
    item: Item,
    scores: dict[str, EvaluationFigures],
    milliseconds: dict[str, float],
    error: str | None,
) -> RowResult:
    folder = RunFolder(item.run)
    try:
        summary, history = folder.read_summary(), folder.read_history()
    except ConfigError:  # the row failed before it had either; `error` says why
        summary, history = {}, []
    validation = scores.get(VALIDATION)
    return RowResult(
        name=item.name,
        parameters=summary.get("parameters"),
        epochs=len(history),
        history=tuple(history),
        validation_iou=validation.mean_iou if validation else summary.get("best_mean_iou"),
        scores=scores,
        milliseconds=milliseconds,
        error=error,
    )
