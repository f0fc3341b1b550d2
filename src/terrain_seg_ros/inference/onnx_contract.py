"""Whether an ONNX file keeps the contract that its card states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnxruntime

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.inference.onnxruntime_errors import ONNXRUNTIME_ERRORS

INPUT = "image"
OUTPUTS = ("mask", "confidence", "probabilities")
_BYTE = "tensor(uint8)"


def check_onnx(data: bytes, card: ModelCard, *, source: str) -> None:
    """Check names, types, shapes and the number of classes.

    Args:
        data: the ONNX file.
        card: what it should be.
        source: the file's path, for messages.

    Raises:
        ModelError: the file is corrupt, or something in it contradicts the card.
    """
    session = _open(data, source)
    inputs = {item.name: item for item in session.get_inputs()}
    outputs = {item.name: item for item in session.get_outputs()}
    if set(inputs) != {INPUT}:
        raise ModelError(f"{source}: inputs are {sorted(inputs)}, expected ['{INPUT}'] alone")
    missing = [name for name in OUTPUTS if name not in outputs]
    if missing:
        raise ModelError(
            f"{source}: outputs are {sorted(outputs)}; {missing} missing, expected {list(OUTPUTS)}"
        )
    plane = (card.height_px, card.width_px)
    classes = len(card.taxonomy)
    _check(inputs[INPUT], (*plane, card.channel_count), source)
    _check(outputs["mask"], plane, source)
    _check(outputs["confidence"], plane, source)
    _check(outputs["probabilities"], (classes, *plane), source)


def _open(data: bytes, source: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except ONNXRUNTIME_ERRORS as error:
        raise ModelError(
            f"{source}: is no ONNX model that ONNX Runtime {onnxruntime.__version__} can read "
            f"({error}); fetch or export it again (opset 17, IR version 8)"
        ) from error


def _check(item: Any, expected: Sequence[int], source: str) -> None:
    """Check a tensor whose first dimension is the batch: free or fixed to one."""
    if item.type != _BYTE:
        raise ModelError(f"{source}: {item.name!r} is {item.type}, expected {_BYTE}")
    shape = list(item.shape)
    batch_is_good = bool(shape) and (not isinstance(shape[0], int) or shape[0] == 1)
    if not batch_is_good or shape[1:] != list(expected):
        raise ModelError(
            f"{source}: {item.name!r} has shape {shape}, but the card says "
            f"{['N', *expected]} (batch first); card and file are not of one model"
        )
