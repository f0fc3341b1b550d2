"""Images: sensor_msgs/Image and CompressedImage to pixels, and pixels to Image."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.core.image.sample_bits import SampleBits
from terrain_seg_ros.core.types import U8, CameraImage
from terrain_seg_ros.messages.encodings import Encoding, Format, camera_encoding, parse_format
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.message_types import Types, sequence_of
from terrain_seg_ros.messages.picture_size import check_size, picture_size

PIXELS_PER_BYTE = 2100
"""No picture of a camera is packed more densely: a blank PNG has 1032 bytes per byte."""


def decode_camera_image(message: Any, bits: SampleBits | None = None) -> CameraImage:
    """Return the pixels of a sensor_msgs/Image or CompressedImage.

    Args:
        message: one of them.
        bits: what samples of 16 bits hold, of this camera; None judges by this image alone.

    Raises:
        MessageError: it cannot be read.
    """
    decode = decode_image if hasattr(message, "encoding") else decode_compressed
    return decode(message, bits)


def decode_image(message: Any, bits: SampleBits | None = None) -> CameraImage:
    """Return the pixels of a sensor_msgs/Image.

    rgb8 and mono8 are views of the message's data, also where rows are padded; the others are
    copies. The header's stamp and frame are kept.

    Raises:
        MessageError: the encoding is unknown or no camera's, or size, step and data contradict
            each other.
    """
    encoding = camera_encoding(str(message.encoding))
    width_px, height_px = int(message.width), int(message.height)
    check_size(width_px, height_px)
    planes = _to_bytes(_samples(message, encoding), bits)
    if encoding.to_rgb is not None:
        planes = _to_rgb(planes, encoding, str(message.encoding))
    return _camera_image(planes, message.header)


def decode_compressed(message: Any, bits: SampleBits | None = None) -> CameraImage:
    """Return the pixels of a sensor_msgs/CompressedImage that holds a JPEG or PNG.

    Its format tells what was compressed: a Bayer mosaic gets its colours, depth is refused. The
    size is read and bounded before decoding; transparency is dropped; an orientation in EXIF is
    ignored, as camera_info describes the raw rows.

    Raises:
        MessageError: the format or the data is not a camera image, or malformed, cut off or too
            large.
    """
    kind = parse_format(str(message.format))
    pixels = _to_bytes(decode_stored(message), bits)
    return _camera_image(_to_grey_or_rgb(pixels, kind), message.header)


def decode_stored(message: Any) -> NDArray[Any]:
    """Return what a CompressedImage's file holds, uint8 or uint16, (H, W) or BGR or BGRA.

    Raises:
        MessageError: the data is empty, of another format, malformed, cut off or too large.
    """
    data = flat_bytes(message.data)
    if data.size == 0:
        raise MessageError("compressed image has no data; check the publisher")
    size = picture_size(data.data)
    check_size(*size)
    if size[0] * size[1] > data.size * PIXELS_PER_BYTE:
        raise MessageError(
            f"compressed image declares {size[0]}x{size[1]} pixels, but has only {data.size} "
            "bytes; it is damaged, check the publisher"
        )
    try:
        decoded = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _undecodable(data.size, str(error)) from error
    if decoded is None:
        raise _undecodable(data.size, "OpenCV cannot read it")
    if decoded.dtype not in (np.uint8, np.uint16):
        raise _undecodable(data.size, f"it holds {decoded.dtype}")
    return decoded


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


def _samples(message: Any, encoding: Encoding) -> NDArray[Any]:
    """Return a strided view of the samples, uint8 or uint16, (H, W) or (H, W, C)."""
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
    order = ">" if message.is_bigendian else "<"
    view: NDArray[Any] = np.ndarray(
        (height_px, width_px, encoding.channels),
        dtype=np.dtype(f"{order}u{encoding.bytes_per_channel}"),
        buffer=data,
        strides=(step, pixel_bytes, encoding.bytes_per_channel),
    )
    return view[:, :, 0] if encoding.channels == 1 else view


def _to_bytes(samples: NDArray[Any], bits: SampleBits | None) -> U8:
    if samples.dtype == np.uint8:
        return samples
    return (bits or SampleBits()).to_bytes(samples.astype(np.uint16, copy=False))


def _to_rgb(planes: U8, encoding: Encoding, name: str) -> U8:
    height_px, width_px = planes.shape[:2]
    if encoding.bayer and min(width_px, height_px) < 3:
        raise MessageError(f"{name} image is {width_px}x{height_px}, expected at least 3x3")
    code = encoding.to_rgb
    try:
        return planes if code is None else np.asarray(cv2.cvtColor(planes, code), dtype=np.uint8)
    except cv2.error as error:  # OpenCV 4.5 does so for a single pixel
        raise MessageError(
            f"{name} image of {width_px}x{height_px} cannot be converted: {error}"
        ) from error


def _to_grey_or_rgb(decoded: U8, kind: Format) -> U8:
    """Return what OpenCV decoded (grey, BGR or BGRA) as grey or RGB."""
    if kind.bayer is not None:
        mosaic = _one_plane(decoded)
        if mosaic is not None:
            return _to_rgb(mosaic, kind.bayer, kind.source)
    if decoded.ndim == 2:
        return decoded
    if kind.is_swapped:
        return np.ascontiguousarray(decoded[:, :, :3])
    code = cv2.COLOR_BGRA2RGB if decoded.shape[2] == 4 else cv2.COLOR_BGR2RGB
    return np.asarray(cv2.cvtColor(decoded, code), dtype=np.uint8)


def _one_plane(decoded: U8) -> U8 | None:
    """Return the only plane of a picture, or the one that all its channels repeat; else None."""
    if decoded.ndim == 2:
        return decoded
    first = decoded[:, :, 0]
    same = (np.array_equal(first, decoded[:, :, channel]) for channel in (1, 2))
    return np.ascontiguousarray(first) if all(same) else None


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
