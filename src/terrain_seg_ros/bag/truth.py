"""True masks: a topic of the bag, or a folder of files named by stamp."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.bag.cameras import COMPRESSED_TYPE, RAW_TYPE, BagCamera
from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.core.image.image_file import decode_file
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.messages.image_message import decode_image, decode_stored

SUFFIXES = (".png", ".bmp", ".pgm", ".tif", ".tiff")
"""Without JPEG, which changes class ids."""
_PAIR = re.compile(r"^(\d{1,10})[_.](\d{9})$")
_WHOLE = re.compile(r"^\d{1,19}$")
_JPEG = b"\xff\xd8"


@dataclass(frozen=True)
class Truth:
    """Where the true masks of one camera are: a topic, or files by stamp in nanoseconds."""

    camera: str
    topic: str | None
    files: dict[int, Path]

    @property
    def name(self) -> str:
        """Return the topic, or the folder."""
        return self.topic or str(next(iter(self.files.values())).parent)


def find_truth(asked: Sequence[str], cameras: Sequence[BagCamera], topics: set[str]) -> list[Truth]:
    """Return the truth of each camera that has one.

    Args:
        asked: topics or folders; `CAMERA=` before them where there are several cameras.
        cameras: of the bag.
        topics: of the bag, those that hold images.

    Raises:
        ConfigError: a camera, topic or folder is not there, or a folder's files have no stamps.
    """
    names = [camera.name for camera in cameras]
    result: dict[str, Truth] = {}
    for text in asked:
        camera, where = _split(text, names)
        if camera in result:
            raise ConfigError(f"--truth names the camera {camera!r} twice; keep one")
        result[camera] = _truth(camera, where, topics)
    return list(result.values())


def decode_truth(message: Any) -> U8:
    """Return the values (H, W) of a mask message: mono8 or 8UC1, or a compressed PNG.

    Raises:
        MessageError: it is something else, or malformed.
    """
    if not hasattr(message, "encoding"):
        if bytes(message.data[:2]) == _JPEG:
            raise MessageError("truth is a JPEG, which changes class ids; record it as PNG or raw")
        pixels = decode_stored(message)
        if pixels.dtype != np.uint8:
            raise MessageError(f"truth holds {pixels.dtype}, expected bytes of class ids")
    elif message.encoding in {"mono8", "8UC1"}:
        message.encoding = "mono8"
        pixels = decode_image(message).pixels
    else:
        raise MessageError(f"truth has the encoding {message.encoding!r}, expected mono8 or 8UC1")
    if pixels.ndim != 2:
        raise MessageError(f"truth has {pixels.shape[2]} channels, expected one of class ids")
    return pixels


def read_truth(path: Path) -> Any:
    """Return the values of a mask file.

    Raises:
        ConfigError: it cannot be read.
    """
    return decode_file(path)


def is_mask_type(message_type: str) -> bool:
    """Return whether messages of a type can be masks."""
    return message_type in (RAW_TYPE, COMPRESSED_TYPE)


def _split(text: str, names: Sequence[str]) -> tuple[str, str]:
    camera, separator, where = text.partition("=")
    if separator and camera in names:
        return camera, where
    if len(names) == 1 and not separator:
        return names[0], text
    raise ConfigError(
        f"--truth {text!r} names none of the cameras {list(names)}; write CAMERA=TOPIC or "
        "CAMERA=FOLDER"
    )


def _truth(camera: str, where: str, topics: set[str]) -> Truth:
    folder = Path(where)
    if folder.is_dir():
        return Truth(camera, None, _files(folder))
    if where in topics:
        return Truth(camera, where, {})
    raise ConfigError(
        f"--truth {where!r} is neither a folder nor a topic of images in the bag, which has "
        f"{sorted(topics)[:20]}"
    )


def _files(folder: Path) -> dict[int, Path]:
    masks = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in SUFFIXES]
    files: dict[int, Path] = {}
    for path in masks:
        stamp = _stamp_of(path.stem)
        if stamp is None:
            continue
        if stamp in files:
            raise ConfigError(
                f"{path.name} and {files[stamp].name} in {folder} have the same stamp; keep one"
            )
        files[stamp] = path
    if not files:
        raise ConfigError(
            f"folder '{folder}' has {len(masks)} masks ({', '.join(SUFFIXES)}) but none is named "
            "by its stamp, such as 1700000000123456789.png or 1700000000_123456789.png"
        )
    return files


def _stamp_of(stem: str) -> int | None:
    parts = _PAIR.match(stem)
    if parts:
        return int(parts[1]) * 10**9 + int(parts[2])
    return int(stem) if _WHOLE.match(stem) else None
