"""A small recorded run of the node: every topic that the viewer reads, with known content."""

from __future__ import annotations

import numpy as np

from support.bags import Entry, image, info, mounting, pose, stamp
from terrain_seg_ros.core.landing.cost_to_landing_sites import LandingSite
from terrain_seg_ros.core.types import GridSnapshot, Reason
from terrain_seg_ros.messages import landing_message
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.cloud_message import Cloud, encode_hazard_points
from terrain_seg_ros.messages.diagnostics_message import Level, Status, encode_diagnostics
from terrain_seg_ros.messages.grid_map_message import encode_grid_map
from terrain_seg_ros.messages.grid_message import (
    encode_cost_grid,
    encode_layer,
    encode_reason_grid,
)
from terrain_seg_ros.messages.header_message import make_header
from terrain_seg_ros.messages.image_message import encode_image
from terrain_seg_ros.messages.topics import topic

SIDE, CELL_M = 60, 0.2
HOSTILE = '<script>document.title="owned"</script> [x](javascript:alert(1)) ![](http://a.b/c) {1+1}'
TYPES = message_class


def snapshot(stamp_ns):
    """Return a grid of 12 m around the origin: free, one block of hazard, one side unseen."""
    cost = np.zeros((SIDE, SIDE), np.int8)
    cost[40:46, 40:46] = 100
    cost[:, :15] = -1
    reason = np.where(cost < 0, int(Reason.TOO_FAR), 0).astype(np.uint8)
    hazard = np.where(cost < 0, np.nan, cost / 100.0).astype(np.float32)
    low_m = -SIDE * CELL_M / 2.0
    return GridSnapshot(cost, hazard, reason, CELL_M, low_m, low_m, "odom", stamp_ns)


def layers():
    """Return layers whose ground rises by 0.1 m per metre of x."""
    x_m = (np.arange(SIDE) + 0.5) * CELL_M - SIDE * CELL_M / 2.0
    height = np.broadcast_to(x_m * 0.1, (SIDE, SIDE)).astype(np.float32)
    ones = np.ones((SIDE, SIDE), np.float32)
    return {
        "hazard": snapshot(0).hazard,
        "class": ones,
        "confidence": ones * np.float32(0.8),
        "age": ones * np.float32(2.0),
        "elevation": height.copy(),
    }


def label_info(names):
    part = TYPES("vision_msgs/msg/VisionClass")
    return TYPES("vision_msgs/msg/LabelInfo")(
        header=make_header(TYPES, stamp(0), ""),
        class_map=[part(class_id=n, class_name=name) for n, name in enumerate(names)],
        threshold=0.5,
    )


def site(x_m, y_m, *, radius_m=1.5, p_safe=0.97, name="7"):
    found = LandingSite(
        **{
            **dict.fromkeys(LandingSite.__dataclass_fields__, 0),
            "x_m": x_m,
            "y_m": y_m,
            "z_m": 0.0,
            "clear_radius_m": radius_m,
            "p_safe": p_safe,
            "site_id": int(name),
        }
    )
    header = make_header(TYPES, stamp(0), "odom")
    return landing_message.encode_landing_sites(TYPES, [found], header, position_sigma_m=0.0)


def diagnostics(stamp_ns, images, message="6 images per second"):
    values = {
        "model": "mars 1",
        "images_in": str(images),
        "rate_in_hz": "6.0",
        "rate_out_hz": "5.9",
        "dropped": str(images // 2),
        "refused": "0",
        "latency_total_ms": "p50 40.00, p90 50.00, p99 60.00",
    }
    status = Status("terrain_seg: pipeline", Level.OK, message, values)
    return encode_diagnostics(TYPES, [status], stamp_ns)


def entry(name, index, message, *, late_ns=40_000_000):
    spec = topic(name)
    full = name if name.startswith("/") else f"/terrain/{name}"
    return Entry(full, spec.type, stamp(index) + late_ns, message)


def outputs(index, *, names=("soil", "rock"), message="6 images per second"):
    """Return what the node publishes for one image of `support.bags`."""
    at = stamp(index)
    header = make_header(TYPES, at, "optical")
    mask = np.zeros((64, 96), np.uint8)
    mask[:, (index * 8) % 96 :] = 1
    in_odom = make_header(TYPES, at, "odom")
    points = np.array([[2.0, 2.0, 0.0], [2.2, 2.2, 0.5]], np.float32)
    flags = np.zeros(2, np.uint8)
    grid = snapshot(at)
    return [
        entry("mask", index, encode_image(TYPES, mask, "mono8", header)),
        entry("confidence", index, encode_image(TYPES, mask * 200, "mono8", header)),
        entry("label_info", index, label_info(names)),
        entry("hazard_grid", index, encode_cost_grid(TYPES, grid)),
        entry("hazard_reason", index, encode_reason_grid(TYPES, grid)),
        entry("safe_map", index, encode_layer(TYPES, grid, grid.cost)),
        entry("grid_map", index, encode_grid_map(TYPES, grid, layers(), basic=["hazard"])),
        entry(
            "hazard_points",
            index,
            encode_hazard_points(
                TYPES, Cloud(points, flags, flags), in_odom, min_height_m=-9.0, max_height_m=9.0
            ),
        ),
        entry("landing_sites", index, site(1.0, -1.0)),
        entry("/diagnostics", index, diagnostics(at, index, message)),
    ]


def run(count=30, **more):
    """Return the entries of a recorded run at ten images a second."""
    entries = [mounting()]
    for index in range(count):
        entries += [pose(index), info(index), image(index), *outputs(index, **more)]
    return entries
