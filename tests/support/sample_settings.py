"""A small tree of settings: one new field in one place, as somebody would add it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.settings import (
    Prefix,
    enum_setting,
    item,
    list_setting,
    setting,
    settings,
)
from terrain_seg_ros.parameters.declaration import Declaration


class Gear(Enum):
    LOW = "low"
    HIGH = "high"


@settings
@dataclass(frozen=True)
class WheelSettings:
    """Wheels."""

    radius_m: Annotated[float, setting("Radius of a wheel.", low=0.1, high=2.0)]
    slip_limit: Annotated[float, setting("Largest slip.", low=0.0, high=1.0, dynamic=True)]
    count: Annotated[int, setting("Number of wheels.", low=4, high=8)]
    gear: Annotated[Gear, enum_setting("Gear in use.")]
    offsets_m: Annotated[
        tuple[Annotated[float, item(-1.0, 1.0)], ...],
        list_setting("Offset of each wheel.", most=8, dynamic=True),
    ]

    def __post_init__(self):
        if len(self.offsets_m) not in {1, self.count}:
            raise ConfigError(f"wheel.offsets_m has {len(self.offsets_m)} values, expected 1 each")


@settings
@dataclass(frozen=True)
class SampleSettings:
    """The sample."""

    name: Annotated[str, setting("Name of the vehicle.", name="vehicle_name")]
    wheel: Annotated[WheelSettings, Prefix("wheel")]


VALUES = {
    "vehicle_name": "scout",
    "wheel.radius_m": 0.3,
    "wheel.slip_limit": 0.5,
    "wheel.count": 6,
    "wheel.gear": "low",
    "wheel.offsets_m": [0.0],
}
SAMPLE = Declaration(SampleSettings, removed={"wheel.spokes": "wheels have none; delete the line"})
