"""Make the messages of the grid: whole or changed, safe centres, masks for Nav2's filters."""

from __future__ import annotations

from dataclasses import replace
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
from terrain_seg_ros.messages.interfaces import topic
from terrain_seg_ros.messages.message_types import Types, has_type
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.outboxes.image_outbox import Bus, Outgoing

UNHEARD_PERIOD_S = 1.0
"""Latched layers that nobody hears are still sent so often: the last waits for late joiners."""
WHOLE_SHARE = 0.5
"""An update of more than this share of the cells is sent as a whole grid."""


class GridOutbox:
    """Encode the grid, as often as each of its topics wants it."""

    def __init__(self, types: Types, parameters: NodeSettings, bus: Bus) -> None:
        """Start with a whole grid to come; topics whose type is not there are left out."""
        self._types = types
        self._bus = bus
        rate_hz = parameters.output.filter_masks_max_rate_hz
        self._masks = _Pace(1.0 / rate_hz) if rate_hz > 0.0 else None
        self._unheard = _Pace(UNHEARD_PERIOD_S)
        period_s = parameters.output.whole_grid_period_s
        self._has_updates = period_s > 0.0 and has_type(types, topic("hazard_grid_updates").type)
        self._has_layers = has_type(types, topic("grid_map").type)
        self._changes = GridChanges(period_s)
        self._last: GridSnapshot | None = None
        self.set_parameters(parameters)

    def set_parameters(self, parameters: NodeSettings) -> None:
        """Take what may change while running."""
        self._unobserved_percent = parameters.pipeline.speed.unobserved_percent

    def start(self, stamp_ns: int) -> list[Outgoing]:
        """Return what Nav2's filters must know before the first mask."""
        if self._masks is None or not has_type(self._types, topic("keepout_filter_info").type):
            return []
        header = make_header(self._types, stamp_ns, "")
        return [
            Outgoing(
                f"{name}_filter_info",
                encode_filter_info(self._types, kind, self._bus.full_name(f"{name}_mask"), header),
            )
            for name, kind in (("keepout", FilterType.KEEPOUT), ("speed", FilterType.SPEED_PERCENT))
        ]

    def grids(self, snapshot: GridSnapshot, pipeline: Pipeline) -> list[Outgoing]:
        """Return the messages of a grid that an image changed."""
        return self._messages(snapshot, pipeline, keepout=True)

    def lost(self, snapshot: GridSnapshot, pipeline: Pipeline) -> list[Outgoing]:
        """Return the messages of a grid that was forgotten because nothing is seen any more.

        The keepout mask stays as it is: it can forbid but not doubt, and a hazard that is seen
        no more is not gone.
        """
        self.expect_whole()
        return self._messages(snapshot, pipeline, keepout=False)

    def blind(self, reason: Reason, stamp_ns: int) -> list[Outgoing]:
        """Return messages that take the last grid back, made without the pipeline.

        They serve where it is stuck or broken. Hazards stay, everything else is unknown.
        """
        last = self._last
        if last is None:
            return []
        self.expect_whole()
        hazard = last.cost == COST_LETHAL
        cost = np.where(hazard, last.cost, np.int8(COST_UNKNOWN))
        snapshot = replace(
            last,
            cost=cost,
            hazard=np.where(hazard, last.hazard, np.float32(np.nan)),
            reason=np.where(hazard, last.reason, np.uint8(reason)),
            stamp_ns=stamp_ns,
            elevation_m=None,
            age_s=None,
        )
        nowhere = np.full_like(cost, COST_UNKNOWN)
        result = [
            Outgoing("hazard_grid", encode_cost_grid(self._types, snapshot)),
            self._layer("hazard_reason", snapshot),
            self._layer("safe_map", snapshot, nowhere),
        ]
        if self._masks is not None:
            percent = int(self._unobserved_percent)
            limits = np.full_like(cost, NO_LIMIT if percent >= FULL_PERCENT else percent)
            result.append(Outgoing("speed_mask", encode_speed_mask(self._types, snapshot, limits)))
        return result

    def expect_whole(self) -> None:
        """Send everything with the next grid, whatever the rates."""
        self._changes.forget()
        for pace in (self._unheard, self._masks):
            if pace is not None:
                pace.forget()

    def _messages(
        self, snapshot: GridSnapshot, pipeline: Pipeline, *, keepout: bool
    ) -> list[Outgoing]:
        if not has_type(self._types, topic("hazard_grid").type):
            return []
        self._last = snapshot
        result = [self._cost(snapshot)]
        due = self._unheard.is_due(snapshot.stamp_ns)
        if due or self._bus.wanted("hazard_reason"):
            result.append(self._layer("hazard_reason", snapshot))
        if due or self._bus.wanted("safe_map"):
            result.append(self._layer("safe_map", snapshot, pipeline.products.safe_map(snapshot)))
        if self._has_layers and self._bus.wanted("grid_map"):
            layers = pipeline.products.grid_layers(snapshot)
            message = encode_grid_map(self._types, snapshot, layers, basic=[HAZARD_LAYER])
            result.append(Outgoing("grid_map", message))
        if self._masks is not None and self._masks.is_due(snapshot.stamp_ns):
            if keepout:
                result.append(self._layer("keepout_mask", snapshot, keepout_of(snapshot.cost)))
            limits = pipeline.products.speed_limits(snapshot)
            result.append(Outgoing("speed_mask", encode_speed_mask(self._types, snapshot, limits)))
        return result

    def _cost(self, snapshot: GridSnapshot) -> Outgoing:
        heard = self._has_updates and self._bus.wanted("hazard_grid_updates")
        part = self._changes.since_whole(snapshot) if heard else None
        if part is not None:
            update = encode_grid_update(self._types, snapshot, part)
            return Outgoing("hazard_grid_updates", update)
        return Outgoing("hazard_grid", encode_cost_grid(self._types, snapshot))

    def _layer(self, name: str, snapshot: GridSnapshot, values: I8 | None = None) -> Outgoing:
        message: Any
        if values is None:
            message = encode_reason_grid(self._types, snapshot)
        else:
            message = encode_layer(self._types, snapshot, values)
        return Outgoing(name, message)


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


class _Pace:
    """Say when something is due, by the stamps of what comes."""

    def __init__(self, period_s: float) -> None:
        self._period_ns = round(period_s * 1e9)
        self._last_ns: int | None = None

    def forget(self) -> None:
        """Make the next one due."""
        self._last_ns = None

    def is_due(self, stamp_ns: int) -> bool:
        """Return whether a period has passed, or time has jumped back; it begins anew then."""
        last_ns = self._last_ns
        if last_ns is not None and 0 <= stamp_ns - last_ns < self._period_ns:
            return False
        self._last_ns = stamp_ns
        return True


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
