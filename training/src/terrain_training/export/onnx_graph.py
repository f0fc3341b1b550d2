"""From a trained network to an ONNX file that every runtime of the vehicle reads."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import TensorProto
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.image.image_to_tensor import TensorInput

OPSET = 17
IR_VERSION = 8
"""ONNX Runtime for Python 3.10 and TensorRT 8.5 read no newer opset or IR."""

OUTPUTS = ("mask", "confidence", "probabilities")


class DeployedNetwork(nn.Module):
    """Wrap a network from `fold_network` so that only bytes go in and come out.

    TensorRT allows uint8 at the graph's border only, next to a cast from or to float: the input
    is cast before it is transposed, and the class ids pass through float.
    """

    def __init__(self, network: nn.Module, *, mean: Sequence[float], temperature: float) -> None:
        """Take a folded network, the mean of its input and the temperature of its logits."""
        super().__init__()
        self._network = network
        self._temperature = temperature
        shape = (1, 1, 1, 1) if len(mean) == 1 else (1, len(mean), 1, 1)
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(list(mean)).reshape(shape), persistent=False)

    def forward(self, image_nhwc: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return mask and confidence (N, h, w) and probabilities (N, K, h, w), all uint8."""
        values = image_nhwc.float().permute(0, 3, 1, 2) - self.mean
        logits = self._network(values) / self._temperature
        probabilities = logits.softmax(dim=1)
        confidence = probabilities.amax(dim=1)
        mask = logits.argmax(dim=1).float()
        return (
            mask.to(torch.uint8),
            (confidence * 255.0).round().to(torch.uint8),
            (probabilities * 255.0).round().to(torch.uint8),
        )


def write_onnx(network: DeployedNetwork, path: Path, *, fitted: TensorInput, batch: int) -> None:
    """Write the network with a fixed image size.

    Args:
        network: with everything folded.
        path: of the file.
        fitted: size and channels of the image.
        batch: 1 fixes the batch size, 0 leaves it free.

    Raises:
        ModelError: the graph breaks a rule of `check_graph`, or holds what cannot be written.
    """
    network.eval()
    shape = (1, fitted.height_px, fitted.width_px, fitted.channel_count)
    image = torch.zeros(shape, dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (image,),
                path,
                input_names=["image"],
                output_names=list(OUTPUTS),
                opset_version=OPSET,
                dynamo=False,
                external_data=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ModelError(f"network cannot be written as ONNX opset {OPSET}: {error}") from error
    model = onnx.load(str(path))
    model.ir_version = IR_VERSION
    if batch == 0:
        _free_batch(model)
    check_graph(model)
    onnx.save(model, str(path))


def _free_batch(model: onnx.ModelProto) -> None:
    """Let the batch size be any: sizes that hold it become scales, and the border says N."""
    graph = model.graph
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {
        item.name: [dim.dim_value for dim in item.type.tensor_type.shape.dim]
        for item in (*inferred.input, *inferred.value_info, *inferred.output)
    }
    for node in graph.node:
        if node.op_type == "Resize" and len(node.input) == 4:
            before, after = shapes[node.input[0]], shapes[node.output[0]]
            if 0 in (*before, *after):
                raise ModelError(f"node {node.name}: sizes {before} to {after} are not all known")
            scales = np.array([b / a for a, b in zip(before, after)], dtype=np.float32)
            name = f"{node.output[0]}_scales"
            graph.initializer.append(onnx.numpy_helper.from_array(scales, name))
            features = node.input[0]
            del node.input[:]
            node.input.extend([features, "", name])
    del graph.value_info[:]
    needed = {item.name for item in graph.output}
    for node in reversed(list(graph.node)):
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(node.input)
    for item in [item for item in graph.initializer if item.name not in needed]:
        graph.initializer.remove(item)
    for item in (*graph.input, *graph.output):
        item.type.tensor_type.shape.dim[0].dim_param = "N"


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
    whole = {
        name
        for node in graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        for name in (*node.input, *node.output)
    }
    inner = [name for name, kind in types.items() if kind == TensorProto.UINT8]
    wrong = sorted((set(inner) - (whole - border)) ^ border)
    if wrong:
        raise ModelError(
            f"tensors {wrong} break the rule that image, outputs and what is quantised alone "
            "are uint8"
        )
    for node in graph.node:
        from_bytes = "image" in node.input
        if not from_bytes and not set(node.output) & set(OUTPUTS):
            continue
        other = types.get(node.output[0] if from_bytes else node.input[0])
        if node.op_type != "Cast" or other != TensorProto.FLOAT:
            raise ModelError(
                f"node {node.name} ({node.op_type}) is not a cast between byte and float"
            )
