"""What an ONNX file says of its own precision and batch, read without the onnx package.

Field numbers are those of onnx.proto (IR version 8); unknown fields are skipped.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.inference.backend_options import FULL_PRECISION
from terrain_seg_ros.model_store.protobuf_fields import fields, messages, only, packed

_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_INPUT = 1, 5, 11
_NODE_OP_TYPE, _NODE_ATTRIBUTE, _ATTRIBUTE_TENSOR = 4, 5, 5
_TENSOR_DIMS, _TENSOR_TYPE = 1, 2
_TO_FIRST_DIMENSION = (2, 1, 2, 1)
"""From ValueInfoProto: type, tensor_type, shape, dim."""
_DIMENSION_VALUE = 1
_FLOATS = {1: FULL_PRECISION, 10: "fp16", 16: "bf16"}
_QUANTISERS = {b"QuantizeLinear", b"DequantizeLinear"}


@dataclass(frozen=True)
class OnnxFacts:
    """Hold what the graph itself fixes.

    `precision` is int8 where the graph quantises, else that of most weights: fp32, fp16 or bf16.
    `fixed_batch` tells that the input takes one image, no more.
    """

    precision: str
    fixed_batch: bool


def onnx_facts(data: bytes) -> OnnxFacts:
    """Return what an ONNX file fixes.

    Raises:
        ModelError: the bytes are no ONNX file.
    """
    weights: Counter[str] = Counter()
    quantised = fixed_batch = False
    try:
        for field, graph_field in messages(only(memoryview(data), _MODEL_GRAPH)):
            if field == _GRAPH_NODE:
                quantised = quantised or _op_type(graph_field) in _QUANTISERS
                for tensor in _constants(graph_field):
                    weights.update(_floats(tensor))
            elif field == _GRAPH_INITIALIZER:
                weights.update(_floats(graph_field))
            elif field == _GRAPH_INPUT:
                fixed_batch = _has_fixed_batch(graph_field)
    except (IndexError, ValueError) as error:
        raise ModelError(f"the model is no ONNX file ({error}); export it again") from None
    if quantised:
        return OnnxFacts("int8", fixed_batch)
    return OnnxFacts(weights.most_common(1)[0][0] if weights else FULL_PRECISION, fixed_batch)


def _op_type(node: memoryview) -> bytes:
    return bytes(only(node, _NODE_OP_TYPE))


def _constants(node: memoryview) -> Iterator[memoryview]:
    for field, attribute in messages(node):
        if field == _NODE_ATTRIBUTE:
            yield from (tensor for n, tensor in messages(attribute) if n == _ATTRIBUTE_TENSOR)


def _floats(tensor: memoryview) -> dict[str, int]:
    """Return how many numbers of a floating-point precision a tensor holds."""
    sizes: list[int] = []
    kind = 0
    for field, value in fields(tensor):
        if field == _TENSOR_TYPE and isinstance(value, int):
            kind = value
        elif field == _TENSOR_DIMS:
            sizes += [value] if isinstance(value, int) else list(packed(value))
    return {_FLOATS[kind]: prod(sizes)} if kind in _FLOATS else {}


def _has_fixed_batch(value_info: memoryview) -> bool:
    message = value_info
    for field in _TO_FIRST_DIMENSION:
        message = only(message, field)
    return any(field == _DIMENSION_VALUE for field, _ in fields(message))
