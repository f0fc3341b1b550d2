"""Settings of cameras, of their images and of the stamps that are accepted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.settings import item, list_setting, setting, settings
from terrain_seg_ros.parameters.per_camera import check_count, check_topic

MAX_CAMERAS = 16


@settings
@dataclass(frozen=True)
class InputSettings:
    """Cameras and their images."""

    cameras: Annotated[
        tuple[str, ...],
        list_setting(
            "Names of the cameras, at most 16. With more than one camera each name is a prefix of "
            "that camera's topics.",
            most=MAX_CAMERAS,
        ),
    ]
    image_transport: Annotated[
        Literal["raw", "compressed"], setting("Whether images arrive raw or compressed.")
    ]
    image_topic: Annotated[
        str,
        setting(
            "Image topic, relative to the namespace; `/compressed` is appended for compressed "
            "images."
        ),
    ]
    camera_info_topic: Annotated[str, setting("CameraInfo topic, relative to the namespace.")]
    image_rectification: Annotated[
        Literal["auto", "raw", "rectified"],
        setting(
            "Whether images are rectified, so that P applies and D does not. auto: rectified if "
            "the topic is named so (image_rect*)."
        ),
    ]
    image_bits: Annotated[
        int,
        setting(
            "Bits in use of each 16-bit sample, such as 12; 0 detects them from the brightest "
            "samples seen so far.",
            low=0,
            high=16,
        ),
    ]
    input_reliability: Annotated[
        Literal["best_effort", "reliable"], setting("Reliability (QoS) of the subscriptions.")
    ]
    input_depth: Annotated[
        int,
        setting(
            "Queue depth (QoS) of the subscriptions; more than 1 adds latency.", low=1, high=100
        ),
    ]
    horizontal_fov_rad: Annotated[
        float,
        setting(
            "Horizontal field of view used until a camera_info arrives; 0: images are refused "
            "until then.",
            low=0.0,
            high=3.0,
        ),
    ]
    camera_max_rates_hz: Annotated[
        tuple[Annotated[float, item(0.0, 1000.0)], ...],
        list_setting(
            "Highest rate of images used per camera, one value for all or one each; images beyond "
            "it are dropped. 0: no limit.",
            dynamic=True,
        ),
    ]
    batch_cameras: Annotated[
        bool,
        setting(
            "Run the network once for all cameras that have an image waiting. Worthwhile on GPUs; "
            "a CPU gains nothing."
        ),
    ]

    def __post_init__(self) -> None:
        """Check the names, and that lists have one value per camera."""
        for topic in (*self.cameras, self.image_topic, self.camera_info_topic):
            check_topic(topic)
        if len(set(self.cameras)) != len(self.cameras):
            raise ConfigError(
                f"cameras {list(self.cameras)} are not unique; give each its own name"
            )
        check_count("camera_max_rates_hz", self.camera_max_rates_hz, self.cameras)
        SampleBits(self.image_bits)

    @property
    def max_rate_hz_by_camera(self) -> dict[str, float]:
        """Return the highest rate of each camera, 0 for no limit."""
        rates_hz = self.camera_max_rates_hz
        each = rates_hz if len(rates_hz) > 1 else rates_hz * len(self.cameras)
        return dict(zip(self.cameras, each))


@settings
@dataclass(frozen=True)
class TimeSettings:
    """Which stamps of images are accepted."""

    max_future_s: Annotated[
        float,
        setting(
            "Images stamped farther ahead of the clock are refused; 0 disables the check.",
            low=0.0,
            high=1e6,
            dynamic=True,
        ),
    ]
    max_age_s: Annotated[
        float,
        setting(
            "Images stamped farther behind the clock are refused; 0 disables the check.",
            low=0.0,
            high=1e6,
            dynamic=True,
        ),
    ]
