"""The one table of topics: name, type, direction and quality of service.

Names are relative: the launch file chooses the namespace (`terrain`). Those that begin with a
slash are shared by all of ROS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from terrain_seg_ros.core.errors import ConfigError


class Direction(str, Enum):
    """Say which way a topic goes, seen from this node."""

    IN = "in"
    OUT = "out"


class Reliability(str, Enum):
    """Say whether lost messages are sent again."""

    RELIABLE = "reliable"
    BEST_EFFORT = "best effort"


class Durability(str, Enum):
    """Say whether late joiners receive the last messages."""

    VOLATILE = "volatile"
    TRANSIENT_LOCAL = "transient local"


@dataclass(frozen=True)
class TopicSpec:
    """Hold one row of the table.

    `per_camera`: with several cameras each has this topic under its own name. `lazy`: computed
    only while somebody subscribes. History is always keep-last, `depth` messages.
    """

    name: str
    type: str
    direction: Direction
    reliability: Reliability
    durability: Durability
    depth: int
    per_camera: bool
    lazy: bool
    text: str


def _sensor(name: str, message_type: str, text: str) -> TopicSpec:
    return TopicSpec(
        name,
        message_type,
        Direction.IN,
        Reliability.BEST_EFFORT,
        Durability.VOLATILE,
        1,
        per_camera=True,
        lazy=False,
        text=text,
    )


def _transforms(name: str, durability: Durability, text: str) -> TopicSpec:
    return TopicSpec(
        name,
        "tf2_msgs/msg/TFMessage",
        Direction.IN,
        Reliability.RELIABLE,
        durability,
        100,
        per_camera=False,
        lazy=False,
        text=text,
    )


def _out(
    name: str,
    message_type: str,
    text: str,
    *,
    latched: bool = False,
    per_camera: bool = True,
    lazy: bool = False,
) -> TopicSpec:
    return TopicSpec(
        name,
        message_type,
        Direction.OUT,
        Reliability.RELIABLE,
        Durability.TRANSIENT_LOCAL if latched else Durability.VOLATILE,
        1,
        per_camera=per_camera,
        lazy=lazy,
        text=text,
    )


INTERFACES: tuple[TopicSpec, ...] = (
    _sensor(
        "image",
        "sensor_msgs/msg/Image",
        "Camera image: rgb, bgr, rgba, bgra, mono or bayer_* of 8 or 16 bits.",
    ),
    _sensor(
        "image/compressed",
        "sensor_msgs/msg/CompressedImage",
        "Camera image as JPEG or PNG, instead of `image`; Bayer mosaics by its format.",
    ),
    _sensor(
        "camera_info",
        "sensor_msgs/msg/CameraInfo",
        "Intrinsics of the image; region of interest and binning are honoured.",
    ),
    _sensor(
        "depth",
        "sensor_msgs/msg/Image",
        "With depth.source image: depth of the image's pixels, 32FC1 in metres or 16UC1 in "
        "millimetres.",
    ),
    _sensor(
        "cloud",
        "sensor_msgs/msg/PointCloud2",
        "With depth.source cloud: points of a stereo camera or a lidar, float32 x, y, z in any "
        "frame that TF knows.",
    ),
    replace(
        _sensor(
            "range",
            "sensor_msgs/msg/Range",
            "With depth.source range: distance to the ground along the sensor's x axis.",
        ),
        per_camera=False,
    ),
    TopicSpec(
        "select_site",
        "geometry_msgs/msg/PointStamped",
        Direction.IN,
        Reliability.RELIABLE,
        Durability.VOLATILE,
        1,
        per_camera=False,
        lazy=False,
        text="With landing.enable: the landing site at this point, such as RViz's Publish Point "
        "gives, is the chosen one until it is unsafe; x that is NaN ends that.",
    ),
    _transforms("/tf", Durability.VOLATILE, "Moving transforms, used at the image's stamp."),
    _transforms("/tf_static", Durability.TRANSIENT_LOCAL, "Fixed transforms."),
    _out(
        "mask",
        "sensor_msgs/msg/Image",
        "mono8 of the image's size: class id, 255 where unlabelled.",
    ),
    _out(
        "confidence",
        "sensor_msgs/msg/Image",
        "mono8 of the mask's size: probability of the mask's class, times 255.",
    ),
    _out(
        "label_info",
        "vision_msgs/msg/LabelInfo",
        "Names of the class ids; sent before the first mask.",
        latched=True,
    ),
    _out(
        "color_mask",
        "sensor_msgs/msg/Image",
        "rgb8: the mask in the classes' colours.",
        lazy=True,
    ),
    _out(
        "overlay",
        "sensor_msgs/msg/Image",
        "rgb8: the mask's colours over the camera image.",
        lazy=True,
    ),
    _out(
        "points",
        "sensor_msgs/msg/PointCloud2",
        "Organised cloud in the optical frame, one point per mask pixel: x, y, z (NaN where there "
        "is no ground), label, confidence.",
        lazy=True,
    ),
    _out(
        "points_mask",
        "sensor_msgs/msg/Image",
        "The mask of `points` where points_decimation is above 1, of the cloud's size.",
        lazy=True,
    ),
    _out(
        "points_confidence",
        "sensor_msgs/msg/Image",
        "The confidence of `points` where points_decimation is above 1, of the cloud's size.",
        lazy=True,
    ),
    _out(
        "hazard_points",
        "sensor_msgs/msg/PointCloud2",
        "Hazard pixels on the ground in the grid's frame, at most 24,000.",
    ),
    _out(
        "hazard_grid",
        "nav_msgs/msg/OccupancyGrid",
        "Fused rolling grid: 0 free, 1 to 98 graded, 100 hazard, -1 not observed.",
        latched=True,
        per_camera=False,
    ),
    _out(
        "hazard_reason",
        "nav_msgs/msg/OccupancyGrid",
        "Why a cell is not observed, as a reason code; 0 where it is observed. With every grid "
        "while somebody subscribes, else once a second.",
        latched=True,
        per_camera=False,
    ),
    _out(
        "hazard_grid_updates",
        "map_msgs/msg/OccupancyGridUpdate",
        "With grid.whole_period_s: the part of the grid that changed since the last whole one.",
        per_camera=False,
    ),
    _out(
        "grid_map",
        "grid_map_msgs/msg/GridMap",
        "All layers of the grid: hazard, class, confidence, age, ground_sample, reason and, where "
        "heights are measured, elevation; NaN is unknown.",
        per_camera=False,
        lazy=True,
    ),
    _out(
        "safe_map",
        "nav_msgs/msg/OccupancyGrid",
        "Where the vehicle's middle may stand: 0 safe, 100 unsafe, -1 indefinite. With every grid "
        "while somebody subscribes, else once a second.",
        latched=True,
        per_camera=False,
    ),
    _out(
        "keepout_mask",
        "nav_msgs/msg/OccupancyGrid",
        "For Nav2's keepout filter: 100 hazard, -1 elsewhere.",
        latched=True,
        per_camera=False,
    ),
    _out(
        "keepout_filter_info",
        "nav2_msgs/msg/CostmapFilterInfo",
        "How Nav2 reads `keepout_mask`.",
        latched=True,
        per_camera=False,
    ),
    _out(
        "speed_mask",
        "nav_msgs/msg/OccupancyGrid",
        "For Nav2's speed filter: limit in per cent, 0 where there is none.",
        latched=True,
        per_camera=False,
    ),
    _out(
        "speed_filter_info",
        "nav2_msgs/msg/CostmapFilterInfo",
        "How Nav2 reads `speed_mask`.",
        latched=True,
        per_camera=False,
    ),
    _out(
        "landing_sites",
        "vision_msgs/msg/Detection3DArray",
        "With landing.enable: places to land, the chosen one first, the others best first; the "
        "score is P(safe), the box measures twice the clear radius, ids stay.",
        per_camera=False,
    ),
    _out(
        "landing_sites_markers",
        "visualization_msgs/msg/MarkerArray",
        "The landing sites as cylinders of the clear radius, with rank and P(safe) as text.",
        per_camera=False,
        lazy=True,
    ),
    _out(
        "best_landing_site",
        "geometry_msgs/msg/PoseStamped",
        "The chosen landing site, while there is one.",
        per_camera=False,
    ),
    _out(
        "/diagnostics",
        "diagnostic_msgs/msg/DiagnosticArray",
        "Rates, latencies, drops with their reason, backend and state, once a second.",
        per_camera=False,
    ),
)


def topic(name: str) -> TopicSpec:
    """Return the row of a topic by its name in the table.

    Raises:
        ConfigError: there is no such row.
    """
    for spec in INTERFACES:
        if spec.name == name:
            return spec
    raise ConfigError(f"topic {name!r} is not in the table; it has {[s.name for s in INTERFACES]}")


def resolve(spec: TopicSpec, camera: str, camera_count: int) -> str:
    """Return a topic's name for one camera: prefixed only where there are several.

    Raises:
        ConfigError: there are several cameras and this one has no name.
    """
    if not spec.per_camera or camera_count <= 1:
        return spec.name
    if not camera.strip("/"):
        raise ConfigError(f"one of {camera_count} cameras has no name; give each a unique one")
    return f"{camera.strip('/')}/{spec.name}"


def topics(direction: Direction) -> tuple[TopicSpec, ...]:
    """Return the rows of one direction, in the table's order."""
    return tuple(spec for spec in INTERFACES if spec.direction is direction)
