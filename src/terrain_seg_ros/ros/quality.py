"""The table's quality of service as rclpy's."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from terrain_seg_ros.messages.topic_spec import Durability, Reliability, TopicSpec


def quality_of(spec: TopicSpec) -> QoSProfile:
    """Return the profile of a row of the table of topics."""
    reliable = spec.reliability is Reliability.RELIABLE
    latched = spec.durability is Durability.TRANSIENT_LOCAL
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=spec.depth,
        reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
    )
