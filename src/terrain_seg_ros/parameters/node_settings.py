"""All settings of the node: those of the pipeline, and those of what feeds it and publishes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from terrain_seg_ros.core.downlink.tiles import FRAME_LIMIT_BYTES
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.pipeline_settings import PipelineSettings
from terrain_seg_ros.core.settings import Prefix, setting, settings
from terrain_seg_ros.parameters.declaration import Declaration, Value
from terrain_seg_ros.parameters.inference_settings import InferenceSettings
from terrain_seg_ros.parameters.input_settings import InputSettings, TimeSettings
from terrain_seg_ros.parameters.output_settings import OutputSettings
from terrain_seg_ros.parameters.per_camera import check_count
from terrain_seg_ros.parameters.vehicle_settings import (
    DepthSettings,
    MountingSettings,
    OwnBodySettings,
    TransformSettings,
)

_REMOVED = {
    "camera_weights": "all cameras have equal weight; delete the line, and limit busy cameras with "
    "camera_max_rates_hz",
    "cpu_affinity": "delete the line and start the node under `taskset`, or with CPUAffinity= of "
    "its systemd service",
    "grid.fusion": "views are always fused as the sums of their probabilities (dirichlet); delete "
    "the line",
}


@settings
@dataclass(frozen=True)
class NodeSettings:
    """All settings of the node, complete and checked."""

    input: InputSettings
    inference: InferenceSettings
    time: Annotated[TimeSettings, Prefix("time")]
    pipeline: PipelineSettings
    height_map: Annotated[
        str,
        setting(
            "Height map for ground.source height_map: a GeoTIFF of floats, or .npy with a .yaml "
            "beside it; heights are in grid_frame.",
            name="ground.height_map",
        ),
    ]
    transforms: TransformSettings
    mounting: Annotated[MountingSettings, Prefix("mounting")]
    own_body: Annotated[OwnBodySettings, Prefix("own_body")]
    depth: Annotated[DepthSettings, Prefix("depth")]
    output: OutputSettings

    def __post_init__(self) -> None:
        """Check what concerns several groups."""
        cameras, depth, ground = self.input.cameras, self.depth.source, self.pipeline.ground
        check_count("own_body.masks", self.own_body.masks, cameras)
        if len(cameras) > 1 and not self.mounting.use_tf:
            raise ConfigError(
                f"one static mounting cannot hold for {len(cameras)} cameras; set mounting.use_tf"
            )
        grid = self.pipeline.grid
        if self.output.downlink_bytes_per_min and len(grid.frame_id.encode()) > FRAME_LIMIT_BYTES:
            raise ConfigError(
                f"grid_frame {grid.frame_id!r} is too long for the downlink, which takes "
                f"{FRAME_LIMIT_BYTES} bytes; use a shorter name"
            )
        if grid.frame_id.lstrip("/") == ground.base_frame.lstrip("/"):
            raise ConfigError(
                f"grid_frame and base_frame are both {grid.frame_id!r}: the grid would move with "
                "the vehicle; set grid_frame to a fixed frame such as odom"
            )
        if ground.source == "depth" and depth not in {"image", "cloud"}:
            raise ConfigError(
                f"ground.source is depth but depth.source is {depth!r}; set it to image or cloud"
            )
        if (ground.source, ground.plane) == ("plane", "range_plane") and depth != "range":
            raise ConfigError(
                f"ground.plane is range_plane but depth.source is {depth!r}; set it to range"
            )

    @property
    def values(self) -> dict[str, Value]:
        """Return the values by parameter name, such as `grid.resolution_m`."""
        return DECLARATION.values(self)

    def with_values(self, changes: Mapping[str, Any], *, running: bool = False) -> NodeSettings:
        """Return the settings with some values replaced, by parameter name.

        Args:
            changes: values by parameter name.
            running: the node is active, so only dynamic parameters may change.

        Raises:
            ConfigError: a value is unknown, of the wrong type, out of range, contradicts another,
                or belongs to a static parameter while running.
        """
        return DECLARATION.changed(self, changes, running=running)


DECLARATION = Declaration(NodeSettings, removed=_REMOVED)
"""Every parameter of the node; values stand only in config/*.param.yaml."""
