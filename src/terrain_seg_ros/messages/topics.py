"""The one table of topics: type, direction, quality of service, and when each is on.

Names are relative to the node's namespace (`/terrain` by default). Those that begin with a slash
are shared by all of ROS. Everything that lists topics derives from this table: the endpoints of
the DDS and ROS ports, what a replay reads and writes, and the reference in the documentation. A
new output is one row here and one encoder (`runtime/outboxes/`), a new input one row here and one
handler (`runtime/inbox.py`), each found by the row's name.
"""

from __future__ import annotations

from dataclasses import replace

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.topic_spec import (
    Demand,
    Direction,
    Group,
    TopicSpec,
    When,
    output,
    reliable_input,
    sensor,
)

_LANDING = (When("landing.enable"),)
_POINTS = (When("points_enable"),)
_DECIMATED_POINTS = (*_POINTS, When("points_decimation", above=1))
_FILTERS = (When("filter_masks.max_rate_hz"),)
_DOWNLINK = (When("downlink.budget_bytes_per_min"),)

_ROWS: tuple[TopicSpec, ...] = (
    sensor(
        "image",
        "sensor_msgs/msg/Image",
        "Camera image: rgb, bgr, rgba, bgra, mono or bayer_* of 8 or 16 bits.",
        group=Group.IMAGE,
        name_setting="image_topic",
        malformed="bad image",
        when=(When("image_transport", equals="raw"),),
    ),
    sensor(
        "image/compressed",
        "sensor_msgs/msg/CompressedImage",
        "Camera image as JPEG or PNG, instead of `image`; the format field names Bayer mosaics.",
        group=Group.IMAGE,
        name_setting="image_topic",
        malformed="bad image",
        when=(When("image_transport", equals="compressed"),),
    ),
    sensor(
        "camera_info",
        "sensor_msgs/msg/CameraInfo",
        "Intrinsics of the image; region of interest and binning are honoured.",
        group=Group.INTRINSICS,
        name_setting="camera_info_topic",
        malformed="bad camera_info",
    ),
    sensor(
        "depth",
        "sensor_msgs/msg/Image",
        "Depth of the image's pixels, 32FC1 in metres or 16UC1 in millimetres.",
        group=Group.GROUND,
        name_setting="depth.topic",
        malformed="bad depth",
        when=(When("depth.source", equals="image"),),
    ),
    sensor(
        "cloud",
        "sensor_msgs/msg/PointCloud2",
        "Points of a stereo camera or a lidar, float32 x, y, z in any frame that TF knows.",
        group=Group.GROUND,
        name_setting="depth.topic",
        malformed="bad depth",
        when=(When("depth.source", equals="cloud"),),
    ),
    sensor(
        "range",
        "sensor_msgs/msg/Range",
        "Distance to the ground along the sensor's x axis.",
        group=Group.GROUND,
        name_setting="depth.topic",
        malformed="bad depth",
        when=(When("depth.source", equals="range"),),
        per_camera=False,
    ),
    reliable_input(
        "select_site",
        "geometry_msgs/msg/PointStamped",
        "Operator selection of a landing site: the site at this point, such as RViz's Publish "
        "Point gives, stays the chosen one until it is unsafe; an x of NaN ends the selection.",
        group=Group.OPERATOR,
        malformed="landing site not selected",
        when=_LANDING,
    ),
    reliable_input(
        "/tf",
        "tf2_msgs/msg/TFMessage",
        "Moving transforms, used at the image's stamp.",
        group=Group.TRANSFORMS,
        malformed="bad transform",
        depth=100,
    ),
    reliable_input(
        "/tf_static",
        "tf2_msgs/msg/TFMessage",
        "Fixed transforms.",
        group=Group.TRANSFORMS,
        malformed="bad transform",
        depth=100,
        latched=True,
    ),
    output(
        "mask",
        "sensor_msgs/msg/Image",
        "mono8 of the image's size: class id, 255 where unlabelled.",
        group=Group.MASK,
        per_camera=True,
    ),
    output(
        "confidence",
        "sensor_msgs/msg/Image",
        "mono8 of the mask's size: probability of the mask's class, times 255.",
        group=Group.MASK,
        per_camera=True,
    ),
    output(
        "label_info",
        "vision_msgs/msg/LabelInfo",
        "Names of the class ids; sent before the first mask.",
        group=Group.CLASSES,
        latched=True,
        per_camera=True,
    ),
    output(
        "color_mask",
        "sensor_msgs/msg/Image",
        "rgb8: the mask in the classes' colours.",
        group=Group.MASK,
        per_camera=True,
        demand=Demand.SUBSCRIBED,
    ),
    output(
        "overlay",
        "sensor_msgs/msg/Image",
        "rgb8: the mask's colours over the camera image.",
        group=Group.MASK,
        per_camera=True,
        demand=Demand.SUBSCRIBED,
    ),
    output(
        "points",
        "sensor_msgs/msg/PointCloud2",
        "Organised cloud in the optical frame, one point per mask pixel: x, y, z (NaN where there "
        "is no ground), label, confidence.",
        group=Group.CLOUD,
        per_camera=True,
        when=_POINTS,
        demand=Demand.SUBSCRIBED,
    ),
    replace(
        output(
            "points_mask",
            "sensor_msgs/msg/Image",
            "The mask of `points`, of the cloud's size.",
            group=Group.CLOUD,
            per_camera=True,
            when=_DECIMATED_POINTS,
            demand=Demand.SUBSCRIBED,
        ),
        wanted_with="points",
    ),
    replace(
        output(
            "points_confidence",
            "sensor_msgs/msg/Image",
            "The confidence of `points`, of the cloud's size.",
            group=Group.CLOUD,
            per_camera=True,
            when=_DECIMATED_POINTS,
            demand=Demand.SUBSCRIBED,
        ),
        wanted_with="points",
    ),
    output(
        "hazard_points",
        "sensor_msgs/msg/PointCloud2",
        "Hazard pixels on the ground in the grid's frame, at most 24,000.",
        group=Group.CLOUD,
        per_camera=True,
        demand=Demand.SUBSCRIBED,
    ),
    output(
        "hazard_grid",
        "nav_msgs/msg/OccupancyGrid",
        "Fused rolling grid: 0 free, 1 to 98 graded, 100 hazard, -1 not observed.",
        group=Group.GRID,
        latched=True,
    ),
    output(
        "hazard_reason",
        "nav_msgs/msg/OccupancyGrid",
        "Why a cell is not observed, as a reason code; 0 where it is observed.",
        group=Group.GRID,
        latched=True,
        demand=Demand.SUBSCRIBED_OR_EACH_SECOND,
    ),
    output(
        "hazard_grid_updates",
        "map_msgs/msg/OccupancyGridUpdate",
        "The part of the grid that changed since the last whole one.",
        group=Group.GRID,
        when=(When("grid.whole_period_s"),),
        demand=Demand.SUBSCRIBED,
    ),
    output(
        "grid_map",
        "grid_map_msgs/msg/GridMap",
        "All layers of the grid: hazard, class, confidence, age, ground_sample, reason and, where "
        "heights are measured, elevation; NaN is unknown.",
        group=Group.GRID,
        demand=Demand.SUBSCRIBED,
    ),
    output(
        "safe_map",
        "nav_msgs/msg/OccupancyGrid",
        "Where the centre of the vehicle may be: 0 safe, 100 unsafe, -1 unknown.",
        group=Group.GRID,
        latched=True,
        demand=Demand.SUBSCRIBED_OR_EACH_SECOND,
    ),
    replace(
        output(
            "keepout_mask",
            "nav_msgs/msg/OccupancyGrid",
            "For Nav2's keepout filter: 100 hazard, -1 elsewhere.",
            group=Group.GRID,
            latched=True,
            when=_FILTERS,
        ),
        max_rate_setting="filter_masks.max_rate_hz",
    ),
    output(
        "keepout_filter_info",
        "nav2_msgs/msg/CostmapFilterInfo",
        "How Nav2 reads `keepout_mask`.",
        group=Group.FILTER_INFO,
        latched=True,
        when=_FILTERS,
    ),
    replace(
        output(
            "speed_mask",
            "nav_msgs/msg/OccupancyGrid",
            "For Nav2's speed filter: limit in per cent, 0 where there is none.",
            group=Group.GRID,
            latched=True,
            when=_FILTERS,
        ),
        max_rate_setting="filter_masks.max_rate_hz",
    ),
    output(
        "speed_filter_info",
        "nav2_msgs/msg/CostmapFilterInfo",
        "How Nav2 reads `speed_mask`.",
        group=Group.FILTER_INFO,
        latched=True,
        when=_FILTERS,
    ),
    output(
        "landing_sites",
        "vision_msgs/msg/Detection3DArray",
        "Places to land, the chosen one first, the others best first; the score is P(safe), the "
        "box measures twice the clear radius, ids stay the same.",
        group=Group.LANDING,
        when=_LANDING,
    ),
    output(
        "landing_sites_markers",
        "visualization_msgs/msg/MarkerArray",
        "The landing sites as cylinders of the clear radius, with rank and P(safe) as text.",
        group=Group.LANDING,
        when=_LANDING,
        demand=Demand.SUBSCRIBED,
    ),
    output(
        "best_landing_site",
        "geometry_msgs/msg/PoseStamped",
        "The chosen landing site, while there is one.",
        group=Group.LANDING,
        when=_LANDING,
    ),
    output(
        "downlink",
        "std_msgs/msg/UInt8MultiArray",
        "Packets for a slow link: changes of the grid, landing sites, health and a thumbnail "
        "within a budget of bytes; `terrain-seg downlink` decodes them.",
        group=Group.DOWNLINK,
        depth=16,
        when=_DOWNLINK,
    ),
    output(
        "/diagnostics",
        "diagnostic_msgs/msg/DiagnosticArray",
        "Rates, latencies, drops with their reason, backend and state, once a second.",
        group=Group.STATE,
    ),
)

TOPICS: dict[str, TopicSpec] = {spec.name: spec for spec in _ROWS}
"""The table, by name."""


def topic(name: str) -> TopicSpec:
    """Return the row of a topic by its name in the table.

    Raises:
        ConfigError: there is no such row.
    """
    try:
        return TOPICS[name]
    except KeyError:
        raise ConfigError(
            f"topic {name!r} is not in the table; expected one of {list(TOPICS)}"
        ) from None


def topics(direction: Direction | None = None, *groups: Group) -> tuple[TopicSpec, ...]:
    """Return the rows in the table's order, of one direction or of some groups only."""
    return tuple(
        spec
        for spec in TOPICS.values()
        if direction in {None, spec.direction} and (not groups or spec.group in groups)
    )


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
