"""The pixels that show the vehicle itself."""

from __future__ import annotations

from collections import OrderedDict

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.geometry.pixel_rays import keep
from terrain_seg_ros.core.image.image_to_tensor import TensorGeometry
from terrain_seg_ros.core.types import U8

MIN_CORNERS = 3
POLYGON_BITS = 8
"""Number of fractional bits of the corners' pixel coordinates."""

Flags = NDArray[np.bool_]


class OwnBody:
    """The pixels that show the vehicle, given by a mask of a camera's images or an outline."""

    def __init__(
        self, mask: U8 | None = None, polygon: NDArray[np.float64] | None = None, *, source: str
    ) -> None:
        """Check the arguments; if both are given, their union is used.

        Args:
            mask: (H, W) of the camera image's size, nonzero where the vehicle is.
            polygon: (N, 2) corners, as shares of the image's width and height.
            source: the origin of the mask, for messages.

        Raises:
            ConfigError: mask or outline have the wrong shape.
        """
        if mask is not None and (mask.ndim != 2 or mask.dtype != np.uint8 or not mask.size):
            raise ConfigError(
                f"own-body mask {source} has shape {mask.shape} and dtype {mask.dtype}, expected a "
                "grey image (H, W) of 8 bits"
            )
        if polygon is not None and (polygon.ndim != 2 or polygon.shape[1] != 2):
            raise ConfigError(f"own-body outline has shape {polygon.shape}, expected (N, 2)")
        self._mask = mask
        self._polygon = polygon
        self._source = source
        self._kept: OrderedDict[TensorGeometry, Flags] = OrderedDict()

    def flags(self, geometry: TensorGeometry) -> Flags:
        """Return which tensor pixels (h, w) show any part of the vehicle; read-only.

        Raises:
            GeometryError: the mask differs in size from the camera's images.
        """
        found = self._kept.get(geometry)
        if found is None:
            found = self._to_tensor(self._at_image(geometry), geometry)
            found.setflags(write=False)
        keep(self._kept, geometry, found)
        return found

    def _at_image(self, geometry: TensorGeometry) -> U8:
        size = (geometry.image_height_px, geometry.image_width_px)
        if self._mask is not None and self._mask.shape != size:
            raise GeometryError(
                f"own-body mask {self._source} is {self._mask.shape[1]} x {self._mask.shape[0]} px "
                f"but the camera image is {size[1]} x {size[0]} px; draw the mask on an image of "
                "this camera"
            )
        drawn: U8 = np.zeros(size, dtype=np.uint8)
        if self._mask is not None:
            drawn[self._mask != 0] = 1
        if self._polygon is not None and len(self._polygon) >= MIN_CORNERS:
            # Shares start at the image's edge, half a pixel outside the first pixel centre.
            corners_px = self._polygon * np.array([size[1], size[0]]) - 0.5
            fixed = np.rint(corners_px * (1 << POLYGON_BITS)).astype(np.int32)
            cv2.fillPoly(drawn, [fixed], (1,), cv2.LINE_8, POLYGON_BITS)
        return drawn

    @staticmethod
    def _to_tensor(drawn: U8, geometry: TensorGeometry) -> Flags:
        """Return which tensor pixels cover any marked image pixel."""
        sums = np.pad(np.cumsum(np.cumsum(drawn, axis=0, dtype=np.int64), axis=1), ((1, 0), (1, 0)))
        top, bottom = _edges(
            geometry.height_px, geometry.scale_y, geometry.offset_y_px, drawn.shape[0]
        )
        left, right = _edges(
            geometry.width_px, geometry.scale_x, geometry.offset_x_px, drawn.shape[1]
        )
        count = sums[np.ix_(bottom, right)] - sums[np.ix_(top, right)]
        count -= sums[np.ix_(bottom, left)] - sums[np.ix_(top, left)]
        flags: Flags = count > 0
        return flags


def _edges(
    count: int, scale: float, offset_px: float, image_px: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return, along an axis, the first image pixel of each tensor pixel and the one after it."""
    edge_px = np.arange(count + 1) * scale + offset_px
    # Rounding must not include a neighbour that is not covered at all.
    first = np.clip(np.floor(edge_px[:-1] + 1e-6), 0, image_px).astype(np.intp)
    behind = np.clip(np.ceil(edge_px[1:] - 1e-6), 0, image_px).astype(np.intp)
    return first, np.maximum(behind, first)
