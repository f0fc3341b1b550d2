"""Tests of what the wrap refuses: each message names the value and the remedy."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from support.own_networks import OWN_SIZE, own_taxonomy, wrap_settings, write_own_network
from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.model_tools.wrap.reference import Agreement, compare, own_result
from terrain_seg_ros.model_tools.wrap.wrap_model import make_wrapped, wrap_model
from terrain_seg_ros.model_tools.wrap.wrap_settings import Activation


def test_a_graph_with_bytes_inside_is_refused(tmp_path):
    path = write_own_network(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    add = model.graph.node[-1]
    score = add.output[0]
    add.output[0] = "before"
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["before"], ["small"], to=TensorProto.UINT8),
            helper.make_node("Cast", ["small"], [score], to=TensorProto.FLOAT),
        ]
    )
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match="without quantisation"):
        make_wrapped(wrap_settings(path), [])


@pytest.mark.parametrize(
    ("network", "told", "text"),
    [
        ({"kind": TensorProto.FLOAT16}, {}, "is float16, expected float.*export it in float32"),
        ({"rank_known": False}, {}, "unknown number of dimensions.*example image"),
        ({"size": ("h", "w")}, {}, "any size.*--size HEIGHTxWIDTH"),
        ({}, {"size_hw": (64, 64)}, "fixed to 32x48, but --size is 64x64"),
        ({"size": (8, 48)}, {}, "is 8x48, expected 16 to 4096"),
        ({"batch": 4}, {}, "batch is fixed to 4"),
        ({"planes": 1}, {}, "1 channels in nchw, but --channels rgb has 3.*--channels"),
        ({"layout": "nhwc"}, {}, "32 channels in nchw.*--layout nhwc"),
        ({"classes": 4}, {}, "4 channels.*names 3.*name 4 in the order"),
        ({"classes": 1}, {}, "1 channels.*names 3.*name 2 in the order"),
        ({}, {"activation": Activation.SOFTMAX}, "this is not a softmax.*--activation logits"),
        ({"activation": "softmax"}, {}, "adds up to 1 in every pixel.*--activation softmax"),
        (
            {"activation": "sigmoid"},
            {"activation": Activation.SIGMOID},
            "sigmoid of its own.*--activation logits",
        ),
        (
            {"classes": 1},
            {"activation": Activation.SIGMOID, "taxonomy": own_taxonomy(2)},
            "this is not a sigmoid.*--activation logits",
        ),
        (
            {"classes": 1},
            {"activation": Activation.SOFTMAX, "taxonomy": own_taxonomy(2)},
            "one channel.*--activation sigmoid or logits",
        ),
        ({"gain": float("nan")}, {}, "not finite.*--scale, --mean and --std"),
    ],
)
def test_what_does_not_fit_is_named_with_its_remedy(tmp_path, network, told, text):
    path = write_own_network(tmp_path / "net.onnx", **network)
    with pytest.raises(ModelError, match=f"(?s)net.onnx.*{text}"):
        make_wrapped(wrap_settings(path, **told), [])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mean": (1.0, 2.0)}, "--mean is.*expected one finite number or 3"),
        ({"mean": (float("inf"),)}, "--mean"),
        ({"std": (0.0,)}, "--std is.*above 0"),
        ({"white": 2.0}, "--scale is 2, expected 1"),
        ({"size_hw": (8, 9000)}, "--size is 8x9000"),
        ({"taxonomy": own_taxonomy(1)}, "--classes names.*two or more"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, changes, text):
    with pytest.raises(ConfigError, match=text):
        wrap_settings(tmp_path / "net.onnx", **changes)


def test_a_class_map_is_refused_with_the_remedy(tmp_path):
    path = write_own_network(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    model.graph.node.append(helper.make_node("ArgMax", ["confidence"], ["ids"], axis=1))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("ids", TensorProto.INT64, None))
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"is int64.*without the argmax"):
        make_wrapped(wrap_settings(path), [])


def test_foreign_operators_are_refused(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", activation="sigmoid")
    model = onnx.load(str(path))
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "Gelu", "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"not ONNX's own: \['com.microsoft.Gelu'\]"):
        make_wrapped(wrap_settings(path), [])


def test_an_operator_that_17_lacks_is_refused(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", opset=20, activation="sigmoid")
    model = onnx.load(str(path))
    model.graph.node[-1].op_type = "Gelu"
    onnx.save(model, str(path))
    with pytest.raises(
        ModelError, match=r"from opset 20 .* to opset 17 .*export it again.*update the package onnx"
    ):
        make_wrapped(wrap_settings(path), [])


def test_two_inputs_are_refused(tmp_path):
    path = write_own_network(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    model.graph.input.append(helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1]))
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"inputs \['mask', 'depth'\], expected the image alone"):
        make_wrapped(wrap_settings(path), [])


def test_weights_that_are_inputs_too_are_weights(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", opset=11)
    model = onnx.load(str(path))
    weight = next(item for item in model.graph.initializer if item.name == "weight")
    model.graph.input.append(
        helper.make_tensor_value_info("weight", TensorProto.FLOAT, list(weight.dims))
    )
    onnx.save(model, str(path))
    assert make_wrapped(wrap_settings(path), []).card.opset == 17


def test_a_failed_wrap_leaves_nothing(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", classes=4)
    with pytest.raises(ModelError):
        wrap_model(wrap_settings(path), [], models=tmp_path / "models", out=None)
    assert not (tmp_path / "models").exists()
    path = write_own_network(tmp_path / "net.onnx")
    models = tmp_path / "models"
    wrap_model(wrap_settings(path), [], models=models, out=None)
    with pytest.raises(ModelError, match="exists already"):
        wrap_model(wrap_settings(path), [], models=models, out=None)
    with pytest.raises(ModelError, match=r"exists already.*--out"):
        wrap_model(wrap_settings(path), [], models=models, out=models / "own")
    assert [item.name for item in models.iterdir()] == ["own"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.replace(b"probabilities", b"\xff\xfe" + b"x" * 11),
        lambda data: data.replace(b"MaxPool", b"MinPool"),
        lambda data: data.replace(b"weight", b"height", 1),
    ],
)
def test_damage_is_told_in_words(tmp_path, capfd, damage):
    path = write_own_network(tmp_path / "net.onnx")
    data = damage(path.read_bytes())
    assert data != path.read_bytes()
    path.write_bytes(data)
    with pytest.raises(ModelError, match=r"net\.onnx.*ONNX"):
        make_wrapped(wrap_settings(path), [])
    assert "".join(capfd.readouterr()) == ""


def test_a_result_that_differs_is_refused(tmp_path):
    told = wrap_settings(tmp_path / "net.onnx")
    scores = np.random.default_rng(0).normal(0.0, 2.0, (3, *OWN_SIZE)).astype(np.float32)
    mask, probabilities = own_result(scores, told)
    same = NetworkOutput(mask[None], probabilities.max(axis=0)[None], probabilities[None])
    assert compare(scores, same, told) == Agreement(1.0, 0)
    one = mask.copy()
    one[0, 0] = (one[0, 0] + 1) % 3
    assert compare(scores, replace(same, mask=one[None]), told).mask_agreement < 1.0
    one[0, :3] = (mask[0, :3] + 1) % 3
    with pytest.raises(ModelError, match=r"99\.80% of the pixels.*opset 17"):
        compare(scores, replace(same, mask=one[None]), told)
    shifted = probabilities.copy()
    shifted[0, 5, 5] ^= 4
    with pytest.raises(ModelError, match="probability by 4/255"):
        compare(scores, replace(same, probabilities=shifted[None]), told)
