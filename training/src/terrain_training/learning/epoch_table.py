"""The rows that a training run shows, one for each epoch."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from terrain_training.progress import PLAIN

log = logging.getLogger(__name__)

_CLASS_WIDTH = 16
"""Longer names of classes are cut."""


class EpochTable:
    """Log the scores of each epoch as the row of a table, the best so far marked.

    Epochs count from 1. The time left is that of the epochs that this call still trains, from the
    mean of those that it has trained.
    """

    def __init__(self, *, epochs: int, classes: Sequence[str], epochs_now: int | None) -> None:
        """Take what a run will train.

        Args:
            epochs: of the whole run.
            classes: names of the classes.
            epochs_now: how many this call trains, None for all that are left.
        """
        self._epochs, self._epochs_now = epochs, epochs_now
        self._class_width = min(_CLASS_WIDTH, max(len(name) for name in classes))
        self._last = epochs
        self._seconds: list[float] = []

    def begin(self, done: int) -> None:
        """Log where the run goes on and the head of the table.

        Args:
            done: epochs that earlier calls trained.
        """
        if self._epochs_now is not None:
            self._last = min(self._epochs, done + self._epochs_now)
        if done:
            log.info("going on after epoch %d of %d", done, self._epochs)
        worst = "worst class and IoU".ljust(self._class_width + 7)
        head = f"{'epoch':>9}  {'train loss':>10}  {'val. loss':>10}  {'mean IoU':>8}  {worst}"
        log.info("%s", f"{head}  {'rate':>7}  {'time':>7}  {'left':>7}", extra=PLAIN)

    def add(self, row: Mapping[str, Any], *, best: bool) -> None:
        """Log the row of an epoch.

        Args:
            row: as `history.jsonl` holds it.
            best: its mean IoU is above that of all epochs before.
        """
        epoch, seconds = int(row["epoch"]), float(row["seconds"])
        self._seconds.append(seconds)
        left = (self._last - epoch) * sum(self._seconds) / len(self._seconds)
        cells = (
            f"{epoch:>4}/{self._epochs:<4}",
            f"{_loss(row.get('train_loss')):>10}",
            f"{_loss(row.get('validation_loss')):>10}",
            f"{row['mean_iou']:>8.4f}",
            self._worst(row["iou"]),
            f"{row['learning_rate']:>7.1e}",
            f"{duration_text(seconds):>7}",
            f"{duration_text(left) if epoch < self._last else '-':>7}",
        )
        log.info("%s", "  ".join(cells) + ("  best" if best else ""), extra=PLAIN)

    def _worst(self, iou: Mapping[str, float | None]) -> str:
        """Return the class of the lowest IoU, and its IoU; those without truth have none."""
        scored = {name: value for name, value in iou.items() if value is not None}
        name = min(scored, key=lambda each: scored[each])
        width = self._class_width
        return f"{name[:width]:<{width}} {scored[name]:.4f}"


def _loss(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def duration_text(seconds: float) -> str:
    """Return seconds as 4.2 s, 3:05 (minutes) or 1:03:05 (hours)."""
    if seconds < 60.0:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
