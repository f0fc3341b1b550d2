"""The inside of a contract model: float planes in, logits out, as others run it."""

from __future__ import annotations

import onnx
from onnx import shape_inference
from onnx.utils import Extractor

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.model_store.loaded_model import LoadedModel

_BORDER = ("Cast", "Transpose")


def logits_graph(model: LoadedModel) -> bytes:
    """Return the graph from behind the first cast and transposition up to the last softmax.

    Its input is float32 [N, C, h, w], grey levels or colours from 0 to 255; its output is the
    logits [N, K, h, w]. Normalisation stays inside.

    Raises:
        ModelError: the graph has no softmax, or another form.
        InferenceError: the model has only a card.
    """
    name = model.card.name
    graph = shape_inference.infer_shapes(onnx.load_from_string(model.graph()))
    softmax = [node for node in graph.graph.node if node.op_type == "Softmax"]
    if not softmax:
        raise ModelError(f"the graph of {name!r} has no softmax, so it has no logits")
    first = graph.graph.input[0].name
    for node in graph.graph.node:
        if first in node.input and node.op_type in _BORDER:
            first = node.output[0]
    try:
        inside = Extractor(graph).extract_model([first], [softmax[-1].input[0]])
    except (KeyError, ValueError) as error:
        raise ModelError(f"the graph of {name!r} cannot be cut at its logits ({error})") from error
    return bytes(inside.SerializeToString())
