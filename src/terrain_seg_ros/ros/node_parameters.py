"""The settings as ROS parameters of a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from terrain_seg_ros.core.grid.grid_to_speed import FULL_PERCENT
from terrain_seg_ros.core.settings import Setting
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.parameters.file import ROS_OWN
from terrain_seg_ros.parameters.node_settings import DECLARATION, NodeSettings
from terrain_seg_ros.parameters.parameters import load_parameters


class NodeParameters:
    """The parameters of a node: reads and checks the overrides, declares all with descriptors.

    The node declares its overrides itself (`automatically_declare_parameters_from_overrides`), so
    that a wrong one is reported by name at configure and does not end the process.
    """

    def __init__(self, node: Node) -> None:
        """Note which parameters the user gave as overrides."""
        self._node = node
        self._given = set(ours(node.get_parameters_by_prefix("")))
        self._from_card: set[str] = set()

    def read(self) -> NodeSettings:
        """Return the shipped values with the user's on top.

        Raises:
            ConfigError: a parameter is unknown, of the wrong type or out of range, or contradicts
                another.
        """
        names = sorted(self._given)
        values = {name: _plain(self._node.get_parameter(name).value) for name in names}
        return load_parameters(overrides=values)

    def declare(self, parameters: NodeSettings, taxonomy: Taxonomy) -> None:
        """Declare every parameter with its current value, and those of every class."""
        self.forget_card()
        of_classes = {f"hazard.{item.name}": float(item.hazard) for item in taxonomy}
        of_classes |= {f"speed_percent.{item.name}": FULL_PERCENT for item in taxonomy}
        self._from_card = set(of_classes) - self._given
        for name, value in {**of_classes, **parameters.values}.items():
            if self._node.has_parameter(name):
                self._node.undeclare_parameter(name)
            kept = list(value) if isinstance(value, tuple) else value
            descriptor = descriptor_of(DECLARATION.setting(name))
            self._node.declare_parameter(name, kept, descriptor, ignore_override=True)

    def forget_card(self) -> None:
        """Undeclare the parameters of the model's classes; the next model may have others."""
        for name in self._from_card:
            if self._node.has_parameter(name):
                self._node.undeclare_parameter(name)
        self._from_card = set()

    def note(self, names: Iterable[str]) -> None:
        """Remember that the user set parameters."""
        self._given.update(names)
        self._from_card.difference_update(names)


def changes_of(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return the values to be set, by name, without those that ROS declares itself."""
    return ours({item.name: _plain(item.value) for item in parameters})


def ours(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that ROS does not declare itself."""
    return {name: value for name, value in parameters.items() if not name.startswith(ROS_OWN)}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else list(value)


def descriptor_of(setting: Setting) -> ParameterDescriptor:
    """Return text, unit, range and choices of a setting as ROS shows them."""
    when = "" if setting.dynamic else " Set it before configure."
    unit = f" [{setting.unit}]" if setting.unit else ""
    integers, floats = [], []
    if setting.low is not None and setting.high is not None:
        low, high = setting.low, setting.high
        if setting.kind == "int":
            integers = [IntegerRange(from_value=int(low), to_value=int(high), step=1)]
        else:
            floats = [FloatingPointRange(from_value=low, to_value=high, step=0.0)]
    return ParameterDescriptor(
        description=f"{setting.text}{unit}{when}",
        additional_constraints=", ".join(setting.choices),
        integer_range=integers,
        floating_point_range=floats,
    )
