"""Encode the landing sites, and answer an operator selection."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.landing.cost_to_landing_sites import LandingSite
from terrain_seg_ros.core.landing.site_selector import LandingChoice
from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.types import GridSnapshot
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.landing_message import (
    decode_selected_point,
    encode_best_site,
    encode_landing_markers,
    encode_landing_sites,
)
from terrain_seg_ros.messages.message_types import Types
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.outboxes.downlink_outbox import DownlinkOutbox
from terrain_seg_ros.runtime.outboxes.encoders import encodes
from terrain_seg_ros.runtime.outboxes.outgoing import Outgoing
from terrain_seg_ros.runtime.outboxes.outputs import Outputs
from terrain_seg_ros.runtime.vehicle_pose import Transforms, VehiclePose

NEVER_LEVEL = 1e-3
"""A plane whose normal has a smaller z is nearly vertical: heights on it mean nothing."""


@dataclass(frozen=True)
class LandingProduct:
    """The landing sites of one grid, the chosen one first."""

    choice: LandingChoice
    stamp_ns: int
    frame_id: str
    position_sigma_m: float

    def header(self, types: Types) -> Any:
        """Return a header in the grid's frame."""
        return make_header(types, self.stamp_ns, self.frame_id)


class LandingOutbox:
    """Encode the landing sites of each grid where `landing.enable` is set.

    `request` may be called from any thread; everything else from one at a time.
    """

    def __init__(
        self,
        outputs: Outputs,
        parameters: NodeSettings,
        transforms: Transforms,
        downlink: DownlinkOutbox,
    ) -> None:
        """Start without sites."""
        self._outputs = outputs
        self._downlink = downlink
        self._transforms = transforms
        self._enabled = parameters.output.landing_enable
        self._frame_id = parameters.pipeline.grid.frame_id
        self._choice = LandingChoice()
        self._bounds_m: tuple[float, float, float, float] | None = None
        self._stamp_ns = 0
        self._request: Any = None
        self._lock = Lock()
        self.set_parameters(parameters)

    def set_parameters(self, parameters: NodeSettings) -> None:
        """Take what may change while running."""
        self._position_sigma_m = parameters.pipeline.footprint.position_sigma_m

    @property
    def is_selection_lost(self) -> bool:
        """Return whether the site that the operator selected is no longer safe."""
        return self._choice.is_selection_lost

    def sites(
        self, snapshot: GridSnapshot, pipeline: Pipeline, view: GroundView, pose: VehiclePose
    ) -> list[Outgoing]:
        """Return the messages of the sites of a grid that an image changed.

        Args:
            snapshot: the grid.
            pipeline: which made it.
            view: gives the height of sites where no heights were measured.
            pose: of the vehicle.

        Raises:
            GeometryError: the vehicle's position is not finite.
        """
        if not self._enabled:
            return []
        x_m, y_m, _ = pose.grid_T_base.translation_m.tolist()
        self._bounds_m = _bounds_m(snapshot)
        choice = pipeline.products.landing_sites(snapshot, (x_m, y_m))
        sites = tuple(_with_height(site, view) for site in choice.sites)
        self._choice = replace(choice, sites=sites)
        self._stamp_ns = snapshot.stamp_ns
        return self._messages()

    def withdrawn(self, stamp_ns: int) -> list[Outgoing]:
        """Return messages without sites, for a grid that was forgotten."""
        if not self._enabled:
            return []
        self._choice = LandingChoice()
        self._stamp_ns = stamp_ns
        return self._messages()

    def request(self, message: Any) -> None:
        """Keep a geometry_msgs/PointStamped that selects a site, to be answered in time."""
        with self._lock:
            self._request = message

    def answer(self, pipeline: Pipeline) -> list[Outgoing]:
        """Do what the last request asks for, if there is one; return the sites after it.

        Raises:
            MessageError: the request is malformed.
            GeometryError: no site is offered there, or the point's frame is not known.
        """
        with self._lock:
            request, self._request = self._request, None
        if request is None or not self._enabled:
            return []
        point = decode_selected_point(request)
        xyz_m = point.xyz_m
        if math.isnan(xyz_m[0]):
            pipeline.site_selector.release()
            self._choice = replace(self._choice, is_selected=False, is_selection_lost=False)
            return self._messages()
        if point.frame_id != self._frame_id:
            grid_T_point = self._transforms.lookup(self._frame_id, point.frame_id, point.stamp_ns)
            xyz_m = grid_T_point.rotation @ xyz_m + grid_T_point.translation_m
        x_m, y_m = float(xyz_m[0]), float(xyz_m[1])
        self._check_inside(x_m, y_m)
        site = pipeline.site_selector.select_at((x_m, y_m))
        return self._selected(site)

    def select_best(self, pipeline: Pipeline, *, keep: bool) -> tuple[str, list[Outgoing]]:
        """Keep the chosen site until it is unsafe, or let scores decide again.

        Returns:
            What was done, in a sentence, and the sites after it.

        Raises:
            ConfigError: landing sites are switched off.
            GeometryError: there is none to select.
        """
        if not self._enabled:
            raise ConfigError("landing sites are switched off; set landing.enable and configure")
        if not keep:
            pipeline.site_selector.release()
            self._choice = replace(self._choice, is_selected=False, is_selection_lost=False)
            return "the best landing site is chosen by score", self._messages()
        site = pipeline.site_selector.select_best()
        text = f"landing site {site.site_id} at ({site.x_m:.2f}, {site.y_m:.2f}) is selected"
        return text, self._selected(site)

    def values(self) -> dict[str, str]:
        """Return what diagnostics say of the sites; nothing where they are switched off."""
        if not self._enabled:
            return {}
        result = {"landing_sites": str(len(self._choice.sites)), "landing_site": "none"}
        if self._choice.sites:
            site = self._choice.sites[0]
            result["landing_site"] = (
                f"{site.site_id} at ({site.x_m:.2f}, {site.y_m:.2f}), P(safe) {site.p_safe:.3f}, "
                f"clear {site.clear_radius_m:.2f} m, margin {site.margin_m:.2f} m, seen "
                f"{site.age_s:.1f} s ago, score {site.score:.3f}"
            )
        lost = "lost" if self._choice.is_selection_lost else "no"
        result["landing_site_selected"] = "yes" if self._choice.is_selected else lost
        return result

    def _check_inside(self, x_m: float, y_m: float) -> None:
        """Check that a point lies in the last grid.

        Raises:
            GeometryError: it does not, or there was no grid.
        """
        if self._bounds_m is None:
            raise GeometryError("no landing site can be selected before the first grid; wait")
        left, bottom, right, top = self._bounds_m
        if not (left <= x_m < right and bottom <= y_m < top):
            raise GeometryError(
                f"selected point ({x_m:.2f}, {y_m:.2f}) lies outside the grid, which covers x "
                f"{left:.2f} to {right:.2f} m and y {bottom:.2f} to {top:.2f} m in "
                f"{self._frame_id!r}; choose a place inside"
            )

    def _selected(self, site: LandingSite) -> list[Outgoing]:
        """Return the messages after a site was selected, with its height where it is known."""
        known = {old.site_id: old for old in self._choice.sites}
        others = [old for old in self._choice.sites if old.site_id != site.site_id]
        self._choice = LandingChoice((known.get(site.site_id, site), *others), is_selected=True)
        return self._messages()

    def _messages(self) -> list[Outgoing]:
        self._downlink.see_sites(self._choice)
        product = LandingProduct(
            self._choice, self._stamp_ns, self._frame_id, self._position_sigma_m
        )
        return self._outputs.encode(Group.LANDING, product)


@encodes("landing_sites")
def _landing_sites(types: Types, product: LandingProduct) -> Any:
    return encode_landing_sites(
        types,
        product.choice.sites,
        product.header(types),
        position_sigma_m=product.position_sigma_m,
    )


@encodes("landing_sites_markers")
def _landing_sites_markers(types: Types, product: LandingProduct) -> Any:
    return encode_landing_markers(types, product.choice, product.header(types))


@encodes("best_landing_site")
def _best_landing_site(types: Types, product: LandingProduct) -> Any:
    sites = product.choice.sites
    return encode_best_site(types, sites[0], product.header(types)) if sites else None


def _bounds_m(snapshot: GridSnapshot) -> tuple[float, float, float, float]:
    """Return lowest x and y, highest x and y."""
    rows, cols = snapshot.cost.shape
    left, bottom, cell_m = snapshot.origin_x_m, snapshot.origin_y_m, snapshot.resolution_m
    return left, bottom, left + cols * cell_m, bottom + rows * cell_m


def _with_height(site: LandingSite, view: GroundView) -> LandingSite:
    """Return a site with the height of the view's plane where no heights were measured."""
    normal = view.grid_R_plane[:, 2]
    if site.z_m is not None or abs(normal[2]) < NEVER_LEVEL:
        return site
    apart_m = np.array([site.x_m, site.y_m]) - view.anchor_m[:2]
    z_m = float(view.anchor_m[2] - (normal[:2] @ apart_m) / normal[2])
    return replace(site, z_m=z_m if math.isfinite(z_m) else None)
