"""A training whose numbers are none stops, says where, and keeps what was good."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import data_sets
from conftest import CPU
from terrain_training.cli import main
from terrain_training.errors import TrainingError
from terrain_training.learning.finite import MAX_SKIPPED_STEPS, FiniteGuard, Place, not_finite
from terrain_training.learning.run import TrainingRequest, train
from terrain_training.learning.run_folder import RunFolder, strict_json
from terrain_training.recipe.load import load_recipe

PLACE = Place(epoch=3, step=7, learning_rate=0.05)
NAN = torch.tensor(float("nan"))


def words(recipe_file, data, out, *settings):
    changed = [word for setting in settings for word in ("--set", setting)]
    fixed = ["--data", str(data), "--out", str(out), "--accelerator", "cpu", "--threads", "1"]
    return ["train", str(recipe_file), *fixed, *changed]


def test_a_rate_that_is_too_high_ends_with_one_line_and_exit_1(recipe_file, data, tmp_path, capsys):
    out = tmp_path / "run"
    wild = (
        "training.learning_rate=1.0e+30",
        "training.optimiser=sgd",
        "training.schedule=constant",
    )
    assert main(words(recipe_file, data, out, *wild, "training.gradient_clip=0.0")) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("terrain-train: epoch 1, step ")
    assert "learning rate" in line
    assert "lower training.learning_rate" in line
    assert "fp32" in line
    assert "no epoch was finished" in line
    assert not (out / "best.safetensors").exists()
    assert not (out / "history.jsonl").exists()
    # Without a checkpoint the same folder takes the lower rate.
    assert main(words(recipe_file, data, out, "training.epochs=1")) == 0


class Poison(torch.nn.Module):
    """Give logits that are no numbers from a step on."""

    def __init__(self, network, after):
        super().__init__()
        self.network, self.left = network, after

    def forward(self, images):
        self.left -= self.training
        return self.network(images) * (1.0 if self.left >= 0 else float("nan"))


def poisoned(monkeypatch, after):
    from terrain_training.learning import run  # noqa: PLC0415

    start = run.start_network
    monkeypatch.setattr(run, "start_network", lambda *a, **k: Poison(start(*a, **k), after))


def test_the_best_weights_of_earlier_epochs_stay(recipe, data, tmp_path, monkeypatch):
    poisoned(monkeypatch, 7)
    longer = dataclasses.replace(
        recipe, training=dataclasses.replace(recipe.training, epochs=4, example_images=0)
    )
    with pytest.raises(
        TrainingError, match=r"epoch 2, step 3, .*the training loss is nan.*stay in"
    ):
        train(longer, TrainingRequest(data=data, out=tmp_path, machine=CPU))
    assert not_finite(load_file(tmp_path / "best.safetensors")) is None
    assert [row["epoch"] for row in RunFolder(tmp_path).read_history()] == [1]
    assert (tmp_path / "last.ckpt").is_file()


def test_the_adversarial_trainer_stops_too(tmp_path, monkeypatch):
    data_sets.lunar(tmp_path / "lunar", count=24)
    config = Path(__file__).parents[1] / "configs" / "lunar_pix2pix.yaml"
    small = ("data.height_px=32", "data.width_px=64", "training.batch_size=4")
    recipe = load_recipe(
        config, overrides=(*small, "network.options={width: 8, depth: 5, dropout: 0.5}")
    )
    poisoned(monkeypatch, 2)
    with pytest.raises(TrainingError, match=r"epoch 1, step 3, .*loss is nan"):
        train(recipe, TrainingRequest(data=tmp_path / "lunar", out=tmp_path / "run", machine=CPU))


def test_gradients_are_checked_where_the_loss_is_a_number():
    weight = torch.nn.Parameter(torch.zeros(3))
    weight.sqrt().sum().backward()
    with pytest.raises(TrainingError, match=r"epoch 3, step 7, learning rate 0\.05: the norm of"):
        FiniteGuard(scaled=False).check_gradients("all", [weight], PLACE)


def test_a_scaler_may_leave_out_single_steps():
    good, bad = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
    good.grad, bad.grad = torch.ones(2), torch.full((2,), float("inf"))
    guard = FiniteGuard(scaled=True)
    assert not guard.check_losses({"training loss": NAN}, PLACE)
    for _ in range(3):
        for _ in range(MAX_SKIPPED_STEPS):
            guard.check_gradients("all", [bad], PLACE)
        guard.check_gradients("all", [good], PLACE)
    with pytest.raises(TrainingError, match=f"in the {MAX_SKIPPED_STEPS} steps before"):
        for _ in range(MAX_SKIPPED_STEPS + 1):
            guard.check_gradients("all", [bad], PLACE)


def test_a_model_with_values_that_are_no_numbers_is_never_exported(trained, data, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    weights = load_file(run / "best.safetensors")
    name = next(key for key, value in weights.items() if value.ndim == 4)
    weights[name][0, 0, 0, 0] = float("inf")
    save_file(weights, run / "best.safetensors")
    for command in (["export", "--out", str(tmp_path / "model")], ["evaluate"]):
        assert main([command[0], str(run), "--data", str(data), *command[1:]]) == 2
        assert f"hold values in '{name}' that are no numbers" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_history_is_strict_json_and_old_ones_are_read(tmp_path):
    text = strict_json({"a": float("nan"), "b": [float("inf"), 1.0], "c": {"d": -float("inf")}})
    assert json.loads(text, parse_constant=pytest.fail) == {
        "a": None,
        "b": [None, 1.0],
        "c": {"d": None},
    }
    (tmp_path / "history.jsonl").write_text('{"epoch": 1, "train_loss": NaN}\n')
    assert RunFolder(tmp_path).read_history() == [{"epoch": 1, "train_loss": None}]
