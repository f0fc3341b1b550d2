"""What the family of errors lacks for training."""

from __future__ import annotations

from terrain_seg_ros.core.errors import TerrainSegError


class TrainingError(TerrainSegError):
    """A training that was started cannot continue."""
