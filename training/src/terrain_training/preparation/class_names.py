"""The names of classes, where a file beside the images tells them."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_training.data.colours import Colour
from terrain_training.preparation.known import CITYSCAPES, VOC, plain_name, voc_colour
from terrain_training.preparation.scan import Scan

PASCAL_VOC = "Pascal VOC"
LIMIT_BYTES = 256 * 1024
_FILES = re.compile(
    r"(classes|class_names|labels|names|categories|labelmap|label_map|class_dict|class_dict_seg|"
    r"palette|colormap|color_map|colors|taxonomy)\.(txt|csv|json)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ClassNames:
    """Names by the value in the mask and by colour; `source` says where they are from.

    `others_ignored`: a value without a name does not count, where others have one. `counted`:
    the values are the places of the names in the file, from 0, since it gives no numbers.
    """

    source: str = ""
    by_value: Mapping[int, str] = field(default_factory=dict)
    by_colour: Mapping[Colour, str] = field(default_factory=dict)
    colours: Mapping[str, Colour] = field(default_factory=dict)
    others_ignored: bool = False
    counted: bool = False

    def __bool__(self) -> bool:
        """Return whether any name is known."""
        return bool(self.by_value or self.by_colour)


def find_class_names(scan: Scan, kind: str) -> ClassNames:
    """Return the names that a file of the folder tells, else those of a known set.

    Args:
        scan: of the folder.
        kind: of its layout; "voc" and "cityscapes" have names of their own.
    """
    for path in (*scan.texts, *scan.jsons):
        if _FILES.fullmatch(path.name) and len(path.relative_to(scan.root).parts) <= 3:
            found = _read(path)
            if found:
                return found
    if kind == "voc":
        colours = {voc_colour(number): name for number, name in enumerate(VOC)}
        colours[voc_colour(255)] = "border"
        return ClassNames(PASCAL_VOC, dict(enumerate(VOC)), colours)
    if kind == "cityscapes":
        return ClassNames(
            "Cityscapes (its 19 scored classes)",
            {number: name for number, (name, _) in CITYSCAPES.items()},
            {colour: name for name, colour in CITYSCAPES.values()},
            dict(CITYSCAPES.values()),
            others_ignored=True,
        )
    return ClassNames()


def _read(path: Path) -> ClassNames:
    try:
        text = read_regular_file(path, LIMIT_BYTES).decode("utf-8-sig")
    except (ConfigError, UnicodeDecodeError):
        return ClassNames()
    rows = _json_rows(text) if path.suffix.lower() == ".json" else _text_rows(text)
    by_value = {number: name for number, name, _ in rows if number is not None}
    by_colour = {colour: name for _, name, colour in rows if colour is not None}
    colours = {name: colour for colour, name in by_colour.items()}
    counted = bool(rows) and all(isinstance(number, _Place) for number, _, _ in rows)
    return ClassNames(path.name, by_value, by_colour, colours, counted=counted)


class _Place(int):
    """The number of a name that has none: its place in the file."""


_Row = tuple[int | None, str, Colour | None]


def _text_rows(text: str) -> list[_Row]:
    """Return the rows of names, of `name,r,g,b`, or of CVAT's `name:r,g,b::`."""
    rows: list[_Row] = []
    for cells in csv.reader(line.replace(":", ",") for line in text.splitlines()):
        words = [cell.strip() for cell in cells if cell.strip()]
        if not words or words[0].startswith("#") or words[0] == "__ignore__":
            continue
        numbers = [int(word) for word in words if word.isdigit()]
        names = [word for word in words if not word.isdigit()]
        if not names or (not rows and len(numbers) < 3 and len(words) > 3):
            continue  # the head of a table
        colour = _colour(numbers[-3:]) if len(numbers) >= 3 else None
        number = numbers[0] if len(numbers) in (1, 4) else _Place(len(rows))
        rows.append((number, plain_name(names[0]), colour))
    return rows


def _json_rows(text: str) -> list[_Row]:
    """Return the rows of `{name: [r, g, b]}`, `{id: name}`, `{name: id}`, or a list of rows."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return []
    if isinstance(content, dict) and isinstance(content.get("classes"), (list, dict)):
        content = content["classes"]
    if isinstance(content, list):
        return [row for place, item in enumerate(content) if (row := _json_row(place, item))]
    rows: list[_Row] = []
    for key, value in content.items() if isinstance(content, dict) else ():
        if isinstance(value, str) and key.isdigit():
            rows.append((int(key), plain_name(value), None))
        elif isinstance(value, int):
            rows.append((value, plain_name(key), None))
        elif (colour := _colour(value)) is not None:
            rows.append((_Place(len(rows)), plain_name(key), colour))
    return rows


def _json_row(place: int, item: Any) -> _Row | None:
    if isinstance(item, str):
        return _Place(place), plain_name(item), None
    name = item.get("name", item.get("title")) if isinstance(item, dict) else None
    if not isinstance(name, str):
        return None
    colour = next(
        (item[key] for key in ("color", "colour", "rgb", "color_rgb") if key in item), None
    )
    number = item.get("id")
    its = number if isinstance(number, int) else _Place(place)
    return its, plain_name(name), _colour(colour)


def _colour(value: Any) -> Colour | None:
    if isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        return int(value[1:3], 16), int(value[3:5], 16), int(value[5:7], 16)
    good = isinstance(value, list) and len(value) >= 3
    if not good or not all(isinstance(part, int) and 0 <= part <= 255 for part in value[:3]):
        return None
    return value[0], value[1], value[2]
