from __future__ import annotations

import json
import shutil

import pytest
import yaml

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.cli import main
from terrain_training.export.export_model import ExportRequest, export_model
from terrain_training.export.lower_model import LoweredTo, LowerRequest, lower_model

FILES = ("README.md", "card.json", "golden.npz", "model.onnx")


@pytest.fixture(scope="module")
def float32(trained, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "tiny"
    export_model(ExportRequest(run=trained, data=data, out=out))
    return out


@pytest.fixture
def bare(float32, tmp_path):
    """Return a copy whose card keeps no recipe and which has no golden image."""
    folder = tmp_path / "bare"
    shutil.copytree(float32, folder)
    content = card_of(folder)
    del content["training"]["recipe"]
    (folder / "card.json").write_text(json.dumps(content))
    (folder / "golden.npz").unlink()
    return folder


def card_of(folder):
    return json.loads((folder / "card.json").read_text())


def arguments(model, data, out, *more):
    return ["export", str(model), "--data", str(data), "--out", str(out), *more]


def test_a_model_gives_what_its_run_gives(trained, float32, data, tmp_path, capsys):
    before = {name: (float32 / name).read_bytes() for name in FILES}
    by_run, by_model = tmp_path / "run", tmp_path / "model"
    export_model(ExportRequest(run=trained, data=data, out=by_run, precision="fp16"))
    assert main(arguments(float32, data, by_model, "--precision", "fp16")) == 0
    assert "tiny_fp16" in capsys.readouterr().out
    assert sorted(path.name for path in by_model.iterdir()) == list(FILES)
    assert (by_model / "model.onnx").read_bytes() == (by_run / "model.onnx").read_bytes()
    assert (by_model / "golden.npz").read_bytes() == before["golden.npz"]
    for card in (card_of(by_run), card_of(by_model)):
        card["metrics"].pop("bare_call")
        assert (card["name"], card["precision"]) == ("tiny_fp16", "fp16")
        assert card["lowered_from_sha256"] == card_of(float32)["sha256"]
    one, other = card_of(by_run), card_of(by_model)
    assert one["metrics"]["parity"] == other["metrics"]["parity"]
    assert "rounding" in card_of(float32)["metrics"]
    assert "rounding" not in {**one["metrics"], **other["metrics"]}
    assert one["training"] == other["training"]
    assert {name: (float32 / name).read_bytes() for name in FILES} == before


def test_a_recipe_may_be_given(bare, recipe_file, data, tmp_path):
    given = ["--precision", "fp16", "--recipe", str(recipe_file)]
    assert main(arguments(bare, data, tmp_path / "out", *given)) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == list(FILES)


def test_what_does_not_fit_is_refused(bare, float32, recipe_file, data, tmp_path):
    out, half = tmp_path / "out", LoweredTo("fp16")
    with pytest.raises(ConfigError, match="give one with --recipe"):
        lower_model(LowerRequest(bare, data, out, half))
    larger = yaml.safe_load(recipe_file.read_text())
    larger["data"]["height_px"] = 128
    other = tmp_path / "larger.yaml"
    other.write_text(yaml.safe_dump(larger))
    with pytest.raises(ConfigError, match=r"data\.height_px is 128, but the model .* takes 64"):
        lower_model(LowerRequest(bare, data, out, half, recipe=other))
    content = card_of(float32)
    (bare / "card.json").write_text(json.dumps({**content, "precision": "fp16"}))
    with pytest.raises(ConfigError, match="is fp16 already"):
        lower_model(LowerRequest(bare, data, out, half))
    with pytest.raises(ConfigError, match="float32 already"):
        LoweredTo("fp32")
    assert not out.exists()


def test_data_of_other_classes_are_refused(float32, data, tmp_path):
    folder = tmp_path / "rocks"
    shutil.copytree(float32, folder)
    content = card_of(folder)
    recipe = content["training"]["recipe"]
    recipe["data"]["taxonomy"] = {
        "classes": [
            {"name": "ground", "color": [1, 2, 3], "hazard": 0.0},
            {"name": "rock", "color": [4, 5, 6], "hazard": 1.0},
        ],
        "map": {"soil": "ground", "bedrock": "ground", "sand": "ground", "big_rock": "rock"},
    }
    (folder / "card.json").write_text(json.dumps(content))
    with pytest.raises(ConfigError, match=r"has the classes .'ground', 'rock'.*the model knows"):
        lower_model(LowerRequest(folder, data, tmp_path / "out", LoweredTo("fp16")))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--precision", "fp16", "--hdf5"], "weights of a run"),
        (["--precision", "bf16"], "before opset 22"),
        ([], "float32 already"),
    ],
)
def test_command_says_what_a_model_cannot_give(float32, data, tmp_path, capsys, more, message):
    assert main(arguments(float32, data, tmp_path / "out", *more)) != 0
    assert message in capsys.readouterr().err


def test_a_run_keeps_its_own_recipe(trained, recipe_file, data, tmp_path, capsys):
    given = ["--recipe", str(recipe_file)]
    assert main(arguments(trained, data, tmp_path / "out", *given)) != 0
    assert "a run keeps its own" in capsys.readouterr().err
