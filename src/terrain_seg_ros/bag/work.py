"""What a replay of a bag would compute: images, pixels, time and size of the output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from terrain_seg_ros.bag.plan import Output
from terrain_seg_ros.messages.cloud_message import HAZARD_POINT_LIMIT
from terrain_seg_ros.messages.topic_spec import Group
from terrain_seg_ros.parameters.node_settings import NodeSettings

IMAGE_S = 0.04
PIXEL_S = 60e-9
NETWORK_PIXEL_S = 170e-9
"""Assumed per image, per pixel of the image and per pixel of the network's input: what
mars_navcam takes on two cores, with all topics written."""
PIXEL_BYTES = {
    "mask": 1,
    "confidence": 1,
    "color_mask": 3,
    "overlay": 3,
    "points": 16,
    "points_mask": 1,
    "points_confidence": 1,
}
CELL_BYTES = {
    "hazard_grid": 1,
    "hazard_reason": 1,
    "hazard_grid_updates": 0.5,
    "grid_map": 28,
    "safe_map": 1,
    "keepout_mask": 1,
    "speed_mask": 1,
}
POINT_BYTES = 16


@dataclass(frozen=True)
class Views:
    """Images of one size that a replay would process; `grids` of them reach the grid."""

    masks: int
    grids: int
    pixels: int


@dataclass(frozen=True)
class Work:
    """What a replay would compute.

    Attributes:
        images: how many.
        pixels: of all of them.
        network_pixels: of the network's input, for each.
        seconds: estimate; see `ASSUMPTION`.
        output_bytes: before compression, by row of the table of topics, the largest first.
    """

    images: int
    pixels: int
    network_pixels: int
    seconds: float
    output_bytes: Mapping[str, int]


ASSUMPTION = (
    f"assumed: {IMAGE_S * 1e3:.0f} ms per image, {PIXEL_S * 1e9:.0f} ns per pixel and "
    f"{NETWORK_PIXEL_S * 1e9:.0f} ns per pixel of the network's input, as for mars_navcam on two "
    "cores"
)


def estimate_work(
    views: Iterable[Views],
    outputs: Mapping[str, Output],
    parameters: NodeSettings,
    *,
    network_pixels: int,
) -> Work:
    """Return what a replay would compute.

    Args:
        views: the images of each camera.
        outputs: of the replay, by relative name.
        parameters: of the node.
        network_pixels: of the network's input.
    """
    views = list(views)
    images = sum(item.masks for item in views)
    pixels = sum(item.masks * item.pixels for item in views)
    seconds = images * (IMAGE_S + NETWORK_PIXEL_S * network_pixels) + pixels * PIXEL_S
    rows = {item.spec.name: item.spec.group for item in outputs.values() if item.is_wanted}
    sizes = {
        name: sum(_bytes(name, group, item, parameters) for item in views)
        for name, group in rows.items()
    }
    largest = sorted((item for item in sizes.items() if item[1]), key=lambda item: -item[1])
    return Work(images, pixels, network_pixels, seconds, dict(largest))


def _bytes(name: str, group: Group, views: Views, parameters: NodeSettings) -> int:
    """Return how many bytes the messages of a topic have, without their headers."""
    if group is Group.MASK:
        return views.masks * views.pixels * PIXEL_BYTES[name]
    if group is Group.GRID:
        grid = parameters.pipeline.grid
        return round(views.grids * (grid.size_m / grid.resolution_m) ** 2 * CELL_BYTES[name])
    if name == "hazard_points":
        return views.grids * min(views.pixels, HAZARD_POINT_LIMIT) * POINT_BYTES
    if group is Group.CLOUD:
        points = views.pixels // parameters.output.points_decimation**2
        return views.grids * points * PIXEL_BYTES[name]
    return 0
