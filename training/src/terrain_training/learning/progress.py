"""Callbacks that log the progress of a run, keep the signal handlers, and stop it early."""

from __future__ import annotations

import logging
import time
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from terrain_training.interrupt import current_signals

log = logging.getLogger(__name__)

LOG_EVERY_S = 30.0


class ProgressLog(Callback):
    """Log how far an epoch is, where no terminal shows Lightning's bar."""

    def __init__(self) -> None:
        """Start the clock."""
        self._logged_s = time.monotonic()

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        _module: pl.LightningModule,
        _outputs: Any,
        _batch: Any,
        batch_idx: int,
    ) -> None:
        """Log at most every half minute."""
        if trainer.is_global_zero and time.monotonic() - self._logged_s > LOG_EVERY_S:
            self._logged_s = time.monotonic()
            steps = trainer.num_training_batches
            log.info("epoch %d step %d/%d", trainer.current_epoch + 1, batch_idx + 1, steps)


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
