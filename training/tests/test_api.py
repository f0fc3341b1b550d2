"""The Python API trains, predicts, evaluates and exports as the commands do."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from safetensors.torch import load_file

import terrain_training as tt
from conftest import SIZE_PX, VALIDATION_IMAGES
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.image_file import read_image
from terrain_training.api import _overrides
from terrain_training.cli import main
from terrain_training.evaluation.sharpening import sharpen
from terrain_training.evaluation.subject import open_subject
from terrain_training.evaluation.tiling import tiled

CPU = {"accelerator": "cpu", "threads": 1}
CLASSES = ("soil", "bedrock", "sand", "big_rock")


@pytest.fixture(scope="module")
def run(trained, data):
    return tt.load(trained, data=data)


def first_image(data: Path) -> Path:
    return sorted((data / "images").glob("*.jpg"))[0]


def test_importing_the_package_is_fast_because_it_imports_nothing():
    code = (
        "import sys; before = set(sys.modules); import terrain_training as tt\n"
        "print(sorted({name.split('.')[0] for name in set(sys.modules) - before}))\n"
        "print({'train', 'load', 'Run'} <= set(dir(tt)), hasattr(tt, 'nothing'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules, names = done.stdout.splitlines()
    assert not {"torch", "numpy", "lightning", "pydantic", "cv2"} & set(modules.split("'"))
    assert "terrain_training" in modules
    assert names == "True False"


def test_training_gives_the_run_of_the_command(recipe_file, data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["train", str(recipe_file), "--data", str(data), "--accelerator", "cpu"]
    assert main([*words, "--threads", "1", "--epochs", "1", "--lr", "0.002"]) == 0
    run = tt.train(recipe_file, data=data, epochs=1, lr=0.002, **CPU)
    assert run.folder == Path("runs/tiny-2")
    one, two = (load_file(f"runs/tiny-{number}/best.safetensors") for number in (1, 2))
    for name, value in one.items():
        np.testing.assert_array_equal(two[name], value, err_msg=name)
    assert run.recipe.training.epochs == 1


def test_a_run_resumes_where_out_holds_one(recipe_file, data, tmp_path, trained):
    out = tmp_path / "run"
    assert len(tt.train(recipe_file, data=data, out=out, stop_after=1, **CPU).history) == 1
    run = tt.train(str(recipe_file), data=str(data), out=str(out), **CPU)
    assert run.column("epoch").tolist() == [1.0, 2.0]
    whole = tt.load(trained).column("train_loss")
    np.testing.assert_allclose(run.column("train_loss"), whole, atol=1e-5)


def test_progress_is_printed_where_no_log_is_shown(recipe_file, data, tmp_path, capsys):
    given = {"data": data, "epochs": 1, "settings": {"training.example_images": 0}, **CPU}
    tt.train(recipe_file, out=tmp_path / "loud", **given)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"run folder {tmp_path / 'loud'}"
    assert printed[-1].split()[0] == "1/1"
    assert printed[-1].endswith("best")
    tt.train(recipe_file, out=tmp_path / "silent", verbose=False, **given)
    assert capsys.readouterr().out == ""
    assert logging.getLogger("terrain_training").handlers == []


def test_ctrl_c_still_works_after_a_training(recipe_file, data, tmp_path):
    before = signal.getsignal(signal.SIGINT)
    tt.train(recipe_file, data=data, out=tmp_path / "run", epochs=1, **CPU)
    assert signal.getsignal(signal.SIGINT) is before


def test_settings_are_those_of_set_and_arguments_go_last():
    settings = {"training.losses": {"dice": 1.0}, "training.epochs": 9, "name": "a: b"}
    given = _overrides(settings, epochs=3, batch=2, size=(64, 32), lr=1e-5)
    assert given == [
        "training.losses={dice: 1.0}",
        "training.epochs=3",
        "name='a: b'",
        "training.batch_size=2",
        "data.width_px=64",
        "data.height_px=32",
        "training.learning_rate=1.0e-05",
    ]
    assert _overrides({}, epochs=None, batch=None, size=64, lr=None) == [
        "data.width_px=64",
        "data.height_px=64",
    ]


def test_the_history_is_a_table(run):
    rows = run.history
    assert [row["epoch"] for row in rows] == [1, 2]
    wanted = {"train_loss", "validation_loss", "mean_iou", "iou_sand", "learning_rate", "seconds"}
    assert all(wanted <= set(row) for row in rows)
    assert not any(isinstance(value, dict) for row in rows for value in row.values())
    assert run.column("mean_iou").max() == run.summary["best_mean_iou"]
    with pytest.raises(ConfigError, match="no column 'miou'; it has epoch, "):
        run.column("miou")


def test_a_class_without_a_score_is_nan_in_its_column(trained, tmp_path):
    row = json.loads((trained / "history.jsonl").read_text().splitlines()[0])
    row["iou"]["sand"] = None
    for name in ("recipe.yaml", "summary.json"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    (tmp_path / "history.jsonl").write_text(f"{json.dumps(row)}\n")
    assert np.isnan(tt.load(tmp_path).column("iou_sand")).tolist() == [True]


def test_the_curves_are_a_figure_and_a_file(run, tmp_path):
    figure = run.plot(tmp_path / "curves.png")
    assert isinstance(figure, Figure)
    assert figure.axes[0].get_title() == "loss"
    written = cv2.imread(str(tmp_path / "curves.png"))
    np.testing.assert_array_equal(written, cv2.imread(str(run.folder / "curves.png")))


def test_a_run_says_what_it_is(run):
    assert run.classes == CLASSES
    assert "tiny, 2 of 2 epochs, mean IoU 0." in repr(run)


def test_predictions_are_at_the_size_of_their_images(run, data):
    path = first_image(data)
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    wide = np.full((48, 80, 3), 90, dtype=np.uint8)
    from_file, from_array, other = run.predict([path, grey, wide])
    np.testing.assert_array_equal(from_file.mask, from_array.mask)
    assert from_file.mask.shape == (SIZE_PX, SIZE_PX)
    assert other.mask.shape == (48, 80)
    assert other.probabilities.shape == (len(CLASSES), 48, 80)
    assert other.overlay().shape == (48, 80, 3)
    sums = from_file.probabilities.astype(int).sum(axis=0)
    assert np.abs(sums - 255).max() <= len(CLASSES)


def test_one_image_and_a_stack_of_images_are_predicted(run, data):
    assert len(run.predict(first_image(data))) == 1
    assert len(run.predict(np.zeros((32, 40, 3), dtype=np.uint8))) == 1
    assert len(run.predict(np.zeros((2, 32, 40, 3), dtype=np.uint8))) == 2
    assert run.predict([]) == []


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((4, 32, 40), dtype=np.uint8), r"shape \(4, 32, 40\) .* as a list"),
        (np.zeros((32, 40, 3), dtype=np.float32), "dtype float32, expected .* uint8"),
        (["none.png"], "none.png"),
        ([3], "an image is a int, expected a file or an array"),
    ],
)
def test_what_is_no_image_is_named(run, image, message):
    with pytest.raises(ConfigError, match=message):
        run.predict(image)


def test_scores_are_those_of_the_command(run, trained, data, tmp_path):
    figures = run.evaluate(split="validation", resamples=20).figures
    assert figures.images == VALIDATION_IMAGES
    file = tmp_path / "scores.json"
    words = ["evaluate", trained, "--data", data, "--json", file, "--resamples", 20]
    assert main([str(word) for word in words]) == 0
    assert json.loads(file.read_text())["mean_iou"] == figures.mean_iou


def test_an_evaluation_leaves_the_page_of_the_command(run, trained, data, tmp_path):
    run.evaluate(resamples=20, sharpen=True, report=tmp_path / "api")
    words = ["evaluate", trained, "--data", data, "--report", tmp_path / "command"]
    assert main([str(word) for word in (*words, "--resamples", 20, "--sharpen")]) == 0
    for name in ("index.html", "figures.json"):
        given, wanted = ((tmp_path / place / name).read_bytes() for place in ("api", "command"))
        assert given == wanted
    assert "Sharpening" in (tmp_path / "api" / "index.html").read_text()


def test_a_report_replaces_nothing_else(run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"report .* contains 'notes.txt'"):
        run.evaluate(resamples=20, report=tmp_path)


def test_an_exported_run_is_a_model_that_can_be_loaded(run, data, tmp_path):
    card = run.export(tmp_path / "model")
    assert card.name == "tiny"
    assert card.taxonomy.names == CLASSES
    assert {"model.onnx", "card.json"} <= {path.name for path in (tmp_path / "model").iterdir()}
    model = tt.load(tmp_path / "model", data=data)
    assert isinstance(model, tt.Model)
    assert not isinstance(model, tt.Run)
    assert "Model('tiny 0.1.0', onnxruntime" in repr(model)
    assert model.classes == CLASSES
    mine, exported = (each.predict(first_image(data))[0] for each in (run, model))
    assert (mine.mask == exported.mask).mean() > 0.99
    ours = run.evaluate(resamples=20).figures.mean_iou
    assert model.evaluate(resamples=20).figures.mean_iou == pytest.approx(ours, abs=2e-3)


def test_a_shipped_model_is_loaded_by_its_name(data):
    model = tt.load("mars_navcam")
    assert model.classes == CLASSES
    assert sum(model.predict(first_image(data))[0].shares().values()) == pytest.approx(1.0)


def test_mirrored_images_and_windows_are_predicted_and_scored_as_the_commands_do(run, data):
    path, tiling = first_image(data), tt.Tiling(flips=True, window_px=(24, 24))
    plain, several = run.predict(path)[0], run.predict(path, tiling=tiling)[0]
    assert (several.probabilities != plain.probabilities).any()
    subject = open_subject(
        run.folder, recipe=None, backend="onnxruntime", precision="fp32", threads=1
    )
    wanted = tiled(subject, tiling).predict(read_image(path))
    np.testing.assert_array_equal(several.mask, wanted.mask)
    scores = [run.evaluate(resamples=5, tiling=one).figures for one in (tt.Tiling(), tiling)]
    assert scores[0].mean_iou != scores[1].mean_iou


def test_a_prediction_is_sharpened_where_that_is_asked_for(run, data):
    path = first_image(data)
    plain = run.predict(path)[0]
    settings = run.recipe.sharpening
    wanted = sharpen(plain.probabilities, **asdict(settings))
    np.testing.assert_array_equal(run.predict(path, sharpen=True)[0].mask, wanted.mask)
    given = {"amount": 3.0, "min_area_px": 40}
    other = sharpen(plain.probabilities, **(asdict(settings) | given))
    np.testing.assert_array_equal(run.predict(path, sharpen=given)[0].mask, other.mask)
    assert (other.mask != plain.mask).any()
    with pytest.raises(ConfigError, match=r"sharpening\.area is unknown"):
        run.predict(path, sharpen={"area": 1})


def test_a_run_without_data_asks_for_them(trained, tmp_path):
    run = tt.load(trained)
    with pytest.raises(ConfigError, match="give data="):
        run.evaluate()
    with pytest.raises(ConfigError, match="give data="):
        run.export(tmp_path / "model")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (tt.load, "is neither a run .* nor an exported model"),
        (lambda data: tt.train("mars_navcan", data=data), "did you mean mars_navcam"),
        (lambda data: tt.train("mars_navcam", data=data, epochs=0), "epochs is 0, expected"),
        (lambda data: tt.train("mars_navcam", data=data, threads=0), "threads is 0, expected"),
        (
            lambda data: tt.train("mars_navcam", data=data, settings={"epochs": 2}),
            "epochs is unknown; did you mean training.epochs",
        ),
        (
            lambda data: tt.train("mars_navcam", data=data, settings={"name": object()}),
            "a setting is <object",
        ),
    ],
)
def test_wrong_calls_are_named(call, message, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=message):
        call(data)
    assert not any(tmp_path.rglob("*.yaml"))


INTERRUPTED = """
import os, signal, sys, threading, time
from pathlib import Path
import terrain_training as tt

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it in the background
recipe, data, out = sys.argv[1:]
given = {"data": data, "out": out, "epochs": 5, "accelerator": "cpu", "threads": 1}

def interrupt():
    while not Path(out, "last.ckpt").exists():
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt, daemon=True).start()
try:
    tt.train(recipe, **given)
except KeyboardInterrupt:
    print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    print(len(tt.load(out).history) < 5)
print(len(tt.train(recipe, **given).history))
"""


def test_a_script_can_go_on_after_an_interrupt(recipe_file, data, tmp_path):
    words = [sys.executable, "-c", INTERRUPTED, recipe_file, data, tmp_path / "run"]
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=300, check=False
    )
    lines = done.stdout.splitlines()
    assert "interrupted True" in lines, done.stderr[-2000:]
    assert lines[lines.index("interrupted True") + 1] == "True"
    assert lines[-1] == "5"
    assert any(line.startswith("going on after epoch ") for line in lines)
