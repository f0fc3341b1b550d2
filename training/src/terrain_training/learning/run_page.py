"""The page of a run, written again after each epoch, to look at while it trains."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.report.output_place import write_whole
from terrain_seg_ros.report.page import Page, Row, Section, render_page
from terrain_training.learning.epoch_table import duration_text
from terrain_training.learning.run_folder import CURVES, PAGE, RunFolder

REFRESH_S = 10
SHOWN_EPOCHS = 200
STYLE = """
.row { grid-template-columns: minmax(0, 1fr); }
.row img { width: auto; max-width: 100%; aspect-ratio: auto; }
"""


class RunPage(Callback):
    """Write `index.html` of a run: state, curves, the latest examples, and a row for each epoch.

    While the run trains, a browser loads it again every few seconds. Stands behind the recorder
    among the callbacks, so that it sees what that wrote.
    """

    def __init__(self, folder: RunFolder, *, taxonomy: Taxonomy, epochs: int) -> None:
        """Take the run's folder, its classes and the number of all epochs."""
        self._folder, self._taxonomy, self._epochs = folder, taxonomy, epochs

    def on_train_start(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Write the page of a run that begins or goes on."""
        self._write(trainer, "training", running=True)

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Write it with one more epoch."""
        self._write(trainer, "training", running=True)

    def on_train_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Write the page that stays."""
        done = len(self._folder.read_history())
        self._write(trainer, "finished" if done >= self._epochs else "stopped", running=False)

    def on_exception(
        self, trainer: pl.Trainer, _module: pl.LightningModule, error: BaseException
    ) -> None:
        """Write why it ended, unless that fails too, as on a full disk."""
        state = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
        with suppress(OSError):
            self._write(trainer, state, running=False)

    def _write(self, trainer: pl.Trainer, state: str, *, running: bool) -> None:
        if not trainer.is_global_zero:
            return
        history = self._folder.read_history()
        summary = self._folder.read_summary()
        page = Page(
            title=str(summary.get("name", self._folder.path.name)),
            lead=self._lead(state, history),
            facts=self._facts(summary, history, running=running),
            legends={"classes": [(item.name, item.color_rgb) for item in self._taxonomy]},
            tables=self._tables(summary, history),
            notes=(f"Scores are at {summary.get('scored_at', 'network size')}.",),
            sections=tuple(self._sections(history)),
            style=STYLE,
            refresh_s=REFRESH_S if running else None,
        )
        write_whole(self._folder.path / PAGE, render_page(page))

    def _lead(self, state: str, history: Sequence[Mapping[str, Any]]) -> str:
        at = time.strftime("%Y-%m-%d %H:%M:%S")
        if not history:
            return f"{state.capitalize()}; no epoch of {self._epochs} is finished yet. {at}"
        return f"{state.capitalize()}, after epoch {len(history)} of {self._epochs}. {at}"

    def _facts(
        self, summary: Mapping[str, Any], history: Sequence[Mapping[str, Any]], *, running: bool
    ) -> dict[str, str]:
        facts = {"epochs": f"{len(history)} of {self._epochs}"}
        if history:
            if "best_epoch" in summary:  # not where the first epoch's files could not be written
                best = summary["best_mean_iou"], summary["best_epoch"]
                facts["best mean IoU"] = "{:.4f} at epoch {}".format(*best)
            facts["last mean IoU"] = f"{history[-1]['mean_iou']:.4f}"
            seconds = sum(row["seconds"] for row in history) / len(history)
            facts["time per epoch"] = duration_text(seconds)
            if running:
                facts["time left"] = duration_text(seconds * (self._epochs - len(history)))
        facts["training images"] = f"{summary['training_images']:,}"
        facts["validation images"] = f"{summary['validation_images']:,}"
        facts["parameters"] = f"{summary['parameters']:,}"
        return facts

    def _sections(self, history: Sequence[Mapping[str, Any]]) -> Iterator[Section]:
        if not history:
            return
        yield from _picture("Curves", "", self._folder.path / CURVES)
        epoch = int(history[-1]["epoch"])
        text = f"The first validation images, as the network of epoch {epoch} sees them."
        yield from _picture("Examples", text, self._folder.example_sheet(epoch))

    def _tables(
        self, summary: Mapping[str, Any], history: Sequence[Mapping[str, Any]]
    ) -> dict[str, tuple[list[str], list[list[str]]]]:
        if not history:
            return {}
        names = self._taxonomy.names
        head = ["epoch", "train loss", "val. loss", "mean IoU", *names, "rate", "time", ""]
        rows = [
            [
                str(row["epoch"]),
                *(_number(row.get(key)) for key in ("train_loss", "validation_loss", "mean_iou")),
                *(_number(row["iou"].get(name), digits=3) for name in names),
                f"{row['learning_rate']:.1e}",
                duration_text(row["seconds"]),
                "best" if row["epoch"] == summary.get("best_epoch") else "",
            ]
            for row in reversed(history[-SHOWN_EPOCHS:])
        ]
        title = "Epochs" if len(history) <= SHOWN_EPOCHS else f"The last {SHOWN_EPOCHS} epochs"
        return {title: (head, rows)}


def _picture(title: str, text: str, path: Path) -> Iterator[Section]:
    """Yield the section of a picture, if it was written whole: a process may be killed amid it."""
    if not path.is_file():
        return
    try:
        picture = read_image(path)
    except ConfigError:
        return
    yield Section(title, text, [Row("", {"": picture})])


def _number(value: float | None, *, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
