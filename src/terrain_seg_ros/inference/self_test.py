"""Whether the results of a backend match the reference, and which backend is fastest."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.backend import Backend, NetworkOutput
from terrain_seg_ros.core.errors import InferenceError, ModelError
from terrain_seg_ros.core.files.strict_json import shown
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.backend_options import FULL_PRECISION, model_precision
from terrain_seg_ros.model_store.loaded_model import LoadedModel, probe_image

MIN_AGREEMENT = 0.999
CLEAR_MARGIN = 0.1
MAX_CLEAR_CHANGED = 0.001
MIN_PARITY_IMAGES = 150
MAX_PARITY_LOSS = 0.01
"""The two rules of parity: full precision by mask agreement, reduced precision by the pixels
that float32 was sure of on the golden image, and by the card's figures on labelled images."""

_WARM_UP_RUNS = 3
_MIN_ROUNDS = 9
_MAX_ROUNDS = 60
_TIMING_S = 1.0
"""Of all together."""

MakeReference = Callable[[], Backend]
"""Makes a float32 backend of the same model; called only where a margin is needed."""


@dataclass(frozen=True)
class Trial:
    """The result of one backend; `refusal` is empty if it can be used, else `median_ms` is None."""

    backend: str
    precision: str
    refusal: str
    median_ms: float | None


def check_golden(backend: Backend, model: LoadedModel, make_reference: MakeReference) -> None:
    """Check a backend against the model's golden image, by the rule of its precision.

    The golden mask is float32's also where the model's file is of lower precision. A model without
    a golden image is compared with the reference on an image made here.

    Args:
        backend: what to check.
        model: that it runs.
        make_reference: see `MakeReference`.

    Raises:
        ModelError: the backend gives other classes than the model should.
        InferenceError: the backend or the reference fails.
    """
    golden = model.golden
    image = probe_image(model)
    given = backend(image).mask[0].copy()
    full = backend.precision == FULL_PRECISION
    if golden is not None and full:
        _check_agreement(backend, given, golden.mask, model.card)
        return
    reference = _run_reference(make_reference, image)
    if full:
        _check_agreement(backend, given, reference.mask[0], model.card)
        return
    expected = reference.mask[0]
    if golden is not None and model.card.precision != FULL_PRECISION:
        expected = golden.mask
    clear = _margin(reference.probabilities[0]) > CLEAR_MARGIN
    _check_clear_pixels(backend, clear & (given != expected), int(clear.sum()), model.card)


def parity_refusal(card: ModelCard, backend: str, computed: str) -> str:
    """Return why the card does not allow a reduced precision; empty if it does.

    The runtime's computation or the model's file itself may be of reduced precision.

    The card's `metrics` carry a list `parity` of objects with the keys backend, precision,
    images, mean_iou_loss, dangerous_recall_loss and clear_margin_changed, all measured against
    float32 on labelled images.
    """
    precision = model_precision(card, computed)
    if precision == FULL_PRECISION:
        return ""
    rows = card.metrics.get("parity")
    for row in rows if isinstance(rows, list) else []:
        if (
            isinstance(row, Mapping)
            and row.get("backend") == backend
            and row.get("precision") == precision
        ):
            return _row_refusal(row)
    return f"the card of {card.name!r} has no parity figures for {backend} in {precision}"


def time_backends(backends: Sequence[Backend], image: U8) -> list[float]:
    """Return the median milliseconds of one run per backend, measured in turns.

    Taking turns spreads whatever else the machine does over all of them. The first of each two
    runs is not timed: it pays for threads and caches that another backend left behind.

    Raises:
        InferenceError: a backend fails.
    """
    for backend in backends:
        for _ in range(_WARM_UP_RUNS):
            backend(image)
    samples: list[list[float]] = [[] for _ in backends]
    end_s = time.monotonic() + _TIMING_S
    for turn in range(_MAX_ROUNDS):
        if turn >= _MIN_ROUNDS and time.monotonic() > end_s:
            break
        for backend, times in zip(backends, samples):
            backend(image)
            start_ns = time.perf_counter_ns()
            backend(image)
            times.append((time.perf_counter_ns() - start_ns) / 1e6)
    return [statistics.median(times) for times in samples]


def choose_fastest(
    candidates: Sequence[tuple[str, str, Callable[[], Backend]]],
    model: LoadedModel,
    make_reference: MakeReference,
) -> tuple[Backend, tuple[Trial, ...]]:
    """Make every candidate, test it, time those that pass and return the fastest.

    Args:
        candidates: name, precision and how to make it.
        model: that they run.
        make_reference: see `MakeReference`.

    Returns:
        The fastest, and how each did; the others are closed.

    Raises:
        InferenceError: none passes.
    """
    trials, passed = [], []
    for name, precision, make in candidates:
        backend, trial = _try(name, precision, make, model, make_reference)
        trials.append(trial)
        if backend is not None:
            passed.append((backend, len(trials) - 1))
    if not passed:
        reasons = "; ".join(f"{t.backend} {t.precision}: {t.refusal}" for t in trials)
        raise InferenceError(
            f"no backend can run model {model.card.name!r}: {reasons or 'none is installed'}; "
            "run `terrain-seg doctor`"
        )
    timed = time_backends([backend for backend, _ in passed], probe_image(model))
    for (_, index), median_ms in zip(passed, timed):
        trials[index] = replace(trials[index], median_ms=median_ms)
    fastest = passed[timed.index(min(timed))][0]
    for backend, _ in passed:
        if backend is not fastest:
            backend.close()
    return fastest, tuple(trials)


def _try(
    name: str,
    precision: str,
    make: Callable[[], Backend],
    model: LoadedModel,
    make_reference: MakeReference,
) -> tuple[Backend | None, Trial]:
    refusal = parity_refusal(model.file(precision).card, name, precision)
    if refusal:
        return None, Trial(name, precision, refusal, None)
    try:
        backend = make()
    except InferenceError as error:
        return None, Trial(name, precision, str(error), None)
    try:
        check_golden(backend, model, make_reference)
    except (InferenceError, ModelError) as error:
        backend.close()
        return None, Trial(name, precision, str(error), None)
    return backend, Trial(name, backend.precision, "", None)


def _run_reference(make_reference: MakeReference, image: U8) -> NetworkOutput:
    reference = make_reference()
    try:
        return reference(image)
    finally:
        reference.close()


def _check_agreement(backend: Backend, given: U8, expected: U8, card: ModelCard) -> None:
    agreement = float(np.mean(given == expected))
    if agreement < MIN_AGREEMENT:
        raise ModelError(
            f"{backend.name} gives the golden mask of {card.name!r} on {agreement:.2%} of its "
            f"pixels, expected at least {MIN_AGREEMENT:.1%} in {backend.precision}; the colour "
            "order or scaling differs, or the runtime is broken: export the model again "
            "or choose another backend"
        )


def _check_clear_pixels(
    backend: Backend, changed: NDArray[np.bool_], clear_px: int, card: ModelCard
) -> None:
    share = int(np.count_nonzero(changed)) / max(1, clear_px)
    if share > MAX_CLEAR_CHANGED:
        raise ModelError(
            f"{backend.name} in {backend.precision} changes the class of {share:.2%} of the "
            f"pixels of the golden image of {card.name!r} that float32 is sure of, at most "
            f"{MAX_CLEAR_CHANGED:.1%} is allowed: use precision fp32 or another backend"
        )


def _margin(probabilities_khw: U8) -> NDArray[np.float32]:
    """Return the distance (h, w) between the two largest probabilities, 0 to 1."""
    if len(probabilities_khw) == 1:
        return np.ones(probabilities_khw.shape[1:], dtype=np.float32)
    highest = np.partition(probabilities_khw, -2, axis=0)[-2:].astype(np.float32)
    return np.asarray((highest[1] - highest[0]) / 255.0, dtype=np.float32)


def _row_refusal(row: Mapping[str, Any]) -> str:
    try:
        images = int(row["images"])
        losses = {key: float(row[key]) for key in ("mean_iou_loss", "dangerous_recall_loss")}
        changed = float(row["clear_margin_changed"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        return f"the card's parity figures cannot be read ({shown(error)})"
    if images < MIN_PARITY_IMAGES:
        return (
            f"the card's parity figures are from {images} images, at least {MIN_PARITY_IMAGES} are "
            "needed"
        )
    for key, loss in losses.items():
        if not loss <= MAX_PARITY_LOSS:
            return f"the card gives a {key} of {loss:.4f}, at most {MAX_PARITY_LOSS} is allowed"
    if not changed <= MAX_CLEAR_CHANGED:
        return (
            f"the card gives {changed:.4f} of the clear pixels with a changed class, "
            f"at most {MAX_CLEAR_CHANGED} is allowed"
        )
    return ""
