"""Part a convolution of concatenated features into a sum, so that each part has its own scale."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper


def split_concatenations(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy in which no convolution takes concatenated features alone.

    What an encoder passes over to its decoder and what comes from below differ in range by far:
    in int8 the smaller one would keep a few levels only. A convolution of both is the sum of one
    convolution each, so nothing but the order of additions changes.
    """
    copy = onnx.shape_inference.infer_shapes(model)
    graph = copy.graph
    channels = {
        item.name: item.type.tensor_type.shape.dim[1].dim_value
        for item in graph.value_info
        if len(item.type.tensor_type.shape.dim) == 4
    }
    weights = {item.name: item for item in graph.initializer}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for concat in [node for node in graph.node if node.op_type == "Concat"]:
        following = users.get(concat.output[0], [])
        if len(following) == 1 and _can_be_split(concat, following[0], weights):
            sizes = [channels[name] for name in concat.input]
            _split(graph, concat, following[0], sizes)
    del graph.value_info[:]
    return copy


def _can_be_split(
    concat: onnx.NodeProto, node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]
) -> bool:
    axis = {item.name: item.i for item in concat.attribute}["axis"]
    groups = {item.name: item.i for item in node.attribute}.get("group", 1)
    return node.op_type == "Conv" and axis == 1 and groups == 1 and node.input[1] in weights


def _split(
    graph: onnx.GraphProto, concat: onnx.NodeProto, node: onnx.NodeProto, sizes: list[int]
) -> None:
    place = list(graph.node).index(node)
    stored = next(item for item in graph.initializer if item.name == node.input[1])
    parts = np.split(numpy_helper.to_array(stored), np.cumsum(sizes)[:-1], axis=1)
    made, total = [], ""
    for number, (features, part) in enumerate(zip(concat.input, parts)):
        weight = f"{stored.name}.{number}"
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(part), weight))
        inputs = [features, weight, *(node.input[2:] if number == 0 else [])]
        output = f"{node.output[0]}_part_{number}"
        convolution = helper.make_node("Conv", inputs, [output], name=f"{node.name}_{number}")
        convolution.attribute.extend(node.attribute)
        made.append(convolution)
        if number == 0:
            total = output
            continue
        last = number == len(parts) - 1
        added = node.output[0] if last else f"{node.output[0]}_sum_{number}"
        made.append(helper.make_node("Add", [total, output], [added], name=f"{added}_Add"))
        total = added
    graph.node.remove(node)
    graph.node.remove(concat)
    graph.initializer.remove(stored)
    for number, item in enumerate(made):
        graph.node.insert(place - 1 + number, item)
