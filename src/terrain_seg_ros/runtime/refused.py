"""The error of the runtime's own checks: it carries the reason under which it is counted."""

from __future__ import annotations

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.runtime.health import Refusal


class RefusedError(TerrainSegError):
    """Report an input that cannot be used, and why."""

    def __init__(self, reason: Refusal, text: str) -> None:
        """Hold the reason beside the text."""
        super().__init__(text)
        self.reason = reason
