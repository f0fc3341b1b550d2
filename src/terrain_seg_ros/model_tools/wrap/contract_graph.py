"""Give a float network uint8 input and outputs: image; mask, confidence, probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx.checker
import onnx.shape_inference
from onnx import TensorProto, helper, numpy_helper

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.model_store.onnx_contract import INPUT, OUTPUTS
from terrain_seg_ros.model_tools.wrap.own_graph import IR_VERSION, OPSET
from terrain_seg_ros.model_tools.wrap.wrap_settings import Activation, Colors, Layout, WrapSettings

_BORDER = {INPUT, *OUTPUTS}
_MASK, _CONFIDENCE, _PROBABILITIES = OUTPUTS


class _Builder:
    """Collect nodes and constants with names of their own."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        """Add a constant and return its name."""
        name = f"{self._prefix}/constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node and return its output's name."""
        name = f"{self._prefix}/{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output or name], name=name, **attributes))
        return output or name


def build_contract_graph(
    own: Any, output: str, *, size_hw: tuple[int, int], planes: int, settings: WrapSettings
) -> Any:
    """Return a contract model that runs the foreign graph unchanged.

    Args:
        own: the foreign model at the contract's opset with a fixed input, its names prefixed.
        output: the prefixed name of the tensor that holds the classes.
        size_hw: of the image.
        planes: of the output: the number of classes, or 1.
        settings: how the network sees and what it says.
    """
    graph = own.graph
    before, after = _Builder("before"), _Builder("after")
    _add_input(before, graph.input[0].name, settings)
    _add_outputs(after, output, planes, settings)
    plane = [1, *size_hw]
    inputs = [_byte(INPUT, [*plane, 1 if settings.channels == "grey" else 3])]
    outputs = [
        _byte(_MASK, plane),
        _byte(_CONFIDENCE, plane),
        _byte(_PROBABILITIES, [1, len(settings.taxonomy), *size_hw]),
    ]
    whole = helper.make_graph(
        [*before.nodes, *graph.node, *after.nodes],
        settings.name,
        inputs,
        outputs,
        [*graph.initializer, *before.constants, *after.constants],
        sparse_initializer=list(graph.sparse_initializer),
    )
    _drop_unused(whole)
    return helper.make_model(
        whole,
        producer_name="terrain-seg models wrap",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )


def check_contract_graph(model: Any) -> None:
    """Check versions, names, types and TensorRT's rules for uint8, as an export does.

    Raises:
        ModelError: one of them does not hold.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
        graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(
            f"the wrapped graph is invalid ({' '.join(str(error).split())[:300]}); export the "
            f"network again with opset {OPSET} and a fixed size"
        ) from error
    types = {
        item.name: item.type.tensor_type.elem_type
        for item in (*graph.input, *graph.output, *graph.value_info)
    }
    types |= {item.name: item.data_type for item in graph.initializer}
    bytes_ = {name for name, kind in types.items() if kind == TensorProto.UINT8}
    wrong = sorted(bytes_ ^ _BORDER)
    if wrong:
        raise ModelError(
            f"tensors {wrong} break the rule that image and outputs alone are uint8; export the "
            "network without quantisation"
        )
    for node in graph.node:
        from_bytes = INPUT in node.input
        if not from_bytes and not set(node.output) & set(OUTPUTS):
            continue
        other = types.get(node.output[0] if from_bytes else node.input[0])
        if node.op_type != "Cast" or other != TensorProto.FLOAT:
            raise ModelError(
                f"node {node.name} ({node.op_type}) is not a cast between byte and float"
            )


def _add_input(builder: _Builder, target: str, settings: WrapSettings) -> None:
    """From the image to the network's input; TensorRT requires the cast before the transpose."""
    value = builder.add("Cast", INPUT, to=TensorProto.FLOAT)
    axis = 3
    if settings.layout is Layout.NCHW:
        value = builder.add("Transpose", value, perm=[0, 3, 1, 2])
        axis = 1
    if settings.colors is Colors.BGR:
        order = builder.constant(np.array([2, 1, 0], dtype=np.int64))
        value = builder.add("Gather", value, order, axis=axis)
    if settings.white == 1.0:
        value = builder.add("Div", value, builder.constant(np.float32(255.0)))
    value = builder.add("Sub", value, builder.constant(_per_plane(settings.mean, axis)))
    builder.add("Div", value, builder.constant(_per_plane(settings.std, axis)), output=target)


def _add_outputs(builder: _Builder, scores: str, planes: int, settings: WrapSettings) -> None:
    """From the network's scores to the three outputs."""
    if settings.output_layout is Layout.NHWC:
        scores = builder.add("Transpose", scores, perm=[0, 3, 1, 2])
    if settings.activation is Activation.LOGITS:
        if planes == 1:
            probabilities = builder.add("Sigmoid", scores)
        else:
            probabilities = builder.add("Softmax", scores, axis=1)
    else:
        low, high = builder.constant(np.float32(0.0)), builder.constant(np.float32(1.0))
        probabilities = builder.add("Clip", scores, low, high)
    if planes == 1:
        one = builder.constant(np.float32(1.0))
        first = builder.add("Sub", one, probabilities)
        probabilities = builder.add("Concat", first, probabilities, axis=1)
        if settings.activation is Activation.LOGITS:
            # Near zero the two probabilities round to the same number, the logits do not.
            scores = builder.add("Concat", builder.add("Neg", scores), scores, axis=1)
        else:
            scores = probabilities
    ids = builder.add("ArgMax", scores, axis=1, keepdims=0)
    real_ids = builder.add("Cast", ids, to=TensorProto.FLOAT)
    builder.add("Cast", real_ids, to=TensorProto.UINT8, output=_MASK)
    best = builder.add("ReduceMax", probabilities, axes=[1], keepdims=0)
    scale = builder.constant(np.float32(255.0))
    for name, value in ((_CONFIDENCE, best), (_PROBABILITIES, probabilities)):
        rounded = builder.add("Round", builder.add("Mul", value, scale))
        builder.add("Cast", rounded, to=TensorProto.UINT8, output=name)


def _per_plane(values: Sequence[float], axis: int) -> Any:
    array = np.array(values, dtype=np.float32)
    return array.reshape(1, -1, 1, 1) if axis == 1 else array.reshape(1, 1, 1, -1)


def _byte(name: str, shape: Sequence[int]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.UINT8, shape)


def _drop_unused(graph: Any) -> None:
    """Drop what only outputs that were not chosen needed; a node with graphs inside stays."""
    needed = set(OUTPUTS)
    for node in graph.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                needed |= _names_used(inner)
    for node in reversed(list(graph.node)):
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(node.input)
    for item in [item for item in graph.initializer if item.name not in needed]:
        graph.initializer.remove(item)
    for item in [item for item in graph.sparse_initializer if item.values.name not in needed]:
        graph.sparse_initializer.remove(item)


def _names_used(graph: Any) -> set[str]:
    names = {item.name for item in graph.output}
    for node in graph.node:
        names.update(node.input)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                names |= _names_used(inner)
    return names
