"""What the `encoding` of an Image and the `format` of a CompressedImage mean.

The only place that decides it: for raw and compressed images, on a bus and in bags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2

from terrain_seg_ros.core.errors import MessageError


@dataclass(frozen=True)
class Encoding:
    """The layout of one encoding; `to_rgb` is OpenCV's conversion code, None for none."""

    channels: int
    bytes_per_channel: int = 1
    to_rgb: int | None = None
    bayer: bool = False


_BAYER = {
    "rggb": cv2.COLOR_BayerBG2RGB,
    "bggr": cv2.COLOR_BayerRG2RGB,
    "gbrg": cv2.COLOR_BayerGR2RGB,
    "grbg": cv2.COLOR_BayerGB2RGB,
}
_COLOURS = {
    "rgb": (3, None),
    "bgr": (3, cv2.COLOR_BGR2RGB),
    "rgba": (4, cv2.COLOR_RGBA2RGB),
    "bgra": (4, cv2.COLOR_BGRA2RGB),
}
_DEPTHS = (("8", 1), ("16", 2))

ENCODINGS: dict[str, Encoding] = {
    **{
        f"{name}{bits}": Encoding(channels, size, code)
        for bits, size in _DEPTHS
        for name, (channels, code) in _COLOURS.items()
    },
    **{f"mono{bits}": Encoding(1, size) for bits, size in _DEPTHS},
    **{
        f"bayer_{pattern}{bits}": Encoding(1, size, code, bayer=True)
        for bits, size in _DEPTHS
        for pattern, code in _BAYER.items()
    },
}
"""What is read. OpenCV names a Bayer pattern by its second row and column, ROS by its first: rggb
is OpenCV's BG. `SampleBits` scales 16 bits to eight."""
MEASURED = frozenset(
    f"{bits}{kind}c{channels}"
    for bits, kind in (("16", "u"), ("16", "s"), ("32", "s"), ("32", "f"), ("64", "f"))
    for channels in range(1, 5)
) | {"16uc", "16sc", "32sc", "32fc", "64fc"}
"""Encodings, in small letters, of values that were measured: depth, disparity, heat, indices."""
UNORDERED = frozenset(f"8{kind}c{channels}" for kind in "us" for channels in range(1, 5)) | {"8uc"}
"""Encodings, in small letters, that tell neither the order of colours nor whether it is a mask."""
DEPTH_TRANSPORTS = ("compresseddepth", "rvl")
CODECS = {"jpeg": "jpeg", "jpg": "jpeg", "png": "png"}


class Format(NamedTuple):
    """What a CompressedImage's `format` says, as far as it does.

    `source` is the encoding of the image before compression, `stored` that of the picture in the
    file; both are empty where the format does not tell.
    """

    source: str
    stored: str

    @property
    def bayer(self) -> Encoding | None:
        """Return the pattern of a mosaic that was compressed as it is, None for other pictures."""
        encoding = ENCODINGS.get(self.source)
        is_mosaic = encoding is not None and encoding.bayer and not self.stored.startswith("mono")
        return encoding if is_mosaic else None

    @property
    def is_swapped(self) -> bool:
        """Return whether red and blue are swapped in the file, as image_transport writes it."""
        return self.stored.startswith("rgb") and self.source.startswith(("rgb", "bgr"))


def camera_encoding(text: str) -> Encoding:
    """Return the layout that an `encoding` means; case and blanks around it do not count.

    Raises:
        MessageError: it is no camera's, or unknown.
    """
    name = text.strip().lower()
    encoding = ENCODINGS.get(name)
    if encoding is not None:
        return encoding
    why = not_a_camera(text)
    if why:
        raise MessageError(f"image encoding {text!r:.80}: {why}")
    if name in UNORDERED:
        raise MessageError(
            f"image encoding {text!r:.80} does not say what its channels are; publish bgr8, rgb8 "
            "or mono8, as with cv_bridge's cv2_to_imgmsg(image, encoding='bgr8')"
        )
    raise MessageError(f"image encoding {text!r:.80} is unknown; use one of {', '.join(ENCODINGS)}")


def not_a_camera(text: str) -> str:
    """Return why images of an `encoding` or a `format` are no camera's, empty where they may be."""
    words = text.lower().replace(";", " ").split()
    told = words[:1] if words[:1] and words[0] in ENCODINGS else words
    measured = next((word for word in told if word in MEASURED), "")
    if measured:
        return (
            f"{measured.upper()} is depth or another measurement, which is not a camera image; set "
            "depth.source and depth.topic to read depth"
        )
    if any(word.startswith(DEPTH_TRANSPORTS) for word in words):
        return "compressed depth is not a camera image; publish colour or grey as JPEG or PNG"
    return ""


def parse_format(text: str) -> Format:
    """Return what the `format` of a CompressedImage means.

    It is `ENCODING; CODEC compressed STORED` by image_transport, or the codec alone; where it is
    empty the bytes tell. Case and blanks do not count.

    Raises:
        MessageError: it is no camera's, or of a codec that is not read.
    """
    why = not_a_camera(text)
    if why:
        raise MessageError(f"compressed image has the format {text!r:.80}: {why}")
    source, separator, rest = text.lower().partition(";")
    source, words = source.strip(), rest.split()
    if not separator:
        source, words = "", source.split()
    codec = words[0].removeprefix("image/").lstrip(".") if words else ""
    if codec and codec not in CODECS:
        raise MessageError(
            f"compressed image has the format {text!r:.80}, but only JPEG and PNG are read; choose "
            "one of them in image_transport"
        )
    stored = words[-1] if len(words) > 1 and words[-1] != "compressed" else ""
    if source and not stored:
        camera_encoding(source)
    return Format(source, stored)
