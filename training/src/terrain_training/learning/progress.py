"""Callbacks that show the progress of a run, keep the signal handlers, and stop it early."""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from terrain_training.interrupt import current_signals
from terrain_training.progress import Progress


class EpochProgress(Callback):
    """Show how far an epoch is: a bar in a terminal, a line of the log now and then elsewhere.

    Stands before the recorder among the callbacks, so that the bar is gone when a row is shown.
    """

    def __init__(self) -> None:
        """Show nothing yet."""
        self._shown: Progress | None = None

    def on_train_epoch_start(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Begin to count the steps of an epoch."""
        epoch, epochs = trainer.current_epoch + 1, trainer.max_epochs
        self._show(trainer, f"epoch {epoch} of {epochs}", trainer.num_training_batches, "step")

    def on_train_batch_end(
        self,
        _trainer: pl.Trainer,
        _module: pl.LightningModule,
        _outputs: Any,
        _batch: Any,
        _batch_idx: int,
    ) -> None:
        """Count a step."""
        if self._shown is not None:
            self._shown.add()

    def on_validation_epoch_start(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Begin to count the batches of the validation."""
        count = sum(trainer.num_val_batches)
        self._show(trainer, f"validate epoch {trainer.current_epoch + 1}", count, "batch")

    def on_validation_batch_end(
        self,
        _trainer: pl.Trainer,
        _module: pl.LightningModule,
        _outputs: Any,
        _batch: Any,
        _batch_idx: int,
        _loader: int = 0,
    ) -> None:
        """Count a batch."""
        if self._shown is not None:
            self._shown.add()

    def on_validation_epoch_end(self, _trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Take the bar away."""
        self._hide()

    def on_exception(
        self, _trainer: pl.Trainer, _module: pl.LightningModule, _error: BaseException
    ) -> None:
        """Take the bar away."""
        self._hide()

    def _show(self, trainer: pl.Trainer, what: str, total: int | float, unit: str) -> None:
        self._hide()
        if trainer.is_global_zero:
            self._shown = Progress(what, total=int(total), unit=unit)

    def _hide(self) -> None:
        if self._shown is not None:
            self._shown.close()
            self._shown = None


class KeepSignals(Callback):
    """Keep the signal handlers of the command line: Lightning replaces that of SIGTERM."""

    def on_train_start(self, _trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Install them again."""
        signals = current_signals()
        if signals is not None:
            signals.install()

    def on_train_batch_end(
        self,
        _trainer: pl.Trainer,
        _module: pl.LightningModule,
        _outputs: Any,
        _batch: Any,
        _batch_idx: int,
    ) -> None:
        """Raise `Interrupted` where a library swallowed it."""
        signals = current_signals()
        if signals is not None:
            signals.check()


class StopAfter(Callback):
    """End this call after some epochs; the next call resumes."""

    def __init__(self, epochs: int) -> None:
        """Take how many epochs to train now."""
        self._left = epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Count an epoch, and stop after the last."""
        self._left -= 1
        if self._left <= 0:
            trainer.should_stop = True
