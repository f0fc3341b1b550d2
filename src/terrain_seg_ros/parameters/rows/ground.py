"""Rows of frames, mounting and ground."""

from __future__ import annotations

from terrain_seg_ros.parameters.row import ParameterSpec, choice, flag, number, text

GEOMETRY = (
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
        "ground.source",
        "What the ground is: the plane of ground.plane, what depth.source measures, or the file "
        "ground.height_map.",
        "plane",
        "depth",
        "height_map",
    ),
    choice(
        "ground.plane",
        "Plane that serves as ground: that of the wheels, a level one below the vehicle, a level "
        "one of the grid's frame, or a level one through the echo of depth.source range.",
        "vehicle_plane",
        "gravity_plane",
        "grid_plane",
        "range_plane",
    ),
    number(
        "ground.plane_height_m",
        "Height of the ground: along z from base_frame, for gravity_plane straight up from its "
        "origin, for grid_plane in grid_frame; range_plane does without.",
        unit="m",
        low=-1000.0,
        high=1000.0,
        dynamic=True,
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
    text(
        "ground.height_map", "Float GeoTIFF, or .npy with a .yaml beside it; heights in grid_frame."
    ),
    ParameterSpec(
        "ground.protruding_classes",
        "texts",
        "Classes that stand out of the ground and hide what is behind them; [auto]: those whose "
        "hazard reaches cost.hazard_threshold.",
    ),
    number(
        "ground.rock_depth_ratio",
        "How deep a protruding object is thought to be, as a share of its width in view; what it "
        "shows beyond is not observed.",
        low=0.0,
        high=100.0,
        dynamic=True,
    ),
    ParameterSpec(
        "own_body.masks",
        "texts",
        "Image files of the camera's size, not black where the vehicle itself is; one for all "
        "cameras or one each, empty for none.",
    ),
    ParameterSpec(
        "own_body.polygon",
        "floats",
        "Outline of the vehicle in the image, u and v of each corner as shares of width and "
        "height; fewer than three corners are none.",
        low=-1.0,
        high=2.0,
    ),
)


DEPTH = (
    choice(
        "depth.source",
        "What measures the ground; where ground.source is plane, the plane is checked against it.",
        "none",
        "image",
        "cloud",
        "range",
    ),
    text(
        "depth.topic",
        "Topic of the depth images or clouds (per camera), or of the range, relative.",
    ),
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
