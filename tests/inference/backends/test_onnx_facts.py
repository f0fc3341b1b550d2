"""What an ONNX file fixes, read from files that the onnx package wrote."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.tiny_model import onnx_bytes
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.inference.tensorrt.onnx_facts import OnnxFacts, onnx_facts
from terrain_seg_ros.model_store.model_store import load_model

KINDS = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}


def graph(kind, *, in_constant=False, quantised=False):
    """Return a file whose weights are of a kind; one scale stays in float32."""
    weight = helper.make_tensor("weight", kind, [4, 3], np.zeros(12, dtype=np.float32))
    scale = numpy_helper.from_array(np.float32(2.0), "scale")
    nodes = [helper.make_node("Mul", ["x", "weight"], ["y"])]
    if in_constant:
        nodes.insert(0, helper.make_node("Constant", [], ["weight"], value=weight))
    if quantised:
        nodes.append(helper.make_node("QuantizeLinear", ["y", "scale"], ["z"]))
    inputs = [helper.make_tensor_value_info("x", kind, ["N", 3])]
    outputs = [helper.make_tensor_value_info("y", kind, ["N", 3])]
    weights = [scale] if in_constant else [scale, weight]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, outputs, weights))
    return model.SerializeToString()


@pytest.mark.parametrize("in_constant", [False, True])
@pytest.mark.parametrize("precision", list(KINDS))
def test_precision_is_that_of_most_weights(precision, in_constant):
    assert onnx_facts(graph(KINDS[precision], in_constant=in_constant)).precision == precision


def test_a_quantised_graph_is_int8():
    assert onnx_facts(graph(TensorProto.FLOAT, quantised=True)).precision == "int8"


@pytest.mark.parametrize(("batch", "fixed"), [("N", False), (1, True)])
def test_batch(batch, fixed):
    assert onnx_facts(onnx_bytes(8, 8, 2, 1, batch=batch)) == OnnxFacts("fp32", fixed)


def test_the_shipped_model():
    assert onnx_facts(load_model("mars_navcam").onnx_bytes).precision == "fp32"


def test_a_graph_without_weights_is_fp32():
    empty = helper.make_model(helper.make_graph([], "g", [], []))
    assert onnx_facts(empty.SerializeToString()).precision == "fp32"
    assert onnx.load_from_string(empty.SerializeToString()).graph.name == "g"


@pytest.mark.parametrize("keep", range(1, 60, 7))
def test_what_ends_too_early_is_refused(keep):
    data = onnx_bytes(8, 8, 2, 1)
    with pytest.raises(ModelError, match="export it again"):
        onnx_facts(data[: len(data) * keep // 60])


@pytest.mark.parametrize("data", [b"\xff" * 40, b"\x3b\x00", b"\x80"])
def test_what_is_no_protobuf_is_refused(data):
    with pytest.raises(ModelError, match="no ONNX file"):
        onnx_facts(data)
