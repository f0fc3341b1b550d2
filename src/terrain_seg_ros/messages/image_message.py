"""Images: sensor_msgs/Image and CompressedImage to pixels, and pixels to Image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.types import U8, CameraImage
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.message_types import Types, sequence_of
from terrain_seg_ros.messages.picture_size import check_size, picture_size


@dataclass(frozen=True)
class _Encoding:
    """Hold the layout of one encoding; `to_rgb` is OpenCV's conversion code, None for none."""

    channels: int
    bytes_per_channel: int = 1
    to_rgb: int | None = None
    bayer: bool = False


ENCODINGS: dict[str, _Encoding] = {
    "rgb8": _Encoding(3),
    "bgr8": _Encoding(3, to_rgb=cv2.COLOR_BGR2RGB),
    "rgba8": _Encoding(4, to_rgb=cv2.COLOR_RGBA2RGB),
    "bgra8": _Encoding(4, to_rgb=cv2.COLOR_BGRA2RGB),
    "mono8": _Encoding(1),
    "mono16": _Encoding(1, 2),
    "bayer_rggb8": _Encoding(1, to_rgb=cv2.COLOR_BayerBG2RGB, bayer=True),
    "bayer_bggr8": _Encoding(1, to_rgb=cv2.COLOR_BayerRG2RGB, bayer=True),
    "bayer_gbrg8": _Encoding(1, to_rgb=cv2.COLOR_BayerGR2RGB, bayer=True),
    "bayer_grbg8": _Encoding(1, to_rgb=cv2.COLOR_BayerGB2RGB, bayer=True),
    "bayer_rggb16": _Encoding(1, 2, cv2.COLOR_BayerBG2RGB, bayer=True),
    "bayer_bggr16": _Encoding(1, 2, cv2.COLOR_BayerRG2RGB, bayer=True),
    "bayer_gbrg16": _Encoding(1, 2, cv2.COLOR_BayerGR2RGB, bayer=True),
    "bayer_grbg16": _Encoding(1, 2, cv2.COLOR_BayerGB2RGB, bayer=True),
}
"""What `decode_image` reads. OpenCV names a Bayer pattern by its second row and column, ROS by
its first: rggb is OpenCV's BG. Sixteen bits become eight by their high byte (value >> 8, full
range), which drops the low bits of cameras that fill only 10 or 12."""


def decode_camera_image(message: Any) -> CameraImage:
    """Return the pixels of a sensor_msgs/Image or CompressedImage.

    Raises:
        MessageError: it cannot be read.
    """
    return decode_image(message) if hasattr(message, "encoding") else decode_compressed(message)


def decode_image(message: Any) -> CameraImage:
    """Return the pixels of a sensor_msgs/Image.

    rgb8 and mono8 are views of the message's data, also where rows are padded; the others are
    copies. The header's stamp and frame are kept.

    Raises:
        MessageError: the encoding is unknown, or size, step and data contradict each other.
    """
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        raise MessageError(
            f"image encoding {message.encoding!r} is unknown; use one of {', '.join(ENCODINGS)}"
        )
    width_px, height_px = int(message.width), int(message.height)
    check_size(width_px, height_px)
    if encoding.bayer and min(width_px, height_px) < 3:
        raise MessageError(
            f"{message.encoding} image is {width_px}x{height_px}, expected at least 3x3"
        )
    planes = _high_bytes(message, encoding)
    if encoding.to_rgb is None:
        return _camera_image(planes, message.header)
    try:
        pixels = cv2.cvtColor(planes, encoding.to_rgb)
    except cv2.error as error:  # OpenCV 4.5 does so for a single pixel
        raise MessageError(
            f"{message.encoding} image of {width_px}x{height_px} cannot be converted: {error}"
        ) from error
    return _camera_image(pixels, message.header)


def decode_compressed(message: Any) -> CameraImage:
    """Return the pixels of a sensor_msgs/CompressedImage that holds a JPEG or PNG.

    The size is read and bounded before decoding; 16-bit PNG is treated as mono16; transparency
    is dropped; an orientation in EXIF is ignored, as camera_info describes the raw rows.

    Raises:
        MessageError: the data is empty, of another format, malformed, cut off or too large.
    """
    data = flat_bytes(message.data)
    if data.size == 0:
        raise MessageError("compressed image has no data; check the publisher")
    size = picture_size(data.data)
    check_size(*size)
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _undecodable(data.size, str(error)) from error
    if decoded is None:
        raise _undecodable(data.size, "OpenCV cannot read it")
    return _camera_image(_to_grey_or_rgb(decoded), message.header)


def encode_image(types: Types, pixels: U8, encoding: str, header: Any) -> Any:
    """Return pixels as a sensor_msgs/Image whose step equals the row's bytes.

    Args:
        types: message classes.
        pixels: (H, W) for mono8, (H, W, 3) for rgb8 and bgr8, as they shall be sent.
        encoding: "mono8", "rgb8" or "bgr8".
        header: the input's header; it is used as it is.

    Raises:
        MessageError: the pixels do not fit the encoding.
    """
    channels = {"mono8": 1, "rgb8": 3, "bgr8": 3}.get(encoding)
    if channels is None:
        raise MessageError(f"cannot encode as {encoding!r}; use mono8, rgb8 or bgr8")
    layers = pixels.shape[2] if pixels.ndim == 3 else 1
    if pixels.ndim not in {2, 3} or layers != channels or pixels.dtype != np.uint8:
        raise MessageError(
            f"pixels of shape {pixels.shape} and dtype {pixels.dtype} do not fit {encoding}, "
            f"expected {channels} channels of uint8"
        )
    height_px, width_px = pixels.shape[:2]
    return types("sensor_msgs/msg/Image")(
        header=header,
        height=height_px,
        width=width_px,
        encoding=encoding,
        is_bigendian=0,
        step=width_px * channels,
        data=sequence_of(types, pixels),
    )


def encode_compressed(types: Types, pixels: U8, file_format: str, header: Any) -> Any:
    """Return pixels as a sensor_msgs/CompressedImage.

    Args:
        types: message classes.
        pixels: (H, W) grey or (H, W, 3) RGB.
        file_format: "jpeg" or "png"; never jpeg for class ids, whose values it changes.
        header: the header; it is used as it is.

    Raises:
        MessageError: the format is another one.
    """
    if file_format not in {"jpeg", "png"}:
        raise MessageError(f"cannot compress as {file_format!r}; use jpeg or png")
    stored = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    _, data = cv2.imencode(f".{file_format}", stored)
    return types("sensor_msgs/msg/CompressedImage")(
        header=header, format=file_format, data=sequence_of(types, data)
    )


def flat_bytes(data: Any) -> U8:
    """Return the data field of any message class as flat uint8, without a copy.

    Raises:
        MessageError: the field is no buffer of bytes.
    """
    try:
        view = memoryview(data)
    except TypeError as error:
        raise MessageError(
            f"data is of type {type(data).__name__}, expected a buffer of bytes"
        ) from error
    flat: U8 = np.frombuffer(view, dtype=np.uint8) if view.nbytes else np.zeros(0, dtype=np.uint8)
    return flat


def _high_bytes(message: Any, encoding: _Encoding) -> U8:
    """Return a strided view of each channel's most significant byte, (H, W) or (H, W, C)."""
    width_px, height_px, step = int(message.width), int(message.height), int(message.step)
    pixel_bytes = encoding.channels * encoding.bytes_per_channel
    if step < width_px * pixel_bytes:
        raise MessageError(
            f"image step is {step}, expected at least {width_px * pixel_bytes} for "
            f"{width_px} pixels of {message.encoding}; check the publisher"
        )
    data = flat_bytes(message.data)
    needed = step * (height_px - 1) + width_px * pixel_bytes
    if data.size < needed:
        state = "is empty" if data.size == 0 else f"has {data.size} bytes and is cut off"
        raise MessageError(
            f"image data {state}, expected {needed} for {width_px}x{height_px} "
            f"{message.encoding} with step {step}; check the publisher"
        )
    offset = 1 if encoding.bytes_per_channel == 2 and not message.is_bigendian else 0
    view: U8 = np.ndarray(
        (height_px, width_px, encoding.channels),
        dtype=np.uint8,
        buffer=data,
        offset=offset,
        strides=(step, pixel_bytes, encoding.bytes_per_channel),
    )
    if encoding.channels == 1:
        view = view[:, :, 0]
    return np.ascontiguousarray(view) if encoding.bytes_per_channel == 2 else view


def _to_grey_or_rgb(decoded: NDArray[Any]) -> U8:
    """Return what OpenCV decoded (grey, BGR or BGRA, 8 or 16 bits) as grey or RGB uint8."""
    if decoded.dtype == np.uint16:
        decoded = (decoded >> 8).astype(np.uint8)
    if decoded.ndim == 2:
        return decoded
    code = cv2.COLOR_BGRA2RGB if decoded.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(decoded, code), dtype=np.uint8)


def _camera_image(pixels: Any, header: Any) -> CameraImage:
    return CameraImage(
        pixels=np.asarray(pixels, dtype=np.uint8),
        stamp_ns=stamp_ns(header),
        frame_id=str(header.frame_id),
    )


def _undecodable(byte_count: int, reason: str) -> MessageError:
    return MessageError(
        f"compressed image of {byte_count} bytes cannot be decoded ({reason}); check the publisher"
    )
