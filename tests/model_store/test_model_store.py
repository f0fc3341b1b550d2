"""Tests of what makes a model unusable."""

import hashlib
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from onnx import TensorProto

from support.novelty import reference_of
from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import InferenceError, ModelError
from terrain_seg_ros.core.model_card import card_content, parse_model_card
from terrain_seg_ros.model_store import model_files, model_store
from terrain_seg_ros.model_store.model_store import load_card, load_model, shipped_models


@pytest.fixture
def folder(tmp_path):
    return write_tiny_model(tmp_path / "tiny", size=(32, 48))


def test_folder_and_file_give_the_same(folder):
    by_folder, by_file = load_model(folder), load_model(folder / "model.onnx")
    assert by_folder.card == by_file.card
    assert by_folder.onnx_bytes == (folder / "model.onnx").read_bytes()
    assert by_folder.onnx_path == folder / "model.onnx"
    assert by_folder.golden.mask.shape == (32, 48)


def test_the_golden_image_may_be_missing(folder):
    (folder / "golden.npz").unlink()
    assert load_model(folder).golden is None


def test_a_card_keeps_its_novelty(folder):
    card = load_card(folder)
    assert card.novelty is None
    assert "novelty" not in card_content(card)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 1)).astype(np.uint8)
    described = replace(card, novelty=reference_of(images))
    assert parse_model_card(card_content(described), source="card") == described


def test_a_card_can_be_read_alone(folder):
    (folder / "model.onnx").write_bytes(b"")
    assert load_card(folder).name == "tiny"


def test_shipped_models_are_found_by_name(folder, monkeypatch):
    monkeypatch.setattr(model_store, "_shipped_folder", lambda: folder.parent)
    (folder.parent / "no_model").mkdir()
    assert shipped_models() == ["tiny"]
    assert load_model("tiny").card.name == "tiny"
    with pytest.raises(ModelError, match=r"\['tiny'\]"):
        load_model("tinny")


def test_synthetic_has_no_graph():
    model = load_model("synthetic")
    assert load_card("synthetic") == model.card
    with pytest.raises(InferenceError, match="constant"):
        model.graph()


def test_every_shipped_model_loads():
    for name in shipped_models():
        model = load_model(name)
        assert model.card.name == name
        assert model.golden is not None


def test_a_missing_model_names_the_remedy(tmp_path):
    with pytest.raises(ModelError, match="neither one of the shipped"):
        load_model(tmp_path / "nowhere")


@pytest.mark.parametrize("missing", ["model.onnx", "card.json"])
def test_a_missing_part_is_named(folder, missing):
    (folder / missing).unlink()
    with pytest.raises(ModelError, match=f"{missing}: cannot be read"):
        load_model(folder)


@pytest.mark.requirement("TSR-NET-001")
def test_a_tampered_graph_is_refused(folder):
    data = bytearray((folder / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "model.onnx").write_bytes(bytes(data))
    with pytest.raises(ModelError, match="sha256"):
        load_model(folder)


def test_a_corrupt_graph_is_refused(folder):
    model = folder / "model.onnx"
    model.write_bytes(b"garbage")
    rehash(folder)
    with pytest.raises(ModelError, match="is not an ONNX model"):
        load_model(folder)


def test_a_graph_beyond_the_limit_is_refused(folder, monkeypatch):
    monkeypatch.setattr(model_files, "MAX_MODEL_BYTES", 100)
    with pytest.raises(ModelError, match="the limit is 100"):
        load_model(folder)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"height_px": 48}, "'image' has shape"),
        ({"channels": "rgb"}, "'image' has shape"),
        ({"format": 2}, "card format is 2"),
        ({"temperature": "hot"}, "temperature is 'hot'"),
        ({"taxonomy_fingerprint": "0"}, "taxonomy_fingerprint"),
        ({"classes": 3}, "classes is 3"),
        ({"precision": "int4"}, "precision is 'int4'"),
    ],
)
def test_a_card_that_contradicts_the_graph_is_refused(tmp_path, changes, text):
    folder = write_tiny_model(tmp_path / "tiny", size=(32, 48), card_changes=changes)
    with pytest.raises(ModelError, match=text):
        load_model(folder)


def test_the_precision_of_the_file_is_read_and_old_cards_mean_float32(tmp_path):
    folder = write_tiny_model(tmp_path / "tiny", card_changes={"precision": "int8"})
    assert load_model(folder).card.precision == "int8"
    content = json.loads((folder / "card.json").read_text())
    del content["precision"]
    (folder / "card.json").write_text(json.dumps(content))
    card = load_model(folder).card
    assert card.precision == "fp32"
    assert card_content(card) == {**content, "precision": "fp32"}


def test_another_number_of_classes_is_refused(tmp_path):
    folder = write_tiny_model(tmp_path / "five", size=32, classes=5)
    four = json.loads((write_tiny_model(tmp_path / "four") / "card.json").read_text())
    card = json.loads((folder / "card.json").read_text())
    card |= {key: four[key] for key in ("classes", "taxonomy_fingerprint")}
    (folder / "card.json").write_text(json.dumps(card))
    with pytest.raises(ModelError, match=r"'probabilities' has shape .*5.*card says .*4"):
        load_model(folder)


def test_another_type_is_refused(tmp_path):
    folder = write_tiny_model(tmp_path / "real", image_type=TensorProto.FLOAT)
    with pytest.raises(ModelError, match=r"'image' is tensor\(float\)"):
        load_model(folder)


def test_a_fixed_batch_other_than_one_is_refused(tmp_path):
    with pytest.raises(ModelError, match="'image' has shape"):
        load_model(write_tiny_model(tmp_path / "two", batch=2))


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, '{"format": 1}'])
def test_a_card_that_is_none_is_refused(folder, text):
    (folder / "card.json").write_text(text)
    with pytest.raises(ModelError, match=r"card\.json"):
        load_model(folder)


def test_a_golden_image_that_is_none_is_refused(folder):
    path = folder / "golden.npz"
    whole = path.read_bytes()
    for data in (b"", b"junk", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(ModelError, match="golden image cannot be read"):
            load_model(folder)


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"image": np.zeros((32, 48, 1), np.uint8)}, "mask"),
        ({"image": np.zeros((8, 8, 1), np.uint8), "mask": np.zeros((8, 8), np.uint8)}, "shapes"),
        (
            {"image": np.zeros((32, 48, 1), np.float32), "mask": np.zeros((32, 48), np.uint8)},
            "not uint8",
        ),
        (
            {"image": np.zeros((32, 48, 1), np.uint8), "mask": np.full((32, 48), 9, np.uint8)},
            "class id 9",
        ),
        ({"image": np.array([{}]), "mask": np.zeros((32, 48), np.uint8)}, "cannot be read"),
    ],
    ids=["missing", "shape", "type", "class", "pickle"],
)
def test_a_golden_image_that_contradicts_the_card_is_refused(folder, arrays, text):
    np.savez(folder / "golden.npz", **arrays)
    with pytest.raises(ModelError, match=text):
        load_model(folder)


def test_a_golden_bomb_is_refused(folder):
    with zipfile.ZipFile(folder / "golden.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("image.npy", bytes(model_files.MAX_GOLDEN_BYTES + 1))
    with pytest.raises(ModelError, match="unpacks to"):
        load_model(folder)


def rehash(folder):
    card = json.loads((folder / "card.json").read_text())
    card["sha256"] = hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
