from __future__ import annotations

import json

import pytest

from conftest import VALIDATION_IMAGES
from terrain_training.cli import main


def arguments(command, recipe_file, data, *rest):
    return [command, str(recipe_file), "--data", str(data), *map(str, rest)]


def test_split_prints_counts_and_gap(recipe_file, data, capsys):
    assert main(arguments("split", recipe_file, data)) == 0
    printed = capsys.readouterr().out
    assert f"validation images  {VALIDATION_IMAGES}" in printed
    assert "smallest gap       7200 s" in printed


def test_train_evaluate_export(trained, recipe_file, data, tmp_path, capsys):
    assert main(arguments("train", recipe_file, data, "--out", trained)) == 0
    assert f"on {VALIDATION_IMAGES} validation images" in capsys.readouterr().out
    weights = trained / "best.safetensors"
    out = tmp_path / "model"
    assert main(arguments("export", recipe_file, data, "--weights", weights, "--out", out)) == 0
    scores = []
    for number, model in enumerate((weights, out, out / "model.onnx")):
        file = tmp_path / f"{number}.json"
        assert main(arguments("evaluate", recipe_file, data, "--model", model, "--json", file)) == 0
        scores.append(json.loads(file.read_text()))
    assert scores[0]["mean_iou"] == pytest.approx(scores[1]["mean_iou"], abs=2e-3)
    assert scores[1] == scores[2]
    assert set(scores[0]["iou"]) == {"soil", "bedrock", "sand", "big_rock"}
    assert scores[1]["expected_calibration_error"] <= scores[0]["expected_calibration_error"] + 0.02


@pytest.mark.parametrize(
    ("command", "rest", "message"),
    [
        ("evaluate", ("--model", "none.onnx"), "there is no model 'none.onnx'"),
        ("evaluate", ("--model", "none.safetensors"), "train first"),
        ("export", ("--weights", "none.safetensors", "--out", "x"), "train first"),
        ("train", ("--out", "x", "--pretrained", "none.npz"), "none.npz do not exist"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    command, rest, message, recipe_file, data, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    assert main(arguments(command, recipe_file, data, *rest)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "x").exists()


def test_missing_data_is_named(recipe_file, tmp_path, capsys):
    assert main(arguments("split", recipe_file, tmp_path)) == 2
    assert "train.txt is missing" in capsys.readouterr().err


def test_wrong_usage_exits_2(recipe_file, data):
    for rest in (["--threads", "0"], ["--what"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments("split", recipe_file, data, *rest))
        assert caught.value.code == 2
