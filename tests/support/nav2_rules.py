"""What Nav2 (Jazzy) does with our messages, written after its documentation and sources.

`tests/ros/whole/test_nav2.py` asks Nav2 itself where it is installed; these rules hold everywhere.
"""

from __future__ import annotations

import math

FREE, INSCRIBED, LETHAL, NO_INFORMATION = 0, 253, 254, 255
UNKNOWN_VALUE = 255
MIN_RESOLUTION_M = 1e-6
QUATERNION_WITHIN = 1e-4
INT16_MAX = 32767


def accepts_grid(message) -> bool:
    """Say whether nav2_util's validateMsg takes an OccupancyGrid."""
    info, pose = message.info, message.info.origin
    p, q = pose.position, pose.orientation
    numbers = (p.x, p.y, p.z, q.x, q.y, q.z, q.w, info.resolution)
    return bool(
        message.header.stamp.nanosec < 1_000_000_000
        and message.header.frame_id
        and all(map(math.isfinite, numbers))
        and abs(q.x**2 + q.y**2 + q.z**2 + q.w**2 - 1.0) < QUATERNION_WITHIN
        and info.resolution > MIN_RESOLUTION_M
        and 0 < info.width <= INT16_MAX
        and 0 < info.height <= INT16_MAX
        and len(message.data) == info.width * info.height
    )


def static_layer_cost(value: int, *, trinary: bool, track_unknown: bool, lethal: int = 100) -> int:
    """Return the cost that the static layer gives a cell's value, -1 to 100."""
    byte = value % 256
    if byte == UNKNOWN_VALUE:
        return NO_INFORMATION if track_unknown else FREE
    if byte >= lethal:
        return LETHAL
    return FREE if trinary else int(byte / lethal * LETHAL)


def accepts_update(update, whole) -> bool:
    """Say whether the static layer takes an OccupancyGridUpdate of a whole grid."""
    return bool(
        update.x >= 0
        and update.y >= 0
        and update.x + update.width <= whole.info.width
        and update.y + update.height <= whole.info.height
        and update.header.frame_id == whole.header.frame_id
        and len(update.data) == update.width * update.height
    )


def keepout_cost(master: int, value: int) -> int:
    """Return a cell's cost after the keepout filter: only more, and unknown gives way."""
    if value == -1:
        return master
    cost = round(value * LETHAL / 100)
    return cost if cost > master or master == NO_INFORMATION else master


def speed_limit(value: int, info) -> float | None:
    """Return the limit in per cent, None where there is none; unknown cells are an error there."""
    assert value != -1, "invalid for the speed filter"
    if value == 0:
        return None
    limit = value * info.multiplier + info.base
    assert 0.0 <= limit <= 100.0
    return limit


def semantic_layer_takes(mask, confidence, cloud, labels) -> bool:
    """Say whether the semantic layer can take three messages of one image without reading past."""
    count = mask.width * mask.height
    return bool(
        labels.class_map
        and cloud.width * cloud.height == count
        and len(mask.data) >= count
        and len(confidence.data) >= count  # it does not check this
        and {"x", "y", "z"} <= {field.name for field in cloud.fields}
    )


def qualities_match(offered, *, reliable: bool, transient_local: bool) -> bool:
    """Say whether DDS connects a publisher with a subscriber that asks for so much."""
    return (offered.reliability.value == "reliable" or not reliable) and (
        offered.durability.value == "transient local" or not transient_local
    )
