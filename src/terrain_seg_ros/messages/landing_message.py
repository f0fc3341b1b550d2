"""Landing sites: to vision_msgs, markers and a pose; and the point that selects one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.landing.cost_to_landing_sites import LandingSite
from terrain_seg_ros.core.landing.site_selector import LandingChoice
from terrain_seg_ros.core.types import F64, FARTHEST_M
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.message_types import Types, sequence_of

SITE_CLASS = "landing_site"
"""The class id of the hypothesis whose score is P(safe)."""
ADD, DELETE_ALL = 0, 3
CYLINDER, TEXT_VIEW_FACING = 3, 9
"""Constants of visualization_msgs/Marker."""
CYLINDER_HEIGHT_M = 0.1
SITE_LIMIT = 100
"""Sites of one message that are read; this node publishes fewer."""
TEXT_SHARE, TEXT_MIN_M = 0.3, 0.3
"""Height of the letters: a share of the clear radius, and at least so much."""
_SELECTED_RGBA = (0.2, 0.5, 1.0, 0.6)
_CHOSEN_RGBA = (0.1, 0.8, 0.2, 0.6)
_OTHER_RGBA = (0.9, 0.8, 0.2, 0.4)
_TEXT_RGBA = (1.0, 1.0, 1.0, 1.0)


class SelectedPoint(NamedTuple):
    """Where the operator wants to land: coordinates in a frame at a stamp."""

    xyz_m: F64
    frame_id: str
    stamp_ns: int


class SeenSite(NamedTuple):
    """One landing site as it is published: its place and clear radius in the frame of the message.

    `p_safe` is P(safe), 0 to 1; `site_id` is text, as vision_msgs has it.
    """

    site_id: str
    x_m: float
    y_m: float
    z_m: float
    clear_radius_m: float
    p_safe: float


class _Look(NamedTuple):
    """What a marker shows."""

    kind: int
    pose: Any
    scale: tuple[float, float, float]
    rgba: tuple[float, float, float, float]
    text: str = ""


def encode_landing_sites(
    types: Types, sites: Sequence[LandingSite], header: Any, *, position_sigma_m: float
) -> Any:
    """Return sites as a vision_msgs/Detection3DArray, in their order.

    Of each, `id` is its number, `bbox` is centred on it and measures twice the clear radius in x
    and y, the score of its only hypothesis is P(safe), and the covariance of that hypothesis's
    pose holds the variance of the vehicle's position in x and y.
    """
    return types("vision_msgs/msg/Detection3DArray")(
        header=header,
        detections=[
            _detection(types, site, header, position_sigma_m=position_sigma_m) for site in sites
        ],
    )


def encode_landing_markers(types: Types, choice: LandingChoice, header: Any) -> Any:
    """Return sites as a visualization_msgs/MarkerArray: cylinders of the clear radius, and texts.

    The first marker deletes all, so that sites that are gone vanish. A text gives rank, P(safe)
    and clear radius. The chosen site is green, or blue where the operator has selected it.
    """
    markers = [_marker(types, header, "", 0)]
    first_rgba = _SELECTED_RGBA if choice.is_selected else _CHOSEN_RGBA
    for rank, site in enumerate(choice.sites, start=1):
        diameter_m = 2.0 * site.clear_radius_m
        letters_m = max(TEXT_MIN_M, TEXT_SHARE * site.clear_radius_m)
        selected = " selected" if rank == 1 and choice.is_selected else ""
        circle = _Look(
            CYLINDER,
            _pose(types, site),
            (diameter_m, diameter_m, CYLINDER_HEIGHT_M),
            first_rgba if rank == 1 else _OTHER_RGBA,
        )
        label = _Look(
            TEXT_VIEW_FACING,
            _pose(types, site, above_m=letters_m),
            (0.0, 0.0, letters_m),
            _TEXT_RGBA,
            f"{rank}{selected}: P {site.p_safe:.2f}, {site.clear_radius_m:.1f} m",
        )
        markers.append(_marker(types, header, "landing_sites", site.site_id, circle))
        markers.append(_marker(types, header, "landing_site_ranks", site.site_id, label))
    return types("visualization_msgs/msg/MarkerArray")(markers=markers)


def encode_best_site(types: Types, site: LandingSite, header: Any) -> Any:
    """Return a site as a geometry_msgs/PoseStamped, turned as the grid's frame is."""
    return types("geometry_msgs/msg/PoseStamped")(header=header, pose=_pose(types, site))


def decode_selected_point(message: Any) -> SelectedPoint:
    """Return what a geometry_msgs/PointStamped points at.

    x that is not a number means that nothing is selected any more; it is given back as it is.

    Raises:
        MessageError: the frame is not named, y or z is not finite although x is, or one of
            them lies too far.
    """
    point = message.point
    xyz_m = np.array([float(point.x), float(point.y), float(point.z)])
    if not math.isnan(xyz_m[0]) and not np.isfinite(xyz_m).all():
        raise MessageError(f"selected point is {xyz_m.tolist()}, expected finite metres")
    if np.nanmax(np.abs(xyz_m), initial=0.0) > FARTHEST_M:
        raise MessageError(
            f"selected point is {xyz_m.tolist()} m, expected at most {FARTHEST_M:g} m along each "
            "axis; give metres in the named frame"
        )
    if not message.header.frame_id:
        raise MessageError("selected point has an empty frame_id; name its frame")
    return SelectedPoint(xyz_m, str(message.header.frame_id), stamp_ns(message.header))


def decode_landing_sites(message: Any) -> list[SeenSite]:
    """Return the sites of a vision_msgs/Detection3DArray of ours, best first, at most 100.

    Raises:
        MessageError: a site has no score, or a number that is not finite or out of range.
    """
    return [_decode_site(item) for item in message.detections[:SITE_LIMIT]]


def _decode_site(item: Any) -> SeenSite:
    if not item.results:
        raise MessageError(f"landing site {item.id!r} has no result; expected one with P(safe)")
    place = item.bbox.center.position
    radius_m, p_safe = item.bbox.size.x / 2.0, item.results[0].hypothesis.score
    found = SeenSite(
        str(item.id), float(place.x), float(place.y), float(place.z), float(radius_m), float(p_safe)
    )
    if not all(abs(value) <= FARTHEST_M for value in found[1:5]) or not 0.0 <= found.p_safe <= 1.0:
        raise MessageError(
            f"landing site {item.id!r} is {tuple(found[1:])}, expected finite metres and P(safe) "
            "from 0 to 1"
        )
    return found


def _pose(types: Types, site: LandingSite, *, above_m: float = 0.0) -> Any:
    z_m = 0.0 if site.z_m is None else site.z_m
    return _at(types, site.x_m, site.y_m, z_m + above_m)


def _at(types: Types, x_m: float, y_m: float, z_m: float) -> Any:
    return types("geometry_msgs/msg/Pose")(
        position=types("geometry_msgs/msg/Point")(x=x_m, y=y_m, z=z_m),
        orientation=types("geometry_msgs/msg/Quaternion")(x=0.0, y=0.0, z=0.0, w=1.0),
    )


def _detection(types: Types, site: LandingSite, header: Any, *, position_sigma_m: float) -> Any:
    covariance = np.zeros(36)
    covariance[[0, 7]] = position_sigma_m**2
    hypothesis = types("vision_msgs/msg/ObjectHypothesisWithPose")(
        hypothesis=types("vision_msgs/msg/ObjectHypothesis")(
            class_id=SITE_CLASS, score=site.p_safe
        ),
        pose=types("geometry_msgs/msg/PoseWithCovariance")(
            pose=_pose(types, site), covariance=covariance
        ),
    )
    diameter_m = 2.0 * site.clear_radius_m
    return types("vision_msgs/msg/Detection3D")(
        header=header,
        results=[hypothesis],
        bbox=types("vision_msgs/msg/BoundingBox3D")(
            center=_pose(types, site),
            size=types("geometry_msgs/msg/Vector3")(x=diameter_m, y=diameter_m, z=0.0),
        ),
        id=str(site.site_id),
    )


def _marker(
    types: Types, header: Any, namespace: str, marker_id: int, look: _Look | None = None
) -> Any:
    """Return a visualization_msgs/Marker that stays; without a look it deletes all others."""
    nothing = np.empty(0, dtype=np.uint8)
    if look is None:
        look = _Look(CYLINDER, _at(types, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
        action = DELETE_ALL
    else:
        action = ADD
    red, green, blue, opacity = look.rgba
    return types("visualization_msgs/msg/Marker")(
        header=header,
        ns=namespace,
        id=marker_id,
        type=look.kind,
        action=action,
        pose=look.pose,
        scale=types("geometry_msgs/msg/Vector3")(x=look.scale[0], y=look.scale[1], z=look.scale[2]),
        color=types("std_msgs/msg/ColorRGBA")(r=red, g=green, b=blue, a=opacity),
        lifetime=types("builtin_interfaces/msg/Duration")(sec=0, nanosec=0),
        frame_locked=False,
        points=[],
        colors=[],
        texture_resource="",
        texture=types("sensor_msgs/msg/CompressedImage")(
            header=header, format="", data=sequence_of(types, nothing)
        ),
        uv_coordinates=[],
        text=look.text,
        mesh_resource="",
        mesh_file=types("visualization_msgs/msg/MeshFile")(
            filename="", data=sequence_of(types, nothing)
        ),
        mesh_use_embedded_materials=False,
    )
