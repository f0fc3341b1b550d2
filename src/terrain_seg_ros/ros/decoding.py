"""Read images: the common encodings ourselves, the others with cv_bridge where it works."""

from __future__ import annotations

import functools
import importlib
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.messages.encodings import ENCODINGS, not_a_camera
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import decode_camera_image


def decode(message: Any, bits: SampleBits | None = None) -> CameraImage:
    """Return the pixels of a sensor_msgs/Image or CompressedImage.

    Args:
        message: one of them.
        bits: what samples of 16 bits hold, of this camera.

    Raises:
        MessageError: it is no camera's, or neither we nor cv_bridge can read it.
    """
    encoding = getattr(message, "encoding", None)
    if encoding is None or encoding.strip().lower() in ENCODINGS or not_a_camera(encoding):
        return decode_camera_image(message, bits)
    bridge, reason = cv_bridge()
    if bridge is None:
        raise MessageError(
            f"image has encoding {encoding!r}, expected one of {sorted(ENCODINGS)}; others need "
            f"cv_bridge, which {reason}"
        )
    wanted = "mono8" if encoding.startswith("mono") else "rgb8"
    try:
        pixels = bridge.imgmsg_to_cv2(message, desired_encoding=wanted)
    except bridge_errors() as error:
        raise MessageError(
            f"image with encoding {encoding!r} cannot be read by cv_bridge: {error}; publish one "
            f"of {sorted(ENCODINGS)}"
        ) from error
    header = message.header
    return CameraImage(np.ascontiguousarray(pixels), stamp_ns(header), header.frame_id)


@functools.lru_cache(maxsize=1)
def cv_bridge() -> tuple[Any, str]:
    """Return a CvBridge, or None and why there is none.

    A cv_bridge that was built for NumPy 1 fails to load beside a NumPy 2 from pip.
    """
    try:
        module = importlib.import_module("cv_bridge")
        importlib.import_module("cv_bridge.boost.cv_bridge_boost")
    except ImportError as error:
        text = " ".join(str(error).split())
        if "numpy" in text.lower() or "_ARRAY_API" in text:
            return None, (
                f"was built for another NumPy than {np.__version__} ({text}); "
                "install numpy>=1.26,<2 beside it"
            )
        return None, "is not installed: apt install ros-$ROS_DISTRO-cv-bridge"
    except AttributeError as error:
        return None, (
            f"was built for another NumPy than {np.__version__} ({error}); "
            "install numpy>=1.26,<2 beside it"
        )
    return module.CvBridge(), ""


def bridge_errors() -> tuple[type[Exception], ...]:
    """Return what cv_bridge raises on images that it cannot read."""
    module = importlib.import_module("cv_bridge")
    return (module.CvBridgeError, ValueError, TypeError, RuntimeError, KeyError)
