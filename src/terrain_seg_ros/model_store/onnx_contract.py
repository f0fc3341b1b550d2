"""Whether an ONNX file keeps the contract that its card states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import onnxruntime

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.model_store.onnxruntime_errors import ONNXRUNTIME_ERRORS, runtime_reason

INPUT = "image"
OUTPUTS = ("mask", "confidence", "probabilities")
_BYTE = "tensor(uint8)"


class Tensor(NamedTuple):
    """An input or output of a graph; a dimension is a number, a name or None."""

    name: str
    type: str
    shape: list[Any]


class Border(NamedTuple):
    """The inputs and outputs of a graph."""

    inputs: list[Tensor]
    outputs: list[Tensor]

    @property
    def has_fixed_batch(self) -> bool:
        """Return whether the first input takes one image, and no more at a time."""
        return isinstance(self.inputs[0].shape[0], int)


def check_onnx(data: bytes, card: ModelCard, *, source: str) -> Border:
    """Check names, types, shapes and the number of classes, and return the inputs and outputs.

    Args:
        data: the ONNX file.
        card: what it should be.
        source: the file's path, for messages.

    Raises:
        ModelError: the file is corrupt, or something in it contradicts the card.
    """
    session = _open(data, source)
    border = Border(*(_tensors(items) for items in (session.get_inputs(), session.get_outputs())))
    check_border(border, card, source=source)
    return border


def check_border(border: Border, card: ModelCard, *, source: str) -> None:
    """Check names, types, shapes and the number of classes.

    Raises:
        ModelError: something contradicts the card.
    """
    inputs = {item.name: item for item in border.inputs}
    outputs = {item.name: item for item in border.outputs}
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


def unreadable(reason: str, source: str) -> ModelError:
    """Return the error of a file that ONNX Runtime refuses to open."""
    return ModelError(
        f"{source}: is not an ONNX model that ONNX Runtime {onnxruntime.__version__} can read "
        f"({runtime_reason(reason)}); fetch or export it again (opset 17, IR version 8)"
    )


def _tensors(items: Sequence[Any]) -> list[Tensor]:
    return [Tensor(item.name, item.type, list(item.shape)) for item in items]


def _open(data: bytes, source: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except ONNXRUNTIME_ERRORS as error:
        raise unreadable(str(error), source) from error


def _check(item: Tensor, expected: Sequence[int], source: str) -> None:
    """Check a tensor whose first dimension is the batch: free or fixed to one."""
    if item.type != _BYTE:
        raise ModelError(f"{source}: {item.name!r} is {item.type}, expected {_BYTE}")
    batch_is_good = bool(item.shape) and (not isinstance(item.shape[0], int) or item.shape[0] == 1)
    if not batch_is_good or item.shape[1:] != list(expected):
        raise ModelError(
            f"{source}: {item.name!r} has shape {item.shape}, but the card says "
            f"{['N', *expected]} (batch first); card and file are not of one model"
        )
