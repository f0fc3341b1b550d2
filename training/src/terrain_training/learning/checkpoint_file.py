"""Checkpoints that are whole or not there, wherever the process is ended."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from terrain_seg_ros.report.output_place import write_whole


class WholeCheckpoints(TorchCheckpointIO):
    """Write a checkpoint beside its place first; Lightning's own way may copy over the old one."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint."""
        del storage_options
        content = io.BytesIO()
        torch.save(checkpoint, content)
        write_whole(Path(path), content.getvalue())
