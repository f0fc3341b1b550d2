"""Take images through intake and stages; what fails is counted and costs one image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import NamedTuple

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.runtime.frame import Frame
from terrain_seg_ros.runtime.frame_intake import FrameIntake
from terrain_seg_ros.runtime.frame_stages import FrameStages
from terrain_seg_ros.runtime.grid_keeper import GridKeeper
from terrain_seg_ros.runtime.health import Health, Note, Refusal, RefusedError
from terrain_seg_ros.runtime.last_resort import LastResort


class FrameRun(NamedTuple):
    """Run images; a defect is counted too, and after several in a row the grid turns unknown."""

    intake: FrameIntake
    stages: FrameStages
    keeper: GridKeeper
    health: Health
    resort: LastResort

    def begin(self, frames: Sequence[Frame]) -> None:
        """Accept and decode images of different cameras, and run the network once for all."""
        for frame in frames:
            self.health.count_in()
            self._guarded(frame, self.intake.accept, "taking an image")
        with self.resort.around("segmenting several images"):
            self.stages.segment_together([item for item in frames if item.image is not None])

    def process(self, frame: Frame) -> None:
        """Do the rest of an image; what was finished before an error is in the frame."""
        if frame.jumped:
            self.health.note(Note.TIME_JUMP)
            with self.resort.around("forgetting the grid"):
                self.stages.restart()
        if frame.image is not None:
            self._guarded(frame, self.stages.process, "processing an image")
        if frame.segmented:
            self.health.count_out(with_grid=frame.fused and frame.sees_ground)
            frame.stage_ms["total"] = (perf_counter() - frame.started_s) * 1e3
            self.health.add_latencies(frame.stage_ms)
        if frame.fused:
            self.keeper.lacks_pose = False

    def _guarded(self, frame: Frame, work: Callable[[Frame], None], place: str) -> None:
        with self.resort.around(place) as attempt:
            try:
                work(frame)
            except TerrainSegError as error:
                frame.image = None
                reason = error.reason if isinstance(error, RefusedError) else Refusal.BAD_IMAGE
                self.keeper.lacks_pose = reason is Refusal.NO_TRANSFORM
                self.health.count_refused(reason, str(error))
        if not attempt.failed:
            return
        frame.image = None
        if attempt.turned_persistent:
            stamp = frame.stamp_ns or self.intake.last_stamp_ns
            frame.outgoing += self.keeper.withdraw(Reason.STALE, stamp)
