"""Encode the grid: whole or changed, safe centres, masks for Nav2's filters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from terrain_seg_ros.core.grid.costs import COST_LETHAL, COST_UNKNOWN, I8
from terrain_seg_ros.core.grid.grid_to_layers import HAZARD_LAYER
from terrain_seg_ros.core.grid.grid_to_speed import FULL_PERCENT, NO_LIMIT
from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.types import GridSnapshot, Reason
from terrain_seg_ros.messages.filter_info_message import FilterType, encode_filter_info
from terrain_seg_ros.messages.grid_map_message import encode_grid_map
from terrain_seg_ros.messages.grid_message import (
    GridPart,
    encode_cost_grid,
    encode_grid_update,
    encode_layer,
    encode_reason_grid,
    encode_speed_mask,
)
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.outboxes.downlink_outbox import DownlinkOutbox
from terrain_seg_ros.runtime.outboxes.encoders import encodes
from terrain_seg_ros.runtime.outboxes.outgoing import Bus, Outgoing
from terrain_seg_ros.runtime.outboxes.outputs import Outputs

WHOLE_SHARE = 0.5
"""An update of more than this share of the cells is sent as a whole grid."""


@dataclass(frozen=True)
class GridProduct:
    """A grid to publish.

    Attributes:
        snapshot: the grid.
        pipeline: derives other layers from it; None where it is stuck or broken.
        part: what changed since the last whole grid; None sends a whole one.
        updates_keepout: whether the keepout mask follows the grid.
        unobserved_percent: speed limit on ground that is not observed.
    """

    snapshot: GridSnapshot
    pipeline: Pipeline | None
    part: GridPart | None = None
    updates_keepout: bool = True
    unobserved_percent: float = FULL_PERCENT

    def safe_map(self) -> I8:
        """Return the safe centres (rows, cols); none are known without the pipeline."""
        if self.pipeline is None:
            return np.full_like(self.snapshot.cost, COST_UNKNOWN)
        return self.pipeline.products.safe_map(self.snapshot)

    def speed_limits(self) -> I8:
        """Return the speed limits (rows, cols) in per cent; without the pipeline all unobserved."""
        if self.pipeline is None:
            percent = int(self.unobserved_percent)
            limit = NO_LIMIT if percent >= FULL_PERCENT else percent
            return np.full_like(self.snapshot.cost, limit)
        return self.pipeline.products.speed_limits(self.snapshot)


class GridOutbox:
    """Encode the grid, each of its topics as often as the table says."""

    def __init__(
        self, outputs: Outputs, parameters: NodeSettings, downlink: DownlinkOutbox
    ) -> None:
        """Start with a whole grid to come."""
        self._outputs = outputs
        self._downlink = downlink
        self._changes = GridChanges(parameters.output.whole_grid_period_s)
        self._last: GridSnapshot | None = None
        self.set_parameters(parameters)

    def set_parameters(self, parameters: NodeSettings) -> None:
        """Take what may change while running."""
        self._unobserved_percent = parameters.pipeline.speed.unobserved_percent

    def start(self, stamp_ns: int) -> list[Outgoing]:
        """Return what Nav2's filters must know before the first mask."""
        return self._outputs.encode(
            Group.FILTER_INFO, FilterInfoProduct(self._outputs.bus, stamp_ns)
        )

    def grids(self, snapshot: GridSnapshot, pipeline: Pipeline) -> list[Outgoing]:
        """Return the messages of a grid that an image changed."""
        return self._messages(snapshot, pipeline, updates_keepout=True)

    def withdrawn(self, snapshot: GridSnapshot, pipeline: Pipeline) -> list[Outgoing]:
        """Return the messages of a grid that was forgotten because nothing is seen any more.

        The keepout mask stays as it is: it can forbid but not doubt, and a hazard that is out of
        sight is not gone.
        """
        self.expect_whole()
        return self._messages(snapshot, pipeline, updates_keepout=False)

    def withdrawn_without_pipeline(self, reason: Reason, stamp_ns: int) -> list[Outgoing]:
        """Return messages that withdraw the last grid where the pipeline is stuck or broken.

        Hazards stay, everything else is unknown.
        """
        last = self._last
        if last is None:
            return []
        self.expect_whole()
        hazard = last.cost == COST_LETHAL
        snapshot = replace(
            last,
            cost=np.where(hazard, last.cost, np.int8(COST_UNKNOWN)),
            hazard=np.where(hazard, last.hazard, np.float32(np.nan)),
            reason=np.where(hazard, last.reason, np.uint8(reason)),
            stamp_ns=stamp_ns,
            elevation_m=None,
            age_s=None,
        )
        self._downlink.see_grid(snapshot)
        product = GridProduct(
            snapshot,
            None,
            updates_keepout=False,
            unobserved_percent=self._unobserved_percent,
        )
        result = self._outputs.encode(Group.GRID, product, stamp_ns=stamp_ns)
        self.expect_whole()
        return result

    def expect_whole(self) -> None:
        """Send everything with the next grid, whatever the rates."""
        self._changes.forget()
        self._outputs.expect_all()

    def _messages(
        self, snapshot: GridSnapshot, pipeline: Pipeline, *, updates_keepout: bool
    ) -> list[Outgoing]:
        self._last = snapshot
        self._downlink.see_grid(snapshot)
        sends_updates = self._outputs.is_wanted("hazard_grid_updates")
        part = self._changes.since_whole(snapshot) if sends_updates else None
        product = GridProduct(snapshot, pipeline, part, updates_keepout=updates_keepout)
        return self._outputs.encode(Group.GRID, product, stamp_ns=snapshot.stamp_ns)


@encodes("hazard_grid")
def _hazard_grid(types: Types, product: GridProduct) -> Any:
    return encode_cost_grid(types, product.snapshot) if product.part is None else None


@encodes("hazard_grid_updates")
def _hazard_grid_updates(types: Types, product: GridProduct) -> Any:
    if product.part is None:
        return None
    return encode_grid_update(types, product.snapshot, product.part)


@encodes("hazard_reason")
def _hazard_reason(types: Types, product: GridProduct) -> Any:
    return encode_reason_grid(types, product.snapshot)


@encodes("safe_map")
def _safe_map(types: Types, product: GridProduct) -> Any:
    return encode_layer(types, product.snapshot, product.safe_map())


@encodes("grid_map")
def _grid_map(types: Types, product: GridProduct) -> Any:
    if product.pipeline is None:
        return None
    layers = product.pipeline.products.grid_layers(product.snapshot)
    return encode_grid_map(types, product.snapshot, layers, basic=[HAZARD_LAYER])


@encodes("keepout_mask")
def _keepout_mask(types: Types, product: GridProduct) -> Any:
    if not product.updates_keepout:
        return None
    return encode_layer(types, product.snapshot, keepout_of(product.snapshot.cost))


@encodes("speed_mask")
def _speed_mask(types: Types, product: GridProduct) -> Any:
    return encode_speed_mask(types, product.snapshot, product.speed_limits())


@dataclass(frozen=True)
class FilterInfoProduct:
    """Names the masks of Nav2's filters in full."""

    bus: Bus
    stamp_ns: int


@encodes("keepout_filter_info")
def _keepout_filter_info(types: Types, product: FilterInfoProduct) -> Any:
    return _filter_info(types, product, FilterType.KEEPOUT, "keepout_mask")


@encodes("speed_filter_info")
def _speed_filter_info(types: Types, product: FilterInfoProduct) -> Any:
    return _filter_info(types, product, FilterType.SPEED_PERCENT, "speed_mask")


def _filter_info(types: Types, product: FilterInfoProduct, kind: FilterType, mask: str) -> Any:
    header = make_header(types, product.stamp_ns, "")
    return encode_filter_info(types, kind, product.bus.full_name(mask), header)


class GridChanges:
    """Find what changed since the last whole grid.

    Each part holds all changes since then, not only the latest: updates are not kept for late
    joiners and may get lost, so that the whole grid and any one update must be enough.
    """

    def __init__(self, whole_period_s: float) -> None:
        """Start without a whole grid; with a period of 0 every grid is whole."""
        self._period_ns = round(whole_period_s * 1e9)
        self._whole: GridSnapshot | None = None

    def forget(self) -> None:
        """Make the next grid a whole one."""
        self._whole = None

    def since_whole(self, snapshot: GridSnapshot) -> GridPart | None:
        """Return the part that changed, or None where the grid must be sent as a whole."""
        whole = self._whole
        if whole is not None and self._continues(whole, snapshot):
            part = _bounds(whole.cost != snapshot.cost)
            if part.width * part.height <= WHOLE_SHARE * snapshot.cost.size:
                return part
        self._whole = snapshot if self._period_ns > 0 else None
        return None

    def _continues(self, whole: GridSnapshot, snapshot: GridSnapshot) -> bool:
        age_ns = snapshot.stamp_ns - whole.stamp_ns
        return 0 <= age_ns < self._period_ns and _place(whole) == _place(snapshot)


def keepout_of(cost: I8) -> I8:
    """Return 100 for hazards and -1 elsewhere.

    It is -1 on safe ground too: Nav2's filter would turn what other sensors have not seen free.
    """
    return np.where(cost == COST_LETHAL, cost, np.int8(COST_UNKNOWN))


def _place(snapshot: GridSnapshot) -> tuple[object, ...]:
    return (
        snapshot.cost.shape,
        snapshot.resolution_m,
        snapshot.origin_x_m,
        snapshot.origin_y_m,
        snapshot.frame_id,
    )


def _bounds(changed: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> GridPart:
    """Return the smallest rectangle of all changed cells; the first cell where there are none."""
    rows, cols = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
    if not rows.size:
        return GridPart(0, 0, 1, 1)
    row, col = int(rows[0]), int(cols[0])
    return GridPart(col, row, int(cols[-1]) - col + 1, int(rows[-1]) - row + 1)
