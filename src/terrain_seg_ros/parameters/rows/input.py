"""Rows of what comes in."""

from __future__ import annotations

from terrain_seg_ros.parameters.row import ParameterSpec, choice, flag, integer, number, text

INPUT = (
    ParameterSpec(
        "cameras",
        "texts",
        "Names of the cameras, at most 16; topics get them as prefix if > 1.",
        max_items=16,
    ),
    choice("image_transport", "How images arrive.", "raw", "compressed"),
    text("image_topic", "Image topic, relative; compressed images add `/compressed`."),
    text("camera_info_topic", "CameraInfo topic, relative."),
    choice(
        "image_rectification",
        "Whether images are rectified, so that P holds without D: auto goes by the topic's name "
        "(image_rect*).",
        "auto",
        "raw",
        "rectified",
    ),
    integer(
        "image_bits",
        "Bits that a camera fills of images with 16 per sample, such as 12; 0 detects them by the "
        "brightest samples seen.",
        low=0,
        high=16,
    ),
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
    flag(
        "batch_cameras",
        "Run the network once for all cameras whose images wait; for GPUs, a CPU gains nothing.",
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
