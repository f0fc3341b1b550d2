"""Tests of `terrain-seg models`."""

import json

import pytest

from terrain_seg_ros.cli.main import main
from terrain_seg_ros.inference import model_store
from tiny_model import write_tiny_model

METRICS = {
    "mean_iou": 0.812,
    "iou": {"big_rock": 0.9},
    "parity": [{"backend": "openvino", "precision": "bf16", "images": 516}],
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    models = tmp_path / "models"
    monkeypatch.setattr(model_store, "_shipped_folder", lambda: models)
    return write_tiny_model(models / "tiny", metrics=METRICS)


def test_the_list(folder, capsys):
    write_tiny_model(folder.parent / "other")
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("other 1.0.0: soil, bedrock, sand, big_rock; 64x64 grey; no score")
    assert lines[1].endswith("mean IoU 0.812")


def test_one_card_as_text(folder, capsys):
    assert main(["models", "tiny"]) == 0
    text = capsys.readouterr().out
    for part in (
        "tiny 1.0.0",
        "3 big_rock: hazard 1",
        "mean_iou: 0.812",
        "big_rock: 0.9",
        "backend openvino, precision bf16, images 516",
        "serves tests only",
    ):
        assert part in text


def test_json_is_the_card(folder, capsys):
    card = json.loads((folder / "card.json").read_text())
    assert main(["models", "tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == card
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [card]


def test_a_path_will_do(folder, capsys):
    assert main(["models", str(folder)]) == 0
    assert "tiny" in capsys.readouterr().out


def test_none_shipped_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(model_store, "_shipped_folder", lambda: tmp_path / "absent")
    assert main(["models"]) == 0
    assert "no model is shipped" in capsys.readouterr().out


def test_an_unknown_model_is_one_line(folder, capsys):
    assert main(["models", "tinny"]) == 2
    said = capsys.readouterr().err
    assert "['tiny']" in said
    assert said.count("\n") == 1
