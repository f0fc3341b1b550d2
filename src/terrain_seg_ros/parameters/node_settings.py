"""All settings of the node: those of the pipeline, and those of what feeds it and publishes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.ground.own_body import MIN_CORNERS
from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.pipeline import PipelineSettings
from terrain_seg_ros.core.settings import (
    Prefix,
    enum_setting,
    item,
    list_setting,
    setting,
    settings,
)
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.registry import BackendName
from terrain_seg_ros.model_store.model_trust import ModelTrust
from terrain_seg_ros.parameters.declaration import Declaration, Value

MAX_CAMERAS = 16
_TOPIC = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*(/[A-Za-z_][A-Za-z0-9_]*)*$")
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


@settings
@dataclass(frozen=True)
class InferenceSettings:
    """Model and runtime."""

    model: Annotated[
        str, setting("Name of a shipped or installed model, or path of model.onnx or its folder.")
    ]
    model_public_key: Annotated[
        str,
        setting(
            "File of an Ed25519 public key: only models signed with its private key are used. "
            "Empty: signatures are not required."
        ),
    ]
    model_test_deadline_s: Annotated[
        float,
        setting(
            "Time limit for the first run of a network that is not shipped, which happens in a "
            "separate process.",
            low=1.0,
            high=3600.0,
        ),
    ]
    backend: Annotated[
        BackendName,
        enum_setting(
            "Runtime of the network. auto: the fastest installed one that passes the parity check."
        ),
    ]
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16", "int8"],
        setting(
            "Precision in which the runtime computes. auto: the fastest that passes the parity "
            "check."
        ),
    ]
    threads: Annotated[
        int, setting("Threads of the runtime; 0: let the runtime decide.", low=0, high=256)
    ]
    onnxruntime_provider: Annotated[
        Literal["cpu", "cuda", "tensorrt"],
        setting(
            "Execution provider of ONNX Runtime; cuda and tensorrt need the package "
            "onnxruntime-gpu."
        ),
    ]
    tensorrt_device: Annotated[int, setting("Index of the GPU for TensorRT.", low=0, high=63)]
    tensorrt_dla_core: Annotated[
        int,
        setting(
            "Deep learning accelerator (DLA) for TensorRT, in fp16 or int8 only; -1: the GPU.",
            low=-1,
            high=7,
        ),
    ]
    engine_cache_dir: Annotated[
        str, setting("Folder of built TensorRT engines; empty: the user's cache folder.")
    ]
    engine_build: Annotated[
        Literal["background", "wait", "never"],
        setting(
            "What the node does if no engine is cached. background: run another backend while "
            "the engine is built; wait: wait for it; never: do without."
        ),
    ]
    deterministic: Annotated[
        bool,
        setting(
            "Bit-for-bit repeatable output; forces fp32, and onnxruntime when backend is auto."
        ),
    ]

    def __post_init__(self) -> None:
        """Check that there is a model."""
        if not self.model.strip():
            raise ConfigError("parameter 'model' is empty; set it")

    def backend_options(self) -> BackendOptions:
        """Return the options of a backend."""
        folder = self.engine_cache_dir
        return BackendOptions(
            threads=self.threads,
            precision=self.precision,
            device=self.tensorrt_device,
            dla_core=self.tensorrt_dla_core,
            cache_dir=Path(folder).expanduser() if folder else None,
            engine_build=self.engine_build,
            provider=self.onnxruntime_provider,
        )

    def model_trust(self) -> ModelTrust:
        """Return what a model must show before it is used."""
        key = self.model_public_key
        return ModelTrust(
            public_key=Path(key).expanduser() if key else None,
            test_deadline_s=self.model_test_deadline_s,
        )


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


@settings
@dataclass(frozen=True)
class OutputSettings:
    """What is published."""

    points_enable: Annotated[
        bool, setting("Publish the organised cloud `points` while it is subscribed.", dynamic=True)
    ]
    points_decimation: Annotated[
        int,
        setting(
            "Every n-th row and column of the image becomes a point.", low=1, high=64, dynamic=True
        ),
    ]
    hazard_points_min_height_m: Annotated[
        float,
        setting(
            "Height that hazard points get at least; costmaps ignore points outside their limits.",
            low=-1000.0,
            high=1000.0,
            name="hazard_points.min_height_m",
            dynamic=True,
        ),
    ]
    hazard_points_max_height_m: Annotated[
        float,
        setting(
            "Height that hazard points get at most; costmaps ignore points outside their limits.",
            low=-1000.0,
            high=1000.0,
            name="hazard_points.max_height_m",
            dynamic=True,
        ),
    ]
    overlay_alpha: Annotated[
        float,
        setting("Opacity of the class colours in `overlay`.", low=0.0, high=1.0, dynamic=True),
    ]
    whole_grid_period_s: Annotated[
        float,
        setting(
            "Time between complete grids; in between `hazard_grid_updates` holds what changed. 0: "
            "every grid is complete.",
            low=0.0,
            high=60.0,
            name="grid.whole_period_s",
        ),
    ]
    filter_masks_max_rate_hz: Annotated[
        float,
        setting(
            "Highest rate of `keepout_mask` and `speed_mask`; 0: they are not published.",
            low=0.0,
            high=100.0,
            name="filter_masks.max_rate_hz",
        ),
    ]
    landing_enable: Annotated[
        bool, setting("Search for landing sites and publish them.", name="landing.enable")
    ]
    stale_after_s: Annotated[
        float,
        setting(
            "If no usable image arrives for this long, the grid becomes unknown, except for "
            "hazards that are kept; 0 disables the check.",
            low=0.0,
            high=1e6,
            name="watchdog.stale_after_s",
            dynamic=True,
        ),
    ]

    def __post_init__(self) -> None:
        """Check that the limits of heights are in order."""
        low_m, high_m = self.hazard_points_min_height_m, self.hazard_points_max_height_m
        if low_m > high_m:
            raise ConfigError(
                f"hazard_points.min_height_m {low_m} is above hazard_points.max_height_m {high_m}"
            )


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


def check_topic(name: str) -> None:
    """Check that a name is a relative topic name."""
    if not _TOPIC.match(name):
        raise ConfigError(
            f"{name!r} is not a relative topic name; use letters, digits, _ and /, and remap the "
            "topic where its full name differs"
        )


def check_count(name: str, values: tuple[Any, ...], cameras: tuple[str, ...]) -> None:
    """Check that a list has one value for all cameras or one for each."""
    if len(values) not in {1, len(cameras)}:
        raise ConfigError(
            f"parameter {name!r} has {len(values)} values for {len(cameras)} cameras; give one for "
            "all or one for each"
        )


DECLARATION = Declaration(NodeSettings, removed=_REMOVED)
"""Every parameter of the node; values stand only in config/*.param.yaml."""
