"""The one declaration of every parameter; values stand only in config/*.param.yaml."""

from __future__ import annotations

from terrain_seg_ros.parameter_row import ParameterSpec, choice, flag, integer, number, text

_INPUT = (
    ParameterSpec("cameras", "texts", "Names of the cameras; topics get them as prefix if > 1."),
    choice("image_transport", "How images arrive.", "raw", "compressed"),
    text("image_topic", "Image topic, relative; compressed images add `/compressed`."),
    text("camera_info_topic", "CameraInfo topic, relative."),
    choice("input_reliability", "Quality of service of the inputs.", "best_effort", "reliable"),
    integer("input_depth", "Messages kept per input; more than 1 adds lag.", low=1, high=100),
    number(
        "horizontal_fov_rad",
        "Field of view used until a camera_info arrives; 0 demands one.",
        unit="rad",
        low=0.0,
        high=3.0,
    ),
    ParameterSpec(
        "camera_max_rates_hz",
        "floats",
        "Images taken per second, one limit for all or one per camera; more are dropped. 0: none.",
        unit="Hz",
        low=0.0,
        high=1000.0,
        dynamic=True,
    ),
    ParameterSpec(
        "camera_weights",
        "floats",
        "Shares of the cameras where images wait, one for all or one per camera.",
        low=0.01,
        high=100.0,
    ),
    number(
        "time.max_future_s",
        "An image stamped further ahead of the clock is refused; 0 switches the check off.",
        unit="s",
        low=0.0,
        high=1e6,
        dynamic=True,
    ),
    number(
        "time.max_age_s",
        "An image stamped further behind the clock is refused; 0 switches the check off.",
        unit="s",
        low=0.0,
        high=1e6,
        dynamic=True,
    ),
)

_INFERENCE = (
    text("model", "Shipped model, or a path to model.onnx or its folder."),
    choice(
        "backend",
        "Runtime; auto takes the fastest installed one that passes parity.",
        "auto",
        "onnxruntime",
        "openvino",
        "tensorrt",
        "constant",
    ),
    choice(
        "precision",
        "What the runtime computes in; auto takes the fastest that passes parity.",
        "auto",
        "fp32",
        "bf16",
        "fp16",
        "int8",
    ),
    integer("threads", "Threads of the runtime; 0 lets it choose.", low=0, high=256),
    text("cpu_affinity", "Processors that the node may use, such as 0,2-3; empty: all."),
    choice(
        "onnxruntime_provider",
        "What onnxruntime computes on; cuda and tensorrt need the package onnxruntime-gpu.",
        "cpu",
        "cuda",
        "tensorrt",
    ),
    integer("tensorrt_device", "Number of the GPU that TensorRT uses.", low=0, high=63),
    integer(
        "tensorrt_dla_core",
        "Deep learning accelerator that TensorRT uses, fp16 or int8 only; -1: the GPU.",
        low=-1,
        high=7,
    ),
    text("engine_cache_dir", "Folder of built engines; empty: the user's own cache folder."),
    choice(
        "engine_build",
        "Where no engine is cached: the live node serves with another backend while it is built "
        "(background), waits for it (wait), or does without (never).",
        "background",
        "wait",
        "never",
    ),
    flag("deterministic", "Give the same bytes each time: fp32, and onnxruntime for auto."),
)

_GEOMETRY = (
    text("grid_frame", "Frame of the grid; it must not move with the vehicle."),
    text("base_frame", "Frame of the vehicle; its x-y plane lies where the wheels touch."),
    number("tf_cache_s", "Seconds of transforms kept.", unit="s", low=0.1, high=600.0),
    number("tf_wait_s", "Longest wait for TF at an image's stamp.", unit="s", low=0.0, high=10.0),
    flag("mounting.use_tf", "Take the camera's pose from TF, not from the six values below."),
    *(
        number(
            f"mounting.{axis}_m",
            f"Camera position in base_frame, {axis}.",
            unit="m",
            low=-1000.0,
            high=1000.0,
        )
        for axis in ("x", "y", "z")
    ),
    *(
        number(
            f"mounting.{axis}_rad",
            f"Camera body {axis} in base_frame{note}.",
            unit="rad",
            low=-3.15,
            high=3.15,
        )
        for axis, note in (("roll", ""), ("pitch", ", positive looks down"), ("yaw", ""))
    ),
    choice(
        "ground.plane",
        "Ground model: the plane of the wheels, or a level one below the vehicle.",
        "vehicle_plane",
        "gravity_plane",
    ),
    number(
        "ground.plane_height_m",
        "Height of the ground in base_frame.",
        unit="m",
        low=-1000.0,
        high=1000.0,
    ),
    number(
        "ground.max_range_m",
        "Ground further from the camera is not observed.",
        unit="m",
        low=0.1,
        high=10000.0,
        dynamic=True,
    ),
    number(
        "ground.max_ground_sample_m",
        "Ground that a pixel covers by more than this is not observed.",
        unit="m",
        low=0.001,
        high=1000.0,
        dynamic=True,
    ),
)

_DEPTH = (
    choice(
        "depth.source",
        "What measures the ground; the plane is used all the same, and checked against it.",
        "none",
        "image",
        "range",
    ),
    text("depth.topic", "Topic of the depth images (per camera) or of the range, relative."),
    number(
        "depth.max_offset_s",
        "A measurement further from the image's stamp is not used.",
        unit="s",
        low=0.0,
        high=10.0,
        dynamic=True,
    ),
    number(
        "depth.max_residual_m",
        "A median of the measured ground further from the plane is warned of.",
        unit="m",
        low=0.0,
        high=1000.0,
        dynamic=True,
    ),
)

_GRID = (
    number("grid.resolution_m", "Side of a cell.", unit="m", low=0.001, high=100.0),
    number("grid.size_m", "Side of the square grid.", unit="m", low=0.1, high=10000.0),
    number(
        "grid.max_evidence",
        "Evidence that a cell holds at most (one view gives up to 1); smaller forgets faster.",
        low=0.01,
        high=1e6,
        dynamic=True,
    ),
    number(
        "grid.decay_s",
        "Time constant of forgetting; 0 never forgets.",
        unit="s",
        low=0.0,
        high=1e6,
        dynamic=True,
    ),
    number(
        "grid.min_hazard_share",
        "Share of a cell's pixels that must be hazardous for these alone to decide.",
        low=0.001,
        high=1.0,
        dynamic=True,
    ),
    number(
        "grid.half_weight_range_m",
        "Distance at which a view counts half.",
        unit="m",
        low=0.1,
        high=1e6,
        dynamic=True,
    ),
    number(
        "cost.hazard_threshold",
        "Cells of at least this hazard are lethal.",
        low=0.001,
        high=1.0,
        dynamic=True,
    ),
    number(
        "cost.min_evidence",
        "Cells of less evidence are not observed.",
        low=0.001,
        high=1e6,
        dynamic=True,
    ),
    flag("cost.graded", "Give costs 1 to 98 below the threshold, not only 0.", dynamic=True),
    number(
        "observability.min_confidence",
        "Pixels of less confidence are not observed.",
        low=0.0,
        high=1.0,
        dynamic=True,
    ),
    integer(
        "observability.shadow_level",
        "Pixels this dark or darker are not observed; 0 takes only black ones.",
        low=0,
        high=254,
        dynamic=True,
    ),
    integer(
        "observability.saturation_level",
        "Pixels this bright or brighter are not observed.",
        low=1,
        high=255,
        dynamic=True,
    ),
    number(
        "hazard.<class>",
        "Hazard of a class of the model, by name; the model's card holds the rest.",
        low=0.0,
        high=1.0,
        dynamic=True,
    ),
    number(
        "watchdog.stale_after_s",
        "Without a good image for this long the grid turns unknown; 0 switches it off.",
        unit="s",
        low=0.0,
        high=1e6,
        dynamic=True,
    ),
)

_NAVIGATION = (
    number(
        "footprint.radius_m",
        "Radius of a circle about base_frame that holds the vehicle, for `safe_map`.",
        unit="m",
        low=0.0,
        high=100.0,
        dynamic=True,
    ),
    number(
        "footprint.position_sigma_m",
        "Standard deviation of the vehicle's position; `safe_map` adds it to the radius.",
        unit="m",
        low=0.0,
        high=100.0,
        dynamic=True,
    ),
    number(
        "footprint.sigmas",
        "How many standard deviations `safe_map` adds.",
        low=0.0,
        high=10.0,
        dynamic=True,
    ),
    number(
        "grid.whole_period_s",
        "Time between whole grids; between them `hazard_grid_updates` says what changed. 0: all "
        "are whole.",
        unit="s",
        low=0.0,
        high=60.0,
    ),
    number(
        "filter_masks.max_rate_hz",
        "Rate of `keepout_mask` and `speed_mask`; 0 switches them off.",
        unit="Hz",
        low=0.0,
        high=100.0,
    ),
    number(
        "filter_masks.unobserved_speed_percent",
        "Speed limit on ground that is not observed; 100 is none.",
        unit="percent",
        low=1.0,
        high=100.0,
        dynamic=True,
    ),
    number(
        "speed_percent.<class>",
        "Speed limit on a class of the model, by name, for `speed_mask`; 100, or not set, is none.",
        low=1.0,
        high=100.0,
        dynamic=True,
    ),
)

_OUTPUT = (
    flag("points_enable", "Offer the organised cloud `points`.", dynamic=True),
    integer(
        "points_decimation",
        "Every n-th row and column of the image becomes a point.",
        low=1,
        high=64,
        dynamic=True,
    ),
    *(
        number(
            f"hazard_points.{end}_height_m",
            f"Hazard points get at {what} this height; costmaps ignore others.",
            unit="m",
            low=-1000.0,
            high=1000.0,
            dynamic=True,
        )
        for end, what in (("min", "least"), ("max", "most"))
    ),
    number("overlay_alpha", "Weight of the colours in `overlay`.", low=0.0, high=1.0, dynamic=True),
)

DECLARATION: tuple[ParameterSpec, ...] = (
    _INPUT + _INFERENCE + _GEOMETRY + _DEPTH + _GRID + _NAVIGATION + _OUTPUT
)
"""Every parameter, in the order of the README's table."""
