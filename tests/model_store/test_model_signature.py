"""Tests of signed models."""

import json
import shutil
import stat
import sys

import numpy as np
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.model_store import model_store
from terrain_seg_ros.model_store.model_signature import MAX_KEY_BYTES, RAW_KEY_BYTES, make_key
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.model_store.model_trust import ModelTrust
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.session import Session

serialization = pytest.importorskip("cryptography.hazmat.primitives.serialization")


@pytest.fixture
def models(tmp_path, monkeypatch):
    folder = tmp_path / "own"
    monkeypatch.setenv(model_store.MODELS_VARIABLE, str(folder))
    write_tiny_model(folder / "moon")
    return folder


@pytest.fixture
def keys(tmp_path):
    return make_key(tmp_path / "key")


@pytest.fixture
def signed(models, keys):
    assert main(["models", "sign", "moon", "--key", str(keys[0])]) == 0
    return models / "moon"


def test_a_signed_model_is_used_by_name_folder_and_file(signed, keys):
    for way in ("moon", signed, signed / "model.onnx"):
        assert load_model(way, ModelTrust(keys[1])).card.name == "moon"


def test_the_key_may_be_32_raw_bytes(signed, keys, tmp_path):
    public = serialization.load_pem_public_key(keys[1].read_bytes())
    raw = tmp_path / "raw"
    raw.write_bytes(public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw))
    assert raw.stat().st_size == RAW_KEY_BYTES
    assert load_model("moon", ModelTrust(raw)).card.name == "moon"


def test_an_unsigned_model_is_refused_only_where_a_key_is_named(models, keys):
    assert load_model("moon").card.name == "moon"
    with pytest.raises(ModelError, match=r"is not signed .*terrain-seg models sign"):
        load_model("moon", ModelTrust(keys[1]))


@pytest.mark.parametrize("part", ["card", "golden", "no golden", "model"])
def test_a_changed_file_voids_the_signature(signed, keys, part):
    if part == "card":
        card = json.loads((signed / "card.json").read_text())
        card["classes"][3]["hazard"] = 0.0
        (signed / "card.json").write_text(json.dumps(card))
    elif part == "golden":
        np.savez(signed / "golden.npz", **dict(np.load(signed / "golden.npz")))
    elif part == "no golden":
        (signed / "golden.npz").unlink()
    else:
        write_tiny_model(signed, classes=3)
    with pytest.raises(ModelError, match="is not what was signed"):
        load_model("moon", ModelTrust(keys[1]))


def test_another_key_s_signature_is_none(signed, tmp_path):
    other = make_key(tmp_path / "other")
    with pytest.raises(ModelError, match="is not what was signed"):
        load_model("moon", ModelTrust(other[1]))


def test_the_signature_of_another_model_is_none(signed, models, keys):
    write_tiny_model(models / "mars", classes=3)
    shutil.copy(signed / "model.sig", models / "mars" / "model.sig")
    with pytest.raises(ModelError, match="is not what was signed"):
        load_model("mars", ModelTrust(keys[1]))


@pytest.mark.parametrize(
    "data", [b"", b"0" * 127, b"0" * 129, b"g" * 128, b"0" * 128 + b" x", b"\xff" * 128]
)
def test_a_damaged_signature_is_refused(signed, keys, data):
    (signed / "model.sig").write_bytes(data)
    with pytest.raises(ModelError, match="is not a signature"):
        load_model("moon", ModelTrust(keys[1]))


def test_a_signature_file_without_end_is_refused(signed, keys):
    (signed / "model.sig").write_bytes(b"0" * 5000)
    with pytest.raises(ModelError, match="the limit is 4096"):
        load_model("moon")


def test_an_unsigned_file_of_lower_precision_is_left_out(models, keys, caplog):
    sha256 = json.loads((models / "moon" / "card.json").read_text())["sha256"]
    lowered = {"precision": "int8", "lowered_from_sha256": sha256}
    assert main(["models", "sign", "moon", "--key", str(keys[0])]) == 0
    write_tiny_model(models / "moon_int8", batch=1, card_changes=lowered)
    assert len(load_model("moon").lowered) == 1
    assert load_model("moon", ModelTrust(keys[1])).lowered == ()
    assert "is not signed" in caplog.text
    assert main(["models", "sign", "moon", "--key", str(keys[0])]) == 0
    assert len(load_model("moon", ModelTrust(keys[1])).lowered) == 1


def test_what_has_no_files_cannot_be_signed(keys, capsys):
    with pytest.raises(ModelError, match="no signature"):
        load_model("synthetic", ModelTrust(keys[1]))
    assert main(["models", "sign", "synthetic", "--key", str(keys[0])]) == 2
    assert "no files" in capsys.readouterr().err


def test_a_key_that_is_none_is_one_line(signed, keys, tmp_path):
    rsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.rsa")
    pem = rsa.generate_private_key(65537, 2048).public_key()
    kinds = {
        "junk": (b"junk", "is not a public key in PEM"),
        "empty": (b"", "is not a public key in PEM"),
        "private": (keys[0].read_bytes(), "is not a public key in PEM"),
        "large": (b"0" * (MAX_KEY_BYTES + 1), "the limit is"),
        "rsa": (
            pem.public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
            "expected Ed25519",
        ),
    }
    for name, (data, text) in kinds.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ConfigError, match=text) as refused:
            load_model("moon", ModelTrust(tmp_path / name))
        assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_model("moon", ModelTrust(tmp_path / "absent"))


def test_without_the_package_nothing_passes_for_signed(signed, keys, monkeypatch):
    name = "cryptography.hazmat.primitives.asymmetric.ed25519"
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match="pip install cryptography"):
        load_model("moon", ModelTrust(keys[1]))
    assert load_model("moon").card.name == "moon"


def test_the_parameter_reaches_the_session(signed, keys):
    given = {"model": "moon", "backend": "onnxruntime", "model_public_key": str(keys[1])}
    with Session(load_parameters(overrides=given)) as session:
        assert session.describe()["model_digest"] == session.model.digest[:16]
    (signed / "model.sig").unlink()
    with pytest.raises(ModelError, match="is not signed"):
        Session(load_parameters(overrides=given))


def test_keys_are_made_once_and_the_private_one_is_the_owner_s(tmp_path, capsys):
    path = tmp_path / "fleet"
    assert main(["models", "keygen", "--key", str(path)]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) + ".pub" in capsys.readouterr().out
    before = path.read_bytes()
    assert main(["models", "keygen", "--key", str(path)]) == 2
    assert path.read_bytes() == before
    assert main(["models", "keygen", "--key", str(tmp_path / "no" / "folder")]) == 2


def test_a_key_that_is_absent_is_one_line(models, capsys):
    assert main(["models", "sign", "moon", "--key", "absent"]) == 2
    said = capsys.readouterr().err
    assert "cannot be read" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["keygen"], "required: --key"),
        (["keygen", "moon", "--key", "k"], "unrecognized arguments: moon"),
        (["sign", "moon"], "required: --key"),
        (["sign", "--key", "k"], "required: NAME|PATH"),
        (["pin", "moon", "--key", "k"], "unrecognized arguments: --key k"),
        (["show", "moon", "--key", "k"], "unrecognized arguments: --key k"),
    ],
)
def test_a_wrong_command_line_is_refused(models, capsys, words, text):
    with pytest.raises(SystemExit) as stop:
        main(["models", *words])
    assert stop.value.code == 2
    assert text in capsys.readouterr().err
