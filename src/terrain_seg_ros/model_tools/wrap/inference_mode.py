"""Refuse networks that were exported in training mode, or whose results are random.

Sources: the operators Dropout (opset 1, 6, 7, 12, 13) and BatchNormalization (1, 6, 7, 9, 14, 15)
of ONNX.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from onnx import numpy_helper

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.model_tools.wrap.onnx_file import subgraphs

RANDOM = frozenset(
    {
        "Bernoulli",
        "Multinomial",
        "RandomNormal",
        "RandomNormalLike",
        "RandomUniform",
        "RandomUniformLike",
    }
)
_STANDARD = ("", "ai.onnx")
_IS_TEST_UNTIL = 6
_TRAINING_INPUT_SINCE = 12
_TRAINING_ATTRIBUTE_SINCE = 14


def check_inference_mode(model: Any, *, source: str) -> None:
    """Check every node of the graph and of local functions.

    Args:
        model: as it was read.
        source: its path, for messages.

    Raises:
        ModelError: a Dropout or BatchNormalization is in training mode or may be, or a node draws
            random numbers.
    """
    opset = _opset(model.opset_import)
    for graph in subgraphs(model.graph):
        constants = {item.name: item for item in graph.initializer} | _constants(graph.node)
        _check_nodes(graph.node, constants, opset, source)
    for function in model.functions:
        own = _opset(function.opset_import) or opset
        _check_nodes(function.node, _constants(function.node), own, source)


def _check_nodes(nodes: Any, constants: Mapping[str, Any], opset: int, source: str) -> None:
    for node in nodes:
        if node.domain not in _STANDARD:
            continue
        if node.op_type in RANDOM:
            raise ModelError(
                f"{source}: {_named(node)} draws random numbers, so the mask of an image "
                "changes each time; export the network without it (PyTorch: call eval() "
                "before exporting)"
            )
        training = {"Dropout": _dropout_trains, "BatchNormalization": _norm_trains}.get(
            node.op_type
        )
        if training is not None and training(node, constants, opset):
            raise ModelError(
                f"{source}: {_named(node)} is in training mode: call eval() before exporting "
                "(Keras: export the model for inference)"
            )


def _dropout_trains(node: Any, constants: Mapping[str, Any], opset: int) -> bool:
    if opset <= _IS_TEST_UNTIL:
        return not _integer(node, "is_test", 0)
    if opset < _TRAINING_INPUT_SINCE or len(node.input) <= 2 or not node.input[2]:
        return False
    tensor = constants.get(node.input[2])
    # A value that is only known at run time may be true.
    return tensor is None or bool(numpy_helper.to_array(tensor).any())


def _norm_trains(node: Any, _: Mapping[str, Any], opset: int) -> bool:
    if opset >= _TRAINING_ATTRIBUTE_SINCE:
        return bool(_integer(node, "training_mode", 0))
    if opset <= _IS_TEST_UNTIL and not _integer(node, "is_test", 0):
        return True
    # Before opset 14 more than one output meant training.
    return any(node.output[1:])


def _constants(nodes: Any) -> dict[str, Any]:
    return {name: tensor for node in nodes for name, tensor in _constant(node)}


def _constant(node: Any) -> Iterator[tuple[str, Any]]:
    if node.op_type == "Constant" and node.output:
        for attribute in node.attribute:
            if attribute.name == "value":
                yield node.output[0], attribute.t


def _integer(node: Any, name: str, absent: int) -> int:
    return next((int(item.i) for item in node.attribute if item.name == name), absent)


def _opset(entries: Any) -> int:
    return max((entry.version for entry in entries if entry.domain in _STANDARD), default=0)


def _named(node: Any) -> str:
    return f"{node.op_type} {node.name!r}" if node.name else str(node.op_type)
