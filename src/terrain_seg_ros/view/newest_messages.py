"""The newest message of each topic, decoded when somebody asks for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.messages.camera_info_message import camera_model
from terrain_seg_ros.messages.cloud_message import decode_sensed_points
from terrain_seg_ros.messages.grid_map_message import decode_grid_map
from terrain_seg_ros.messages.grid_message import decode_grid
from terrain_seg_ros.messages.image_message import decode_camera_image
from terrain_seg_ros.messages.label_info_message import decode_label_info
from terrain_seg_ros.messages.landing_message import decode_landing_sites

DECODERS: dict[str, Callable[[Any], Any]] = {
    "mask": decode_camera_image,
    "confidence": decode_camera_image,
    "label_info": decode_label_info,
    "hazard_grid": decode_grid,
    "hazard_reason": decode_grid,
    "safe_map": decode_grid,
    "grid_map": decode_grid_map,
    "hazard_points": decode_sensed_points,
    "landing_sites": decode_landing_sites,
    "camera_info": camera_model,
}


class NewestMessages:
    """One message per topic; each is decoded once, and only if it is shown."""

    def __init__(self, problems: dict[str, str]) -> None:
        """Begin with nothing.

        Args:
            problems: gets what was wrong with a message, by the topic's name.
        """
        self._problems = problems
        self._messages: dict[str, Any] = {}
        self._decoded: dict[str, tuple[Any, Any]] = {}

    def put(self, name: str, message: Any) -> None:
        """Replace the message of a topic."""
        self._messages[name] = message

    def message(self, name: str) -> Any:
        """Return the message of a topic as it came, None without one."""
        return self._messages.get(name)

    def value(self, name: str) -> Any:
        """Return the decoded message of a topic, None without one or if it cannot be used."""
        message = self._messages.get(name)
        if message is None:
            return None
        known = self._decoded.get(name)
        if known is None or known[0] is not message:
            self._decoded[name] = known = (message, self._decode(name, message))
        return known[1]

    def change(self, name: str, value: Any) -> None:
        """Replace the decoded value of a topic until its next message."""
        self._decoded[name] = (self._messages[name], value)

    def _decode(self, name: str, message: Any) -> Any:
        try:
            value = DECODERS[name](message)
        except TerrainSegError as error:
            self._problems[name] = str(error)
            return None
        self._problems.pop(name, None)
        return value
