from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import CPU, STEMS, VALIDATION_IMAGES
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.learning.run import Machine, TrainingRequest, train
from terrain_training.learning.run_folder import RunFolder


def with_training(recipe, **values):
    return dataclasses.replace(recipe, training=dataclasses.replace(recipe.training, **values))


def request(data, out, **rest):
    return TrainingRequest(data=data, out=out, machine=CPU, **rest)


def test_training_learns(recipe, data, tmp_path):
    longer = with_training(recipe, epochs=10, ema_decay=0.2)
    summary = train(longer, request(data, tmp_path))
    rows = RunFolder(tmp_path).read_history()
    assert [row["epoch"] for row in rows] == list(range(1, 11))
    assert rows[-1]["train_loss"] < 0.8 * rows[0]["train_loss"]
    assert summary["best_mean_iou"] == pytest.approx(max(row["mean_iou"] for row in rows))
    assert rows[summary["best_epoch"] - 1]["mean_iou"] == summary["best_mean_iou"]
    assert summary["best_mean_iou"] > 0.25


def test_run_leaves_its_traces(trained):
    names = {path.name for path in trained.iterdir()}
    assert {
        "best.safetensors",
        "curves.png",
        "examples",
        "history.jsonl",
        "index.html",
        "last.ckpt",
        "metrics.csv",
        "recipe.yaml",
        "summary.json",
        "tensorboard",
    } <= names
    assert len(list((trained / "examples").glob("*.png"))) == 2
    assert any("tfevents" in path.name for path in (trained / "tensorboard").rglob("*"))
    head, *rows = (trained / "metrics.csv").read_text().splitlines()
    assert {"epoch", "train_loss", "mean_iou", "iou_sand"} <= set(head.split(","))
    assert len(rows) == 2
    summary = RunFolder(trained).read_summary()
    assert summary["validation_images"] == VALIDATION_IMAGES
    assert summary["training_images"] < STEMS


def test_epochs_count_from_one_everywhere(trained):
    assert [row["epoch"] for row in RunFolder(trained).read_history()] == [1, 2]
    assert RunFolder(trained).read_summary()["best_epoch"] in (1, 2)
    names = sorted(path.name for path in (trained / "examples").glob("*.png"))
    assert names == ["epoch_001.png", "epoch_002.png"]
    events = EventAccumulator(str(trained / "tensorboard"))
    events.Reload()
    assert {event.value for event in events.Scalars("epoch")} == {1.0, 2.0}


@pytest.mark.parametrize("ema_decay", [0.0, 0.5])
def test_resumed_run_equals_uninterrupted(recipe, data, tmp_path, ema_decay):
    recipe = with_training(recipe, ema_decay=ema_decay)
    train(recipe, request(data, tmp_path / "whole"))
    train(recipe, request(data, tmp_path / "parts", epochs_now=1))
    torch.rand(7)
    train(recipe, request(data, tmp_path / "parts"))
    expected, given = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True) for name in ("whole", "parts")
    )
    assert expected["epoch"] == given["epoch"] == 1
    for name, value in expected["state_dict"].items():
        np.testing.assert_allclose(given["state_dict"][name], value, atol=1e-6, err_msg=name)
    best = load_file(tmp_path / "parts" / "best.safetensors")
    for name, value in load_file(tmp_path / "whole" / "best.safetensors").items():
        np.testing.assert_allclose(best[name], value, atol=1e-6, err_msg=name)


def test_finished_run_is_not_trained_again(trained, recipe, data):
    before = (trained / "history.jsonl").read_text()
    summary = train(recipe, request(data, trained))
    assert summary["validation_images"] == VALIDATION_IMAGES
    assert (trained / "history.jsonl").read_text() == before


def test_early_stop_ends_a_run_that_gains_nothing(recipe, data, tmp_path):
    still = with_training(
        recipe, epochs=40, learning_rate=1e-12, ema_decay=0.0, early_stop_epochs=2, weight_decay=0.0
    )
    train(still, request(data, tmp_path))
    # Batch norms still find their statistics for a few epochs.
    assert len(RunFolder(tmp_path).read_history()) < 40


@pytest.mark.parametrize("losses", [{"lovasz": 1.0}, {"focal": 1.0}, {"hazard_weighted": 1.0}])
def test_other_losses_and_measured_weights_train(recipe, data, tmp_path, losses):
    other = with_training(
        recipe, losses=losses, epochs=1, class_weights="median_frequency", optimiser="sgd"
    )
    train(other, request(data, tmp_path))
    assert np.isfinite(RunFolder(tmp_path).read_history()[0]["train_loss"])


def test_mixed_precision_trains(recipe, data, tmp_path):
    train(with_training(recipe, precision="bf16", epochs=1), request(data, tmp_path))
    assert all(v.dtype != torch.bfloat16 for v in load_file(tmp_path / "best.safetensors").values())


def test_checkpoint_of_another_recipe_is_refused(trained, recipe, data):
    with pytest.raises(ConfigError, match="learning_rate"):
        train(with_training(recipe, learning_rate=0.5), request(data, trained))


def test_damaged_checkpoint_is_refused(trained, recipe, data, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    whole = (trained / "last.ckpt").read_bytes()
    (run / "last.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"last\.ckpt cannot be read"):
        train(recipe, request(data, run))


def test_a_folder_of_something_else_is_not_trained_into(recipe, data, tmp_path):
    (tmp_path / "summary.json").write_text('{"mine": true}')
    with pytest.raises(
        ConfigError, match=r"--out .* contains 'summary\.json'.*new or empty folder"
    ):
        train(recipe, request(data, tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]


def test_finished_weights_are_not_lost_for_want_of_a_checkpoint(trained, recipe, data, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    (run / "last.ckpt").unlink()
    before = (run / "best.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"weights of 2 epochs, but no last\.ckpt"):
        train(recipe, request(data, run))
    assert (run / "best.safetensors").read_bytes() == before


def test_machine_that_is_not_there_is_one_error(recipe, data, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    wanted = TrainingRequest(data=data, out=tmp_path, machine=Machine("gpu", 1))
    with pytest.raises(ConfigError, match="cannot train"):
        train(recipe, wanted)


def test_bad_image_is_named_or_left_out(recipe, data, tmp_path):
    copy = tmp_path / "data"
    shutil.copytree(data, copy)
    first = sorted((copy / "images").glob("*.jpg"))[0]
    first.write_bytes(first.read_bytes()[:200])
    with pytest.raises(ConfigError, match=first.name):
        train(recipe, request(copy, tmp_path / "run"))
    short = with_training(recipe, epochs=1)
    summary = train(short, request(copy, tmp_path / "run2", skip_bad=True))
    assert list(summary["bad_samples"]) == [first.stem]
    assert json.loads((tmp_path / "run2" / "summary.json").read_text()) == summary


def test_adversarial_weight_needs_the_generator(recipe, data, tmp_path):
    with pytest.raises(ConfigError, match=r"network\.kind pix2pix"):
        train(with_training(recipe, adversarial_weight=1.0), request(data, tmp_path))
