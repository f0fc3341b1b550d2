"""Measurements of the ground: a depth image, a point cloud, or an altimeter's echo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.types import F32, F64, Transform


@dataclass(frozen=True)
class DepthImage:
    """A depth image registered to the camera image.

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
class DepthCloud:
    """Points (N, 3) float32 in the sensor's frame, and the pose of that frame at the stamp.

    Points that are not finite count as not measured.
    """

    points_m: F32
    grid_T_points: Transform  # noqa: N815
    stamp_ns: int

    def __post_init__(self) -> None:
        """Check shape and dtype."""
        shape = self.points_m.shape
        if len(shape) != 2 or shape[1] != 3 or self.points_m.dtype != np.float32:
            raise MessageError(
                f"cloud has shape {shape} and dtype {self.points_m.dtype}, expected (N, 3) of "
                "float32"
            )


@dataclass(frozen=True)
class GroundPoint:
    """A point of the ground (3,) in the grid's frame, such as an altimeter's echo."""

    point_m: F64


GroundMeasurement = DepthImage | DepthCloud | GroundPoint


@dataclass(frozen=True)
class GroundResidual:
    """The median height of measured ground above the plane, and the number of points."""

    median_m: float
    count: int


def depth_residual(
    measured_depth_m: F32, plane_depth_m: F32, *, camera_height_m: float
) -> GroundResidual | None:
    """Return the height of measured ground above the plane; None if they do not overlap.

    A point at depth d on a ray that meets the plane at depth D, from a camera at height h, lies
    h (1 - d / D) above the plane.

    Args:
        measured_depth_m: depth of pixels along the optical axis, or NaN.
        plane_depth_m: depth of the plane at the same pixels.
        camera_height_m: height of the camera above the plane.
    """
    height_m = np.float32(camera_height_m) * (1.0 - measured_depth_m / plane_depth_m)
    known = height_m[np.isfinite(height_m)]
    if not known.size:
        return None
    return GroundResidual(float(np.median(known)), int(known.size))
