import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.topic_spec import Demand, Direction, Group
from terrain_seg_ros.messages.topics import resolve, topic, topics

# The contract's rows: type, direction, reliability, durability, depth.
CONTRACT = {
    "image": ("sensor_msgs/msg/Image", "in", "best effort", "volatile", 1),
    "image/compressed": ("sensor_msgs/msg/CompressedImage", "in", "best effort", "volatile", 1),
    "camera_info": ("sensor_msgs/msg/CameraInfo", "in", "best effort", "volatile", 1),
    "depth": ("sensor_msgs/msg/Image", "in", "best effort", "volatile", 1),
    "cloud": ("sensor_msgs/msg/PointCloud2", "in", "best effort", "volatile", 1),
    "range": ("sensor_msgs/msg/Range", "in", "best effort", "volatile", 1),
    "select_site": ("geometry_msgs/msg/PointStamped", "in", "reliable", "volatile", 1),
    "/tf": ("tf2_msgs/msg/TFMessage", "in", "reliable", "volatile", 100),
    "/tf_static": ("tf2_msgs/msg/TFMessage", "in", "reliable", "transient local", 100),
    "mask": ("sensor_msgs/msg/Image", "out", "reliable", "volatile", 1),
    "confidence": ("sensor_msgs/msg/Image", "out", "reliable", "volatile", 1),
    "label_info": ("vision_msgs/msg/LabelInfo", "out", "reliable", "transient local", 1),
    "color_mask": ("sensor_msgs/msg/Image", "out", "reliable", "volatile", 1),
    "overlay": ("sensor_msgs/msg/Image", "out", "reliable", "volatile", 1),
    "points": ("sensor_msgs/msg/PointCloud2", "out", "reliable", "volatile", 1),
    "points_mask": ("sensor_msgs/msg/Image", "out", "reliable", "volatile", 1),
    "points_confidence": ("sensor_msgs/msg/Image", "out", "reliable", "volatile", 1),
    "hazard_points": ("sensor_msgs/msg/PointCloud2", "out", "reliable", "volatile", 1),
    "hazard_grid": ("nav_msgs/msg/OccupancyGrid", "out", "reliable", "transient local", 1),
    "hazard_reason": ("nav_msgs/msg/OccupancyGrid", "out", "reliable", "transient local", 1),
    "hazard_grid_updates": (
        "map_msgs/msg/OccupancyGridUpdate",
        "out",
        "reliable",
        "volatile",
        1,
    ),
    "grid_map": ("grid_map_msgs/msg/GridMap", "out", "reliable", "volatile", 1),
    **{
        name: (kind, "out", "reliable", "transient local", 1)
        for name, kind in (
            ("safe_map", "nav_msgs/msg/OccupancyGrid"),
            ("keepout_mask", "nav_msgs/msg/OccupancyGrid"),
            ("keepout_filter_info", "nav2_msgs/msg/CostmapFilterInfo"),
            ("speed_mask", "nav_msgs/msg/OccupancyGrid"),
            ("speed_filter_info", "nav2_msgs/msg/CostmapFilterInfo"),
        )
    },
    "landing_sites": ("vision_msgs/msg/Detection3DArray", "out", "reliable", "volatile", 1),
    "landing_sites_markers": (
        "visualization_msgs/msg/MarkerArray",
        "out",
        "reliable",
        "volatile",
        1,
    ),
    "best_landing_site": ("geometry_msgs/msg/PoseStamped", "out", "reliable", "volatile", 1),
    "downlink": ("std_msgs/msg/UInt8MultiArray", "out", "reliable", "volatile", 16),
    "/diagnostics": ("diagnostic_msgs/msg/DiagnosticArray", "out", "reliable", "volatile", 1),
}


@pytest.mark.requirement("TSR-BUS-001")
def test_the_table_keeps_the_contract():
    table = {
        s.name: (s.type, s.direction.value, s.reliability.value, s.durability.value, s.depth)
        for s in topics()
    }
    assert {name: table.get(name) for name in CONTRACT} == CONTRACT


def test_pictures_clouds_and_markers_are_made_only_for_subscribers():
    expected = {"color_mask", "overlay", "points", "points_mask", "points_confidence"}
    expected |= {"hazard_points", "landing_sites_markers", "grid_map", "hazard_grid_updates"}
    assert expected <= {s.name for s in topics() if s.demand is Demand.SUBSCRIBED}


def test_what_a_topic_is_on_with_is_said_in_the_reference():
    values = {"depth.source": "image", "points_enable": True, "points_decimation": 1}
    assert topic("depth").is_on(values)
    assert not topic("cloud").is_on(values)
    assert topic("points").is_on(values)
    assert not topic("points_mask").is_on(values)
    assert topic("points_mask").is_on({**values, "points_decimation": 2})
    assert topic("depth").description.endswith("Where `depth.source` is `image`.")
    assert topic("points_mask").description.endswith(
        "Where `points_enable` is set and `points_decimation` is above 1. Published only "
        "while there are subscribers."
    )


def test_topics_of_an_image_are_per_camera_and_those_of_the_vehicle_are_not():
    of_image = {Group.IMAGE, Group.INTRINSICS, Group.GROUND, Group.CLASSES, Group.MASK, Group.CLOUD}
    for spec in topics():
        # A range finder belongs to the vehicle, not to a camera.
        assert spec.per_camera == (spec.group in of_image and spec.name != "range"), spec.name


def test_every_row_has_a_sentence():
    for spec in topics():
        assert spec.text[0].isupper() or spec.text.startswith(("mono8", "rgb8"))
        assert spec.text.endswith(".")


@pytest.mark.parametrize(
    ("name", "camera", "count", "expected"),
    [
        ("mask", "front", 1, "mask"),
        ("mask", "", 1, "mask"),
        ("mask", "front", 2, "front/mask"),
        ("mask", "/front/", 2, "front/mask"),
        ("hazard_grid", "front", 2, "hazard_grid"),
        ("/tf", "front", 2, "/tf"),
    ],
)
def test_camera_prefix(name, camera, count, expected):
    assert resolve(topic(name), camera, count) == expected


def test_nameless_camera_among_several_is_refused():
    with pytest.raises(ConfigError, match="one of 2 cameras has no name"):
        resolve(topic("mask"), "/", 2)


def test_unknown_topic_is_named():
    with pytest.raises(ConfigError, match="'maks' is not in the table"):
        topic("maks")


def test_directions_split_the_table():
    assert topics(Direction.IN) + topics(Direction.OUT) == topics()
