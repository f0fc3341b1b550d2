"""Which topics the viewer reads, under which names, and how it subscribes to them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from terrain_seg_ros.messages.topic_spec import Group, Reliability, TopicSpec
from terrain_seg_ros.messages.topics import topic
from terrain_seg_ros.parameters.file import NAMESPACE

IMAGES = ("image", "image/compressed")
TRANSFORMS = ("/tf", "/tf_static")
OURS = (
    "mask",
    "confidence",
    "label_info",
    "hazard_grid",
    "hazard_grid_updates",
    "hazard_reason",
    "safe_map",
    "grid_map",
    "hazard_points",
    "landing_sites",
)
"""Topics of this node, without those that only repeat them for other programs."""
NEEDED = ("mask", "hazard_grid")
"""Without both of these there is nothing to show."""
OPTIONAL = ("hazard_grid_updates", "landing_sites", "image/compressed", "/tf_static")
"""Topics that are absent in many set-ups: their absence is not worth a word."""
READ = (*IMAGES, "camera_info", *TRANSFORMS, *OURS, "/diagnostics")


@dataclass(frozen=True)
class ViewTopics:
    """The names that the topics have on one bus or in one bag.

    Attributes:
        namespace: of the node, such as "/terrain".
        camera: name before the per-camera topics where there are several cameras, else empty.
        image_topic: full name of the camera image, empty for the node's own `image`.
        camera_info_topic: full name, empty for the one beside the node's own `image`.
    """

    namespace: str = NAMESPACE
    camera: str = ""
    image_topic: str = ""
    camera_info_topic: str = ""

    def full_name(self, name: str) -> str:
        """Return the full name of a topic of `READ`."""
        if name.startswith("/"):
            return name
        if name in IMAGES and self.image_topic:
            base = self.image_topic.removesuffix("/compressed")
            return base if name == "image" else f"{base}/compressed"
        if name == "camera_info" and self.camera_info_topic:
            return self.camera_info_topic
        prefix = f"{self.camera.strip('/')}/" if self.camera and topic(name).per_camera else ""
        return f"/{self.namespace.strip('/')}/{prefix}{name}".replace("//", "/")

    def specs(self) -> dict[str, TopicSpec]:
        """Return the rows to subscribe with, by the full name on the bus.

        A viewer must never hold up a node: what is not kept for late subscribers is read best
        effort, so that a writer does not wait for it.
        """
        return {self.full_name(name): view_spec(name) for name in READ}


def view_spec(name: str) -> TopicSpec:
    """Return the row that the viewer subscribes to a topic with."""
    spec = topic(name)
    if spec.is_latched or spec.group in {Group.TRANSFORMS, Group.STATE}:
        return replace(spec, depth=max(spec.depth, 10))
    return replace(spec, reliability=Reliability.BEST_EFFORT, depth=max(spec.depth, 2))
