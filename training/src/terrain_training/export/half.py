"""From a float32 ONNX file to a typed float16 one, as strongly typed runtimes want it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from terrain_seg_ros.core.errors import ModelError
from terrain_training.export.sensitivity import logits_name

_FLOAT_INPUTS = {"Resize": (0,)}
"""Inputs of a node that take the type of its features, where not all do."""


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy whose network computes in float16, between two casts.

    What stands before the network (levels minus their mean) and behind it (temperature, softmax,
    choice of the class) stays float32: levels to 255 and shares of 1 need more digits.

    Raises:
        ModelError: a weight is beyond the range of float16, or the graph is none of an export.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    makers = {name: node for node in graph.node for name in node.output}
    start, end = _centred(graph), _unscaled(makers, logits_name(model))
    inner = _between(makers, start, end)
    names = _constants(graph, inner)
    for node in graph.node:
        if node.op_type == "Constant" and node.output[0] in names:
            tensor = next(item.t for item in node.attribute if item.name == "value")
            tensor.CopyFrom(_halved(tensor, node.output[0]))
    for item in graph.initializer:
        if item.name in names:
            item.CopyFrom(_halved(item, item.name))
    _cast(graph, inner, start, TensorProto.FLOAT16)
    _cast(graph, [makers[logits_name(model)]], end, TensorProto.FLOAT)
    del graph.value_info[:]
    return copy


def _centred(graph: onnx.GraphProto) -> str:
    """Return the tensor of levels minus mean."""
    turned = {node.output[0] for node in graph.node if node.op_type == "Transpose"}
    for node in graph.node:
        if node.op_type == "Sub" and node.input[0] in turned:
            return str(node.output[0])
    raise ModelError("the graph does not take the mean off its image; export it again")


def _unscaled(makers: dict[str, onnx.NodeProto], logits: str) -> str:
    """Return the logits before they are divided by the temperature."""
    node = makers[logits]
    if node.op_type != "Div":
        raise ModelError(f"logits {logits!r} are not divided by a temperature; export it again")
    return str(node.input[0])


def _between(makers: dict[str, onnx.NodeProto], start: str, end: str) -> list[onnx.NodeProto]:
    found: dict[str, onnx.NodeProto] = {}
    open_names = [end]
    while open_names:
        name = open_names.pop()
        if name == start or name not in makers or name in found:
            continue
        found[name] = makers[name]
        open_names.extend(makers[name].input)
    return [node for node in found.values() if node.op_type != "Constant"]


def _constants(graph: onnx.GraphProto, inner: list[onnx.NodeProto]) -> set[str]:
    """Return the float32 constants of the network that take its type."""
    kinds = {item.name: item.data_type for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            value = next((item.t for item in node.attribute if item.name == "value"), None)
            kinds[node.output[0]] = TensorProto.UNDEFINED if value is None else value.data_type
    return {
        name
        for node in inner
        for place, name in enumerate(node.input)
        if kinds.get(name) == TensorProto.FLOAT
        and place in _FLOAT_INPUTS.get(node.op_type, range(len(node.input)))
    }


def _halved(tensor: onnx.TensorProto, name: str) -> onnx.TensorProto:
    values = numpy_helper.to_array(tensor)
    largest = float(np.abs(values).max(initial=0.0))
    if not largest <= float(np.finfo(np.float16).max):
        raise ModelError(f"{name} holds {largest:.3g}, beyond float16; choose precision fp32")
    return numpy_helper.from_array(values.astype(np.float16), name)


def _cast(graph: onnx.GraphProto, users: list[onnx.NodeProto], name: str, kind: int) -> None:
    output = f"{name}_cast"
    for node in users:
        for place, given in enumerate(node.input):
            if given == name:
                node.input[place] = output
    first = min(place for place, node in enumerate(graph.node) if output in node.input)
    cast = helper.make_node("Cast", [name], [output], name=f"{output}_Cast", to=kind)
    graph.node.insert(first, cast)
