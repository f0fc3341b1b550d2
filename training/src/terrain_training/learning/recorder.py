"""After each epoch: scores, best weights, history, curves and example predictions."""

from __future__ import annotations

import csv
import time
from collections.abc import Mapping
from typing import Any

import cv2
import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from safetensors.torch import save
from torch import nn

from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.report.captioned_sheet import Tile, captioned_sheet
from terrain_seg_ros.report.output_place import write_whole
from terrain_training.data.dataset import LabelledImages
from terrain_training.errors import TrainingError
from terrain_training.learning.board import show_picture
from terrain_training.learning.curves import class_colours, write_curves
from terrain_training.learning.epoch_table import EpochTable
from terrain_training.learning.finite import not_finite
from terrain_training.learning.history import flat_row
from terrain_training.learning.module import VALIDATION_IOU, SegmentationModule
from terrain_training.learning.run_folder import CURVES, RunFolder, strict_json
from terrain_training.learning.scores import epoch_scores


class Recorder(Callback):
    """Score each epoch and keep its traces in the run's folder; the first process writes.

    Stands before the weight average among the callbacks, so that it sees the averaged weights.
    """

    def __init__(
        self,
        folder: RunFolder,
        *,
        taxonomy: Taxonomy,
        examples: LabelledImages,
        count: int,
        table: EpochTable | None,
    ) -> None:
        """Take the folder, images of which the first `count` are drawn, and what shows rows."""
        self._folder = folder
        self._table = table
        self._taxonomy = taxonomy
        self._examples = examples
        self._count = min(count, len(examples))
        self._row: dict[str, Any] = {}
        self._started_s = time.monotonic()
        self.best_mean_iou = -1.0
        self.best_epoch = 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"best_mean_iou": self.best_mean_iou, "best_epoch": self.best_epoch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it back."""
        self.best_mean_iou = state_dict["best_mean_iou"]
        self.best_epoch = state_dict["best_epoch"]

    def on_train_start(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Show where the run begins or goes on."""
        if trainer.is_global_zero and self._table is not None:
            self._table.begin(done=trainer.current_epoch)

    def on_train_epoch_start(self, _trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Start the clock."""
        self._started_s = time.monotonic()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Score, and keep the weights where they are the best so far."""
        module = _as_module(pl_module)
        scores = epoch_scores(module.confusion.compute(), self._taxonomy)
        module.confusion.reset()
        self._row = scores
        pl_module.log(VALIDATION_IOU, scores["mean_iou"], sync_dist=False, rank_zero_only=False)
        for name, value in scores["iou"].items():
            if value is not None:
                pl_module.log(f"validation_iou/{name}", value)
        better = scores["mean_iou"] > self.best_mean_iou
        if better:
            self.best_mean_iou = scores["mean_iou"]
            self.best_epoch = trainer.current_epoch + 1
        if not trainer.is_global_zero:
            return
        if better:
            self._keep_weights(module.network)
        if self._count:
            self._show_examples(trainer, module)

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Write the epoch's row, the curves and the summary."""
        if not trainer.is_global_zero:
            return
        row = {
            "epoch": trainer.current_epoch + 1,
            **self._row,
            **_losses(trainer.callback_metrics),
            "learning_rate": max(g["lr"] for g in trainer.optimizers[0].param_groups),
            "seconds": round(time.monotonic() - self._started_s, 2),
        }
        history = [old for old in self._folder.read_history() if old["epoch"] < row["epoch"]]
        history.append(row)
        write_whole(self._folder.history, "".join(f"{strict_json(item)}\n" for item in history))
        _write_csv(history, self._folder)
        write_curves(history, self._folder.path / CURVES, colours=class_colours(self._taxonomy))
        self._update_summary()
        if self._table is not None:
            self._table.add(row, best=row["epoch"] == self.best_epoch)

    def _keep_weights(self, network: nn.Module) -> None:
        weights = {name: value.contiguous() for name, value in network.state_dict().items()}
        wrong = not_finite(weights)
        if wrong is not None:
            raise TrainingError(f"weights {wrong!r} hold values that are no numbers; train again")
        write_whole(self._folder.weights, save(weights))

    def _update_summary(self) -> None:
        content = self._folder.read_summary()
        content["best_epoch"] = self.best_epoch
        content["best_mean_iou"] = self.best_mean_iou
        write_whole(self._folder.summary, strict_json(content, indent=2) + "\n")

    def _show_examples(self, trainer: pl.Trainer, module: SegmentationModule) -> None:
        tiles = [self._example(module, place) for place in range(self._count)]
        epoch = trainer.current_epoch + 1
        sheet = captioned_sheet(
            tiles,
            heads=("image", "truth", f"prediction of epoch {epoch}"),
            legend=[*((item.name, item.color_rgb) for item in self._taxonomy), _IGNORED],
        )
        self._folder.examples.mkdir(exist_ok=True)
        path = self._folder.example_sheet(epoch)
        cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
        show_picture(trainer.loggers, path, sheet, epoch)

    def _example(self, module: SegmentationModule, place: int) -> Tile:
        image, mask = self._examples.pair(place)
        batch = torch.from_numpy(image.transpose(2, 0, 1).copy()).unsqueeze(0).to(module.device)
        with torch.inference_mode():
            predicted = module(batch).argmax(dim=1)[0].cpu().numpy().astype(np.uint8)
        palette = self._taxonomy.palette_rgb()
        labelled = mask != IGNORE
        right = float((predicted == mask)[labelled].mean()) if labelled.any() else None
        told = (
            "nothing is labelled" if right is None else f"{right:.1%} of the labelled pixels right"
        )
        pictures = (image[..., 0] if image.shape[2] == 1 else image, palette[mask])
        return Tile((*pictures, palette[predicted]), f"{self._examples.names[place]}: {told}")


_IGNORED = ("ignored", (0, 0, 0))


def _as_module(module: pl.LightningModule) -> SegmentationModule:
    assert isinstance(module, SegmentationModule)  # noqa: S101
    return module


def _losses(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return the losses that were logged, with `/` as `_`."""
    named = {name: float(value) for name, value in metrics.items() if not name.endswith("_iou")}
    return {
        name.replace("/", "_"): round(value, 6)
        for name, value in named.items()
        if not name.startswith("validation_iou/")
    }


def _write_csv(history: list[dict[str, Any]], folder: RunFolder) -> None:
    rows = [flat_row(row) for row in history]
    names = list(dict.fromkeys(name for row in rows for name in row))
    with (folder.path / "metrics.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, names)
        writer.writeheader()
        writer.writerows(rows)
