"""The row type of the table of topics: what a topic is, when it is on, when it is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any


class Direction(str, Enum):
    """Direction of a topic, seen from this node."""

    IN = "in"
    OUT = "out"


class Reliability(str, Enum):
    """Whether lost messages are sent again."""

    RELIABLE = "reliable"
    BEST_EFFORT = "best effort"


class Durability(str, Enum):
    """Whether subscribers that join late receive the last messages."""

    VOLATILE = "volatile"
    TRANSIENT_LOCAL = "transient local"


class Group(str, Enum):
    """Topics that are handled or encoded together.

    The first five are inputs. What an output is encoded from depends on its group; `NONE` is for
    topics that this node neither reads nor writes, such as those of the simulator.
    """

    IMAGE = "image"
    INTRINSICS = "intrinsics"
    GROUND = "ground measurement"
    TRANSFORMS = "transforms"
    OPERATOR = "operator"
    CLASSES = "class names"
    MASK = "mask"
    CLOUD = "cloud"
    GRID = "grid"
    FILTER_INFO = "filter info"
    LANDING = "landing"
    DOWNLINK = "downlink"
    STATE = "state"
    NONE = "none"


class Demand(str, Enum):
    """When the message of an output is computed; the values end a sentence of the reference."""

    ALWAYS = ""
    SUBSCRIBED = "Published only while there are subscribers."
    SUBSCRIBED_OR_EACH_SECOND = (
        "Published with every grid while there are subscribers, otherwise once a second."
    )


@dataclass(frozen=True)
class When:
    """A condition on one setting, given by the name of its parameter.

    It holds where the value equals `equals`, or lies above `above`; without either, where the
    value is neither false nor zero.
    """

    setting: str
    equals: str | None = None
    above: int | None = None

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether the condition holds for the values of all parameters."""
        value = values[self.setting]
        if self.equals is not None:
            return bool(value == self.equals)
        return bool(value) if self.above is None else bool(value > self.above)

    @property
    def text(self) -> str:
        """Return the condition as the reference states it: "`depth.source` is `image`"."""
        if self.equals is not None:
            return f"`{self.setting}` is `{self.equals}`"
        return f"`{self.setting}` is " + ("set" if self.above is None else f"above {self.above}")


@dataclass(frozen=True)
class TopicSpec:
    """One row of the table; history is always keep-last, `depth` messages.

    Attributes:
        name: relative to the namespace, or full with a leading slash.
        type: such as "sensor_msgs/msg/Image".
        direction: seen from this node.
        reliability: of the quality of service.
        durability: likewise.
        depth: length of the history.
        group: decides how an input is handled and what an output is encoded from.
        text: one sentence for the reference.
        per_camera: with several cameras each has this topic under its own name.
        when: conditions on the settings, all of which must hold.
        demand: when an output is computed.
        wanted_with: output whose subscribers count instead of this one's, as both belong together.
        max_rate_setting: parameter that bounds the rate of an output, in hertz.
        name_setting: parameter that holds the name of an input; such inputs take reliability and
            depth from `input_reliability` and `input_depth`.
        malformed: value of `runtime.health.Refusal` that a malformed message of an input is
            counted under.
    """

    name: str
    type: str
    direction: Direction
    reliability: Reliability
    durability: Durability
    depth: int
    group: Group
    text: str
    per_camera: bool = False
    when: tuple[When, ...] = ()
    demand: Demand = Demand.ALWAYS
    wanted_with: str = ""
    max_rate_setting: str = ""
    name_setting: str = ""
    malformed: str = ""

    @property
    def is_latched(self) -> bool:
        """Return whether subscribers that join late receive the last message."""
        return self.durability is Durability.TRANSIENT_LOCAL

    @property
    def is_shared(self) -> bool:
        """Return whether several publishers of this input are usual."""
        return self.group in {Group.TRANSFORMS, Group.OPERATOR}

    def renamed(self, name: str) -> TopicSpec:
        """Return the row under another name, such as that of one camera."""
        return replace(self, name=name)

    def is_on(self, values: Mapping[str, Any]) -> bool:
        """Return whether the topic is in use with these values of all parameters."""
        return all(condition.holds(values) for condition in self.when)

    @property
    def description(self) -> str:
        """Return the text for the reference, with its conditions and when it is computed."""
        conditions = " and ".join(condition.text for condition in self.when)
        where = f"Where {conditions}." if conditions else ""
        return " ".join(filter(None, (self.text, where, self.demand.value)))


def sensor(
    name: str,
    message_type: str,
    text: str,
    *,
    group: Group,
    name_setting: str,
    malformed: str,
    when: tuple[When, ...] = (),
    per_camera: bool = True,
) -> TopicSpec:
    """Return the row of an input of sensor data: best effort, volatile, the newest message."""
    return TopicSpec(
        name,
        message_type,
        Direction.IN,
        Reliability.BEST_EFFORT,
        Durability.VOLATILE,
        1,
        group,
        text,
        per_camera=per_camera,
        when=when,
        name_setting=name_setting,
        malformed=malformed,
    )


def reliable_input(
    name: str,
    message_type: str,
    text: str,
    *,
    group: Group,
    malformed: str,
    depth: int = 1,
    latched: bool = False,
    when: tuple[When, ...] = (),
) -> TopicSpec:
    """Return the row of an input that must not be lost; the cameras share it."""
    return TopicSpec(
        name,
        message_type,
        Direction.IN,
        Reliability.RELIABLE,
        Durability.TRANSIENT_LOCAL if latched else Durability.VOLATILE,
        depth,
        group,
        text,
        when=when,
        malformed=malformed,
    )


def output(
    name: str,
    message_type: str,
    text: str,
    *,
    group: Group,
    latched: bool = False,
    depth: int = 1,
    per_camera: bool = False,
    when: tuple[When, ...] = (),
    demand: Demand = Demand.ALWAYS,
) -> TopicSpec:
    """Return the row of an output: reliable, and kept for late subscribers where `latched`."""
    return TopicSpec(
        name,
        message_type,
        Direction.OUT,
        Reliability.RELIABLE,
        Durability.TRANSIENT_LOCAL if latched else Durability.VOLATILE,
        depth,
        group,
        text,
        per_camera=per_camera,
        when=when,
        demand=demand,
    )
