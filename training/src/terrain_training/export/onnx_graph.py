"""From a trained network to an ONNX file that every runtime of the vehicle reads."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ModelError
from terrain_training.folding import MIDDLE

OPSET = 17
IR_VERSION = 8
"""ONNX Runtime for Python 3.10 and TensorRT 8.5 read no newer opset or IR."""

OUTPUTS = ("mask", "confidence", "probabilities")


class DeployedNetwork(nn.Module):
    """Wrap a network from `fold_network` so that only bytes go in and come out.

    TensorRT allows uint8 at the graph's border only, next to a cast from or to float: the input
    is cast before it is transposed, and the class ids pass through float.
    """

    def __init__(self, network: nn.Module, *, temperature: float) -> None:
        """Take a folded network and the temperature of its logits."""
        super().__init__()
        self._network = network
        self._temperature = temperature

    def forward(self, image_nhwc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mask and confidence (N, h, w) and probabilities (N, K, h, w), all uint8."""
        values = image_nhwc.float().permute(0, 3, 1, 2) - MIDDLE
        logits = self._network(values) / self._temperature
        probabilities = logits.softmax(dim=1)
        confidence = probabilities.amax(dim=1)
        mask = logits.argmax(dim=1).float()
        return (
            mask.to(torch.uint8),
            (confidence * 255.0).round().to(torch.uint8),
            (probabilities * 255.0).round().to(torch.uint8),
        )


def write_onnx(
    network: DeployedNetwork, path: Path, *, height_px: int, width_px: int, channels: int
) -> None:
    """Write the network with a free batch size and a fixed image size.

    Raises:
        ModelError: the graph breaks a rule of `check_graph`.
    """
    network.eval()
    image = torch.zeros((1, height_px, width_px, channels), dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (image,),
            path,
            input_names=["image"],
            output_names=list(OUTPUTS),
            dynamic_axes={name: {0: "N"} for name in ("image", *OUTPUTS)},
            opset_version=OPSET,
            dynamo=False,
            external_data=False,
        )
    model = onnx.load(str(path))
    model.ir_version = IR_VERSION
    _fix_sizes(model.graph, height_px=height_px, width_px=width_px)
    check_graph(model)
    onnx.save(model, str(path))


def _fix_sizes(graph: onnx.GraphProto, *, height_px: int, width_px: int) -> None:
    """Replace sizes computed while running by constants, and say them in the outputs.

    The exporter takes every size for free once the batch size is; the decoder only ever doubles.
    """
    double = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], dtype=np.float32), "double")
    graph.initializer.append(double)
    for node in graph.node:
        if node.op_type == "Resize":
            features = node.input[0]
            del node.input[:]
            node.input.extend([features, "", double.name])
    needed = {item.name for item in graph.output}
    for node in reversed(list(graph.node)):
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(node.input)
    for item in graph.output:
        sides = item.type.tensor_type.shape.dim[-2:]
        sides[0].dim_value, sides[1].dim_value = height_px, width_px


def check_graph(model: onnx.ModelProto) -> None:
    """Check versions, names, types and the uint8 rules of TensorRT.

    Raises:
        ModelError: one of them does not hold.
    """
    onnx.checker.check_model(model, full_check=True)
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if versions != {"": OPSET} or model.ir_version > IR_VERSION:
        raise ModelError(
            f"graph has opsets {versions} and IR version {model.ir_version}, "
            f"expected opset {OPSET} and IR version {IR_VERSION}"
        )
    graph = onnx.shape_inference.infer_shapes(model).graph
    names = ([item.name for item in graph.input], [item.name for item in graph.output])
    if names != (["image"], list(OUTPUTS)):
        raise ModelError(f"graph goes from {names[0]} to {names[1]}, expected image to {OUTPUTS}")
    _check_bytes(graph)
    normal = [node.name for node in graph.node if node.op_type == "BatchNormalization"]
    if normal:
        raise ModelError(f"graph keeps batch norm {normal}; fold the network first")


def _check_bytes(graph: onnx.GraphProto) -> None:
    types = {
        item.name: item.type.tensor_type.elem_type
        for item in (*graph.input, *graph.output, *graph.value_info)
    }
    types |= {item.name: item.data_type for item in graph.initializer}
    border = {"image", *OUTPUTS}
    inner = [name for name, kind in types.items() if kind == TensorProto.UINT8]
    wrong = sorted(set(inner) ^ border)
    if wrong:
        raise ModelError(f"tensors {wrong} break the rule that image and outputs alone are uint8")
    for node in graph.node:
        from_bytes = "image" in node.input
        if not from_bytes and not set(node.output) & set(OUTPUTS):
            continue
        other = types.get(node.output[0] if from_bytes else node.input[0])
        if node.op_type != "Cast" or other != TensorProto.FLOAT:
            raise ModelError(f"node {node.name} ({node.op_type}) is no cast between byte and float")
