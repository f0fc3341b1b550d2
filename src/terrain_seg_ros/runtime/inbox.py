"""What comes beside the images: each input's handler, found by its row in the table of topics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.runtime.camera_infos import CameraInfos
from terrain_seg_ros.runtime.frame_intake import FrameIntake
from terrain_seg_ros.runtime.ground_measurements import GroundMeasurements
from terrain_seg_ros.runtime.health import Health, Refusal, RefusedError
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.outboxes.landing_outbox import LandingOutbox


class Inbox(NamedTuple):
    """Keep what comes beside the images until an image needs it."""

    intake: FrameIntake
    infos: CameraInfos
    ground: GroundMeasurements
    landing: LandingOutbox
    health: Health
    resort: LastResort

    def take(self, row: str, camera: str, message: Any) -> None:
        """Hand a message to the handler of its row; what is wrong with it is counted.

        Args:
            row: name of the topic in the table.
            camera: whose topic it is; empty where the cameras share it.
            message: of the row's type.
        """
        with self.resort.around(f"reading a message of {row}") as attempt:
            try:
                HANDLERS[row](self, camera, message)
            except TerrainSegError as error:
                self._refuse(row, error)
        if attempt.failed and row == "camera_info":
            self.infos.refuse(camera, "it could not be read because of a defect")

    def _refuse(self, row: str, error: TerrainSegError) -> None:
        known = error.reason if isinstance(error, RefusedError) else None
        self.health.count_refused(known or Refusal(topic(row).malformed), str(error))


Handler = Callable[[Inbox, str, Any], None]
"""Takes a message of one input, with the name of its camera, and raises what is wrong with it."""

HANDLERS: dict[str, Handler] = {}
"""The handler of each input, except images and transforms, which are queued and buffered."""


def handles(*rows: str) -> Callable[[Handler], Handler]:
    """Return a decorator that registers a function as the handler of rows of the table."""

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(rows, handler))
        return handler

    return register


@handles("camera_info")
def _camera_info(inbox: Inbox, camera: str, message: Any) -> None:
    inbox.intake.check_camera(camera)
    inbox.health.remark(f"camera_info of {camera}", inbox.infos.read(camera, message))


@handles("depth", "cloud", "range")
def _ground_measurement(inbox: Inbox, camera: str, message: Any) -> None:
    inbox.ground.put(camera, message)


@handles("select_site")
def _select_site(inbox: Inbox, _: str, message: Any) -> None:
    inbox.landing.request(message)
