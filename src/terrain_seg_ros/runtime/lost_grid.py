"""Take the grid and the landing sites back: nothing is seen any more, or nobody looks."""

from __future__ import annotations

from typing import NamedTuple

from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.messages.header_message import LATEST_NS
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.outboxes.grid_outbox import GridOutbox
from terrain_seg_ros.runtime.outboxes.image_outbox import Outgoing
from terrain_seg_ros.runtime.outboxes.landing_outbox import LandingOutbox


class LostGrid(NamedTuple):
    """Make the messages; they come also where the pipeline is broken."""

    pipeline: Pipeline
    grids: GridOutbox
    landing: LandingOutbox
    resort: LastResort

    def messages(self, reason: Reason, stamp_ns: int) -> list[Outgoing]:
        """Forget all but the hazards that are kept; return the grid and no landing sites.

        A stamp beyond the last that ROS can tell becomes that one, so that the grid goes out.
        """
        stamp_ns = min(stamp_ns, LATEST_NS)
        outgoing: list[Outgoing] = []
        with self.resort.around("forgetting the grid") as attempt:
            snapshot = self.pipeline.mark_unobserved(reason, stamp_ns)
            outgoing += self.grids.lost(snapshot, self.pipeline)
        if attempt.failed:
            return self.blind(reason, stamp_ns)
        with self.resort.around("forgetting landing sites"):
            outgoing += self.landing.lost(stamp_ns)
        return outgoing

    def blind(self, reason: Reason, stamp_ns: int) -> list[Outgoing]:
        """Return the same without the pipeline, which may be stuck: from the last grid."""
        stamp_ns = min(stamp_ns, LATEST_NS)
        outgoing: list[Outgoing] = []
        with self.resort.around("taking the last grid back"):
            outgoing += self.grids.blind(reason, stamp_ns)
        with self.resort.around("forgetting landing sites"):
            outgoing += self.landing.lost(stamp_ns)
        return outgoing
