"""The simulator's topics: names, types and quality of service."""

from __future__ import annotations

from collections.abc import Iterable

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.messages.topic_spec import Group, TopicSpec, output
from terrain_seg_ros.messages.topics import topic

DEPTH = 10


def _out(name: str, message_type: str, text: str, *, latched: bool = False) -> TopicSpec:
    depth = 1 if latched else DEPTH
    return output(name, message_type, text, group=Group.NONE, latched=latched, depth=depth)


SIM_TOPICS: tuple[TopicSpec, ...] = (
    topic("image"),
    topic("image/compressed"),
    topic("camera_info"),
    topic("depth"),
    topic("/tf"),
    topic("/tf_static"),
    _out("/clock", "rosgraph_msgs/msg/Clock", "Simulated time, published with every image."),
    _out("odom", "nav_msgs/msg/Odometry", "True pose and velocity of the vehicle."),
    _out(
        "truth/mask",
        "sensor_msgs/msg/Image",
        "True class ids as mono8 of the image's size, including rocks of every size.",
    ),
    _out(
        "truth/coded_image",
        "sensor_msgs/msg/Image",
        "The output of a perfect network, coded as mono8 of 256x256 for the model `truth_mask`; "
        "rocks below the hazard size are ground.",
    ),
    _out("truth/camera_info", "sensor_msgs/msg/CameraInfo", "Intrinsics of truth/coded_image."),
    _out("truth/depth", "sensor_msgs/msg/Image", "Depth of truth/coded_image, 32FC1 in metres."),
    _out(
        "truth/hazard_map",
        "nav_msgs/msg/OccupancyGrid",
        "True hazards of the whole world in the grid's frame: 100 for rocks and slopes, else 0.",
        latched=True,
    ),
)
CODED = ("truth/coded_image", "truth/camera_info", "truth/depth")
IMAGES = ("image", "image/compressed")
PICTURE = (*IMAGES, "depth", "truth/mask")


def chosen_topics(leave_out: Iterable[str], *, jpeg: bool = False) -> tuple[TopicSpec, ...]:
    """Return the topics except those left out; the image is either raw or JPEG.

    Raises:
        ConfigError: a name to leave out is not a topic.
    """
    names = {spec.name for spec in SIM_TOPICS}
    left = {*leave_out, IMAGES[0] if jpeg else IMAGES[1]}
    if not left <= names:
        raise ConfigError(
            f"--leave-out names {sorted(left - names)[0]!r}, expected some of {sorted(names)}"
        )
    return tuple(spec for spec in SIM_TOPICS if spec.name not in left)
