"""Which outputs are due: on by the settings, of an installed type, wanted by a subscriber."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from terrain_seg_ros.messages.message_types import Types, has_type, types_of
from terrain_seg_ros.messages.topic_spec import Demand, Direction, Group, TopicSpec
from terrain_seg_ros.messages.topics import resolve, topic, topics
from terrain_seg_ros.parameters.node_settings import DECLARATION, NodeSettings
from terrain_seg_ros.runtime.outboxes.encoders import ENCODERS
from terrain_seg_ros.runtime.outboxes.outgoing import Bus, Outgoing

UNSUBSCRIBED_PERIOD_S = 1.0
"""Latched layers without subscribers are still sent this often: late joiners get the last one."""


class Outputs:
    """Encode the outputs of the table that are due, each by the encoder of its row."""

    def __init__(self, types: Types, parameters: NodeSettings, bus: Bus) -> None:
        """Start with everything due; topics whose type is not installed are left out."""
        self.bus = bus
        self._types = types
        self._cameras = parameters.input.cameras
        self._paces: dict[str, _Pace] = {}
        self.set_parameters(parameters)
        self.expect_all()

    def set_parameters(self, parameters: NodeSettings) -> None:
        """Take what may change while running."""
        self._values: Mapping[str, Any] = parameters.values

    def expect_all(self) -> None:
        """Make everything due now, whatever was sent before."""
        self._paces = {}

    def is_wanted(self, row: str, camera: str = "") -> bool:
        """Return whether an output is on, of an installed type, and has a subscriber."""
        spec = topic(row)
        return self._is_on(spec) and self._has_subscriber(spec, camera)

    def encode(
        self, group: Group, product: Any, *, camera: str = "", stamp_ns: int = 0
    ) -> list[Outgoing]:
        """Return the messages that are due of a group of topics.

        Args:
            group: of the table.
            product: what the encoders of the group work on.
            camera: for topics of one camera.
            stamp_ns: time by which rates are bounded.

        Raises:
            TerrainSegError: a message cannot be encoded.
        """
        result = []
        for spec in topics(Direction.OUT, group):
            if not (self._is_on(spec) and self._is_due(spec, camera, stamp_ns)):
                continue
            message = ENCODERS[spec.name](types_of(self._types, spec.type), product)
            if message is not None:
                result.append(Outgoing(self._name(spec, camera), message))
        return result

    def _name(self, spec: TopicSpec, camera: str) -> str:
        return resolve(spec, camera, len(self._cameras))

    def _is_on(self, spec: TopicSpec) -> bool:
        return spec.is_on(self._values) and has_type(self._types, spec.type)

    def _has_subscriber(self, spec: TopicSpec, camera: str) -> bool:
        asked = topic(spec.wanted_with) if spec.wanted_with else spec
        return self.bus.wanted(self._name(asked, camera))

    def _is_due(self, spec: TopicSpec, camera: str, stamp_ns: int) -> bool:
        if spec.demand is Demand.SUBSCRIBED:
            return self._has_subscriber(spec, camera)
        if spec.demand is Demand.SUBSCRIBED_OR_EACH_SECOND:
            is_time = self._is_time(spec, UNSUBSCRIBED_PERIOD_S, stamp_ns)
            return is_time or self._has_subscriber(spec, camera)
        if spec.max_rate_setting:
            return self._is_time(spec, 1.0 / self._values[spec.max_rate_setting], stamp_ns)
        return True

    def _is_time(self, spec: TopicSpec, period_s: float, stamp_ns: int) -> bool:
        return self._paces.setdefault(spec.name, _Pace(period_s)).is_due(stamp_ns)


class _Pace:
    """A period that is measured by the stamps of what is sent."""

    def __init__(self, period_s: float) -> None:
        self._period_ns = round(period_s * 1e9)
        self._last_ns: int | None = None

    def is_due(self, stamp_ns: int) -> bool:
        """Return whether a period has passed or time has jumped back; a new one starts then."""
        last_ns = self._last_ns
        if last_ns is not None and 0 <= stamp_ns - last_ns < self._period_ns:
            return False
        self._last_ns = stamp_ns
        return True


def outgoing_topics(parameters: NodeSettings) -> dict[str, TopicSpec]:
    """Return the topics that a node with these parameters may publish, with their rows, by name.

    Topics that a change of a dynamic parameter can switch on are among them.
    """
    result: dict[str, TopicSpec] = {}
    cameras = parameters.input.cameras
    for spec in topics(Direction.OUT):
        if not _may_be_on(spec, parameters):
            continue
        for camera in cameras if spec.per_camera else ("",):
            result[resolve(spec, camera, len(cameras))] = spec
    return result


def _may_be_on(spec: TopicSpec, parameters: NodeSettings) -> bool:
    return all(
        condition.holds(parameters.values) or DECLARATION.setting(condition.setting).dynamic
        for condition in spec.when
    )
