"""The declared parameters as ROS parameters of a node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from terrain_seg_ros.core.grid.grid_to_speed import FULL_PERCENT
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.parameters.file import ROS_OWN
from terrain_seg_ros.parameters.parameters import (
    HAZARD,
    SPEED,
    Parameters,
    ParameterSpec,
    load_parameters,
    parameter_spec,
)


class NodeParameters:
    """Read what a node was given, check it, and declare it with descriptions and ranges.

    The node declares its overrides by itself (`automatically_declare_parameters_from_overrides`),
    so that a wrong one is found at configure, by name, and does not end the process.
    """

    def __init__(self, node: Node) -> None:
        """Take the overrides as what the user gave."""
        self._node = node
        self._given = set(_without_ros_own(node.get_parameters_by_prefix("")))
        self._from_card: set[str] = set()

    def read(self) -> Parameters:
        """Return the shipped values with those that the user gave on top.

        Raises:
            ConfigError: a parameter is unknown, of the wrong type, out of range, or contradicts
                another.
        """
        names = sorted(self._given)
        values = {name: _plain(self._node.get_parameter(name).value) for name in names}
        return load_parameters(overrides=values)

    def declare(self, parameters: Parameters, taxonomy: Taxonomy) -> None:
        """Declare every parameter with its value in force, and those of every class."""
        self.forget_card()
        of_classes = {f"{HAZARD}{item.name}": float(item.hazard) for item in taxonomy}
        of_classes |= {f"{SPEED}{item.name}": FULL_PERCENT for item in taxonomy}
        self._from_card = set(of_classes) - self._given
        for name, value in {**of_classes, **parameters.values}.items():
            if self._node.has_parameter(name):
                self._node.undeclare_parameter(name)
            kept = list(value) if isinstance(value, tuple) else value
            self._node.declare_parameter(name, kept, _descriptor(name), ignore_override=True)

    def forget_card(self) -> None:
        """Undeclare what a model's classes gave; the next model may have others."""
        for name in self._from_card:
            if self._node.has_parameter(name):
                self._node.undeclare_parameter(name)
        self._from_card = set()

    def note(self, names: Iterable[str]) -> None:
        """Remember that the user set parameters."""
        self._given.update(names)
        self._from_card.difference_update(names)


def changes_of(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Return the values to be set by name, without those of parameters that ROS declares."""
    return _without_ros_own({item.name: _plain(item.value) for item in parameters})


def _without_ros_own(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters without those that ROS declares itself."""
    return {name: value for name, value in parameters.items() if not name.startswith(ROS_OWN)}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else list(value)


def _descriptor(name: str) -> ParameterDescriptor:
    spec = parameter_spec(name)
    when = "" if spec.dynamic else " Set it before configure."
    unit = f" [{spec.unit}]" if spec.unit else ""
    return ParameterDescriptor(
        description=f"{spec.text}{unit}{when}",
        additional_constraints=", ".join(spec.choices),
        integer_range=_integer_range(spec),
        floating_point_range=_float_range(spec),
    )


def _integer_range(spec: ParameterSpec) -> list[IntegerRange]:
    if spec.kind != "int" or spec.low is None or spec.high is None:
        return []
    return [IntegerRange(from_value=int(spec.low), to_value=int(spec.high), step=1)]


def _float_range(spec: ParameterSpec) -> list[FloatingPointRange]:
    if spec.kind not in {"float", "floats"} or spec.low is None or spec.high is None:
        return []
    return [FloatingPointRange(from_value=float(spec.low), to_value=float(spec.high), step=0.0)]
