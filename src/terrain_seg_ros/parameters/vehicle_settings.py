"""Settings of the vehicle: transforms, mounting of the camera, own body, measured ground."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.ground.own_body import MIN_CORNERS
from terrain_seg_ros.core.settings import item, list_setting, setting, settings
from terrain_seg_ros.parameters.per_camera import check_topic


@settings
@dataclass(frozen=True)
class TransformSettings:
    """Transforms of vehicle and cameras."""

    tf_cache_s: Annotated[float, setting("How long transforms are kept.", low=0.1, high=600.0)]
    tf_wait_s: Annotated[
        float,
        setting(
            "Longest wait for the transforms at an image's stamp; after it the image is refused.",
            low=0.0,
            high=10.0,
        ),
    ]
    max_speed_mps: Annotated[
        float,
        setting(
            "If the vehicle's position changes faster than this between two images, it has "
            "jumped and the grid is cleared; 0 disables the check.",
            low=0.0,
            high=1e6,
            name="grid.max_speed_mps",
            dynamic=True,
        ),
    ]


@settings
@dataclass(frozen=True)
class MountingSettings:
    """Pose of the camera on the vehicle, where TF does not give it."""

    use_tf: Annotated[
        bool, setting("Take the camera's pose from TF instead of the six values below.")
    ]
    x_m: Annotated[float, setting("Camera position in base_frame, x.", low=-1000.0, high=1000.0)]
    y_m: Annotated[float, setting("Camera position in base_frame, y.", low=-1000.0, high=1000.0)]
    z_m: Annotated[float, setting("Camera position in base_frame, z.", low=-1000.0, high=1000.0)]
    roll_rad: Annotated[
        float, setting("Roll of the camera's body in base_frame.", low=-3.15, high=3.15)
    ]
    pitch_rad: Annotated[
        float,
        setting(
            "Pitch of the camera's body in base_frame; positive looks down.", low=-3.15, high=3.15
        ),
    ]
    yaw_rad: Annotated[
        float, setting("Yaw of the camera's body in base_frame.", low=-3.15, high=3.15)
    ]


@settings
@dataclass(frozen=True)
class OwnBodySettings:
    """Where cameras see the vehicle itself."""

    masks: Annotated[
        tuple[str, ...],
        list_setting(
            "Image files of the camera's size that are not black where the vehicle itself is "
            "visible; one for all cameras or one each. Empty: none."
        ),
    ]
    polygon: Annotated[
        tuple[Annotated[float, item(-1.0, 2.0)], ...],
        list_setting(
            "Outline of the vehicle in the image: u and v of each corner as shares of width and "
            "height. Fewer than three corners: none."
        ),
    ]

    def __post_init__(self) -> None:
        """Check that the outline is a list of pairs."""
        count = len(self.polygon)
        if count >= 2 * MIN_CORNERS and count % 2:
            raise ConfigError(
                f"parameter 'own_body.polygon' has {count} numbers, expected u and v of each corner"
            )


@settings
@dataclass(frozen=True)
class DepthSettings:
    """Measurement of the ground."""

    source: Annotated[
        Literal["none", "image", "cloud", "range"],
        setting(
            "Sensor that measures the ground. Where ground.source is plane, the plane is checked "
            "against it."
        ),
    ]
    topic: Annotated[
        str,
        setting(
            "Topic of the depth images or clouds (per camera), or of the range; relative to the "
            "namespace."
        ),
    ]
    max_offset_s: Annotated[
        float,
        setting(
            "Measurements whose stamp differs by more from the image's are not used.",
            low=0.0,
            high=10.0,
            dynamic=True,
        ),
    ]
    max_residual_m: Annotated[
        float,
        setting(
            "A warning is published if the median distance of the measured ground from the plane "
            "exceeds this.",
            low=0.0,
            high=1000.0,
            dynamic=True,
        ),
    ]

    def __post_init__(self) -> None:
        """Check the topic's name."""
        check_topic(self.topic)
