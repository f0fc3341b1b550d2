"""From a float32 ONNX file to an int8 one, as quantise and dequantise pairs (Q/DQ)."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantType
from onnxruntime.quantization.calibrate import TensorsData, create_calibrator
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

from terrain_seg_ros.core.types import U8

QUANTISED = ("Conv", "MatMul", "Gemm")
"""Types of node that may become int8; the rest has no weights and stays float."""

METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}
_IMAGES_AT_ONCE = 4

Ranges = Mapping[str, Any]
"""ONNX Runtime's range of each tensor, by the tensor's name."""


class Activations(str, Enum):
    """Name what activations become.

    INT8 (symmetric) is read by every runtime; TensorRT knows nothing else. UINT8 is finer behind
    a ReLU and lets ONNX Runtime join each pair with its node; TensorRT refuses it.
    """

    INT8 = "int8"
    UINT8 = "uint8"


@dataclass(frozen=True)
class WeightedNode:
    """A node that may become int8.

    `work` is the number of multiplications of one image.
    """

    name: str
    features: str
    work: int


def weighted_nodes(model: onnx.ModelProto) -> list[WeightedNode]:
    """Return the nodes with constant weights that may become int8, in the graph's order."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    shapes = {
        item.name: [dim.dim_value for dim in item.type.tensor_type.shape.dim]
        for item in graph.value_info
    }
    weights = {item.name: list(item.dims) for item in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type in QUANTISED and node.input[1] in weights:
            shape = shapes.get(node.output[0], [])
            places = shape[2:] if node.op_type == "Conv" else shape[1:-1]
            work = int(np.prod(weights[node.input[1]]) * np.prod([max(p, 1) for p in places]))
            found.append(WeightedNode(node.name, node.input[0], work))
    return found


def calibrate(path: Path, images: U8) -> dict[str, Ranges]:
    """Return the ranges of all tensors that may become int8, by each of METHODS.

    Args:
        path: of the float32 file.
        images: (N, h, w, C) of the training split, as the network takes them.
    """
    return {name: _calibrate(path, images, method) for name, method in METHODS.items()}


def quantise(
    model: onnx.ModelProto,
    ranges: Ranges,
    names: Sequence[str],
    activations: Activations,
) -> onnx.ModelProto:
    """Return a copy whose named nodes compute in int8.

    Weights are symmetric, per channel, and kept as int8, a quarter of their size. For TensorRT the
    pairs stand at what goes into a node and the bias stays float; for uint8 they stand behind it
    as well and the bias is whole, as ONNX Runtime wants it.

    Args:
        model: float32.
        ranges: of the activations.
        names: of the nodes; at least one.
        activations: what they become.
    """
    signed = activations is Activations.INT8
    copy = onnx.shape_inference.infer_shapes(model)
    options: dict[str, Any] = {"WeightSymmetric": True, "ActivationSymmetric": signed}
    if signed:
        options |= {
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": list(QUANTISED),
        }
    quantizer = QDQQuantizer(
        copy,
        True,
        False,
        QuantType.QInt8,
        QuantType.QInt8 if signed else QuantType.QUInt8,
        TensorsData(CalibrationMethod.MinMax, dict(ranges)),
        list(names),
        [],
        list(QUANTISED),
        options,
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    result: onnx.ModelProto = quantizer.model.model
    result.ir_version = model.ir_version
    del result.graph.value_info[:]
    return result


class _Images(CalibrationDataReader):  # type: ignore[misc, unused-ignore]
    """Images one by one, as ONNX Runtime's calibration reads them."""

    def __init__(self, images: U8) -> None:
        self._left = list(images)

    def get_next(self) -> dict[str, U8] | None:
        return {"image": self._left.pop(0)[None]} if self._left else None


def _calibrate(path: Path, images: U8, method: CalibrationMethod) -> Ranges:
    # The calibrators print what they do.
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        augmented = str(Path(folder) / "augmented.onnx")
        calibrator = create_calibrator(path, list(QUANTISED), augmented, calibrate_method=method)
        # All outputs of the images at hand are kept in memory.
        for start in range(0, len(images), _IMAGES_AT_ONCE):
            calibrator.collect_data(_Images(images[start : start + _IMAGES_AT_ONCE]))
        found = calibrator.compute_data()
        return {
            name: _range(np.ravel(tensor.range_value[0])[0], np.ravel(tensor.range_value[1])[0])
            for name, tensor in found.items()
        }


def _range(lowest: float, highest: float) -> tuple[np.float32, np.float32]:
    return np.float32(lowest), np.float32(highest)
