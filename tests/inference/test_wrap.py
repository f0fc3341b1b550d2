"""Tests of the wrap: every kind of network against a numpy reference, and every refusal."""

import json

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from own_networks import own_network, write_own_network
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.model_store import load_model
from terrain_seg_ros.inference.registry import create_backend
from terrain_seg_ros.inference.wrap.contract_graph import check_contract_graph
from terrain_seg_ros.inference.wrap.wrap_model import make_wrapped, wrap_model
from terrain_seg_ros.inference.wrap.wrap_settings import (
    Activation,
    Colors,
    Layout,
    WrapSettings,
)

SIZE = (32, 48)
MEAN = {"grey": (0.4,), "rgb": (0.5, 0.4, 0.3), "bgr": (0.3, 0.4, 0.5)}


def taxonomy(count):
    return Taxonomy(
        tuple(TerrainClass(k, f"class_{k}", (k, 90, 200), k / count) for k in range(count))
    )


def settings(path, **changes):
    values = {
        "name": "own",
        "version": "2.1.0",
        "taxonomy": taxonomy(3),
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


def picture(tmp_path, seed=3):
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "example.png"), pixels[:, :, ::-1])
    return tmp_path / "example.png", pixels


def by_hand(path, pixels, told):
    """Return mask and probabilities of the file as it is, written without the wrap's code."""
    x = pixels.astype(np.float64)
    if told.colors is Colors.GREY:
        x = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[:, :, None].astype(np.float64)
    if told.colors is Colors.BGR:
        x = x[:, :, [2, 1, 0]]
    x = (x / 255.0 * told.white - np.array(told.mean)) / np.array(told.std)
    x = x.astype(np.float32)[None]
    nchw = told.layout is Layout.NCHW
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    y = session.run(["confidence"], {"mask": np.moveaxis(x, 3, 1) if nchw else x})[0][0]
    y = (y if nchw else np.moveaxis(y, 2, 0)).astype(np.float64)
    if told.activation is Activation.LOGITS:
        y = 1 / (1 + np.exp(-y)) if len(y) == 1 else np.exp(y) / np.exp(y).sum(axis=0)
    if len(y) == 1:
        y = np.stack([1 - y[0], y[0]])
    return y.argmax(axis=0), y * 255.0


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize(
    ("layout", "colors", "activation", "classes", "size", "opset", "white"),
    [
        ("nchw", "rgb", "logits", 3, SIZE, 17, 1.0),
        ("nchw", "rgb", "logits", 3, ("h", "w"), 11, 1.0),
        ("nchw", "bgr", "softmax", 3, SIZE, 18, 255.0),
        ("nchw", "grey", "sigmoid", 1, ("h", "w"), 18, 1.0),
        ("nchw", "grey", "logits", 1, SIZE, 20, 255.0),
        ("nhwc", "rgb", "softmax", 3, ("h", "w"), 17, 1.0),
        ("nhwc", "bgr", "logits", 5, SIZE, 11, 255.0),
        ("nhwc", "grey", "sigmoid", 1, SIZE, 11, 1.0),
        ("nhwc", "rgb", "logits", 2, SIZE, 18, 1.0),
    ],
)
def test_a_wrapped_network_gives_what_numpy_gives(
    tmp_path, layout, colors, activation, classes, size, opset, white, backend
):
    path = write_own_network(
        tmp_path / "net.onnx",
        layout=layout,
        planes=1 if colors == "grey" else 3,
        classes=classes,
        activation=activation,
        size=size,
        batch="n" if opset == 18 else 1,
        opset=opset,
        gain=0.5,
    )
    told = settings(
        path,
        layout=Layout(layout),
        colors=Colors(colors),
        activation=Activation(activation),
        taxonomy=taxonomy(max(2, classes)),
        size_hw=None if size == SIZE else SIZE,
        white=white,
        mean=tuple(white * value for value in MEAN[colors]),
        std=(0.25 * white,),
    )
    example, pixels = picture(tmp_path)
    folder = wrap_model(told, [example], models=tmp_path / "models", out=None).folder
    model = load_model(folder)
    assert model.card.opset == 17
    tensor = model.golden.image[None]
    expected_mask, expected = by_hand(path, pixels, told)
    assert len(np.unique(expected_mask)) > 1
    runtime = create_backend(backend, model, BackendOptions(precision="fp32"))
    given = runtime(tensor)
    assert np.mean(given.mask[0] == expected_mask) >= 0.999
    assert np.abs(given.probabilities[0] - expected).max() <= 2.0
    assert np.abs(given.confidence[0] - expected.max(axis=0)).max() <= 2.0
    runtime.close()
    # The check is known to fail where the colour order or the scaling is wrong.
    if colors != "grey":
        wrong_mask, _ = by_hand(path, pixels[:, :, ::-1], told)
        assert np.mean(given.mask[0] == wrong_mask) < 0.999


def test_the_graph_keeps_the_rules_of_an_export(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", opset=18)
    model = onnx.load_model_from_string(make_wrapped(settings(path), []).data)
    check_contract_graph(model)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 17)]
    assert model.ir_version == 8
    kinds = [node.op_type for node in model.graph.node]
    assert kinds[0] == "Cast"
    weights = [numpy_helper.to_array(item) for item in model.graph.initializer]
    own = onnx.load(str(path)).graph.initializer[0]
    assert any(np.array_equal(numpy_helper.to_array(own), item) for item in weights)


def test_a_graph_with_bytes_inside_is_refused(tmp_path):
    path = write_own_network(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    add = model.graph.node[-1]
    score = add.output[0]
    add.output[0] = "sum"
    model.graph.node.extend(
        [
            helper.make_node("Cast", ["sum"], ["small"], to=TensorProto.UINT8),
            helper.make_node("Cast", ["small"], [score], to=TensorProto.FLOAT),
        ]
    )
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match="without quantisation"):
        make_wrapped(settings(path), [])


def test_card_and_readme_claim_nothing(tmp_path):
    path = write_own_network(tmp_path / "net.onnx")
    folder = wrap_model(settings(path), [], models=tmp_path / "models", out=None).folder
    card = json.loads((folder / "card.json").read_text())
    assert "mean_iou" not in card["metrics"]
    assert card["metrics"]["wrap_check"]["synthetic"] is True
    assert any("Never scored" in limit for limit in card["limits"])
    assert any("golden image is synthetic" in limit for limit in card["limits"])
    text = (folder / "README.md").read_text()
    assert all(limit in text for limit in card["limits"])
    assert sorted(item.name for item in folder.iterdir()) == [
        "README.md",
        "card.json",
        "golden.npz",
        "model.onnx",
    ]


def test_an_example_image_is_the_golden_image(tmp_path):
    path = write_own_network(tmp_path / "net.onnx")
    example, pixels = picture(tmp_path)
    wrapped = make_wrapped(settings(path), [example, example])
    assert np.array_equal(wrapped.image, pixels)
    assert wrapped.card.metrics["wrap_check"]["images"] == 2
    assert not any("synthetic" in limit for limit in wrapped.card.limits)


def test_a_sigmoid_taken_for_logits_is_warned_of(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", classes=1, activation="sigmoid")
    wrapped = make_wrapped(settings(path, taxonomy=taxonomy(2)), [])
    assert any("0.5 and 0.73" in limit for limit in wrapped.card.limits)
    path = write_own_network(tmp_path / "net2.onnx", classes=1)
    wrapped = make_wrapped(settings(path, taxonomy=taxonomy(2)), [])
    assert not any("0.5 and 0.73" in limit for limit in wrapped.card.limits)


def test_the_output_that_is_named_is_taken(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", outputs=2)
    with pytest.raises(ModelError, match=r"'confidence', 'pooled'.*--output NAME"):
        make_wrapped(settings(path), [])
    with pytest.raises(ModelError, match=r"no output 'scores'.*'pooled'"):
        make_wrapped(settings(path, output="scores"), [])
    with pytest.raises(ModelError, match=r"16, 24.*32x48"):
        make_wrapped(settings(path, output="pooled"), [])
    assert make_wrapped(settings(path, output="confidence"), []).card.name == "own"


def test_an_output_of_another_layout_is_told(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", layout="nhwc")
    model = onnx.load(str(path))
    model.graph.node[0].CopyFrom(helper.make_node("Identity", ["mask"], ["planes"]))
    shape = model.graph.input[0].type.tensor_type.shape
    for dim, value in zip(shape.dim, [1, 3, *SIZE]):
        dim.dim_value = value
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match="--output-layout"):
        make_wrapped(settings(path), [])
    assert make_wrapped(settings(path, output_layout=Layout.NHWC), []).mask.shape == SIZE


def test_a_branch_sees_what_is_outside_it(tmp_path):
    path = write_own_network(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    add = model.graph.node[-1]
    score = add.output[0]
    add.output[0] = "sum"
    value = helper.make_tensor_value_info("branch", TensorProto.FLOAT, None)
    branches = [
        helper.make_graph([helper.make_node(kind, ["sum"], ["branch"])], kind, [], [value])
        for kind in ("Neg", "Identity")
    ]
    flag = numpy_helper.from_array(np.array(True), "flag")
    model.graph.initializer.append(flag)
    branching = helper.make_node(
        "If", ["flag"], [score], then_branch=branches[0], else_branch=branches[1]
    )
    model.graph.node.append(branching)
    onnx.save(model, str(path))
    assert make_wrapped(settings(path), []).card.metrics["wrap_check"]["mask_agreement"] == 1.0


def test_a_local_function_is_put_in_line(tmp_path):
    path = write_own_network(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    model.graph.node[-1].domain = "mine"
    model.graph.node[-1].op_type = "Sum2"
    model.opset_import.append(helper.make_opsetid("mine", 1))
    body = [helper.make_node("Add", ["a", "b"], ["c"])]
    opsets = [helper.make_opsetid("", 17)]
    model.functions.append(
        helper.make_function("mine", "Sum2", ["a", "b"], ["c"], body, opset_imports=opsets)
    )
    onnx.save(model, str(path))
    assert make_wrapped(settings(path), []).card.metrics["wrap_check"]["mask_agreement"] == 1.0


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
        ({}, {"activation": Activation.SOFTMAX}, "it is no softmax.*--activation logits"),
        ({"activation": "softmax"}, {}, "adds up to 1 in every pixel.*--activation softmax"),
        (
            {"activation": "sigmoid"},
            {"activation": Activation.SIGMOID},
            "sigmoid of its own.*--activation logits",
        ),
        (
            {"classes": 1},
            {"activation": Activation.SIGMOID, "taxonomy": taxonomy(2)},
            "it is no sigmoid.*--activation logits",
        ),
        (
            {"classes": 1},
            {"activation": Activation.SOFTMAX, "taxonomy": taxonomy(2)},
            "one channel.*--activation sigmoid or logits",
        ),
        ({"gain": float("nan")}, {}, "not finite.*--scale, --mean and --std"),
    ],
)
def test_what_does_not_fit_is_named_with_its_remedy(tmp_path, network, told, text):
    path = write_own_network(tmp_path / "net.onnx", **network)
    with pytest.raises(ModelError, match=f"(?s)net.onnx.*{text}"):
        make_wrapped(settings(path, **told), [])


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"mean": (1.0, 2.0)}, "--mean is.*expected one finite number or 3"),
        ({"mean": (float("inf"),)}, "--mean"),
        ({"std": (0.0,)}, "--std is.*above 0"),
        ({"white": 2.0}, "--scale is 2, expected 1"),
        ({"size_hw": (8, 9000)}, "--size is 8x9000"),
        ({"taxonomy": taxonomy(1)}, "--classes names.*two or more"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path, changes, text):
    with pytest.raises(ConfigError, match=text):
        settings(tmp_path / "net.onnx", **changes)


def test_a_class_map_is_refused_with_the_remedy(tmp_path):
    path = write_own_network(tmp_path / "net.onnx")
    model = onnx.load(str(path))
    model.graph.node.append(helper.make_node("ArgMax", ["confidence"], ["ids"], axis=1))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("ids", TensorProto.INT64, None))
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"is int64.*without the argmax"):
        make_wrapped(settings(path), [])


def test_foreign_operators_are_refused(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", activation="sigmoid")
    model = onnx.load(str(path))
    model.graph.node[-1].op_type, model.graph.node[-1].domain = "Gelu", "com.microsoft"
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"not ONNX's own: \['com.microsoft.Gelu'\]"):
        make_wrapped(settings(path), [])


def test_an_operator_that_17_lacks_is_refused(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", opset=20, activation="sigmoid")
    model = onnx.load(str(path))
    model.graph.node[-1].op_type = "Gelu"
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"from opset 20 .* to opset 17 .*export it again"):
        make_wrapped(settings(path), [])


def test_two_inputs_are_refused(tmp_path):
    model = own_network(
        layout="nchw",
        planes=3,
        classes=3,
        activation="logits",
        size=SIZE,
        batch=1,
        opset=17,
        outputs=1,
        kind=TensorProto.FLOAT,
        rank_known=True,
        gain=1.0,
        seed=0,
    )
    model.graph.input.append(helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1]))
    path = tmp_path / "net.onnx"
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r"inputs \['mask', 'depth'\], expected one"):
        make_wrapped(settings(path), [])


def test_weights_that_are_inputs_too_are_weights(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", opset=11)
    model = onnx.load(str(path))
    weight = next(item for item in model.graph.initializer if item.name == "weight")
    model.graph.input.append(
        helper.make_tensor_value_info("weight", TensorProto.FLOAT, list(weight.dims))
    )
    onnx.save(model, str(path))
    assert make_wrapped(settings(path), []).card.opset == 17


def test_a_failed_wrap_leaves_nothing(tmp_path):
    path = write_own_network(tmp_path / "net.onnx", classes=4)
    with pytest.raises(ModelError):
        wrap_model(settings(path), [], models=tmp_path / "models", out=None)
    assert not (tmp_path / "models").exists()
    path = write_own_network(tmp_path / "net.onnx")
    models = tmp_path / "models"
    wrap_model(settings(path), [], models=models, out=None)
    with pytest.raises(ModelError, match="exists already"):
        wrap_model(settings(path), [], models=models, out=None)
    with pytest.raises(ModelError, match=r"exists already.*--out"):
        wrap_model(settings(path), [], models=models, out=models / "own")
    assert [item.name for item in models.iterdir()] == ["own"]
