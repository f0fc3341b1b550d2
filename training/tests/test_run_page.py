"""The page of a run is there from its start, is loaded again while it trains, and then stays."""

from __future__ import annotations

import re

import cv2
import pytest
from lightning.pytorch.callbacks import Callback

from conftest import CPU
from terrain_training.learning.run import TrainingRequest, train
from terrain_training.recipe.load import load_recipe

REFRESH = '<meta http-equiv="refresh"'


class Reader(Callback):
    """Read the page as a browser would, and perhaps interrupt an epoch."""

    def __init__(self, path, *, interrupt_at=None):
        self.path, self.interrupt_at, self.pages = path, interrupt_at, []

    def on_train_start(self, _trainer, _module):
        self.pages.append(self.path.read_text())

    def on_train_epoch_end(self, _trainer, _module):
        self.pages.append(self.path.read_text())

    def on_train_epoch_start(self, trainer, _module):
        if trainer.current_epoch + 1 == self.interrupt_at:
            raise KeyboardInterrupt


def text_of(page):
    return " ".join(re.sub(r"<[^>]+>", " ", page.partition("<body>")[2]).split())


def run(recipe_file, data, out, reader, **changes):
    recipe = load_recipe(recipe_file, overrides=["training.epochs=2"])
    given = {"data": data, "out": out, "machine": CPU, "callbacks": (reader,)} | changes
    return train(recipe, TrainingRequest(**given))


def test_the_page_follows_the_epochs(recipe_file, data, tmp_path):
    reader = Reader(tmp_path / "run" / "index.html")
    summary = run(recipe_file, data, tmp_path / "run", reader)
    assert all(REFRESH in page for page in reader.pages)
    start, first, second = map(text_of, reader.pages)
    assert "Training; no epoch of 2 is finished yet." in start
    assert "Training, after epoch 1 of 2." in first
    assert "epochs 2 of 2" in second
    end = reader.path.read_text()
    assert REFRESH not in end
    assert "Finished, after epoch 2 of 2." in text_of(end)
    best = f"best mean IoU {summary['best_mean_iou']:.4f} at epoch {summary['best_epoch']}"
    assert best in text_of(end)
    rows = re.findall(r"<tr><td>(\d)</td>.*?</tr>", end)
    assert rows == ["2", "1"]
    assert end.count("<img") == 2
    assert "http:" not in end and "https:" not in end and "<script" not in end
    assert all(f"<th>{name}</th>" in end for name in ("soil", "bedrock", "sand", "big_rock"))


def test_a_run_that_was_stopped_or_interrupted_says_so(recipe_file, data, tmp_path):
    out = tmp_path / "run"
    page = out / "index.html"
    run(recipe_file, data, out, Reader(page), epochs_now=1)
    assert "Stopped, after epoch 1 of 2." in text_of(page.read_text())
    with pytest.raises(KeyboardInterrupt):
        run(recipe_file, data, out, Reader(page, interrupt_at=2))
    assert "Interrupted, after epoch 1 of 2." in text_of(page.read_text())
    assert REFRESH not in page.read_text()


def test_examples_have_heads_names_and_a_legend(trained):
    sheet = cv2.imread(str(trained / "examples" / "epoch_001.png"))
    later = cv2.imread(str(trained / "examples" / "epoch_002.png"))
    assert sheet.shape == later.shape
    assert sheet.shape[1] > 3 * 256
    changed = (sheet != later).any(axis=2)
    assert changed[:, : sheet.shape[1] // 2].mean() < changed[:, sheet.shape[1] // 2 :].mean()
