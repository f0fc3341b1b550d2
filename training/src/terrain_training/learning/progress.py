"""Where a run is, for logs that are no screen; and how to end one early."""

from __future__ import annotations

import logging
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from terrain_training.interrupt import current_signals

log = logging.getLogger(__name__)

SAY_EVERY_S = 30.0


class Progress(Callback):
    """Say now and then how far an epoch is."""

    def __init__(self) -> None:
        """Start the clock."""
        self._said_s = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        _module: pl.LightningModule,
        _outputs: Any,
        _batch: Any,
        batch_idx: int,
    ) -> None:
        """Say it at most every half minute."""
        if trainer.is_global_zero and time.monotonic() - self._said_s > SAY_EVERY_S:
            self._said_s = time.monotonic()
            steps = trainer.num_training_batches
            log.info("epoch %d step %d/%d", trainer.current_epoch + 1, batch_idx + 1, steps)


class KeepSignals(Callback):
    """Leave signals to the command line: Lightning takes SIGTERM over, and goes on for an epoch."""

    def on_train_start(self, _trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Take them back."""
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
        """Raise what was swallowed."""
        signals = current_signals()
        if signals is not None:
            signals.check()


class ThisTime(Callback):
    """End a call after some epochs; the next call goes on."""

    def __init__(self, epochs: int) -> None:
        """Take how many epochs to train now."""
        self._left = epochs

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Count an epoch, and stop after the last."""
        self._left -= 1
        if self._left <= 0:
            trainer.should_stop = True
