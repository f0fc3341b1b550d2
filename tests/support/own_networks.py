"""Foreign segmentation networks as ONNX: what somebody brings, made by onnx.helper."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.model_tools.wrap.wrap_settings import (
    Activation,
    Colors,
    Layout,
    WrapSettings,
)

OWN_SIZE = (32, 48)
IR_OF_OPSET = {11: 6, 17: 8, 18: 8, 20: 9}


def write_own_network(
    path: Path,
    *,
    layout: str = "nchw",
    planes: int = 3,
    classes: int = 3,
    activation: str = "logits",
    size: tuple[int | str, int | str] = (32, 48),
    batch: int | str = 1,
    opset: int = 17,
    outputs: int = 1,
    kind: int = TensorProto.FLOAT,
    rank_known: bool = True,
    gain: float = 4.0,
    seed: int = 0,
) -> Path:
    """Write a network of one 3 x 3 convolution, a max pool and an upsampling, and return its path.

    Its tensors are called as those of the contract are, so that a wrap must keep them apart.
    """
    model = own_network(
        layout=layout,
        planes=planes,
        classes=classes,
        activation=activation,
        size=size,
        batch=batch,
        opset=opset,
        outputs=outputs,
        kind=kind,
        rank_known=rank_known,
        gain=gain,
        seed=seed,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def own_network(**options) -> onnx.ModelProto:
    """Return the model of `write_own_network`."""
    layout, planes, classes = options["layout"], options["planes"], options["classes"]
    kind, opset, size, batch = (options[key] for key in ("kind", "opset", "size", "batch"))
    real = np.float16 if kind == TensorProto.FLOAT16 else np.float32
    random = np.random.default_rng(options["seed"])
    weight = random.normal(0.0, options["gain"], (classes, planes, 3, 3)).astype(real)
    constants = {
        "weight": weight,
        "bias": random.normal(0.0, 1.0, classes).astype(real),
        "roi": np.array([], dtype=np.float32),
        "scales": np.array([1, 1, 2, 2], dtype=np.float32),
    }
    dims = [batch, planes, *size] if layout == "nchw" else [batch, *size, planes]
    shape = dims if options["rank_known"] else None
    image = helper.make_tensor_value_info("mask", kind, shape)
    outputs = [helper.make_tensor_value_info("confidence", kind, None)]
    if options["outputs"] == 2:
        outputs.append(helper.make_tensor_value_info("pooled", kind, None))
    graph = helper.make_graph(
        _nodes(layout, options["activation"], opset),
        "own",
        [image],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 2)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_OF_OPSET[opset])


def _nodes(layout: str, activation: str, opset: int) -> list:
    node = helper.make_node
    keras = layout == "nhwc"
    nodes = [node("Transpose", ["mask"], ["planes"], perm=[0, 3, 1, 2])] if keras else []
    nodes += [
        node(
            "Conv",
            ["planes" if keras else "mask", "weight", "bias"],
            ["probabilities"],
            pads=[1] * 4,
        ),
        node("MaxPool", ["probabilities"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Resize", ["pooled", "roi", "scales"], ["large"], mode="nearest"),
        node("Add", ["large", "probabilities"], ["sum"]),
        node("Transpose", ["sum"], ["scores"], perm=[0, 2, 3, 1] if keras else [0, 1, 2, 3]),
    ]
    axis = 3 if keras else 1
    # Before opset 13 Softmax took all dimensions from its axis on as one.
    assert activation != "softmax" or keras or opset >= 13
    last = {
        "logits": node("Identity", ["scores"], ["confidence"]),
        "sigmoid": node("Sigmoid", ["scores"], ["confidence"]),
        "softmax": node("Softmax", ["scores"], ["confidence"], axis=axis),
    }
    return [*nodes, last[activation]]


def own_taxonomy(count: int) -> Taxonomy:
    """Return classes with hazards from 0 upwards."""
    return Taxonomy(
        tuple(TerrainClass(k, f"class_{k}", (k, 90, 200), k / count) for k in range(count))
    )


def wrap_settings(path: Path, **changes) -> WrapSettings:
    """Return what fits `write_own_network` without options, with changes."""
    values = {
        "name": "own",
        "version": "2.1.0",
        "taxonomy": own_taxonomy(3),
        "layout": Layout.NCHW,
        "output_layout": None,
        "colors": Colors.RGB,
        "resize": "stretch",
        "white": 1.0,
        "mean": (0.5, 0.4, 0.3),
        "std": (0.25, 0.2, 0.3),
        "activation": Activation.LOGITS,
        "size_hw": None,
        "output": None,
        "source": path,
        **changes,
    }
    values["output_layout"] = values["output_layout"] or values["layout"]
    return WrapSettings(**values)
