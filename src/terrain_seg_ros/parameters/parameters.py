"""Read, check and hand out parameters: the shipped file first, the user's on top."""

from __future__ import annotations

import importlib.resources
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid.cost_to_safe_map import FootprintSettings
from terrain_seg_ros.core.grid.elevation_to_slope import SlopeSettings
from terrain_seg_ros.core.grid.footprint_outline import corners_of
from terrain_seg_ros.core.grid.grid_settings import Fusion, GridSettings
from terrain_seg_ros.core.grid.grid_to_cost import CostSettings
from terrain_seg_ros.core.grid.grid_to_speed import SpeedSettings
from terrain_seg_ros.core.ground.mask_to_ground import GroundSettings, Source
from terrain_seg_ros.core.ground.plane import Plane
from terrain_seg_ros.core.ground.view_shadow import ShadowSettings
from terrain_seg_ros.core.image.observability import ObservabilitySettings
from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.landing.cost_to_landing_sites import LandingSettings
from terrain_seg_ros.core.pipeline_settings import PipelineSettings
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.model_store.model_trust import ModelTrust
from terrain_seg_ros.parameters.checks import HAZARD, SPEED, checked_value, parameter_spec
from terrain_seg_ros.parameters.declaration import DECLARATION
from terrain_seg_ros.parameters.file import read_parameter_file
from terrain_seg_ros.parameters.row import ParameterSpec, Value

__all__ = [
    "DECLARATION",
    "HAZARD",
    "MODES",
    "SPEED",
    "ParameterSpec",
    "Parameters",
    "backend_options",
    "load_parameters",
    "parameter_spec",
    "pipeline_settings",
    "shipped_parameter_file",
]

MODES = ("rover", "lander")
"""The vehicles that a shipped file holds the values of."""
_TOPIC_PARAMETERS = ("image_topic", "camera_info_topic", "depth.topic")
_TOPIC = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$")


@dataclass(frozen=True)
class Parameters:
    """Hold a complete and checked set of values."""

    values: Mapping[str, Value]

    def __post_init__(self) -> None:
        """Check every value, that none is missing, and that they fit together."""
        checked = {name: checked_value(name, value) for name, value in self.values.items()}
        missing = [s.name for s in DECLARATION if not s.is_family and s.name not in checked]
        if missing:
            raise ConfigError(
                f"parameter {missing[0]!r} has no value ({len(missing)} missing); "
                "load a shipped parameter file first"
            )
        object.__setattr__(self, "values", MappingProxyType(checked))
        _check_together(self)

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, sorted."""
        return iter(sorted(self.values))

    def text(self, name: str) -> str:
        """Return a text."""
        return cast(str, self._get(name, "text"))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        return cast("tuple[str, ...]", self._get(name, "texts"))

    def numbers(self, name: str) -> tuple[float, ...]:
        """Return a list of numbers."""
        return cast("tuple[float, ...]", self._get(name, "floats"))

    def per_camera(self, name: str) -> dict[str, float]:
        """Return a list of numbers by camera; a single number holds for all."""
        values, cameras = self.numbers(name), self.texts("cameras")
        return dict(zip(cameras, values if len(values) > 1 else values * len(cameras)))

    def number(self, name: str) -> float:
        """Return a floating-point number."""
        return cast(float, self._get(name, "float"))

    def integer(self, name: str) -> int:
        """Return a whole number."""
        return cast(int, self._get(name, "int"))

    def flag(self, name: str) -> bool:
        """Return a truth value."""
        return cast(bool, self._get(name, "bool"))

    def per_class(self, family: str) -> dict[str, float]:
        """Return what was set of a family, `HAZARD` or `SPEED`, by class name."""
        return {
            name.removeprefix(family): cast(float, value)
            for name, value in self.values.items()
            if name.startswith(family)
        }

    def with_values(self, changes: Mapping[str, Any], *, running: bool = False) -> Parameters:
        """Return the set with some values replaced.

        Args:
            changes: values by name.
            running: the node is at work, so only dynamic parameters may change.

        Raises:
            ConfigError: a value is unknown, of the wrong type, out of range, contradicts another,
                or is static while running.
        """
        for name, value in changes.items():
            spec = parameter_spec(name)
            changed = self.values.get(name) != checked_value(name, value)
            if running and changed and not spec.dynamic:
                raise ConfigError(
                    f"parameter {name!r} cannot change while running; set it and configure again"
                )
        return Parameters({**self.values, **changes})

    def _get(self, name: str, kind: str) -> Value:
        spec = parameter_spec(name)
        if spec.kind != kind or name not in self.values:
            raise ConfigError(f"parameter {name!r} is {spec.kind} and was asked for as {kind}")
        return self.values[name]


def shipped_parameter_file(name: str = "rover") -> Path:
    """Return the path of a shipped file, in an installed package or in a checkout.

    Raises:
        ConfigError: there is none of this name.
    """
    package = Path(str(importlib.resources.files("terrain_seg_ros")))
    folders = [package / "config", package.parents[1] / "config"]
    for folder in folders:
        path = folder / f"{name}.param.yaml"
        if path.is_file():
            return path
    known = sorted(p.name.split(".")[0] for f in folders for p in f.glob("*.param.yaml"))
    raise ConfigError(f"no shipped parameter file is called {name!r}; there are {known}")


def load_parameters(
    *paths: Path | str,
    overrides: Mapping[str, Any] | None = None,
    shipped: str = "rover",
    namespace: str | None = None,
) -> Parameters:
    """Return the shipped values with those of the user's files and of overrides on top.

    Args:
        paths: the user's files, the last one wins.
        overrides: values by dotted name, such as those of command line options.
        shipped: the shipped file below them.
        namespace: of the node, which the blocks of a file are held against; None where there is
            no node.

    Raises:
        ConfigError: a file cannot be read, or a value is unknown, mistyped, out of range or
            missing.
    """
    values: dict[str, Any] = {}
    for path in (shipped_parameter_file(shipped), *paths):
        values.update(_readchecked_value(path, namespace))
    return Parameters({**values, **(overrides or {})})


def pipeline_settings(parameters: Parameters) -> PipelineSettings:
    """Return what the pipeline needs of the parameters.

    Raises:
        ConfigError: values contradict each other, such as grid size and resolution.
    """
    number, integer = parameters.number, parameters.integer
    ground = GroundSettings(
        source=cast(Source, parameters.text("ground.source")),
        plane=cast(Plane, parameters.text("ground.plane")),
        base_frame=parameters.text("base_frame"),
        plane_height_m=number("ground.plane_height_m"),
        max_range_m=number("ground.max_range_m"),
        max_ground_sample_m=number("ground.max_ground_sample_m"),
    )
    grid = GridSettings(
        frame_id=parameters.text("grid_frame"),
        resolution_m=number("grid.resolution_m"),
        size_m=number("grid.size_m"),
        decay_s=number("grid.decay_s"),
        decay_m=number("grid.decay_m"),
        max_evidence=number("grid.max_evidence"),
        fusion=cast(Fusion, parameters.text("grid.fusion")),
        keep_hazards=parameters.flag("grid.keep_hazards"),
        min_hazard_share=number("grid.min_hazard_share"),
        half_weight_range_m=number("grid.half_weight_range_m"),
    )
    cost = CostSettings(
        hazard_threshold=number("cost.hazard_threshold"),
        min_evidence=number("cost.min_evidence"),
        graded=parameters.flag("cost.graded"),
    )
    observability = ObservabilitySettings(
        min_confidence=number("observability.min_confidence"),
        shadow_level=integer("observability.shadow_level"),
        saturation_level=integer("observability.saturation_level"),
        not_ground_classes=parameters.texts("observability.not_ground_classes"),
    )
    footprint = FootprintSettings(
        radius_m=number("footprint.radius_m"),
        polygon_m=corners_of(parameters.numbers("footprint.polygon_m")),
        position_sigma_m=number("footprint.position_sigma_m"),
        sigmas=number("footprint.sigmas"),
    )
    shadow = ShadowSettings(
        parameters.texts("ground.protruding_classes"), number("ground.rock_depth_ratio")
    )
    return PipelineSettings(
        ground=ground,
        shadow=shadow,
        grid=grid,
        cost=cost,
        observability=observability,
        slope=_slope_settings(parameters),
        footprint=footprint,
        landing=_landing_settings(parameters),
        speed=SpeedSettings(
            parameters.per_class(SPEED), number("filter_masks.unobserved_speed_percent")
        ),
        hazards=parameters.per_class(HAZARD),
    )


def backend_options(parameters: Parameters) -> BackendOptions:
    """Return what a backend is asked for, built from checked parameters."""
    folder = parameters.text("engine_cache_dir")
    return BackendOptions(
        threads=parameters.integer("threads"),
        precision=parameters.text("precision"),
        device=parameters.integer("tensorrt_device"),
        dla_core=parameters.integer("tensorrt_dla_core"),
        cache_dir=Path(folder).expanduser() if folder else None,
        engine_build=parameters.text("engine_build"),
        provider=parameters.text("onnxruntime_provider"),
    )


def model_trust(parameters: Parameters) -> ModelTrust:
    """Return what a model must show, built from checked parameters."""
    key = parameters.text("model_public_key")
    return ModelTrust(
        public_key=Path(key).expanduser() if key else None,
        test_deadline_s=parameters.number("model_test_deadline_s"),
    )


def _slope_settings(parameters: Parameters) -> SlopeSettings:
    names = ("max_slope_deg", "max_roughness_m", "baseline_m", "height_sigma_m")
    return SlopeSettings(**{name: parameters.number(f"slope.{name}") for name in names})


def _landing_settings(parameters: Parameters) -> LandingSettings:
    names = (item.name for item in fields(LandingSettings) if item.name != "max_sites")
    return LandingSettings(
        max_sites=parameters.integer("landing.max_sites"),
        **{name: parameters.number(f"landing.{name}") for name in names},
    )


def _readchecked_value(path: Path | str, namespace: str | None) -> dict[str, Value]:
    """Return the values of a file; the message of a wrong one names the file."""
    content = read_parameter_file(path, namespace)
    try:
        return {name: checked_value(name, value) for name, value in content.items()}
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _check_together(parameters: Parameters) -> None:
    cameras = parameters.texts("cameras")
    for name in ("camera_max_rates_hz", "camera_weights", "own_body.masks"):
        count = len(cast("tuple[Value, ...]", parameters.values[name]))
        if count not in {1, len(cameras)}:
            raise ConfigError(
                f"parameter {name!r} has {count} values for {len(cameras)} cameras; give one for "
                "all or one for each"
            )
    for topic in (*cameras, *map(parameters.text, _TOPIC_PARAMETERS)):
        if not _TOPIC.match(topic):
            raise ConfigError(f"{topic!r} is no relative topic name; use letters, digits, _ and /")
    if len(set(cameras)) != len(cameras):
        raise ConfigError(f"cameras {list(cameras)} are not unique; give each its own name")
    if len(cameras) > 1 and not parameters.flag("mounting.use_tf"):
        raise ConfigError(
            f"one static mounting cannot hold for {len(cameras)} cameras; set mounting.use_tf"
        )
    for name in ("model", "grid_frame", "base_frame"):
        if not parameters.text(name).strip():
            raise ConfigError(f"parameter {name!r} is empty; set it")
    SampleBits(parameters.integer("image_bits"))
    _check_ground(parameters)
    low_m, high_m = (parameters.number(f"hazard_points.{e}_height_m") for e in ("min", "max"))
    if low_m > high_m:
        raise ConfigError(
            f"hazard_points.min_height_m {low_m} is above hazard_points.max_height_m {high_m}"
        )
    pipeline_settings(parameters)


def _check_ground(parameters: Parameters) -> None:
    """Check the vehicle's outline, and that what the ground is taken from is measured."""
    corners = len(parameters.numbers("own_body.polygon"))
    if corners >= 6 and corners % 2:
        raise ConfigError(
            f"parameter 'own_body.polygon' has {corners} numbers, expected u and v of each corner"
        )
    source, plane = parameters.text("ground.source"), parameters.text("ground.plane")
    given = parameters.text("depth.source")
    if source == "depth" and given not in {"image", "cloud"}:
        raise ConfigError(
            f"ground.source is depth but depth.source is {given!r}; set it to image or cloud"
        )
    if source == "plane" and plane == "range_plane" and given != "range":
        raise ConfigError(
            f"ground.plane is range_plane but depth.source is {given!r}; set it to range"
        )
