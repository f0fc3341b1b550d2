"""Conversion of an image of any size to the network's input, and the geometry between both."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.kernel import kernel
from terrain_seg_ros.core.model_card import Channels, Resize
from terrain_seg_ros.core.types import F32, U8

NO_SHARE = 1e-3
"""Smaller shares of a pixel do not count, as in OpenCV."""


class TensorInput(Protocol):
    """The description of a network's input, such as a `ModelCard`."""

    @property
    def height_px(self) -> int:
        """Return the number of rows of the input."""
        ...

    @property
    def width_px(self) -> int:
        """Return the number of columns of the input."""
        ...

    @property
    def channels(self) -> Channels:
        """Return whether the input is grey or colour."""
        ...

    @property
    def channel_count(self) -> int:
        """Return C of the input tensor."""
        ...

    @property
    def resize(self) -> Resize:
        """Return how images of other sizes are resized."""
        ...


@dataclass(frozen=True)
class Rectangle:
    """A rectangle of whole pixels."""

    left_px: int
    top_px: int
    width_px: int
    height_px: int

    def cut(self, pixels: U8) -> U8:
        """Return the part of (H, W) or (H, W, C) inside the rectangle, as a view."""
        return pixels[
            self.top_px : self.top_px + self.height_px,
            self.left_px : self.left_px + self.width_px,
        ]


@dataclass(frozen=True)
class TensorGeometry:
    """The mapping from tensor pixels to image pixels.

    Pixel centres have integer coordinates: image_u = (tensor_u + 0.5) * scale_x + offset_x_px -
    0.5, and likewise for v with the y values. `width_px` and `height_px` are the tensor's.
    """

    scale_x: float
    scale_y: float
    offset_x_px: float
    offset_y_px: float
    width_px: int
    height_px: int
    image_width_px: int
    image_height_px: int

    def tensor_view(self) -> Rectangle:
        """Return the part of the tensor that shows the image; the rest is padding."""
        left, width = _inner(self.offset_x_px, self.scale_x, self.width_px, self.image_width_px)
        top, height = _inner(self.offset_y_px, self.scale_y, self.height_px, self.image_height_px)
        return Rectangle(left, top, width, height)

    def image_view(self) -> Rectangle:
        """Return the part of the image that the network sees."""
        view = self.tensor_view()
        return Rectangle(
            max(0, round(self.offset_x_px)),
            max(0, round(self.offset_y_px)),
            round(view.width_px * self.scale_x),
            round(view.height_px * self.scale_y),
        )


def tensor_geometry(card: TensorInput, image_width_px: int, image_height_px: int) -> TensorGeometry:
    """Return how an image of this size maps to the model's input.

    Stretch fills the tensor and changes the aspect ratio; letterbox shows the whole image between
    black bars, centred; crop shows the centre of the image.

    Raises:
        MessageError: the image is empty.
    """
    if image_width_px < 1 or image_height_px < 1:
        raise MessageError(f"image is {image_width_px} x {image_height_px} px, expected 1 or more")
    width, height = card.width_px, card.height_px
    ratio_x, ratio_y = image_width_px / width, image_height_px / height
    if card.resize == "letterbox":
        common = max(ratio_x, ratio_y)
        scale_x, offset_x = _padded(image_width_px, width, common)
        scale_y, offset_y = _padded(image_height_px, height, common)
    elif card.resize == "crop":
        common = min(ratio_x, ratio_y)
        scale_x, offset_x = _cropped(image_width_px, width, common)
        scale_y, offset_y = _cropped(image_height_px, height, common)
    else:
        scale_x, offset_x, scale_y, offset_y = ratio_x, 0.0, ratio_y, 0.0
    return TensorGeometry(
        scale_x=scale_x,
        scale_y=scale_y,
        offset_x_px=offset_x,
        offset_y_px=offset_y,
        width_px=width,
        height_px=height,
        image_width_px=image_width_px,
        image_height_px=image_height_px,
    )


def image_to_tensor(pixels: U8, card: TensorInput) -> U8:
    """Return the model's input (1, h, w, C).

    Training, evaluation and inference all use this function.

    Args:
        pixels: (H, W) grey or (H, W, 3) RGB.
        card: provides size, channels and the resize rule.

    Returns:
        A new array, or a view of `pixels` if no conversion was needed.

    Raises:
        MessageError: the array is not an image.
    """
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or colour):
        raise MessageError(
            f"image has shape {pixels.shape} and dtype {pixels.dtype}, "
            "expected (H, W) or (H, W, 3) of uint8"
        )
    geometry = tensor_geometry(card, pixels.shape[1], pixels.shape[0])
    seen = geometry.image_view().cut(pixels)
    if card.channels == "grey" and colour:
        seen = np.asarray(cv2.cvtColor(seen, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    resized = _pad(_resize(seen, geometry), geometry)
    if card.channels == "rgb" and not colour:
        resized = np.asarray(cv2.cvtColor(resized, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    shape = (1, card.height_px, card.width_px, card.channel_count)
    return np.ascontiguousarray(resized).reshape(shape)


def _inner(offset_px: float, scale: float, tensor_px: int, image_px: int) -> tuple[int, int]:
    before = max(0, round(-offset_px / scale))
    return before, min(tensor_px - before, max(1, round(image_px / scale)))


def _padded(image_px: int, tensor_px: int, scale: float) -> tuple[float, float]:
    content_px = min(tensor_px, max(1, round(image_px / scale)))
    exact = image_px / content_px
    return exact, -((tensor_px - content_px) // 2) * exact


def _cropped(image_px: int, tensor_px: int, scale: float) -> tuple[float, float]:
    kept_px = min(image_px, max(1, round(tensor_px * scale)))
    return kept_px / tensor_px, float((image_px - kept_px) // 2)


def _resize(pixels: U8, geometry: TensorGeometry) -> U8:
    view = geometry.tensor_view()
    size = (view.width_px, view.height_px)
    if (pixels.shape[1], pixels.shape[0]) == size:
        return pixels
    shrinks = geometry.scale_x >= 1.0 and geometry.scale_y >= 1.0
    in_blocks = pixels.shape[1] % size[0] == 0 and pixels.shape[0] % size[1] == 0
    if pixels.ndim == 2 and shrinks and not in_blocks:  # OpenCV is faster at all others
        ways = _covered(pixels.shape[0], size[1]) + _covered(pixels.shape[1], size[0])
        shrunk: U8 = _shrunk(np.ascontiguousarray(pixels), *ways)
        return shrunk
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size, interpolation=how), dtype=np.uint8)


@functools.lru_cache(maxsize=8)
def _covered(size_px: int, count: int) -> tuple[NDArray[np.intp], F32]:
    """Return which pixels each of fewer pixels covers along one axis, as OpenCV's INTER_AREA.

    Returns:
        The first one (count,), and the shares (count, n) of that one and the next ones.
    """
    scale = size_px / count
    most = min(size_px, math.ceil(scale) + 1)
    first = np.minimum((np.arange(count) * scale).astype(np.intp), size_px - most)
    start = np.arange(count)[:, np.newaxis] * scale
    pixel = first[:, np.newaxis] + np.arange(most)
    share = np.minimum(pixel + 1.0, start + scale) - np.maximum(pixel, start)
    share[share <= NO_SHARE] = 0.0
    return first, (share / np.minimum(scale, size_px - start)).astype(np.float32)


@kernel("uint8[:, ::1], int64[::1], float32[:, ::1], int64[::1], float32[:, ::1]")
def _shrunk(
    pixels: U8,
    first_row: NDArray[np.intp],
    row_share: F32,
    first_col: NDArray[np.intp],
    col_share: F32,
) -> U8:
    """Return the mean of the pixels that each pixel covers, by the shares that it covers."""
    shrunk = np.empty((first_row.size, first_col.size), dtype=np.uint8)
    line, means = np.empty(pixels.shape[1], np.float32), np.empty(first_col.size, np.float32)
    for row in range(first_row.size):
        line[:] = 0.0
        for step in range(row_share.shape[1]):
            source, share = pixels[first_row[row] + step], row_share[row, step]
            for col in range(line.size if share > 0.0 else 0):
                line[col] += share * np.float32(source[col])
        for col in range(first_col.size):
            means[col] = 0.0
            for step in range(col_share.shape[1]):
                means[col] += line[first_col[col] + step] * col_share[col, step]
        for col in range(first_col.size):
            shrunk[row, col] = np.uint8(min(np.rint(means[col]), np.float32(255.0)))
    return shrunk


def _pad(pixels: U8, geometry: TensorGeometry) -> U8:
    view = geometry.tensor_view()
    if (view.width_px, view.height_px) == (geometry.width_px, geometry.height_px):
        return pixels
    padded = np.zeros((geometry.height_px, geometry.width_px, *pixels.shape[2:]), dtype=np.uint8)
    view.cut(padded)[:] = pixels
    return padded
