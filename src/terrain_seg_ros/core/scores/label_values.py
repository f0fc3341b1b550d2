"""Mapping of the values of a label mask to class ids."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8

_UNKNOWN = 254
_IGNORE_NAME = "ignore"


def parse_label_values(text: str | None, names: Sequence[str], *, ignore: int) -> U8:
    """Return the class id (256,) of every mask value; 255 is ignored, 254 is unknown.

    Args:
        text: "0=soil,1=bedrock,7=ignore", or None if the values are already class ids.
        names: the model's classes in the order of their ids.
        ignore: the value to ignore.

    Raises:
        ConfigError: the text is malformed, or names an unknown class.
    """
    _check_value(ignore, "--ignore")
    table: U8 = np.full(256, _UNKNOWN, dtype=np.uint8)
    if text is None:
        table[: len(names)] = np.arange(len(names))
        table[ignore] = IGNORE
        return table
    seen: set[int] = set()
    for part in text.split(","):
        value, name = _parse_part(part)
        if value in seen:
            raise ConfigError(f"--map lists the value {value} twice; keep one of them")
        seen.add(value)
        table[value] = _class_id(name, names)
    if ignore in seen and table[ignore] != IGNORE:
        raise ConfigError(
            f"--map assigns a class to the value {ignore}, which --ignore excludes; "
            "pass another value to --ignore"
        )
    table[ignore] = IGNORE
    return table


def parse_merges(text: str | None, names: Sequence[str]) -> U8:
    """Return the class id (256,) that each predicted id counts as; 255 stays.

    Args:
        text: "rock=soil,pebble=soil", or None if each counts as itself.
        names: the model's classes in the order of their ids.

    Raises:
        ConfigError: the text is malformed, names an unknown class, or merges one that others are
            merged into.
    """
    table: U8 = np.arange(256, dtype=np.uint8)
    targets = set()
    for part in text.split(",") if text is not None else ():
        merged, separator, target = (item.strip() for item in part.partition("="))
        unknown = [name for name in (merged, target) if name not in names]
        if not separator or unknown:
            raise ConfigError(
                f"--merge has {part!r}, expected CLASS=CLASS with classes of {list(names)}"
            )
        table[list(names).index(merged)] = list(names).index(target)
        targets.add(list(names).index(target))
    chained = [names[item] for item in targets if table[item] != item]
    if chained:
        raise ConfigError(f"--merge merges {chained[0]!r}, into which it merges another class")
    return table


def truth_from_mask(mask: NDArray[Any], table: U8, *, source: str) -> U8:
    """Return the class ids (H, W) of a mask file's values, 255 where they are ignored.

    Raises:
        ConfigError: the mask is coloured, not 8-bit, or contains a value without a class.
    """
    layers = mask.shape[2] if mask.ndim == 3 else 1
    if layers != 1:
        raise ConfigError(
            f"{source}: the mask has {layers} channels, expected one of class ids; "
            "convert its colours (or its palette) to ids and save it as grey PNG"
        )
    highest = mask.max(initial=0)
    if not np.issubdtype(mask.dtype, np.unsignedinteger) or highest > 255:
        raise ConfigError(
            f"{source}: the mask contains {mask.dtype} up to {highest}, expected 0 to 255"
        )
    values: U8 = mask.reshape(mask.shape[:2]).astype(np.uint8, copy=False)
    truth = np.asarray(cv2.LUT(values, table), dtype=np.uint8)
    unknown = np.unique(values[truth == _UNKNOWN])
    if unknown.size:
        raise ConfigError(
            f"{source}: the mask contains the values {unknown.tolist()[:8]}, which have no class; "
            "assign them with --map VALUE=name,... or exclude one with --ignore"
        )
    return truth


def resize_labels(mask: U8, shape: tuple[int, ...]) -> U8:
    """Resize class ids (H, W) to another shape, by the nearest pixel."""
    if mask.shape == shape:
        return mask
    size = (shape[1], shape[0])
    resized = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, dtype=np.uint8)


def _parse_part(part: str) -> tuple[int, str]:
    value, separator, name = part.partition("=")
    if not separator or not value.strip().isdecimal() or not name.strip():
        raise ConfigError(f"--map has {part!r}, expected VALUE=name with a value of 0 to 255")
    number = int(value)
    _check_value(number, "--map")
    return number, name.strip()


def _class_id(name: str, names: Sequence[str]) -> int:
    if name in names:
        return list(names).index(name)
    if name == _IGNORE_NAME:
        return IGNORE
    raise ConfigError(
        f"--map names the class {name!r}, but the model has {list(names)} "
        f"(and {_IGNORE_NAME!r} excludes a value)"
    )


def _check_value(value: int, option: str) -> None:
    if not 0 <= value <= 255:
        raise ConfigError(f"{option} has the value {value}, expected 0 to 255")
