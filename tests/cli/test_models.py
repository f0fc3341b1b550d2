"""Tests of `terrain-seg models`."""

import hashlib
import json

import pytest

from support.archives import folder_content, write_archive
from support.file_server import serve
from support.tiny_model import write_tiny_model
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.model_store import model_store
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.segmenter import Segmenter

METRICS = {
    "mean_iou": 0.812,
    "iou": {"big_rock": 0.9},
    "parity": [{"backend": "openvino", "precision": "bf16", "images": 516}],
}


@pytest.fixture(autouse=True)
def own_models(tmp_path, monkeypatch):
    monkeypatch.setenv(model_store.MODELS_VARIABLE, str(tmp_path / "own"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    models = tmp_path / "models"
    monkeypatch.setattr(model_store, "_shipped_folder", lambda: models)
    return write_tiny_model(models / "tiny", metrics=METRICS)


def test_the_list(folder, capsys):
    write_tiny_model(folder.parent / "other")
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    digest = load_model("other").digest
    assert lines[0] == (
        "other 1.0.0: soil, bedrock, sand, big_rock; 64x64 grey; fp32; no score; "
        f"digest {digest[:16]}"
    )
    assert "mean IoU 0.812; digest" in lines[1]
    assert main(["models", "show", "other"]) == 0
    assert digest in capsys.readouterr().out


def test_one_card_as_text(folder, capsys):
    assert main(["models", "show", "tiny"]) == 0
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
    assert main(["models", "show", "tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == card
    for words in (["--json"], ["list", "--json"], ["--json", "list"]):
        assert main(["models", *words]) == 0
        assert json.loads(capsys.readouterr().out) == [card]


def test_a_path_will_do(folder, capsys):
    assert main(["models", "show", str(folder)]) == 0
    assert "tiny" in capsys.readouterr().out


def test_none_shipped_is_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(model_store, "_shipped_folder", lambda: tmp_path / "absent")
    assert main(["models"]) == 0
    assert "no model is shipped" in capsys.readouterr().out


def test_an_unknown_model_is_one_line(folder, capsys):
    assert main(["models", "show", "tinny"]) == 2
    said = capsys.readouterr().err
    assert "['tiny']" in said
    assert said.count("\n") == 1


def test_listing_by_its_name_is_the_same(folder, capsys):
    assert main(["models"]) == 0
    listed = capsys.readouterr().out
    assert main(["models", "list"]) == 0
    assert capsys.readouterr().out == listed


def add(archive, *more, sha256=None):
    digest = sha256 or hashlib.sha256(archive.read_bytes()).hexdigest()
    return main(["models", "add", str(archive), "--sha256", digest, *more])


def published(tmp_path):
    made = write_tiny_model(tmp_path / "made" / "moon")
    return write_archive(tmp_path / "moon.zip", folder_content(made))


def test_an_added_model_is_listed_shown_and_used(folder, tmp_path, capsys):
    assert add(published(tmp_path)) == 0
    said = capsys.readouterr().out
    assert f"moon 1.0.0 is in {tmp_path / 'own' / 'moon'}" in said
    assert "--model moon" in said
    assert main(["models"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["tiny", "moon"]
    assert main(["models", "show", "moon"]) == 0
    assert "serves tests only" in capsys.readouterr().out
    assert main(["models", "--json"]) == 0
    assert [card["name"] for card in json.loads(capsys.readouterr().out)] == ["tiny", "moon"]
    with Segmenter("moon", backend="onnxruntime") as segmenter:
        assert segmenter.card.name == "moon"


def test_an_added_model_is_listed_by_the_name_it_was_given(folder, tmp_path, capsys):
    assert add(published(tmp_path), "--name", "luna") == 0
    capsys.readouterr()
    assert main(["models"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("luna 1.0.0")


def test_a_model_comes_from_a_server(folder, tmp_path, capsys):
    data = published(tmp_path).read_bytes()
    with serve() as files:
        url = files.add("/moon.zip", data)
        assert add(url, sha256=hashlib.sha256(data).hexdigest()) == 0
    captured = capsys.readouterr()
    assert captured.err == "", "a log gets no progress bar"
    assert "moon 1.0.0" in captured.out


def test_a_damaged_model_does_not_hide_the_others(folder, tmp_path, capsys):
    write_tiny_model(tmp_path / "own" / "broken", card_changes={"format": 9})
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("tiny 1.0.0")
    assert lines[1].startswith("broken: cannot be used")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["add", "moon.zip", "--sha256", "12"], "64 hexadecimal"),
        (["add", "moon.zip", "--sha256", "0" * 64], "neither a file"),
        (["add", "http://example.org/moon.zip", "--sha256", "0" * 64], "plain http"),
        (["add", "moon.zip", "--sha256", "0" * 64, "--name", "tiny"], "reserved by this package"),
    ],
)
def test_a_wrong_value_is_one_line(folder, tmp_path, capsys, words, text):
    assert main(["models", *words]) == 2
    said = capsys.readouterr().err
    assert text in said
    assert said.count("\n") == 1
    assert not (tmp_path / "own").exists() or list((tmp_path / "own").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["add"], "required: URL|FILE, --sha256"),
        (["add", "moon.zip"], "required: --sha256"),
        (["add", "moon.zip", "--sha256", "0" * 64, "--json"], "unrecognized arguments: --json"),
        (["list", "moon.zip"], "unrecognized arguments: moon.zip"),
        (["show", "tiny", "--name", "moon"], "unrecognized arguments: --name moon"),
        (["--allow-http"], "unrecognized arguments: --allow-http"),
        (["tiny"], "invalid choice: 'tiny'"),
    ],
)
def test_a_wrong_option_is_refused_with_the_usage(folder, tmp_path, capsys, words, text):
    with pytest.raises(SystemExit) as stop:
        main(["models", *words])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: terrain-seg")
    assert text in said
    assert not (tmp_path / "own").exists()
