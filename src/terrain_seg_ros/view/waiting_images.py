"""Camera images that wait for their mask: few, and of bounded size."""

from __future__ import annotations

from collections import deque
from typing import Any

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import decode_camera_image

IMAGES_KEPT = 30
IMAGE_BYTES_KEPT = 128 * 1024 * 1024


class WaitingImages:
    """The last images as messages; the one that is shown is decoded once."""

    def __init__(self, problems: dict[str, str]) -> None:
        """Begin with none.

        Args:
            problems: gets what was wrong with an image, under "image".
        """
        self._problems = problems
        self._waiting: deque[tuple[int, Any, int]] = deque()
        self._shown: tuple[Any, CameraImage | None] = (None, None)

    def __len__(self) -> int:
        """Return how many images are kept."""
        return len(self._waiting)

    def add(self, message: Any, size_bytes: int) -> None:
        """Add an image, and drop the oldest ones beyond the limits.

        Raises:
            MessageError: its stamp cannot be used.
        """
        self._waiting.append((stamp_ns(message.header), message, size_bytes))
        while len(self._waiting) > IMAGES_KEPT or (
            len(self._waiting) > 1 and sum(item[2] for item in self._waiting) > IMAGE_BYTES_KEPT
        ):
            self._waiting.popleft()

    def drop_newer(self, stamp: int) -> None:
        """Drop the images after a stamp in nanoseconds, as after a jump back in time."""
        self._waiting = deque(item for item in self._waiting if item[0] <= stamp)

    def image_of(self, stamp: int) -> CameraImage | None:
        """Return the image of a stamp in nanoseconds, else the newest; None if it is unusable."""
        if not self._waiting:
            return None
        of_stamp = (message for at, message, _ in self._waiting if at == stamp)
        message = next(of_stamp, self._waiting[-1][1])
        if self._shown[0] is not message:
            self._shown = (message, self._decode(message))
        return self._shown[1]

    def _decode(self, message: Any) -> CameraImage | None:
        try:
            image = decode_camera_image(message)
        except TerrainSegError as error:
            self._problems["image"] = str(error)
            return None
        self._problems.pop("image", None)
        return image
