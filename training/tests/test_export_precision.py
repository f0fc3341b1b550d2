from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from onnx import TensorProto, helper, numpy_helper

from conftest import VALIDATION_IMAGES
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.registry import create_backend
from terrain_seg_ros.inference.self_test import parity_refusal
from terrain_seg_ros.model_store.model_store import load_model
from terrain_training.cli import main
from terrain_training.data.dataset import LabelledImages
from terrain_training.data.factory import open_source
from terrain_training.export.concat_split import split_concatenations
from terrain_training.export.export_model import ExportRequest, export_model
from terrain_training.export.half import to_float16
from terrain_training.export.lowering import Int8Lowering
from terrain_training.export.onnx_graph import check_graph
from terrain_training.export.parity import ParityRow
from terrain_training.export.quantisation import (
    METHODS,
    Activations,
    calibrate,
    quantise,
    weighted_nodes,
)
from terrain_training.export.runtimes import unscored_model
from terrain_training.export.sensitivity import (
    RankedNode,
    Sensitivity,
    choose_nodes,
    drop_worst,
)

OUTPUTS = ["mask", "confidence", "probabilities"]


@pytest.fixture(scope="module")
def float32(trained, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "fp32"
    export_model(ExportRequest(run=trained, data=data, out=out))
    return out


@pytest.fixture(scope="module")
def int8(trained, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "int8"
    export_model(ExportRequest(run=trained, data=data, out=out, precision="int8"))
    return out


@pytest.fixture(scope="module")
def fp16(trained, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "fp16"
    export_model(ExportRequest(run=trained, data=data, out=out, precision="fp16"))
    return out


@pytest.fixture(scope="module")
def images(data, recipe):
    source = open_source(recipe.data, data)
    return LabelledImages(source, source.names("validation"), recipe.data)


@pytest.fixture(scope="module")
def tensors(images):
    return np.stack([images.pair(place)[0] for place in range(8)])


@pytest.fixture(scope="module")
def model(float32):
    return onnx.load(float32 / "model.onnx")


@pytest.fixture(scope="module")
def ranges(float32, tensors):
    return calibrate(float32 / "model.onnx", tensors)


def card_of(folder: Path):
    return json.loads((folder / "card.json").read_text())


def run_onnxruntime(data: bytes | Path, tensors):
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(OUTPUTS, {"image": tensors})


def run_openvino(path: Path, tensors):
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    result = openvino.Core().compile_model(path, "CPU", hint)({"image": tensors})
    return [result[name].copy() for name in OUTPUTS]


def constants(model):
    return {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}


def pairs(model):
    """Return, by what a dequantising node gives, the node whose output it takes, or itself."""
    makers = {name: node for node in model.graph.node for name in node.output}
    return {
        node.output[0]: makers.get(node.input[0], node)
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
    }


def test_weights_are_quantised_per_channel_and_symmetric(int8):
    model = onnx.load(int8 / "model.onnx")
    check_graph(model)
    values, found = constants(model), pairs(model)
    quantised = [n for n in model.graph.node if n.op_type == "Conv" and n.input[1] in found]
    assert len(quantised) == card_of(int8)["metrics"]["lowering"]["int8_nodes"] > 10
    for node in quantised:
        weight = found[node.input[1]]
        assert weight.op_type == "DequantizeLinear"
        assert values[weight.input[0]].dtype == np.int8
        scale, zero = values[weight.input[1]], values[weight.input[2]]
        assert scale.shape == (values[weight.input[0]].shape[0],)
        assert zero.dtype == np.int8
        assert not zero.any()
        features = found[node.input[0]]
        assert values[features.input[1]].shape == ()
        assert values[features.input[2]].dtype == np.int8
        assert values[features.input[2]] == 0


def test_head_and_border_stay_float(int8):
    model = onnx.load(int8 / "model.onnx")
    assert (model.opset_import[0].version, model.ir_version) == (17, 8)
    dequantised = set(pairs(model))
    for node in model.graph.node:
        if node.op_type in ("Sub", "Div", "Softmax", "ArgMax", "ReduceMax", "Cast"):
            assert dequantised.isdisjoint(node.input), node.name
    types = {item.name: item.type.tensor_type.elem_type for item in model.graph.output}
    assert types == dict.fromkeys(OUTPUTS, TensorProto.UINT8)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_both_runtimes_give_what_float32_gives(precision, request, float32, tensors):
    path = request.getfixturevalue(precision) / "model.onnx"
    expected = run_onnxruntime(float32 / "model.onnx", tensors)
    ordered = np.sort(expected[2], axis=1).astype(int)
    clear = (ordered[:, -1] - ordered[:, -2]) / 255 > 0.1
    for given in (run_onnxruntime(path, tensors), run_openvino(path, tensors)):
        assert [array.dtype for array in given] == [np.uint8] * 3
        assert np.mean(given[0] != expected[0], where=clear) <= 0.002


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_card_and_readme_compare_with_float32(precision, request, float32):
    folder = request.getfixturevalue(precision)
    content, exact = card_of(folder), card_of(float32)
    metrics, reference = content["metrics"], content["metrics"]["reference"]
    assert (content["precision"], exact["precision"]) == (precision, "fp32")
    assert content["sha256"] != exact["sha256"] == reference["sha256"]
    for key in ("iou", "precision", "recall", "false_safe_rate", "mean_iou"):
        assert reference[key] == exact["metrics"][key]
    assert set(metrics["iou"]) == {"soil", "bedrock", "sand", "big_rock"}
    rows = {(row["backend"], row["precision"]): row for row in metrics["parity"]}
    assert {("onnxruntime", precision), ("openvino", precision)} <= set(rows)
    row = rows["onnxruntime", precision]
    assert row["images"] == VALIDATION_IMAGES
    loss = reference["mean_iou"] - metrics["mean_iou"]
    assert row["mean_iou_loss"] == pytest.approx(loss, abs=2e-4)
    files = {(row["file"], row["backend"]) for row in metrics["bare_call"]["rows"]}
    assert {("fp32", "onnxruntime"), (precision, "openvino")} <= files
    text = (folder / "README.md").read_text()
    assert metrics["lowering"]["remark"] in text
    assert f"## {precision} against float32" in text
    assert f"| big_rock | {metrics['iou']['big_rock']:.4f} |" in text


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_the_vehicle_takes_the_file_as_what_it_is(precision, backend, request):
    model = load_model(request.getfixturevalue(precision))
    made = create_backend(backend, model, BackendOptions(1, precision))
    assert made.precision == precision
    made.close()
    assert "from 22 images, at least 150 are needed" in parity_refusal(model.card, backend, "fp32")


def test_unsigned_activations_are_whole_behind_a_node_too(model, ranges, tensors):
    names = [node.name for node in weighted_nodes(model)]
    made = quantise(model, ranges["minmax"], names, Activations.UINT8)
    check_graph(made)
    values = constants(made).items()
    kinds = [array.dtype for name, array in values if name.endswith("bias_quantized")]
    assert kinds == [np.dtype(np.int32)] * 63
    assert run_onnxruntime(made.SerializeToString(), tensors)[0].dtype == np.uint8


def test_methods_of_calibration_differ(ranges):
    assert set(ranges) == set(METHODS)
    widths = {
        name: np.array([high - low for low, high in found.values()])
        for name, found in ranges.items()
    }
    assert (widths["percentile"] <= widths["minmax"] * 1.001).all()
    assert (widths["entropy"] < widths["minmax"] * 0.9).any()


def test_splitting_concatenations_changes_nothing(model, tensors):
    split = split_concatenations(model)
    onnx.checker.check_model(split, full_check=True)
    count = [sum(n.op_type == "Conv" for n in part.graph.node) for part in (model, split)]
    assert count == [63, 67]
    assert "Concat" not in {node.op_type for node in split.graph.node}
    expected = run_onnxruntime(model.SerializeToString(), tensors)
    given = run_onnxruntime(split.SerializeToString(), tensors)
    assert np.mean(given[0] == expected[0]) >= 0.999
    assert np.abs(given[2].astype(int) - expected[2]).max() <= 1


def planted(model):
    """Blow one channel up between two convolutions and shrink it again: float sees nothing."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    makers = {name: node for node in copy.graph.node for name in node.output}
    stored = {item.name: item for item in copy.graph.initializer}
    after = next(n for n in copy.graph.node if n.name.endswith("blocks.2/conv2/conv2.0/Conv"))
    relu = makers[after.input[0]]
    assert relu.op_type == "Relu"
    before = makers[relu.input[0]]
    weight, bias, taken = (
        stored[name] for name in (before.input[1], before.input[2], after.input[1])
    )
    for item, place, factor in ((weight, 0, 1e4), (bias, 0, 1e4), (taken, (slice(None), 0), 1e-4)):
        values = numpy_helper.to_array(item).copy()
        values[place] *= factor
        item.CopyFrom(numpy_helper.from_array(values, item.name))
    return copy, after.name


@pytest.fixture
def few_nodes(monkeypatch):
    """Let only the decoder's last nodes become int8, so that ranking them takes less time."""

    def decoder(graph):
        wanted = ("blocks.2", "blocks.3", "blocks.4")
        return [node for node in weighted_nodes(graph) if any(w in node.name for w in wanted)]

    monkeypatch.setattr("terrain_training.export.sensitivity.weighted_nodes", decoder)


@pytest.mark.usefixtures("few_nodes")
def test_a_planted_sensitive_layer_is_left_out(model, float32, images, tensors, tmp_path):
    made, name = planted(model)
    path = tmp_path / "planted.onnx"
    onnx.save(made, str(path))
    card = dataclasses.replace(load_model(float32).card, sha256="0" * 64)
    lowering = Int8Lowering(unscored_model(path, card), images, Activations.INT8)
    lowered = lowering.lower(path, tensors)
    assert name in lowered.notes["float_nodes"]
    assert lowered.notes["float_nodes"][name] == min(lowered.notes["float_nodes"].values())
    assert lowered.notes["rule_holds"]


def row(changed: float) -> ParityRow:
    return ParityRow("onnxruntime", "int8", 22, 0.0, 0.0, changed, 1.0)


@pytest.fixture(scope="module")
def ranked(model):
    return [RankedNode(node, "minmax", 1e-6) for node in weighted_nodes(model)[:8]]


@pytest.mark.parametrize("limit", [1, 3, 8])
def test_as_many_nodes_as_the_rule_allows_are_chosen(model, ranges, ranked, limit):
    sensitivity = Sensitivity(model, ranges, Activations.INT8)

    def judge(candidate):
        count = sum(node.op_type == "QuantizeLinear" for node in candidate.graph.node)
        return [row(0.0), row(0.0 if count <= limit else 0.5)]

    choice = choose_nodes(sensitivity, ranked, judge)
    assert (choice.holds, len(choice.chosen), len(choice.kept)) == (True, limit, 8 - limit)
    fewer = drop_worst(sensitivity, choice, judge)
    assert len(fewer.chosen) == max(1, limit - 1)


def test_the_best_is_kept_where_the_rule_never_holds(model, ranges, ranked):
    judge = lambda candidate: [row(0.002 + len(candidate.graph.node) * 1e-4)]  # noqa: E731
    choice = choose_nodes(Sensitivity(model, ranges, Activations.INT8), ranked, judge)
    assert (choice.holds, len(choice.chosen)) == (False, 1)


@pytest.mark.usefixtures("few_nodes")
def test_the_rule_never_kept_is_told_loudly(
    float32, images, tensors, monkeypatch, caplog, tmp_path
):
    monkeypatch.setattr(ParityRow, "keeps_rule", lambda _row: False)
    path = tmp_path / "model.onnx"
    path.write_bytes((float32 / "model.onnx").read_bytes())
    lowering = Int8Lowering(load_model(float32), images, Activations.INT8)
    lowered = lowering.lower(path, tensors[:2])
    assert not lowered.notes["rule_holds"]
    assert "NO CHOICE OF NODES KEEPS THE RULE" in caplog.text


def test_float16_is_typed_between_two_casts(fp16):
    model = onnx.load(fp16 / "model.onnx")
    check_graph(model)
    types = {
        item.name: item.type.tensor_type.elem_type
        for item in onnx.shape_inference.infer_shapes(model, strict_mode=True).graph.value_info
    }
    values = constants(model)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 63
    for node in convolutions:
        assert types[node.output[0]] == TensorProto.FLOAT16
        assert {values[name].dtype for name in node.input[1:]} == {np.dtype(np.float16)}
    for node in model.graph.node:
        if node.op_type in ("Sub", "Softmax"):
            assert types[node.output[0]] == TensorProto.FLOAT


def test_weights_beyond_float16_are_refused(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    weight = next(item for item in copy.graph.initializer if item.name.endswith("weight"))
    values = numpy_helper.to_array(weight) * 0 + 7e4
    weight.CopyFrom(numpy_helper.from_array(values.astype(np.float32), weight.name))
    with pytest.raises(ModelError, match=r"7e\+04, beyond float16"):
        to_float16(copy)


@pytest.mark.parametrize(
    ("precision", "message"), [("bf16", "before opset 22"), ("int4", "expected one of")]
)
def test_wrong_precision_is_refused(precision, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        ExportRequest(run=tmp_path, data=tmp_path, out=tmp_path / "out", precision=precision)


def test_command_takes_only_precisions_that_are_known(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["export", "run", "--data", "data", "--out", str(tmp_path), "--precision", "int4"])
    assert "int4" in capsys.readouterr().err


def test_quantised_bytes_at_the_border_are_refused(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    first = next(node for node in copy.graph.node if "image" in node.input)
    values = [
        numpy_helper.from_array(np.float32(1), "one"),
        numpy_helper.from_array(np.uint8(0), "zero"),
    ]
    copy.graph.initializer.extend(values)
    level = helper.make_node("DequantizeLinear", ["image", "one", "zero"], ["levels"], name="level")
    copy.graph.node.insert(0, level)
    for node in copy.graph.node:
        if node is not level and first.output[0] in node.input:
            node.input[0] = "levels"
    copy.graph.node.remove(first)
    with pytest.raises(ModelError, match=r"level \(DequantizeLinear\) is not a cast"):
        check_graph(copy)
