"""Values shared by the stages: immutable, validated on creation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import GeometryError, MessageError, ModelError

U8 = NDArray[np.uint8]
F32 = NDArray[np.float32]
F64 = NDArray[np.float64]

UNLABELLED = 255
"""The class id of a pixel that has no label."""
FARTHEST_M = 1e7
"""Largest coordinate of a pose on a planet's surface; the largest in use are UTM northings."""
ORTHONORMAL_WITHIN = 1e-3
"""Largest accepted error of an entry of R R^T of a rotation R."""


class Reason(IntEnum):
    """Why a pixel or a cell is not observed; OBSERVED means that it is observed."""

    OBSERVED = 0
    OUTSIDE_VIEW = 1
    TOO_FAR = 2
    LOW_CONFIDENCE = 3
    SHADOW = 4
    SATURATION = 5
    OWN_BODY = 6
    STALE = 7
    NO_TRANSFORM = 8
    UNLABELLED = 9
    HIDDEN = 10
    NO_DEPTH = 11
    NOVEL = 12


@dataclass(frozen=True)
class CameraImage:
    """One decoded image.

    `pixels` is (H, W) grey or (H, W, 3) RGB, uint8. `stamp_ns` and `frame_id` (the optical
    frame) are copied from the input header.
    """

    pixels: U8
    stamp_ns: int
    frame_id: str

    def __post_init__(self) -> None:
        """Check shape and dtype."""
        shape = self.pixels.shape
        good = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
        if not good or self.pixels.dtype != np.uint8 or min(shape) == 0:
            raise MessageError(
                f"image has shape {shape} and dtype {self.pixels.dtype}, "
                "expected (H, W) or (H, W, 3) of uint8, not empty"
            )

    @property
    def height_px(self) -> int:
        """Return the number of rows."""
        return int(self.pixels.shape[0])

    @property
    def width_px(self) -> int:
        """Return the number of columns."""
        return int(self.pixels.shape[1])


@dataclass(frozen=True)
class Transform:
    """A rigid transform `a_T_b`: p_a = rotation @ p_b + translation_m."""

    rotation: F64
    translation_m: F64

    def __post_init__(self) -> None:
        """Check shapes, size and orthonormality."""
        if self.rotation.shape != (3, 3) or self.translation_m.shape != (3,):
            raise GeometryError(
                f"transform has shapes {self.rotation.shape} and {self.translation_m.shape}, "
                "expected (3, 3) and (3,)"
            )
        rows = self.rotation.tolist()
        if not math.isfinite(sum(map(sum, rows)) + sum(self.translation_m.tolist())):
            raise GeometryError(
                "transform contains a value that is not finite; check the TF publisher"
            )
        if any(abs(value) > FARTHEST_M for value in self.translation_m.tolist()):
            raise GeometryError(
                f"transform has the translation {self.translation_m.tolist()} m, expected at most "
                f"{FARTHEST_M:g} m along each axis; check the TF publisher and the mounting"
            )
        for index, row in enumerate(rows):
            for other, expected in zip(rows[index:], (1.0, 0.0, 0.0)):
                product = row[0] * other[0] + row[1] * other[1] + row[2] * other[2]
                if abs(product - expected) > ORTHONORMAL_WITHIN:
                    raise GeometryError(
                        "transform's rotation is not orthonormal; check the quaternion"
                    )

    def __matmul__(self, other: Transform) -> Transform:
        """Return a_T_c from a_T_b and b_T_c."""
        return Transform(
            self.rotation @ other.rotation,
            self.rotation @ other.translation_m + self.translation_m,
        )

    def inverse(self) -> Transform:
        """Return b_T_a."""
        return Transform(self.rotation.T.copy(), -self.rotation.T @ self.translation_m)


@dataclass(frozen=True)
class Segmentation:
    """The network's result for one image, at tensor size and at image size.

    `probabilities_khw` is (K, h, w) uint8, probability x 255, at tensor size;
    `tensor_mask` and `tensor_confidence` (h, w) likewise; `mask` and `confidence` are (H, W)
    uint8 at image size, mask 255 where unlabelled.
    """

    probabilities_khw: U8
    tensor_mask: U8
    tensor_confidence: U8
    mask: U8
    confidence: U8

    def __post_init__(self) -> None:
        """Check that the parts agree in shape."""
        small = self.probabilities_khw.shape[1:]
        if self.tensor_mask.shape != small or self.tensor_confidence.shape != small:
            raise ModelError(
                f"mask {self.tensor_mask.shape} and confidence {self.tensor_confidence.shape} "
                f"do not match probabilities {self.probabilities_khw.shape}"
            )
        if self.mask.shape != self.confidence.shape:
            raise ModelError(
                f"mask {self.mask.shape} and confidence {self.confidence.shape} differ"
            )

    def copy(self) -> Segmentation:
        """Return a segmentation that does not share memory with this one."""
        return Segmentation(
            self.probabilities_khw.copy(),
            self.tensor_mask.copy(),
            self.tensor_confidence.copy(),
            self.mask.copy(),
            self.confidence.copy(),
        )


@dataclass(frozen=True)
class GridSnapshot:
    """The fused grid at one moment.

    All arrays are (rows, cols); row 0 is the lowest y, column 0 the lowest x; the origin is the
    corner of cell (0, 0), a multiple of the resolution. `cost` is int8: 0 free, 1..98 graded,
    100 lethal, -1 not observed. `hazard` is float32 0..1, NaN where not observed. `reason` is
    uint8 of `Reason`. `elevation_m` is the height of the ground in the grid's frame, NaN where
    it was not measured, `age_s` the time since a cell was last seen, NaN where it never was; both
    are None if they were not requested.
    """

    cost: NDArray[np.int8]
    hazard: F32
    reason: U8
    resolution_m: float
    origin_x_m: float
    origin_y_m: float
    frame_id: str
    stamp_ns: int
    elevation_m: F32 | None = None
    age_s: F32 | None = None

    def __post_init__(self) -> None:
        """Check that the layers agree."""
        if not self.cost.shape == self.hazard.shape == self.reason.shape or self.cost.ndim != 2:
            raise GeometryError(
                f"grid layers differ: cost {self.cost.shape}, hazard {self.hazard.shape}, "
                f"reason {self.reason.shape}"
            )
