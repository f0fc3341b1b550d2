from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.segmenter import Segmenter
from terrain_training.benchmarks.peers import NumpyPeer, TorchPeer, _network
from terrain_training.cli import main
from terrain_training.comparison.plan import read_items
from terrain_training.learning.checkpoint import load_network
from terrain_training.learning.run_folder import RunFolder
from terrain_training.recipe.load import load_recipe
from terrain_training.tuning.space import Choices, Span, load_space

CONFIGS = Path(__file__).parents[1] / "configs"
CPU = ["--accelerator", "cpu"]
SPACE = """
training.learning_rate: {low: 1e-3, high: 1.0e-2, log: true}
training.batch_size: {choices: [4, 8]}
network.options.dropout: {low: 0.0, high: 0.4}
training.losses: {choices: [{cross_entropy: 1.0}, {cross_entropy: 1.0, dice: 0.5}]}
"""


@pytest.fixture
def plan(tmp_path, recipe_file, data):
    text = f"""
rows:
  - {{recipe: {recipe_file}, name: one, data: ., also: {{again: .}}, set: ["training.epochs=1"]}}
  - {{recipe: {recipe_file}, name: broken, data: nowhere}}
"""
    path = tmp_path / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_comparison_has_a_row_for_each_and_names_what_failed(trained, plan, data, tmp_path, capsys):
    out = tmp_path / "out"
    words = ["compare", str(plan), str(trained), "--data", str(data), "--out", str(out), *CPU]
    assert main(words) == 1
    printed = capsys.readouterr().out
    assert "broken failed: " in printed
    rows = {row["name"]: row for row in json.loads((out / "comparison.json").read_text())}
    assert set(rows) == {"one", "broken", trained.name}
    assert set(rows["one"]["scores"]) == {"validation", "again"}
    assert rows["one"]["epochs"] == 1
    assert set(rows["one"]["milliseconds"]) == {"onnxruntime", "openvino"}
    assert rows[trained.name]["parameters"] == rows["one"]["parameters"] > 1_000_000
    table = (out / "comparison.md").read_text().splitlines()
    assert table[0].startswith("| model | parameters | epochs | validation IoU | again IoU |")
    assert len([line for line in table if line.startswith("|")]) == 5
    page = (out / "index.html").read_text()
    assert "IoU per class" in page
    assert page.count("<img") == 2
    for name in ("scores.png", "curves.png"):
        assert cv2.imread(str(out / name)).std() > 5


def test_shipped_plan_has_every_recipe_and_the_spaces_load(tmp_path):
    plan = CONFIGS / "plans" / "development_data.yaml"
    items = read_items([plan], data=tmp_path, also={}, overrides=[], out=tmp_path)
    missing = {path.stem for path in CONFIGS.glob("*.yaml")} - {item.name for item in items}
    # One is compared as what it extends; the others train on renders, not on development data.
    renders = {"worlds_small", "moon_rover", "moon_rover_small", "moon_lander", "mars_rover"}
    assert missing == {"mars_navcam", *renders}
    for item in items:
        load_recipe(item.recipe, overrides=item.overrides)
    for path in (CONFIGS / "spaces").glob("*.yaml"):
        assert load_space(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rows: []", "expected a list"),
        ("rows: [{recipe: a.yaml, run: b}]", "either recipe or run"),
        ("rows: [{recipe: a.yaml, colour: b}]", "expected of"),
        ("rows: [{recipe: a.yaml}, {recipe: b/a.yaml}]", "two rows are named 'a'"),
        ("rows: [{recipe: a.yaml, set: x}]", "expected a mapping and a list"),
        ("- 1", "expected a recipe or a plan"),
    ],
)
def test_wrong_plans_are_named(tmp_path, text, message):
    path = tmp_path / "plan.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_items([path], data=tmp_path, also={}, overrides=[], out=tmp_path)


def test_search_goes_on_in_the_same_storage(recipe_file, data, tmp_path, capsys):
    space = tmp_path / "space.yaml"
    space.write_text(SPACE, encoding="utf-8")
    out = tmp_path / "out"
    words = ["tune", str(recipe_file), "--data", str(data), "--space", str(space)]
    words += ["--out", str(out), "--storage", str(out / "shared.journal"), "--trials", "1", *CPU]
    words += ["--set", "training.epochs=1"]
    assert main(words) == 0
    assert "1 finished, 0 cut short" in capsys.readouterr().out
    assert main(words) == 0
    assert "2 finished, 0 cut short" in capsys.readouterr().out
    assert main([*words, "--set", "training.epochs=2"]) == 2
    assert "made with other values of ['training.epochs'], so" in capsys.readouterr().err
    first, second = (RunFolder(out / f"trial_{n:04d}").recipe() for n in (0, 1))
    assert first.training.learning_rate != second.training.learning_rate
    assert 1e-3 <= first.training.learning_rate <= 1e-2
    assert first.network.options["encoder"] == "mobilenet_v2"
    best = json.loads((out / "best.json").read_text())
    scores = [RunFolder(out / f"trial_{n:04d}").read_summary()["best_mean_iou"] for n in (0, 1)]
    assert best["mean_iou"] == max(scores)
    again = ["train", str(out / "best.yaml"), "--data", str(data), "--out", str(tmp_path / "best")]
    assert main([*again, *CPU]) == 0
    given = RunFolder(tmp_path / "best").read_summary()["best_mean_iou"]
    assert given == pytest.approx(best["mean_iou"], abs=1e-6)


def test_two_workers_share_a_journal_and_the_best_is_trained(recipe_file, data, tmp_path, capsys):
    space = tmp_path / "space.yaml"
    space.write_text(SPACE, encoding="utf-8")
    out = tmp_path / "out"
    words = ["tune", recipe_file, "--data", data, "--space", space, "--out", out, "--trials", "2"]
    words = [*map(str, words), "--journal", str(tmp_path / "shared"), "--epochs", "1", *CPU]
    script = "import sys; from terrain_training.cli import main; sys.exit(main(sys.argv[1:]))"
    python = [sys.executable, "-c", script]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    workers = [subprocess.Popen([*python, *words], env=environment) for _ in range(2)]
    assert [worker.wait(timeout=280) for worker in workers] == [0, 0]
    rates = {
        RunFolder(out / f"trial_{number:04d}").recipe().training.learning_rate
        for number in range(4)
    }
    assert len(rates) == 4  # no worker repeats the other
    assert main([*words, "--trials", "1", "--train-best", "2"]) == 0
    printed = capsys.readouterr().out
    assert "5 finished, 0 cut short" in printed
    for name in ("history.png", "importance.png"):
        assert cv2.imread(str(out / name)).std() > 1.0
    number = json.loads((out / "best.json").read_text())["trial"]
    best, trial = (RunFolder(out / f"{name}_{number:04d}") for name in ("best_trial", "trial"))
    assert [row["epoch"] for row in best.read_history()] == [1, 2]
    assert best.recipe().network == trial.recipe().network


def test_trial_behind_the_median_is_cut_short(recipe_file, data, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("terrain_training.tuning.study.STARTUP_TRIALS", 1)
    monkeypatch.setattr("terrain_training.tuning.study.WARMUP_EPOCHS", 0)
    space = tmp_path / "space.yaml"
    space.write_text("training.learning_rate: {choices: [1.0e-2, 1.0e-9]}\n", encoding="utf-8")
    words = ["tune", str(recipe_file), "--data", str(data), "--space", str(space), *CPU]
    words += ["--out", str(tmp_path / "out"), "--set", "training.ema_decay=0.0"]
    assert main([*words, "--trials", "6"]) == 0
    finished, cut = (int(n) for n in re.findall(r"(\d+) (?:finished|cut)", capsys.readouterr().out))
    assert finished + cut == 6
    assert cut > 0
    space.write_text("training.learning_rate: {choices: [1.0e-3]}\n", encoding="utf-8")
    assert main(words) == 2
    assert "made with another search space" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.b: {low: 2, high: 1}", "expected low < high"),
        ("a.b: {low: 0, high: 1, log: true}", "above 0 for log"),
        ("a.b: {choices: []}", "expected a list"),
        ("a.b: {choose: [1]}", "expected `choices`"),
        ("a.b: {low: x, high: 1}", "not a number"),
        ("[]", "does not contain a mapping"),
    ],
)
def test_wrong_spaces_are_named(tmp_path, text, message):
    path = tmp_path / "space.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_space(path)


def test_space_reads_numbers_as_they_are_written(tmp_path):
    path = tmp_path / "space.yaml"
    path.write_text("a: {low: 1e-4, high: 1}\nb: {low: 1, high: 9}\nc: {choices: [x, 1]}\n")
    assert load_space(path) == {
        "a": Span(1e-4, 1, log=False, whole=False),
        "b": Span(1, 9, log=False, whole=True),
        "c": Choices(("x", 1)),
    }


def test_storage_that_is_none_is_named(recipe_file, data, tmp_path, capsys):
    space = tmp_path / "space.yaml"
    space.write_text(SPACE, encoding="utf-8")
    words = ["tune", str(recipe_file), "--data", str(data), "--space", str(space)]
    words += ["--out", str(tmp_path / "out"), "--storage", "nonsense://x", *CPU]
    assert main(words) == 2
    assert "'nonsense://x' cannot be opened" in capsys.readouterr().err


def test_throughput_counts_both(recipe_file, data, tmp_path, capsys, caplog):
    caplog.set_level(logging.INFO)
    file = tmp_path / "speed.json"
    words = ["throughput", str(recipe_file), "--data", str(data), "--json", str(file)]
    assert main([*words, "--batches", "4", "--rounds", "1", "--threads", "1"]) == 0
    figures = json.loads(file.read_text())
    assert figures["ratio"] == pytest.approx(figures["trainer_per_s"] / figures["bare_per_s"])
    assert figures["batch_size"] == 4
    printed = capsys.readouterr()
    assert "images/s" in printed.out
    # More than an epoch of the 22 training images, but no table of epochs without end.
    assert "epoch" not in printed.out + printed.err + caplog.text


def test_random_weights_keep_activations_of_usual_size(trained, recipe_file, data, tmp_path):
    out = tmp_path / "model"
    assert main(["export", str(trained), "--data", str(data), "--out", str(out)]) == 0
    recipe, network = _network(recipe_file, out)
    sizes = []

    def note(_module, _inputs, output):
        sizes.append(float(output.std()))

    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(note)
    with torch.inference_mode():
        network(torch.randn(2, recipe.data.channel_count, 64, 64))
    assert len(sizes) > 50
    assert 0.2 < min(sizes) <= max(sizes) < 5.0


def test_peers_give_the_mask_that_we_give(trained, recipe_file, data, tmp_path, capsys):
    out = tmp_path / "model"
    assert main(["export", str(trained), "--data", str(data), "--out", str(out)]) == 0
    folder = RunFolder(trained)
    recipe = folder.recipe()
    network = load_network(folder.weights, recipe, classes=4)
    image = cv2.imread(str(next((data / "images").glob("*.jpg"))), cv2.IMREAD_GRAYSCALE)
    with Segmenter(out, backend="onnxruntime") as segmenter:
        ours = segmenter(image).mask
    for peer in (TorchPeer(network, recipe), NumpyPeer(network, recipe, threads=1)):
        assert np.mean(peer(image) == ours) > 0.98
    file = tmp_path / "peers.json"
    words = ["peers", str(trained), "--model", str(out), "--rounds", "2"]
    assert main([*words, "--size", "80x60", "--no-compile", "--json", str(file)]) == 0
    peers = json.loads(file.read_text())["ways"]
    assert [item["name"].split(",")[0] for item in peers] == [
        "terrain_seg_ros",
        "PyTorch eager",
        "numpy around ONNX Runtime",
    ]
    assert all(item["median_ms"] > 0 for item in peers)
    assert "times ours" in capsys.readouterr().out
    assert main([*words, "--size", "9"]) == 2
    words[1] = str(recipe_file)
    assert main([*words, "--size", "80x60", "--no-compile", "--json", str(file)]) == 0
    again = json.loads(file.read_text())["ways"]
    assert [item["name"] for item in again[-2:]] == [item["name"] for item in peers[-2:]]
