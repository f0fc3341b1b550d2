"""Tests of what old and careless exporters write."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from support.own_networks import own_taxonomy, wrap_settings, write_own_network
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.model_store.onnxruntime_errors import runtime_reason
from terrain_seg_ros.model_tools.wrap.inference_mode import check_inference_mode
from terrain_seg_ros.model_tools.wrap.wrap_model import make_wrapped
from terrain_seg_ros.model_tools.wrap.wrap_settings import Activation

FLOAT = TensorProto.FLOAT


def network(nodes, weights, *, opset=17, ir=8, shadowed=False):
    """Return a network from `image` [1, 3, 32, 48] to `scores`."""
    inputs = [helper.make_tensor_value_info("image", FLOAT, [1, 3, 32, 48])]
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    if shadowed:
        inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    outputs = [helper.make_tensor_value_info("scores", FLOAT, [1, 3, 32, 48])]
    graph = helper.make_graph(nodes, "net", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)


def conv(source="image", target="scores"):
    return helper.make_node("Conv", [source, "w"], [target], pads=[1] * 4)


def weights(**more):
    random = np.random.default_rng(0)
    return {"w": random.normal(0.0, 4.0, (3, 3, 3, 3)).astype(np.float32), **more}


def wrapped(tmp_path, model):
    path = tmp_path / "net.onnx"
    path.write_bytes(model.SerializeToString())
    return make_wrapped(wrap_settings(path), [])


def refused(tmp_path, model):
    with pytest.raises(ModelError) as error:
        wrapped(tmp_path, model)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("opset", [7, 8, 9])
def test_weights_among_the_inputs_of_an_old_file_are_no_inputs(tmp_path, opset):
    made = wrapped(tmp_path, network([conv()], weights(), opset=opset, ir=3, shadowed=True))
    assert made.card.metrics["wrap_check"]["mask_agreement"] == 1.0


def test_an_old_upsampling_is_converted(tmp_path):
    nodes = [
        helper.make_node("MaxPool", ["image"], ["small"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Upsample", ["small", "by"], ["large"], mode="nearest"),
        conv("large"),
    ]
    by = np.array([1, 1, 2, 2], np.float32)
    made = wrapped(tmp_path, network(nodes, weights(by=by), opset=9, ir=3, shadowed=True))
    assert made.card.metrics["wrap_check"]["mask_agreement"] == 1.0


@pytest.mark.parametrize("ir", [9, 10, onnx.IR_VERSION])
def test_a_new_ir_version_alone_is_no_hindrance(tmp_path, ir):
    assert wrapped(tmp_path, network([conv()], weights(), ir=ir)).mask.shape == (32, 48)


def test_an_ir_version_that_nobody_knows_is_refused(tmp_path):
    said = refused(tmp_path, network([conv()], weights(), ir=onnx.IR_VERSION + 1))
    assert f"IR version {onnx.IR_VERSION + 1}" in said
    assert "export it again with opset 17, or update the package onnx" in said


def test_an_opset_that_the_runtime_lacks_is_refused_with_the_whole_reason(tmp_path):
    said = refused(tmp_path, network([conv()], weights(), opset=999))
    assert "opset 999 is under development" in said.lower()
    assert "export it again (opset 17" in said


def test_the_runtime_s_reason_is_not_cut_before_it_is_told():
    text = (
        "[ONNXRuntimeError] : 1 : FAIL : /onnxruntime_src/onnxruntime/core/graph/model.cc:256 "
        "onnxruntime::Model::Model(onnx::ModelProto&&, const onnxruntime::PathString&, "
        f"{'const onnxruntime::Something&, ' * 20}const onnxruntime::ModelOptions&) "
        "Unsupported model IR version: 20, max supported IR version: 13\n"
    )
    assert runtime_reason(text) == (
        "[ONNXRuntimeError] : 1 : FAIL : Unsupported model IR version: 20, max supported IR "
        "version: 13"
    )


def dropout(opset, mode):
    """Return a network with a Dropout, whose training mode is told as `mode` says."""
    given = weights()
    names, more, options = ["image"], [], {}
    if opset >= 12:
        given["ratio"] = np.float32(0.5)
        names += ["ratio", "training"]
        if mode == "initializer":
            given["training"] = np.array(True)
        elif mode == "constant":
            value = numpy_helper.from_array(np.array(True))
            more.append(helper.make_node("Constant", [], ["training"], value=value))
        elif mode == "computed":
            more += [
                helper.make_node("ReduceMax", ["image"], ["most"], keepdims=0),
                helper.make_node("Cast", ["most"], ["training"], to=TensorProto.BOOL),
            ]
        elif mode == "off":
            given["training"] = np.array(False)
        else:
            names.pop()
    elif opset <= 6:
        options = {} if mode == "default" else {"is_test": int(mode == "off")}
    node = helper.make_node("Dropout", names, ["kept"], name="drop", **options)
    return network([*more, node, conv("kept")], given, opset=opset)


@pytest.mark.parametrize(
    ("opset", "mode"), [(17, "initializer"), (17, "constant"), (17, "computed"), (12, "constant")]
)
def test_dropout_in_training_mode_is_refused(tmp_path, opset, mode):
    said = refused(tmp_path, dropout(opset, mode))
    assert "Dropout 'drop' is in training mode: call eval() before exporting" in said


@pytest.mark.parametrize(("opset", "mode"), [(17, "off"), (17, "absent"), (9, "absent")])
def test_dropout_that_is_off_passes(tmp_path, opset, mode):
    assert wrapped(tmp_path, dropout(opset, mode)).mask.shape == (32, 48)


@pytest.mark.parametrize(("mode", "trains"), [("default", True), ("on", True), ("off", False)])
def test_dropout_of_the_first_opsets_trains_unless_it_is_a_test(mode, trains):
    model = dropout(6, mode)
    if trains:
        with pytest.raises(ModelError, match="in training mode"):
            check_inference_mode(model, source="net.onnx")
    else:
        check_inference_mode(model, source="net.onnx")


@pytest.mark.parametrize("opset", [9, 14, 17])
@pytest.mark.parametrize("trains", [True, False])
def test_batch_norm_in_training_mode_is_refused(tmp_path, opset, trains):
    one = np.ones(3, np.float32)
    given = weights(scale=one, bias=one, mean=one, var=one)
    outputs, options = ["kept"], {}
    if trains:
        outputs += ["m", "v"] if opset >= 14 else ["m", "v", "sm", "sv"]
        options = {"training_mode": 1} if opset >= 14 else {}
    node = helper.make_node(
        "BatchNormalization", ["image", "scale", "bias", "mean", "var"], outputs, **options
    )
    model = network([node, conv("kept")], given, opset=opset)
    if trains:
        assert "BatchNormalization is in training mode: call eval()" in refused(tmp_path, model)
    else:
        assert wrapped(tmp_path, model).mask.shape == (32, 48)


def test_training_mode_within_a_function_is_refused(tmp_path):
    model = network([conv()], weights())
    true = helper.make_node(
        "Constant", [], ["t"], value=numpy_helper.from_array(np.array(True), "t")
    )
    node = helper.make_node("Dropout", ["x", "", "t"], ["y"])
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(helper.make_function("own", "f", ["x"], ["y"], [true, node], opsets))
    model.opset_import.append(helper.make_opsetid("own", 1))
    assert "Dropout is in training mode" in refused(tmp_path, model)


def test_random_numbers_are_refused(tmp_path):
    nodes = [
        helper.make_node("RandomNormalLike", ["image"], ["noise"]),
        helper.make_node("Add", ["image", "noise"], ["noisy"]),
        conv("noisy"),
    ]
    assert "draws random numbers" in refused(tmp_path, network(nodes, weights()))


def test_a_softmax_told_as_sigmoid_has_its_remedy(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", activation="softmax")
    settings = wrap_settings(path, activation=Activation.SIGMOID, taxonomy=own_taxonomy(3))
    with pytest.raises(ModelError, match="give --activation softmax"):
        make_wrapped(settings, [])
