"""Tests of files of lower precision beside the float32 file that they were made from."""

import hashlib
import json
import shutil

import numpy as np
import onnx
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import InferenceError, ModelError
from terrain_seg_ros.inference import registry
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.engines.prepare import cached_engine, prepare_engine, wanted_engines
from terrain_seg_ros.inference.registry import create_backend, try_backends
from terrain_seg_ros.model_store.model_pins import Pin, set_pin
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.session import Session

ROW = {
    "precision": "int8",
    "images": 516,
    "mean_iou_loss": 0.0,
    "dangerous_recall_loss": 0.001,
    "clear_margin_changed": 0.0005,
}
PARITY = {"parity": [{"backend": name, **ROW} for name in ("onnxruntime", "openvino")]}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("terrain_seg_ros.inference.self_test._TIMING_S", 0.05)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return the user's folder with `tiny`."""
    folder = tmp_path / "models"
    write_tiny_model(folder / "tiny")
    monkeypatch.setenv("TERRAIN_SEG_MODELS", str(folder))
    return folder


def card_of(folder):
    return json.loads((folder / "card.json").read_text())


def add_int8(home, name="tiny_int8", *, metrics=PARITY, **changes):
    """Write a file that says it is `tiny` in int8; another size gives it other bytes."""
    changes = {
        "precision": "int8",
        "lowered_from_sha256": card_of(home / "tiny")["sha256"],
        **changes,
    }
    return write_tiny_model(home / name, batch=1, metrics=metrics, card_changes=changes)


def test_a_file_made_from_a_model_comes_with_it(home):
    add_int8(home)
    write_tiny_model(home / "other", card_changes={"precision": "fp16"})
    model = load_model("tiny")
    (lowered,) = model.lowered
    assert (lowered.card.name, lowered.card.precision) == ("tiny_int8", "int8")
    assert lowered.card.sha256 != model.card.sha256
    assert model.file("int8") is lowered
    assert model.file("fp32") is model.file("bf16") is model
    assert load_model(home / "tiny").lowered[0].card == lowered.card
    assert load_model("tiny_int8").lowered == ()


def test_what_lies_beside_a_model_elsewhere_is_nobodys(home, tmp_path):
    add_int8(home)
    shutil.copytree(home, tmp_path / "elsewhere")
    assert load_model(tmp_path / "elsewhere" / "tiny").lowered == ()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"resize": "crop"}, "resize is 'crop'"),
        ({"sha256": "0" * 64}, "was changed or damaged"),
        ({"precision": "int4"}, "precision is 'int4'"),
    ],
)
def test_one_that_cannot_be_used_is_left_out_with_a_warning(home, caplog, changes, text):
    add_int8(home, **changes)
    assert load_model("tiny").lowered == ()
    assert text in caplog.text


def test_one_pinned_to_another_file_is_left_out(home, caplog):
    add_int8(home)
    set_pin(home, "tiny_int8", Pin("0" * 64, "0" * 64))
    assert load_model("tiny").lowered == ()
    assert "pinned" in caplog.text


def test_auto_times_it_with_the_others(home):
    add_int8(home)
    backend, trials = try_backends(load_model("tiny"))
    backend.close()
    timed = {(item.backend, item.precision) for item in trials if item.median_ms is not None}
    names = ("onnxruntime", "openvino")
    assert timed == {(name, precision) for name in names for precision in ("fp32", "int8")}


@pytest.mark.parametrize("loss", [{}, {"parity": [{"backend": "openvino", **ROW, "images": 20}]}])
def test_auto_leaves_it_where_its_card_does_not_vouch(home, loss):
    add_int8(home, metrics=loss)
    backend, trials = try_backends(load_model("tiny"))
    backend.close()
    assert backend.precision == "fp32"
    refused = [item for item in trials if item.precision == "int8"]
    assert [item.median_ms for item in refused] == [None, None]
    assert any("no parity figures" in item.refusal for item in refused)


def test_a_named_precision_finds_it(home):
    with pytest.raises(InferenceError):
        create_backend("openvino", load_model("tiny"), BackendOptions(precision="int8"))
    add_int8(home)
    model = load_model("tiny")
    for name in ("onnxruntime", "openvino", "auto"):
        backend = create_backend(name, model, BackendOptions(precision="int8"))
        assert backend.precision == "int8"
        assert np.array_equal(backend(model.golden.image[None]).mask[0], model.golden.mask)
        backend.close()


def test_one_that_gives_another_mask_is_refused(home):
    folder = add_int8(home)
    graph = onnx.load(folder / "model.onnx")
    (bias,) = (item for item in graph.graph.initializer if item.name == "bias")
    bias.CopyFrom(onnx.numpy_helper.from_array(np.float32([9, 0, 0, 0]) * 1e3, "bias"))
    data = graph.SerializeToString()
    (folder / "model.onnx").write_bytes(data)
    content = {**card_of(folder), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "card.json").write_text(json.dumps(content))
    model = load_model("tiny")
    with pytest.raises(ModelError, match="float32 is sure of"):
        create_backend("openvino", model, BackendOptions(precision="int8"))
    backend, trials = try_backends(model)
    backend.close()
    assert backend.precision == "fp32"
    assert {item.precision for item in trials if "sure of" in item.refusal} == {"int8"}


def test_a_session_says_which_file_serves(home):
    add_int8(home)
    given = {"model": "tiny", "backend": "openvino"}
    with Session(load_parameters(overrides={**given, "precision": "int8"})) as session:
        about = session.describe()
        session.self_test()
    sha256 = card_of(home / "tiny_int8")["sha256"]
    assert (about["model"], about["model_sha256"]) == ("tiny_int8 1.0.0", sha256[:16])
    assert about["precision"] == "int8"
    with Session(load_parameters(overrides={**given, "deterministic": True})) as session:
        assert session.describe()["model"] == "tiny 1.0.0"


def test_an_engine_is_of_the_file_that_runs(home, tmp_path):
    add_int8(home)
    model, options = load_model("tiny"), BackendOptions(cache_dir=tmp_path / "engines")
    wanted = wanted_engines(BackendName.OPENVINO, model, options)
    assert [item.precision for item in wanted] == ["fp32", "int8"]
    keys = [cached_engine(BackendName.OPENVINO, model, item).key for item in wanted]
    assert keys[0].model_sha256 == model.card.sha256
    assert keys[1].model_sha256 == model.lowered[0].card.sha256
    assert not prepare_engine(BackendName.OPENVINO, model, wanted[1]).was_cached
    assert prepare_engine(BackendName.OPENVINO, model, wanted[1]).was_cached


def test_a_pinned_model_takes_no_file_beside_it_that_is_not_pinned(home, caplog):
    add_int8(home)
    model = load_model("tiny")
    set_pin(home, "tiny", Pin(model.digest, model.card.sha256))
    assert load_model("tiny").lowered == ()
    assert "terrain-seg models pin tiny_int8" in caplog.text
    (lowered,) = model.lowered
    set_pin(home, "tiny_int8", Pin(lowered.digest, lowered.card.sha256))
    assert [file.digest for file in load_model("tiny").lowered] == [lowered.digest]


def test_the_constant_backend_has_no_file(home):
    add_int8(home)
    model = load_model("tiny")
    assert registry.model_precisions(BackendName.CONSTANT, model) == ("fp32",)
