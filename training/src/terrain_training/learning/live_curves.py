"""The curves of a run in a notebook, renewed after each epoch."""

from __future__ import annotations

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback

from terrain_training.learning.run_folder import CURVES, RunFolder
from terrain_training.notebook import LiveOutput


class LiveCurves(Callback):
    """Show the curves that the recorder has written, in place of those of the epoch before."""

    def __init__(self, folder: RunFolder) -> None:
        """Take the folder of the run; nothing is shown yet."""
        self._folder = folder
        self._output = LiveOutput()

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        """Show the curves up to this epoch."""
        if trainer.is_global_zero:
            self._output.show_png((self._folder.path / CURVES).read_bytes())
