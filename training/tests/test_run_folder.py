from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_training import progress
from terrain_training.charts import model_style
from terrain_training.data.sources.ai4mars import TAXONOMY
from terrain_training.learning.curves import draw_curves, write_comparison, write_curves
from terrain_training.learning.progress import EpochProgress, StopAfter
from terrain_training.learning.run_folder import RunFolder
from terrain_training.recipe.load import write_recipe


def trainer_at(*, first=True):
    return SimpleNamespace(
        is_global_zero=first,
        num_training_batches=3,
        num_val_batches=[2],
        current_epoch=2,
        max_epochs=20,
        should_stop=False,
    )


def show_an_epoch(trainer):
    shown = EpochProgress()
    shown.on_train_epoch_start(trainer, None)
    for place in range(3):
        shown.on_train_batch_end(trainer, None, None, None, place)
    shown.on_validation_epoch_start(trainer, None)
    for place in range(2):
        shown.on_validation_batch_end(trainer, None, None, None, place)
    shown.on_validation_epoch_end(trainer, None)


def test_a_log_is_told_now_and_then_how_far_an_epoch_is(monkeypatch, caplog):
    monkeypatch.setattr(progress, "LOG_EVERY_S", -1.0)
    with caplog.at_level(logging.INFO):
        show_an_epoch(trainer_at())
    assert caplog.messages == [
        "epoch 3 of 20: 1 of 3 steps",
        "epoch 3 of 20: 2 of 3 steps",
        "epoch 3 of 20: 3 of 3 steps",
        "validate epoch 3: 1 of 2 batches",
        "validate epoch 3: 2 of 2 batches",
    ]


def test_only_the_first_process_shows_how_far_an_epoch_is(monkeypatch, caplog):
    monkeypatch.setattr(progress, "LOG_EVERY_S", -1.0)
    with caplog.at_level(logging.INFO):
        show_an_epoch(trainer_at(first=False))
    assert caplog.messages == []


def test_a_terminal_shows_bars_that_leave_no_trace(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    show_an_epoch(trainer_at())
    written = capsys.readouterr().err
    assert "epoch 3 of 20: " in written
    assert "validate epoch 3: " in written
    assert "\n" not in written


def test_a_call_ends_after_its_epochs():
    trainer, ends = trainer_at(), StopAfter(2)
    ends.on_train_epoch_end(trainer, None)
    assert not trainer.should_stop
    ends.on_train_epoch_end(trainer, None)
    assert trainer.should_stop


def summary_of(taxonomy):
    rows = [
        {"name": item.name, "color_rgb": list(item.color_rgb), "hazard": item.hazard}
        for item in taxonomy
    ]
    return {"classes": rows, "best_epoch": 1}


def test_a_run_folder_gives_back_what_is_in_it(tmp_path, recipe):
    folder = RunFolder(tmp_path)
    write_recipe(recipe, folder.snapshot)
    folder.summary.write_text(json.dumps(summary_of(TAXONOMY)), encoding="utf-8")
    rows = [{"epoch": 1, "mean_iou": 0.5}, {"epoch": 2, "mean_iou": 0.6}]
    folder.history.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    assert folder.recipe() == recipe
    assert folder.taxonomy() == TAXONOMY
    assert folder.read_summary()["best_epoch"] == 1
    assert folder.read_history() == rows


def test_a_trained_run_is_a_run_folder(trained, recipe):
    folder = RunFolder(trained)
    assert folder.recipe() == recipe
    assert folder.taxonomy() == TAXONOMY
    assert [row["epoch"] for row in folder.read_history()] == [1, 2]
    assert folder.weights.is_file()
    assert folder.checkpoint.is_file()


def test_a_folder_that_is_no_run_says_what_to_do(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.read_history() == []
    with pytest.raises(
        ConfigError, match=r"is not the folder of a run: it has no recipe\.yaml; train first"
    ):
        folder.recipe()
    with pytest.raises(ConfigError, match=r"summary\.json cannot be read .*train first"):
        folder.taxonomy()


BAD_CLASS = {"name": "soil", "color_rgb": [0, 0, 0], "hazard": 2.0}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "3",
        "{}",
        '{"classes": 3}',
        '{"classes": []}',
        '{"classes": [{"name": "soil"}]}',
        json.dumps({"classes": [BAD_CLASS]}),
        json.dumps({"classes": [BAD_CLASS | {"hazard": "high"}]}),
        json.dumps({"classes": [BAD_CLASS | {"hazard": 0.5, "color_rgb": 7}]}),
    ],
)
def test_a_damaged_summary_is_named(tmp_path, text):
    folder = RunFolder(tmp_path)
    folder.summary.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"summary\.json.*train"):
        folder.taxonomy()


@pytest.mark.parametrize("line", ["{", "3", '"text"', "[1]", "[]"])
def test_a_damaged_history_is_named(tmp_path, line):
    folder = RunFolder(tmp_path)
    folder.history.write_text(f'{{"epoch": 1}}\n{line}\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"history\.jsonl is damaged .*delete it"):
        folder.read_history()


def rows_of(epochs):
    return [
        {
            "epoch": epoch,
            "train_loss": 1.0 / epoch,
            "validation_loss": 1.2 / epoch,
            "mean_iou": 1 - 0.5 / epoch,
            "pixel_accuracy": 1 - 0.4 / epoch,
            "iou": {"soil": 0.9, "sand": None if epoch == 1 else 0.5},
        }
        for epoch in range(1, epochs + 1)
    ]


COLOURS = {"soil": (176, 132, 92), "sand": (232, 200, 108)}


def drawn(path):
    """Return a PNG as (H, W, 3) where something is drawn, not one colour."""
    picture = cv2.imread(str(path))
    assert picture is not None
    assert path.read_bytes().startswith(b"\x89PNG")
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
    return picture


@pytest.mark.parametrize("epochs", [1, 2, 30])
def test_curves_are_a_picture_of_the_history(tmp_path, epochs):
    write_curves(rows_of(epochs), tmp_path / "curves.png", colours=COLOURS)
    picture = drawn(tmp_path / "curves.png")
    height, width = picture.shape[:2]
    assert width > 2 * height
    other = rows_of(epochs)
    other[-1]["pixel_accuracy"] = 0.1
    write_curves(other, tmp_path / "other.png", colours=COLOURS)
    changed = (drawn(tmp_path / "other.png") != picture).any(axis=(0, 2))
    # Only the chart in the middle shows it.
    columns = np.flatnonzero(changed)
    assert len(columns)
    assert width / 3 - 30 < columns.min() <= columns.max() < 2 * width / 3 + 30


def test_curves_have_the_colours_of_their_classes_and_mark_the_best_epoch():
    history = rows_of(4)
    history[2]["mean_iou"] = 0.99
    *_, scores, classes = draw_curves(history, colours=COLOURS).axes
    drawn_as = {line.get_label(): line.get_color() for line in classes.lines}
    for name, rgb in COLOURS.items():
        np.testing.assert_allclose(drawn_as[name], np.array(rgb) / 255)
    assert "best: epoch 3, 0.990" in [line.get_label() for line in scores.lines]
    assert all(axes.lines[-1].get_xdata() == [3, 3] for axes in scores.figure.axes)


def test_the_losses_of_a_gan_have_axes_of_their_own():
    history = [{**row, "train_D": 1.3, "train_Adv": 0.7, "train_G": 9.0} for row in rows_of(3)]
    losses, gan, *_ = draw_curves(history, colours=COLOURS).axes
    assert [line.get_label() for line in losses.lines[:-1]] == ["train loss", "validation loss"]
    assert gan.get_title() == "GAN losses"
    assert [line.get_label()[:2] for line in gan.lines[:-1]] == ["D,", "Ad", "G,"]


def test_twelve_runs_have_twelve_looks():
    looks = {tuple(model_style(number).values()) for number in range(12)}
    assert len({look[0] for look in looks}) == 12


def test_runs_are_compared_in_one_picture(tmp_path):
    runs = {"one": rows_of(5), "two": rows_of(3)}
    write_comparison(runs, tmp_path / "both.png")
    write_comparison({"one": rows_of(5)}, tmp_path / "one.png")
    both, one = drawn(tmp_path / "both.png"), drawn(tmp_path / "one.png")
    assert both.shape == one.shape
    assert (both != one).any()
