from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from conftest import VALIDATION_IMAGES
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.trainer import train
from terrain_training.training_run import TrainingRun


class Stopped(Exception):
    pass


def test_training_learns(recipe, data, tmp_path):
    longer = dataclasses.replace(recipe, epochs=5, ema_decay=0.2)
    scores = train(longer, data=data, out=tmp_path, pretrained=None)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5]
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    assert scores.mean_iou == pytest.approx(max(line["mean_iou"] for line in lines))
    assert scores.mean_iou > 0.3


def test_resumed_run_equals_uninterrupted(trained, recipe, data, tmp_path, monkeypatch):
    save = TrainingRun.save

    def save_then_stop(run, path):
        save(run, path)
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "save", save_then_stop)
        with pytest.raises(Stopped):
            train(recipe, data=data, out=tmp_path, pretrained=None)
    torch.rand(7)
    train(recipe, data=data, out=tmp_path, pretrained=None)
    expected = torch.load(trained / "last.pt", weights_only=True)
    given = torch.load(tmp_path / "last.pt", weights_only=True)
    for part in ("network", "averaged"):
        for name, value in expected[part].items():
            np.testing.assert_allclose(given[part][name], value, atol=1e-6, err_msg=name)
    best = load_file(tmp_path / "best.safetensors")
    for name, value in load_file(trained / "best.safetensors").items():
        np.testing.assert_allclose(best[name], value, atol=1e-6)


def test_finished_run_is_not_trained_again(trained, recipe, data):
    before = (trained / "log.jsonl").read_text()
    assert train(recipe, data=data, out=trained, pretrained=None).images == VALIDATION_IMAGES
    assert (trained / "log.jsonl").read_text() == before


def test_checkpoint_of_another_recipe_is_refused(trained, recipe, data):
    other = dataclasses.replace(recipe, learning_rate=0.5)
    with pytest.raises(ConfigError, match="learning_rate"):
        train(other, data=data, out=trained, pretrained=None)


def test_damaged_checkpoint_is_refused(trained, recipe, data, tmp_path):
    whole = (trained / "last.pt").read_bytes()
    (tmp_path / "last.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match=r"last\.pt cannot be read"):
        train(recipe, data=data, out=tmp_path, pretrained=None)
