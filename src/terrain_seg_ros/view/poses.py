"""Where camera and vehicle are: transforms from /tf and /tf_static, looked up at a stamp."""

from __future__ import annotations

from typing import Any

from terrain_seg_ros.core.errors import GeometryError, TerrainSegError
from terrain_seg_ros.core.geometry.transform_buffer import MAX_FRAMES, TransformBuffer
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.messages.transform_message import StampedTransform, decode_each

CACHE_S = 60.0
_TF = "/tf"


class Poses:
    """The transforms of the last minute, and the last poses that could be looked up."""

    def __init__(self, base_frame: str, problems: dict[str, str]) -> None:
        """Begin with no transforms.

        Args:
            base_frame: the vehicle's frame.
            problems: gets what was wrong with a transform or look-up, under "/tf".
        """
        self._base_frame = base_frame
        self._problems = problems
        self._buffer = TransformBuffer(CACHE_S)
        self._statics: dict[str, StampedTransform] = {}
        self._last: tuple[Transform | None, Transform | None] = (None, None)

    def take(self, message: Any, *, static: bool) -> None:
        """Take a tf2_msgs/TFMessage; what cannot be used in it is left out."""
        for item in decode_each(message):
            if isinstance(item, TerrainSegError):
                self._problems[_TF] = str(item)
                continue
            try:
                if static:
                    self._keep_static(item)
                else:
                    self._buffer.set(*item, static=False)
            except GeometryError as error:
                self._problems[_TF] = str(error)

    def take_statics_of(self, other: Poses) -> None:
        """Take the fixed transforms of another."""
        for item in other._statics.values():
            self._keep_static(item)

    def clear_moving(self) -> None:
        """Forget all but the fixed transforms, as after a jump in time.

        A frame that moved before may be fixed from now on, as when another drive begins.
        """
        self._buffer.clear_moving()
        self._last = (None, None)
        self._problems.pop(_TF, None)
        for item in self._statics.values():
            self._buffer.set(*item, static=True)

    def vehicle(self, grid_frame: str, stamp: int) -> Transform | None:
        """Return `grid_T_vehicle` at a stamp in nanoseconds, None where it is not known."""
        return self._look_up(grid_frame, self._base_frame, stamp)

    def camera_and_vehicle(
        self, grid_frame: str, camera_frame: str, stamp: int
    ) -> tuple[Transform | None, Transform | None]:
        """Return `grid_T_camera` and `grid_T_vehicle` at a stamp, each else the last known one."""
        camera = self._look_up(grid_frame, camera_frame, stamp) or self._last[0]
        self._last = (camera, self.vehicle(grid_frame, stamp) or self._last[1])
        return self._last

    def _keep_static(self, item: StampedTransform) -> None:
        if item.child in self._statics or len(self._statics) < MAX_FRAMES:
            self._statics[item.child] = item
        self._buffer.set(*item, static=True)

    def _look_up(self, target: str, source: str, stamp: int) -> Transform | None:
        if not source or not target:
            return None
        try:
            found = self._buffer.lookup(target, source, stamp)
        except GeometryError as error:
            self._problems[_TF] = str(error)
            return None
        if "no transform" in self._problems.get(_TF, ""):
            del self._problems[_TF]
        return found
