"""What the family of errors lacks for training."""

from __future__ import annotations

from terrain_seg_ros.core.errors import TerrainSegError


class TrainingError(TerrainSegError):
    """Report a training that was begun and cannot go on."""
