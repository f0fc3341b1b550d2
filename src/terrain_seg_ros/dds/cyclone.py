"""The only import of Cyclone DDS, so that its absence is reported once and with a remedy."""

from __future__ import annotations

from terrain_seg_ros.core.errors import ConfigError

try:
    from cyclonedds.builtin import BuiltinDataReader, BuiltinTopicDcpsPublication
    from cyclonedds.core import (
        DDSException,
        InstanceState,
        ReadCondition,
        SampleState,
        ViewState,
        WaitSet,
    )
    from cyclonedds.domain import Domain, DomainParticipant
    from cyclonedds.idl import make_idl_struct, types
    from cyclonedds.pub import DataWriter
    from cyclonedds.qos import Policy, Qos
    from cyclonedds.sub import DataReader
    from cyclonedds.topic import Topic
except ImportError as error:
    raise ConfigError(
        f"cyclonedds cannot be imported ({error}); install it with `pip install cyclonedds`, or, "
        "where it has no wheel (aarch64), run the ROS node instead: "
        "`ros2 launch terrain_seg_ros seg.launch.py`"
    ) from error

__all__ = [
    "BuiltinDataReader",
    "BuiltinTopicDcpsPublication",
    "DDSException",
    "DataReader",
    "DataWriter",
    "Domain",
    "DomainParticipant",
    "InstanceState",
    "Policy",
    "Qos",
    "ReadCondition",
    "SampleState",
    "Topic",
    "ViewState",
    "WaitSet",
    "make_idl_struct",
    "types",
]
