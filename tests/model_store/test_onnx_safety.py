"""Tests of networks that are refused before a runtime sees them."""

import hashlib
import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.tiny_model import onnx_bytes, write_tiny_model
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.model_store import onnx_safety
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.model_store.onnx_safety import check_network

EMPTY = helper.make_graph([], "inner", [], [])


def tiny():
    return onnx.load_from_string(onnx_bytes(32, 32, 4, 1))


def loop_body():
    node = helper.make_node
    nodes = [node("Identity", ["before"], ["go_on"]), node("Identity", ["value"], ["next"])]
    info = helper.make_tensor_value_info
    inputs = [
        info("turn", TensorProto.INT64, []),
        info("before", TensorProto.BOOL, []),
        info("value", TensorProto.FLOAT, []),
    ]
    outputs = [info("go_on", TensorProto.BOOL, []), info("next", TensorProto.FLOAT, [])]
    return helper.make_graph(nodes, "body", inputs, outputs)


def endless():
    """Return the tiny network with a loop that never ends before its confidence."""
    model = tiny()
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "true"))
    model.graph.initializer.append(numpy_helper.from_array(np.float32(255.0), "start"))
    loop = helper.make_node("Loop", ["", "true", "start"], ["forever"], body=loop_body())
    model.graph.node.insert(0, loop)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if node.op_type == "Mul" and name == "scale":
                node.input[place] = "forever"
    return model


def replace_graph(folder, data):
    (folder / "model.onnx").write_bytes(data)
    card = json.loads((folder / "card.json").read_text())
    card["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))


def function(name, nodes, domain="own"):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_function(domain, name, ["x"], ["y"], nodes, opsets)


def refused(model):
    data = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(ModelError) as error:
        check_network(data, source="net.onnx")
    assert "\n" not in str(error.value)
    assert str(error.value).startswith("net.onnx: ")
    return str(error.value)


def test_ordinary_networks_pass():
    check_network(onnx_bytes(32, 32, 4, 3), source="net.onnx")


@pytest.mark.requirement("TSR-NET-003")
def test_an_endless_loop_is_refused_by_the_store(tmp_path):
    folder = write_tiny_model(tmp_path / "tiny", size=32)
    replace_graph(folder, endless().SerializeToString())
    with pytest.raises(ModelError, match=r"operator 'Loop', which runs a graph of its own"):
        load_model(folder)


@pytest.mark.requirement("TSR-NET-003")
@pytest.mark.parametrize("kind", ["If", "Loop", "Scan", "SequenceMap"])
def test_control_flow_is_refused_even_without_its_graphs(kind):
    model = tiny()
    model.graph.node.append(helper.make_node(kind, [], []))
    assert f"operator {kind!r}" in refused(model)


def test_any_operator_with_a_graph_is_refused():
    for attribute in (EMPTY, [EMPTY, EMPTY]):
        model = tiny()
        model.graph.node.append(
            helper.make_node("BeamSearch", [], [], domain="com.microsoft", decoder=attribute)
        )
        assert "'BeamSearch'" in refused(model)


def test_control_flow_in_a_function_is_refused():
    model = tiny()
    model.functions.append(function("f", [helper.make_node("Loop", [], [], body=loop_body())]))
    assert "'Loop'" in refused(model)


def test_a_graph_that_comes_in_two_parts_is_seen_whole():
    # protobuf merges a message field that comes twice.
    more = onnx.ModelProto()
    more.graph.node.append(helper.make_node("Loop", [], [], body=loop_body()))
    data = onnx_bytes(32, 32, 4, 1) + more.SerializeToString()
    assert onnx.load_from_string(data).graph.node[-1].op_type == "Loop"
    assert "'Loop'" in refused(data)


def test_an_operator_that_is_named_twice_has_its_last_name():
    node = helper.make_node("Relu", ["x"], ["y"]).SerializeToString()
    node += onnx.NodeProto(op_type="Loop").SerializeToString()
    assert onnx.NodeProto.FromString(node).op_type == "Loop"
    graph = b"\x0a" + bytes([len(node)]) + node
    assert "'Loop'" in refused(b"\x3a" + bytes([len(graph)]) + graph)


@pytest.mark.parametrize("place", ["initializer", "constant", "sparse", "function"])
def test_tensors_in_other_files_are_refused(place):
    tensor = numpy_helper.from_array(np.ones(4, np.float32), "weights")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    model = tiny()
    constant = helper.make_node("Constant", [], ["c"], value=tensor)
    if place == "initializer":
        model.graph.initializer.append(tensor)
    elif place == "constant":
        model.graph.node.append(constant)
    elif place == "sparse":
        model.graph.sparse_initializer.add().values.CopyFrom(tensor)
    else:
        model.functions.append(function("f", [constant]))
    assert "in other files" in refused(model)
    check_network(model.SerializeToString(), source="net.onnx", may_read_files=True)


def test_functions_that_call_themselves_are_refused():
    model = tiny()
    for name, called in (("f", "g"), ("g", "h"), ("h", "f")):
        node = helper.make_node(called, ["x"], ["y"], domain="own")
        model.functions.append(function(name, [node]))
    assert "call themselves" in refused(model)


def test_functions_that_multiply_are_refused():
    model = tiny()
    for level in range(40):
        inner = helper.make_node(f"f{level + 1}", ["x"], ["y"], domain="own")
        model.functions.append(function(f"f{level}", [inner, inner]))
    model.functions.append(function("f40", [helper.make_node("Relu", ["x"], ["y"])]))
    model.graph.node.append(helper.make_node("f0", ["a"], ["b"], domain="own"))
    assert f"more than {onnx_safety.MAX_NODES} operators" in refused(model)


def test_a_function_may_have_the_name_of_the_operator_it_calls():
    model = tiny()
    model.functions.append(function("Relu", [helper.make_node("Relu", ["x"], ["y"])]))
    check_network(model.SerializeToString(), source="net.onnx")


def test_more_operators_fields_or_functions_than_allowed_are_refused(monkeypatch):
    data = onnx_bytes(32, 32, 4, 1)
    for name, least in (("MAX_NODES", 13), ("MAX_FIELDS", 20)):
        with monkeypatch.context() as patch:
            patch.setattr(onnx_safety, name, least)
            assert "check that this is the right file" in refused(data)


def test_damaged_bytes_are_one_line():
    whole = onnx_bytes(32, 32, 4, 1)
    random = np.random.default_rng(0)
    for _ in range(2000):
        data = bytearray(whole)
        for place in random.integers(0, len(data), random.integers(1, 4)):
            data[place] = random.integers(0, 256)
        cut = bytes(data[: random.integers(0, len(data) + 1)])
        try:
            check_network(cut, source="net.onnx")
        except ModelError as error:
            assert "\n" not in str(error)
