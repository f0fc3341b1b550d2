from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from onnx import TensorProto, helper

from conftest import VALIDATION_IMAGES
from terrain_seg_ros.core.backend import NetworkOutput
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.model_card import parse_model_card
from terrain_training.data.dataset import LabelledImages
from terrain_training.data.factory import open_source
from terrain_training.export.export_model import ExportRequest, export_model
from terrain_training.export.onnx_graph import IR_VERSION, OPSET, check_graph, write_onnx
from terrain_training.export.parity import check_batch, check_float32
from terrain_training.learning.checkpoint import load_network
from terrain_training.learning.run_folder import RunFolder
from terrain_training.recipe.load import write_recipe


@pytest.fixture(scope="module")
def written():
    """Hold the network that the export wrote."""
    return []


@pytest.fixture(scope="module")
def exported(trained, data, tmp_path_factory, written):
    out = tmp_path_factory.mktemp("models") / "tiny"

    def write_and_keep(network, *arguments, **options):
        written.append(network)
        write_onnx(network, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("terrain_training.export.export_model.write_onnx", write_and_keep)
        export_model(ExportRequest(run=trained, data=data, out=out))
    return out


@pytest.fixture(scope="module")
def tensors(data, recipe):
    source = open_source(recipe.data, data)
    images = LabelledImages(source, source.names("validation"), recipe.data)
    return np.stack([images.pair(place)[0] for place in range(len(images))])


@pytest.fixture(scope="module")
def expected(exported, written, tensors):
    assert (exported / "model.onnx").is_file()
    with torch.inference_mode():
        return [output.numpy() for output in written[0](torch.from_numpy(tensors))]


def assert_same(given, expected):
    mask, confidence, probabilities = given
    assert mask.dtype == confidence.dtype == probabilities.dtype == np.uint8
    assert np.mean(mask == expected[0]) >= 0.999
    assert np.abs(confidence.astype(int) - expected[1]).max() <= 2
    assert np.abs(probabilities.astype(int) - expected[2]).max() <= 2


def test_onnxruntime_gives_what_torch_gives(exported, tensors, expected):
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    given = session.run(["mask", "confidence", "probabilities"], {"image": tensors})
    assert_same(given, expected)


def test_openvino_gives_what_torch_gives(exported, tensors, expected):
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.Core().compile_model(exported / "model.onnx", "CPU", hint)
    result = compiled({"image": tensors})
    given = [result[name] for name in ("mask", "confidence", "probabilities")]
    assert_same(given, expected)


def test_weights_are_bfloat16_numbers(exported):
    model = onnx.load(exported / "model.onnx")
    initial = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(convolutions) == 63
    for node in convolutions:
        for name in node.input[1:]:
            values = torch.from_numpy(initial[name].copy())
            assert torch.equal(values, values.bfloat16().float()), name


def test_outputs_follow_from_probabilities(expected):
    mask, confidence, probabilities = expected
    np.testing.assert_array_equal(probabilities.max(axis=1), confidence)
    chosen = np.take_along_axis(probabilities, mask[:, None].astype(int), axis=1)[:, 0]
    np.testing.assert_array_equal(chosen, confidence)
    assert len(np.unique(mask)) > 1


def test_graph_has_the_promised_form(exported):
    model = onnx.load(exported / "model.onnx")
    check_graph(model)
    assert (model.opset_import[0].version, model.ir_version) == (OPSET, IR_VERSION) == (17, 8)
    sizes = {
        item.name: [d.dim_param or d.dim_value for d in item.type.tensor_type.shape.dim]
        for item in (*model.graph.input, *model.graph.output)
    }
    assert sizes == {
        "image": ["N", 64, 64, 1],
        "mask": ["N", 64, 64],
        "confidence": ["N", 64, 64],
        "probabilities": ["N", 4, 64, 64],
    }
    assert not {"BatchNormalization", "Shape", "If", "Loop"} & {n.op_type for n in model.graph.node}


def test_bytes_inside_the_graph_are_refused(exported):
    model = onnx.load(exported / "model.onnx")
    cast = next(node for node in model.graph.node if "image" in node.input)
    first = helper.make_node("Transpose", ["image"], ["turned"], perm=[0, 1, 2, 3])
    cast.input[0] = "turned"
    model.graph.node.insert(0, first)
    with pytest.raises(ModelError, match="turned"):
        check_graph(model)


def test_cast_from_integers_to_bytes_is_refused(exported):
    model = onnx.load(exported / "model.onnx")
    last = next(node for node in model.graph.node if "mask" in node.output)
    before = next(node for node in model.graph.node if last.input[0] in node.output)
    before.attribute[0].i = TensorProto.INT32
    with pytest.raises(ModelError, match="not a cast between byte and float"):
        check_graph(model)


def test_newer_opset_is_refused(exported):
    model = onnx.load(exported / "model.onnx")
    model.opset_import[0].version = 18
    with pytest.raises(
        (ModelError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError)
    ):
        check_graph(model)


def test_card_describes_the_file(exported, recipe):
    content = json.loads((exported / "card.json").read_text())
    card = parse_model_card(content, source="card.json")
    assert card.sha256 == hashlib.sha256((exported / "model.onnx").read_bytes()).hexdigest()
    assert (card.name, card.version) == (recipe.name, recipe.version)
    assert (card.height_px, card.width_px, card.channels, card.resize) == (
        64,
        64,
        "grey",
        "stretch",
    )
    assert card.taxonomy.names == ("soil", "bedrock", "sand", "big_rock")
    assert card.metrics["images"] == VALIDATION_IMAGES
    assert "none of the latter closer than 7200 s" in card.training["split"]
    exact = next(row for row in card.metrics["parity"] if row["precision"] == "fp32")
    assert exact["backend"] == "openvino"
    assert exact["mask_agreement"] >= 0.999
    assert card.metrics["out_of_distribution"]["training_percentiles"]["95"] > 0
    assert card.limits == ("Made for tests.",)


def test_golden_image_gives_its_mask(exported):
    with np.load(exported / "golden.npz", allow_pickle=False) as golden:
        image, mask = golden["image"], golden["mask"]
    assert (image.shape, mask.shape) == ((64, 64, 1), (64, 64))
    session = onnxruntime.InferenceSession(exported / "model.onnx")
    np.testing.assert_array_equal(session.run(["mask"], {"image": image[None]})[0][0], mask)


def test_readme_holds_scores_limits_and_credits(exported):
    text = (exported / "README.md").read_text()
    content = json.loads((exported / "card.json").read_text())
    assert f"mean IoU {content['metrics']['mean_iou']:.3f}" in text
    assert "Generated squares." in text
    assert all(limit in text for limit in content["limits"])


def test_only_the_four_files_are_left(exported):
    names = sorted(path.name for path in exported.iterdir())
    assert names == ["README.md", "card.json", "golden.npz", "model.onnx"]


def test_runtimes_that_disagree_are_refused(tensors):
    def run(level):
        def network(images):
            mask = np.zeros(images.shape[:3], np.uint8)
            mask[:, :4] = level > 100
            return NetworkOutput(mask, mask, np.full((len(images), 4, 64, 64), level, np.uint8))

        return network

    check_float32(run(50), {"close": run(52)}, tensors)
    with pytest.raises(ModelError, match=r"far agrees .* 3/255 off"):
        check_float32(run(50), {"far": run(53)}, tensors)
    with pytest.raises(ModelError, match=r"other agrees with the reference on 0\.93750"):
        check_float32(run(100), {"other": run(101)}, tensors)


def test_network_that_knows_its_batch_size_is_refused(tensors):
    def network(images):
        mask = np.full(images.shape[:3], len(images) - 1, np.uint8)
        return NetworkOutput(mask, mask, np.zeros((len(images), 4, 64, 64), np.uint8))

    with pytest.raises(ModelError, match=r"set export\.batch to 1"):
        check_batch(network, tensors)


def test_batch_size_may_be_fixed(trained, data, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    folder = RunFolder(tmp_path / "run")
    recipe = folder.recipe()
    fixed = dataclasses.replace(recipe, export=dataclasses.replace(recipe.export, batch=1))
    write_recipe(fixed, folder.snapshot)
    export_model(ExportRequest(run=folder.path, data=data, out=tmp_path / "out", hdf5=True))
    model = onnx.load(tmp_path / "out" / "model.onnx")
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
    weights = load_network(tmp_path / "out" / "weights.h5", recipe, classes=4).state_dict()
    for name, value in load_network(folder.weights, recipe, classes=4).state_dict().items():
        assert torch.equal(weights[name], value)


def test_disagreement_writes_nothing(trained, data, tmp_path, monkeypatch):
    def disagree(*_arguments):
        raise ModelError("they disagree")

    monkeypatch.setattr("terrain_training.export.export_model.check_float32", disagree)
    with pytest.raises(ModelError, match="they disagree"):
        export_model(ExportRequest(run=trained, data=data, out=tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_no_model_is_refused_before_anything_else(trained, data, tmp_path):
    (tmp_path / "README.md").write_text("Where these images are from.")
    (tmp_path / "images").mkdir()
    with pytest.raises(ConfigError, match=r"--out .* contains 'README\.md', 'images'"):
        export_model(ExportRequest(run=trained, data=tmp_path, out=tmp_path))
    assert (tmp_path / "README.md").read_text() == "Where these images are from."
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "images"]


def test_a_model_is_replaced_by_its_like_alone(exported, trained, data, tmp_path):
    out = tmp_path / "model"
    shutil.copytree(exported, out)
    (out / "model.onnx").write_bytes(b"old")
    export_model(ExportRequest(run=trained, data=data, out=out))
    assert (out / "model.onnx").read_bytes() == (exported / "model.onnx").read_bytes()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds 'notes\.txt' too"):
        export_model(ExportRequest(run=trained, data=data, out=out, force=True))
    (out / "notes.txt").unlink()
    card = json.loads((out / "card.json").read_text())
    (out / "card.json").write_text(json.dumps({**card, "name": "other"}))
    with pytest.raises(ConfigError, match=r"holds the model 'other', not 'tiny'.*--force"):
        export_model(ExportRequest(run=trained, data=data, out=out))
    export_model(ExportRequest(run=trained, data=data, out=out, force=True))
    assert json.loads((out / "card.json").read_text())["name"] == "tiny"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_empty_working_folder_takes_a_model(trained, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    export_model(ExportRequest(run=trained, data=data, out=Path()))
    names = ["README.md", "card.json", "golden.npz", "model.onnx"]
    assert sorted(path.name for path in Path().iterdir()) == names


def test_data_of_other_classes_are_refused(trained, tmp_path, data):
    shutil.copytree(trained, tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    summary["classes"][0]["name"] = "dust"
    (tmp_path / "run" / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(ConfigError, match=r"learned .'dust'"):
        export_model(ExportRequest(run=tmp_path / "run", data=data, out=tmp_path / "out"))


def test_weights_that_are_none_are_refused(trained, recipe, data, tmp_path):
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "best.safetensors").write_bytes(b"nothing")
    with pytest.raises(ConfigError, match="cannot be read"):
        export_model(ExportRequest(run=tmp_path / "run", data=data, out=tmp_path / "out"))
    options = {**recipe.network.options, "arguments": {"decoder_channels": [32, 16, 8, 8, 8]}}
    other = dataclasses.replace(
        recipe, network=dataclasses.replace(recipe.network, options=options)
    )
    with pytest.raises(ConfigError, match="not of recipe 'tiny'"):
        load_network(trained / "best.safetensors", other, classes=4)
