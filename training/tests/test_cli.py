from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from conftest import VALIDATION_IMAGES
from terrain_training.cli import COMMANDS, command_parser, load_command, main
from terrain_training.learning.run_folder import WEIGHTS, RunFolder
from terrain_training.recipe.load import load_recipe

CPU = ("--accelerator", "cpu")


def arguments(*words):
    return [str(word) for word in words]


def test_train_evaluate_export(trained, recipe_file, data, tmp_path, capsys):
    words = arguments("train", recipe_file, "--data", data, "--out", trained, *CPU)
    assert main(words) == 0
    assert f"on {VALIDATION_IMAGES} validation images" in capsys.readouterr().out
    out = tmp_path / "model"
    assert main(arguments("export", trained, "--data", data, "--out", out)) == 0
    assert "openvino" in capsys.readouterr().out
    scores = []
    models = (trained, trained / "best.safetensors", out, out / "model.onnx")
    for number, model in enumerate(models):
        file = tmp_path / f"{number}.json"
        words = arguments("evaluate", model, "--data", data, "--json", file, "--resamples", 20)
        assert main(words) == 0
        scores.append(json.loads(file.read_text()))
    assert scores[0]["mean_iou"] == scores[1]["mean_iou"]
    assert scores[0]["mean_iou"] == pytest.approx(scores[2]["mean_iou"], abs=2e-3)
    assert scores[2] == scores[3]
    assert [item["backend"] for item in scores] == ["torch", "torch", "onnxruntime", "onnxruntime"]
    assert set(scores[0]["iou"]) == {"soil", "bedrock", "sand", "big_rock"}
    fitted, plain = (scores[n]["expected_calibration_error"] for n in (2, 0))
    assert fitted <= plain + 0.02


def test_report_sharpening_and_outside_images(trained, data, tmp_path, capsys):
    words = arguments(
        "evaluate", trained, "--data", data, "--split", "all", "--report", tmp_path / "report"
    )
    words += arguments("--sharpen", "--outside", data / "images", "--resamples", 20)
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "Sharpening" in printed
    assert "AUROC" in printed
    page = (tmp_path / "report" / "index.html").read_text()
    assert "Worst images" in page
    assert "Sharpening" in page
    assert page.count("<img") > 12


def test_training_goes_on_after_an_early_end(recipe_file, data, tmp_path, capsys):
    words = arguments("train", recipe_file, "--data", data, "--out", tmp_path / "run", *CPU)
    assert main([*words, "--stop-after", "1", "--set", "training.epochs=2"]) == 0
    assert len(RunFolder(tmp_path / "run").read_history()) == 1
    assert main(words) == 0
    assert len(RunFolder(tmp_path / "run").read_history()) == 2


def test_a_run_begins_in_an_empty_working_folder(recipe_file, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = ("--stop-after", "1", "--set", "training.epochs=2", "--set", "training.example_images=0")
    assert main([*arguments("train", recipe_file, "--data", data, "--out", ".", *CPU), *one]) == 0
    assert (tmp_path / "best.safetensors").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this machine")
def test_a_full_disk_is_one_line_and_exit_1(recipe_file, data, tmp_path, capsys):
    out = tmp_path / "run"
    words = arguments("train", recipe_file, "--data", data, "--out", out, *CPU, "--stop-after", "1")
    assert main(words) == 0
    (out / "metrics.csv").unlink()
    (out / "metrics.csv").symlink_to("/dev/full")
    assert main(words) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("terrain-train: ")
    assert "No space left" in line


def run_as_a_user(words):
    """Run the command in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-m", "terrain_training.cli", *words, "--threads", "1"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout, done.stderr


def test_two_processes_train_one_network(recipe_file, data, tmp_path, monkeypatch):
    """Torch starts the second process itself; it finds the folder that the first one took."""
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs/tiny-1"
    words = arguments("train", recipe_file, "--data", data, *CPU, "--devices", 2)
    printed, _ = run_as_a_user(words)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["tiny-1"]
    history = RunFolder(run).read_history()
    assert [row["epoch"] for row in history] == [1, 2]
    assert RunFolder(run).read_summary()["validation_images"] == VALIDATION_IMAGES
    assert printed.count("best weights") == 1
    loss = [row["train_loss"] for row in history]
    assert loss[1] < loss[0]


SHOWN = (
    r"\d\d:\d\d:\d\d,\d+ 22 training images, 22 validation images, classes soil, .*",
    r"\d\d:\d\d:\d\d,\d+ going on after epoch 1 of 2",
    r"    epoch  train loss  .*",
    r"   2/2  +\d\.\d{4}  .*",
)


def test_a_user_sees_a_row_an_epoch_and_nothing_of_the_library(recipe_file, data, tmp_path):
    words = arguments("train", recipe_file, "--data", data, "--out", tmp_path / "run", *CPU)
    _, first = run_as_a_user([*words, "--stop-after", "1"])
    assert "stopped after epoch 1 of 2; the best is epoch 1" in first
    _, second = run_as_a_user(words)
    lines = [re.sub(r"^\d{4}-\d\d-\d\d ", "", line) for line in second.splitlines()]
    assert [bool(re.fullmatch(wanted, line)) for wanted, line in zip(SHOWN, lines)] == [True] * 4
    assert len(lines) == len(SHOWN), second
    _, third = run_as_a_user(words)
    assert "all 2 epochs were trained before" in third
    assert len(third.splitlines()) == 2


def test_loading_processes_change_nothing(trained, recipe_file, data, tmp_path):
    run = tmp_path / "run"
    words = arguments("train", recipe_file, "--data", data, "--out", run, *CPU)
    run_as_a_user([*words, "--set", "data.workers=2"])
    expected = load_file(trained / "best.safetensors")
    for name, value in load_file(run / "best.safetensors").items():
        np.testing.assert_allclose(value, expected[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("evaluate", "none.onnx"), "there is no model 'none.onnx'"),
        (("evaluate", "none.safetensors"), "train first"),
        (("export", "none", "--out", "x"), "train first"),
        (("train", "{recipe}", "--out", "x", "--pretrained", "none.npz"), "none.npz do not exist"),
        (("train", "{recipe}", "--out", "x", "--set", "training.epoch=3"), "training.epoch"),
        (("train", "none.yaml", "--out", "x"), "none.yaml does not exist"),
        (("compare", "none.yaml", "--out", "y"), "none.yaml"),
        (("tune", "{recipe}", "--out", "y", "--space", "none.yaml"), "none.yaml"),
        (("evaluate", "{run}", "--split", "real"), "there is no split 'real'"),
        (("evaluate", "{run}", "--json", "none/x.json"), "does not exist; create it"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    words, message, recipe_file, data, trained, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    filled = [word.format(recipe=recipe_file, run=trained) for word in words]
    assert main([*filled, "--data", str(data)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not (tmp_path / "x").exists()


def test_missing_data_is_named(recipe_file, tmp_path, capsys):
    words = arguments("train", recipe_file, "--data", tmp_path, "--out", tmp_path / "run")
    assert main(words) == 2
    assert "train.txt is missing" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_the_overview_says_what_each_command_says(name):
    command = load_command(name)
    assert COMMANDS[name] == command.HELP
    assert "the same command" in command.INTERRUPTED


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_ends_with_two_examples_that_parse(name, capsys):
    command = load_command(name)
    with pytest.raises(SystemExit):
        main([name, "--help"])
    *_, title, first, second = capsys.readouterr().out.rstrip().splitlines()
    assert title == "examples:"
    assert (first.strip(), second.strip()) == command.EXAMPLES
    for line in command.EXAMPLES:
        program, given, *words = shlex.split(line)
        assert (program, given) == ("terrain-train", name)
        command_parser(name, command).parse_args(words)


def test_the_overview_ends_with_two_examples(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    *_, title, first, second = capsys.readouterr().out.rstrip().splitlines()
    assert title == "examples:"
    for line in (first, second):
        assert shlex.split(line)[1] in COMMANDS


def test_an_unknown_command_is_answered_with_the_nearest(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["trains"])
    assert caught.value.code == 2
    assert "no command 'trains'; did you mean train?" in capsys.readouterr().err


def test_short_options_are_short_for_set():
    parser = command_parser("train", load_command("train"))
    short = "mars_navcam --data x --epochs 3 --batch 2 --size 320x256 --lr 1e-5"
    given = parser.parse_args([*short.split(), "--set", "training.epochs=7"])
    training = load_recipe(given.recipe, overrides=given.overrides).training
    data = load_recipe(given.recipe, overrides=given.overrides).data
    assert (training.epochs, training.batch_size, training.learning_rate) == (7, 2, 1e-5)
    assert (data.width_px, data.height_px) == (320, 256)
    square = parser.parse_args(["mars_navcam", "--data", "x", "--size", "64"]).overrides
    assert square == ["data.width_px=64", "data.height_px=64"]
    assert parser.parse_args(["mars_navcam", "--data", "x"]).overrides == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--epochs 0", "'0' is not a whole number above 0"),
        ("--batch x", "'x' is not a whole number above 0"),
        ("--size 64x", "'64x' is not a size, expected pixels such as 256"),
        ("--lr -1", "'-1' is not a number above 0, such as 1e-3"),
        ("--lr inf", "'inf' is not a number above 0"),
    ],
)
def test_a_short_option_that_is_none_shows_the_form(words, message, capsys):
    with pytest.raises(SystemExit):
        main(["train", "mars_navcam", "--data", "x", *words.split()])
    assert message in capsys.readouterr().err


def test_a_run_without_out_gets_a_folder_that_the_first_line_names(
    recipe_file, data, tmp_path, capsys, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    words = arguments("train", recipe_file, "--data", data, *CPU, "--epochs", 1)
    assert main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "run folder    runs/tiny-1"
    assert printed[1] == "page          runs/tiny-1/index.html (renewed after each epoch)"
    assert f"runs/tiny-1/{WEIGHTS}" in printed[2]
    assert printed[-1] == f"next          terrain-train evaluate runs/tiny-1 --data {data}"
    assert main([*words, "--out", "runs/tiny-1"]) == 0  # resumes what is whole
    assert [path.name for path in Path("runs").iterdir()] == ["tiny-1"]


def test_data_that_cannot_be_used_leave_no_run_folder(recipe_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments("train", recipe_file, "--data", tmp_path)) == 2
    assert list(tmp_path.iterdir()) == []


def test_wrong_usage_exits_2(recipe_file, data, tmp_path):
    for rest in (["--threads", "0"], ["--what"], ["--devices", "no"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments("train", recipe_file, "--data", data, "--out", tmp_path, *rest))
        assert caught.value.code == 2
