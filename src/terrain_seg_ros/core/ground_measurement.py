"""What a depth image or an altimeter says of the ground, against the plane that serves for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.errors import GeometryError, MessageError
from terrain_seg_ros.core.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import F32, F64

EVERY_PX = 4
"""Every so many rows and columns of the network's pixels are compared: a median needs no more."""


@dataclass(frozen=True)
class DepthImage:
    """Hold a depth image that is aligned with the camera's.

    `depth_m` is (H, W) float32, along the optical axis, NaN where nothing was measured
    (REP-117, REP-118). The stamp is the header's.
    """

    depth_m: F32
    stamp_ns: int

    def __post_init__(self) -> None:
        """Check shape and dtype."""
        if self.depth_m.ndim != 2 or self.depth_m.dtype != np.float32 or not self.depth_m.size:
            raise MessageError(
                f"depth has shape {self.depth_m.shape} and dtype {self.depth_m.dtype}, expected "
                "(H, W) of float32, not empty"
            )


@dataclass(frozen=True)
class GroundPoint:
    """Hold a point of the ground (3,) in the grid's frame, such as an altimeter's echo."""

    point_m: F64


GroundMeasurement = DepthImage | GroundPoint


@dataclass(frozen=True)
class GroundResidual:
    """Hold the median height of measured ground above the plane, and of how many points."""

    median_m: float
    count: int


def depth_residual(
    depth: DepthImage, geometry: TensorGeometry, plane_depth_m: F32, *, camera_height_m: float
) -> GroundResidual | None:
    """Return how high the measured ground lies above the plane; None where both are nowhere known.

    A point at depth d on a ray that meets the plane at depth D, from a camera at height h, lies
    h (1 - d / D) above the plane.

    Args:
        depth: aligned with the image.
        geometry: where the tensor's pixels lie in the image.
        plane_depth_m: (h, w) of the plane at these pixels, along the optical axis, or NaN.
        camera_height_m: above the plane.

    Raises:
        GeometryError: the depth's size is not the image's.
    """
    size = (geometry.image_height_px, geometry.image_width_px)
    if depth.depth_m.shape != size:
        raise GeometryError(
            f"depth image is {depth.depth_m.shape[1]} x {depth.depth_m.shape[0]} px but the camera "
            f"image is {size[1]} x {size[0]} px; register the depth to the camera"
        )
    cols = np.arange(0, geometry.width_px, EVERY_PX)
    rows = np.arange(0, geometry.height_px, EVERY_PX)
    u = np.rint((cols + 0.5) * geometry.scale_x + geometry.offset_x_px - 0.5).astype(np.intp)
    v = np.rint((rows + 0.5) * geometry.scale_y + geometry.offset_y_px - 0.5).astype(np.intp)
    in_u, in_v = (u >= 0) & (u < size[1]), (v >= 0) & (v < size[0])
    measured = depth.depth_m[np.ix_(v[in_v], u[in_u])]
    plane = plane_depth_m[np.ix_(rows[in_v], cols[in_u])]
    height_m = np.float32(camera_height_m) * (1.0 - measured / plane)
    known = height_m[np.isfinite(height_m)]
    if not known.size:
        return None
    return GroundResidual(float(np.median(known)), int(known.size))
