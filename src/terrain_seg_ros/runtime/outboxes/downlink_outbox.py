"""The downlink: gather the newest grid, sites, mask and health, and send what the budget allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

from terrain_seg_ros.core.downlink.parts import Site, make_thumbnail
from terrain_seg_ros.core.downlink.sender import DownlinkSender
from terrain_seg_ros.core.landing.site_selector import LandingChoice
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8, GridSnapshot
from terrain_seg_ros.messages.diagnostics_message import Status
from terrain_seg_ros.messages.downlink_message import encode_downlink
from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.outboxes.encoders import encodes
from terrain_seg_ros.runtime.outboxes.outgoing import Outgoing
from terrain_seg_ros.runtime.outboxes.outputs import Outputs

TEXT_LIMIT = 160
REASON_LIMIT, REASONS_LIMIT = 60, 10
_COUNTERS = ("images_in", "images_out", "grids_out", "dropped", "refused", "age_s")
_REASONS = ("dropped: ", "refused: ", "note: ")


class _Mask(NamedTuple):
    """The newest mask (H, W) of any camera, with its classes."""

    mask: U8
    taxonomy: Taxonomy
    camera: str


class DownlinkOutbox:
    """Send what changed, within `downlink.budget_bytes_per_min`; nothing where that is 0.

    Every method may be called from any thread.
    """

    def __init__(self, outputs: Outputs, parameters: NodeSettings) -> None:
        """Start with nothing to send."""
        self._outputs = outputs
        budget = parameters.output.downlink_bytes_per_min
        self._sender = DownlinkSender(budget) if budget else None
        self._lock = Lock()
        self._grid: GridSnapshot | None = None
        self._mask: _Mask | None = None
        self._sites: LandingChoice | None = None

    def see_grid(self, snapshot: GridSnapshot) -> None:
        """Note the newest grid."""
        with self._lock:
            self._grid = snapshot

    def see_mask(self, mask: U8, taxonomy: Taxonomy, camera: str) -> None:
        """Note the newest mask (H, W)."""
        if self._sender is not None:
            with self._lock:
                self._mask = _Mask(mask.copy(), taxonomy, camera)

    def see_sites(self, choice: LandingChoice) -> None:
        """Note the newest landing sites."""
        with self._lock:
            self._sites = choice

    def packets(self, status: Status, stamp_ns: int, now_s: float) -> list[Outgoing]:
        """Return the packets that go now.

        Args:
            status: the state of the node.
            stamp_ns: of the vehicle's clock.
            now_s: a clock that never jumps, by which the budget is kept.

        Raises:
            MessageError: grid_frame is too long a name.
        """
        sender = self._sender
        if sender is None:
            return []
        with self._lock:
            if self._grid is not None:
                sender.show_grid(self._grid)
            if self._sites is not None:
                sender.show_sites(_sites(self._sites))
            if self._mask is not None:
                mask, taxonomy, camera = self._mask
                colors = taxonomy.palette_rgb()[: len(taxonomy)]
                sender.show_thumbnail(make_thumbnail(mask, colors, camera))
            sender.show_health(_health(status))
            self._grid = self._mask = self._sites = None
            packets = sender.packets(stamp_ns, now_s)
        return [
            outgoing
            for data in packets
            for outgoing in self._outputs.encode(Group.DOWNLINK, data, stamp_ns=stamp_ns)
        ]


@encodes("downlink")
def _downlink(types: Types, product: bytes) -> Any:
    return encode_downlink(types, product)


def _sites(choice: LandingChoice) -> Sequence[Site]:
    return [
        Site(
            site.site_id,
            site.x_m,
            site.y_m,
            math.nan if site.z_m is None else site.z_m,
            site.clear_radius_m,
            site.p_safe,
            choice.is_selected and index == 0,
        )
        for index, site in enumerate(choice.sites)
    ]


def _health(status: Status) -> dict[str, Any]:
    """Return the state in few words: of the reasons only how often each occurred."""
    reasons = {
        key[:REASON_LIMIT]: value.partition(",")[0]
        for key, value in status.values.items()
        if key.startswith(_REASONS)
    }
    return {
        "level": status.level.name.lower(),
        "message": status.message[:TEXT_LIMIT],
        "counters": {key: status.values[key] for key in _COUNTERS if key in status.values},
        "reasons": dict(list(reasons.items())[:REASONS_LIMIT]),
    }
