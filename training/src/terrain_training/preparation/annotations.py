"""COCO and labelme: shapes in JSON files, untrusted and of bounded size."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
        ConfigError: a file is too large or damaged, an entry cannot be used, or an image is
            labelled twice; names it.
    """
    beside = {path.stem for path in scan.pictures}
    coco = _CocoFiles(scan)
    for path in scan.jsons:
        if path.stem not in beside:
            coco.read(path)
    if not coco.files:
        return None
    if not coco.entries:
        raise ConfigError(
            f"{coco.files[0]} is a COCO file, but none of its images is in '{scan.root}'; put "
            "them there"
        )
    layout = f"COCO ({', '.join(path.name for path in coco.files)})"
    return FoundSet(
        layout,
        unique_names(list(coco.entries.values()), scan.root),
        notes=tuple(coco.notes()),
        labels=tuple(coco.labels),
    )


def find_labelme(scan: Scan) -> FoundSet | None:
    """Return the images with a labelme file beside them; None where there are none.

    Raises:
        ConfigError: a file is too large or damaged; names it.
    """
    pictures = {path.with_suffix(""): path for path in scan.pictures}
    by_name = {(path.parent, path.name): path for path in scan.pictures}
    entries: dict[Path, Entry] = {}
    labels, lost = dict[str, None](), 0
    for path in scan.jsons:
        content = _json(path, LABELME_LIMIT_BYTES)
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            continue
        said = str(content.get("imagePath", "")).replace("\\", "/").rpartition("/")[2]
        image = by_name.get((path.parent, said)) or pictures.get(path.with_suffix(""))
        if image is None:
            lost += 1
            continue
        if image in entries:
            raise ConfigError(
                f"{path} is of the image {image.name}, as another file is; correct its imagePath, "
                "or take one of them out of the folder"
            )
        shapes = tuple(
            _labelme_shape(row, f"{path}, shape {number}")
            for number, row in enumerate(content["shapes"], start=1)
        )
        labels |= dict.fromkeys(shape.label for shape in shapes)
        size = _said_size(content, "imageHeight", "imageWidth")
        entries[image] = Entry(image.stem, image, shapes, _split_of(image, scan.root), size)
    if not entries:
        return None
    return FoundSet(
        "labelme (.json beside images)",
        unique_names(list(entries.values()), scan.root),
        notes=tuple(_left_out(scan, entries, lost)),
        labels=tuple(labels),
    )


def _left_out(scan: Scan, entries: Mapping[Path, Entry], lost: int) -> Iterator[str]:
    """Yield what to say of images without a file, and of files without an image."""
    bare = [path.name for path in scan.pictures if path not in entries]
    if bare:
        yield f"{len(bare)} images have no labelme file, such as {bare[0]}; they are left out"
    if lost:
        yield f"{lost} labelme files have no image in their folder; they are left out"


class _CocoFiles:
    """Gather the images of COCO files, each once, and what there is to say of them."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan
        self._pictures: dict[str, list[Path]] = {}
        for picture in scan.pictures:
            self._pictures.setdefault(picture.name, []).append(picture)
        self._of: dict[Path, Path] = {}
        self._captions: list[str] = []
        self._missing = self._orphans = 0
        self._moved: list[str] = []
        self.entries: dict[Path, Entry] = {}
        self.files: list[Path] = []
        self.labels: dict[str, None] = {}

    def read(self, path: Path) -> None:
        """Add the images of a file, if it is one of COCO."""
        content = _json(path, COCO_LIMIT_BYTES)
        if not isinstance(content, dict) or not {"images", "annotations"} <= set(content):
            return
        if "categories" not in content:
            self._captions.append(path.name)
            return
        if len(self.files) == MAX_COCO_FILES:
            raise ConfigError(
                f"'{self._scan.root}' has more than {MAX_COCO_FILES} COCO files; join them, or "
                "give a folder with fewer"
            )
        self.files.append(path)
        shapes, names = _coco_shapes(content, path)
        used = {shape.label for rows in shapes.values() for shape in rows}
        self.labels |= dict.fromkeys(name for name in names if name in used)
        split = _split_of(path, self._scan.root) or _split_in(path.stem)
        numbers: set[Any] = set()
        for row in _rows(content, "images", path):
            name = str(_key(row, "file_name", f"{path}, image"))
            number = _key(row, "id", f"{path}, image {name}")
            if number in numbers:
                raise ConfigError(f"{path}: two images have the id {number}; correct the file")
            numbers.add(number)
            self._add(row, name, tuple(shapes.get(number, ())), path, split)
        self._orphans += sum(len(rows) for key, rows in shapes.items() if key not in numbers)

    def notes(self) -> Iterator[str]:
        """Yield what was left out or guessed."""
        if self._missing:
            absent = counted(
                self._missing,
                "image that the COCO files name is",
                "images that the COCO files name are",
            )
            yield f"{absent} missing and left out"
        if self._orphans:
            yield (
                f"{self._orphans} annotations are of images that their COCO file does not list; "
                "they are left out"
            )
        if self._moved:
            yield (
                f"{len(self._moved)} images are in another folder than their COCO file says, such "
                f"as {self._moved[0]}"
            )
        if self._captions:
            yield f"{', '.join(self._captions)} have no categories and are passed over"

    def _add(
        self,
        row: Mapping[str, Any],
        name: str,
        shapes: tuple[Shape, ...],
        path: Path,
        split: str | None,
    ) -> None:
        found = self._pictures.get(Path(name.replace("\\", "/")).name, [])
        image = _nearest(found, path, name)
        if image is None:
            self._missing += 1
            return
        if image in self.entries:
            raise ConfigError(
                f"the image {image} is in {self._of[image]}, and as {name!r} in {path}; leave one "
                "of the files, or one of its entries, out"
            )
        if not f"/{image.as_posix()}".endswith(f"/{_plain_path(name)}"):
            self._moved.append(f"{name!r} at {image.relative_to(self._scan.root)}")
        self._of[image] = path
        its_split = split or _split_of(image, self._scan.root)
        size = _said_size(row, "height", "width")
        self.entries[image] = Entry(image.stem, image, shapes, its_split, size)


def _coco_shapes(
    content: Mapping[str, Any], path: Path
) -> tuple[dict[Any, list[Shape]], list[str]]:
    """Return the shapes of a COCO file by the id of their image, and the names of its classes."""
    names: dict[Any, str] = {}
    for number, row in enumerate(_rows(content, "categories", path)):
        key = _key(row, "id", f"{path}, category {number}")
        name = str(_key(row, "name", f"{path}, category"))
        if names.setdefault(key, name) != name:
            raise ConfigError(
                f"{path}: the categories {names[key]!r} and {name!r} both have the id {key}; "
                "correct the file"
            )
    if len(_rows(content, "annotations", path)) > MAX_SHAPES:
        raise ConfigError(f"{path} has more than {MAX_SHAPES} annotations; split it")
    shapes: dict[Any, list[Shape]] = {}
    for row in content["annotations"]:
        source = f"{path}, annotation {_key(row, 'id', f'{path}, annotation')}"
        label = names.get(_key(row, "category_id", source))
        if label is None:
            raise ConfigError(f"{source}: category {row['category_id']} is not in its categories")
        shapes.setdefault(_key(row, "image_id", source), []).append(_coco_shape(row, label, source))
    return shapes, list(names.values())


def _nearest(found: Sequence[Path], json_path: Path, name: str) -> Path | None:
    """Return the file that a COCO entry means: of equal names, one with its folders.

    Raises:
        ConfigError: it may be any of several.
    """
    wanted = _plain_path(name)
    whole = [path for path in found if path.as_posix().endswith(f"/{wanted}")]
    beside = [path for path in whole or found if json_path.parent in path.parents]
    split = _split_in(json_path.stem)
    same = [
        path for path in beside or whole or found if split and _split_in(path.parent.name) == split
    ]
    left = same or beside or whole or list(found)
    if len(left) > 1:
        raise ConfigError(
            f"{json_path}: the image {name!r} may be {left[0]} or {left[1]}; give its file_name "
            "with the folder"
        )
    return next(iter(left), None)


def _plain_path(name: str) -> str:
    return name.replace("\\", "/").lstrip("./")


def _said_size(row: Mapping[str, Any], height: str, width: str) -> tuple[int, int] | None:
    """Return (height, width) of an image as its annotations say, px; None where they do not."""
    size = row.get(height), row.get(width)
    good = all(isinstance(side, int) and side > 0 for side in size)
    return (int(size[0] or 0), int(size[1] or 0)) if good else None


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
    """Return the content of a JSON file.

    Raises:
        ConfigError: it is too large or damaged.
    """
    data = read_regular_file(path, limit_bytes, remedy="split it or take it out of the folder")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = str(error) or type(error).__name__
        raise ConfigError(
            f"{path} is damaged or not JSON ({reason}); restore it, or take it out of the folder"
        ) from error


def _split_of(path: Path, root: Path) -> str | None:
    found = [_split_in(part) for part in path.relative_to(root).parts[:-1]]
    return next((split for split in reversed(found) if split), None)


def _split_in(text: str) -> str | None:
    """Return the split that a name tells, such as `instances_val2017`."""
    cleaned = "".join(c if c.isalpha() else " " for c in text.lower())
    return next((_SPLITS[word] for word in cleaned.split() if word in _SPLITS), None)
