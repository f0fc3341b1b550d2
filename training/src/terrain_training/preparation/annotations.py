"""COCO and labelme: shapes in JSON files, untrusted and of bounded size."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.regular_file import read_regular_file
from terrain_training.data.split_lists import NAMES
from terrain_training.preparation.entry import Entry, FoundSet, Shape, unique_names
from terrain_training.preparation.rle import read_counts, read_text
from terrain_training.preparation.scan import Scan
from terrain_training.preparation.wording import counted

COCO_LIMIT_BYTES = 256 * 2**20
LABELME_LIMIT_BYTES = 64 * 2**20
MAX_COCO_FILES = 12
MAX_SHAPES = 2_000_000
_SPLITS = {alias: split for split, aliases in NAMES.items() for alias in aliases}


def find_coco(scan: Scan) -> FoundSet | None:
    """Return the images of the COCO files of a folder; None where there are none.

    Raises:
        ConfigError: a file is too large, or an entry cannot be used; names it.
    """
    pictures = {path.stem for path in scan.pictures}
    candidates = [path for path in scan.jsons if path.stem not in pictures]
    entries: list[Entry] = []
    labels: dict[str, None] = {}
    files, lost = [], 0
    for path in candidates[:MAX_COCO_FILES]:
        if path.stat().st_size > COCO_LIMIT_BYTES:
            raise ConfigError(f"{path} is larger than {COCO_LIMIT_BYTES} bytes; split it")
        content = _json(path, COCO_LIMIT_BYTES)
        if not isinstance(content, dict) or not {"images", "annotations"} <= set(content):
            continue
        files.append(path)
        found, names, missing = _coco_entries(content, path, scan)
        entries += found
        lost += missing
        labels |= dict.fromkeys(names)
    if not files:
        return None
    if not entries:
        raise ConfigError(
            f"{files[0]} is a COCO file, but none of its images is in '{scan.root}'; put them there"
        )
    absent = counted(
        lost, "image that the COCO files name is", "images that the COCO files name are"
    )
    notes = [f"{absent} missing and left out"] * (lost > 0)
    layout = f"COCO ({', '.join(path.name for path in files)})"
    return FoundSet(
        layout, unique_names(entries, scan.root), notes=tuple(notes), labels=tuple(labels)
    )


def find_labelme(scan: Scan) -> FoundSet | None:
    """Return the images with a labelme file beside them; None where there are none.

    Raises:
        ConfigError: a file is too large or damaged; names it.
    """
    pictures = {path.with_suffix(""): path for path in scan.pictures}
    by_name = {(path.parent, path.name): path for path in scan.pictures}
    entries, labels = [], dict[str, None]()
    for path in scan.jsons:
        content = _json(path, LABELME_LIMIT_BYTES)
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            continue
        said = str(content.get("imagePath", "")).replace("\\", "/").rpartition("/")[2]
        image = by_name.get((path.parent, said)) or pictures.get(path.with_suffix(""))
        if image is None:
            continue
        shapes = tuple(
            _labelme_shape(row, f"{path}, shape {number}")
            for number, row in enumerate(content["shapes"], start=1)
        )
        labels |= dict.fromkeys(shape.label for shape in shapes)
        entries.append(Entry(image.stem, image, shapes, _split_of(image, scan.root)))
    if not entries:
        return None
    named = unique_names(entries, scan.root)
    return FoundSet("labelme (.json beside images)", named, labels=tuple(labels))


def _coco_entries(
    content: Mapping[str, Any], path: Path, scan: Scan
) -> tuple[list[Entry], list[str], int]:
    """Return the images of a COCO file, the names of its classes, and how many files lack."""
    names = {
        _key(row, "id", f"{path}, category {number}"): str(_key(row, "name", f"{path}, category"))
        for number, row in enumerate(_rows(content, "categories", path))
    }
    if len(_rows(content, "annotations", path)) > MAX_SHAPES:
        raise ConfigError(f"{path} has more than {MAX_SHAPES} annotations; split it")
    shapes: dict[Any, list[Shape]] = {}
    for row in content["annotations"]:
        source = f"{path}, annotation {_key(row, 'id', f'{path}, annotation')}"
        label = names.get(_key(row, "category_id", source))
        if label is None:
            raise ConfigError(f"{source}: category {row['category_id']} is not in its categories")
        shapes.setdefault(_key(row, "image_id", source), []).append(_coco_shape(row, label, source))
    files: dict[str, list[Path]] = {}
    for picture in scan.pictures:
        files.setdefault(picture.name, []).append(picture)
    split = _split_of(path, scan.root) or _split_in(path.stem)
    entries, missing = [], 0
    for row in _rows(content, "images", path):
        name = str(_key(row, "file_name", f"{path}, image"))
        image = _nearest(files.get(Path(name.replace("\\", "/")).name, []), path, name)
        if image is None:
            missing += 1
            continue
        its = tuple(shapes.get(_key(row, "id", f"{path}, image {name}"), ()))
        entries.append(Entry(image.stem, image, its, split or _split_of(image, scan.root)))
    used = {shape.label for rows in shapes.values() for shape in rows}
    return entries, [name for name in names.values() if name in used], missing


def _nearest(found: Sequence[Path], json_path: Path, name: str) -> Path | None:
    """Return the file that a COCO entry means: of equal names, one with its folders."""
    wanted = name.replace("\\", "/").lstrip("./")
    whole = [path for path in found if path.as_posix().endswith(f"/{wanted}")]
    beside = [path for path in whole or found if json_path.parent in path.parents]
    split = _split_in(json_path.stem)
    same = [
        path for path in beside or whole or found if split and _split_in(path.parent.name) == split
    ]
    return next(iter(same or beside or whole or found), None)


def _coco_shape(row: Mapping[str, Any], label: str, source: str) -> Shape:
    """Return an annotation with its polygons or its mask.

    Raises:
        ConfigError: its segmentation is of no known form.
    """
    area = row.get("segmentation")
    if isinstance(area, Mapping):
        size, counts = area.get("size"), area.get("counts")
        if isinstance(counts, str):
            return Shape(label, source, runs=read_text(counts, size, source=source))
        return Shape(label, source, runs=read_counts(counts, size, source=source))
    if area in (None, []):
        return Shape(label, source)
    if not isinstance(area, list) or not all(isinstance(part, list) for part in area):
        raise ConfigError(f"{source}: segmentation is neither polygons nor RLE; correct the file")
    return Shape(label, source, tuple(_numbers(part, source) for part in area))


def _labelme_shape(row: Any, source: str) -> Shape:
    if not isinstance(row, Mapping) or not isinstance(row.get("points"), list):
        raise ConfigError(f"{source} has no points; correct the file")
    label, kind = str(row.get("label", "")).strip(), row.get("shape_type") or "polygon"
    if not label:
        raise ConfigError(f"{source} has no label; correct the file")
    if not all(isinstance(point, list) and len(point) == 2 for point in row["points"]):
        raise ConfigError(f"{source}: a point is not [x, y]; correct the file")
    flat = _numbers([value for point in row["points"] for value in point], source)
    return replace(Shape(label, source), polygons=_labelme_polygons(str(kind), flat))


def _labelme_polygons(kind: str, flat: tuple[float, ...]) -> tuple[tuple[float, ...], ...]:
    """Return the outline of a shape; points and lines have no area."""
    if kind == "polygon":
        return (flat,)
    if kind == "rectangle" and len(flat) == 4:
        left, top, right, bottom = flat
        return ((left, top, right, top, right, bottom, left, bottom),)
    if kind == "circle" and len(flat) == 4:
        radius = math.hypot(flat[2] - flat[0], flat[3] - flat[1])
        turns = np.linspace(0.0, 2.0 * math.pi, 64, endpoint=False)
        rim = np.stack([flat[0] + radius * np.cos(turns), flat[1] + radius * np.sin(turns)], axis=1)
        return (tuple(float(value) for value in rim.reshape(-1)),)
    return ()


def _numbers(values: Iterable[Any], source: str) -> tuple[float, ...]:
    result = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(f"{source}: {str(value)[:40]!r} is not a number; correct the file")
        result.append(float(value) if abs(value) < 1e300 else math.inf)
    return tuple(result)


def _rows(content: Mapping[str, Any], key: str, path: Path) -> list[Any]:
    rows = content.get(key)
    if not isinstance(rows, list):
        raise ConfigError(f"{path}: {key!r} is not a list; is it a COCO file?")
    return rows


def _key(row: Any, key: str, source: str) -> Any:
    if not isinstance(row, Mapping) or not isinstance(row.get(key), (int, str)):
        raise ConfigError(f"{source} has no {key!r}; correct the file")
    return row[key]


def _json(path: Path, limit_bytes: int) -> Any:
    """Return the content of a JSON file; None where it is none.

    Raises:
        ConfigError: it is too large.
    """
    data = read_regular_file(path, limit_bytes, remedy="split it or take it out of the folder")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _split_of(path: Path, root: Path) -> str | None:
    found = [_split_in(part) for part in path.relative_to(root).parts[:-1]]
    return next((split for split in reversed(found) if split), None)


def _split_in(text: str) -> str | None:
    """Return the split that a name tells, such as `instances_val2017`."""
    cleaned = "".join(c if c.isalpha() else " " for c in text.lower())
    return next((_SPLITS[word] for word in cleaned.split() if word in _SPLITS), None)
