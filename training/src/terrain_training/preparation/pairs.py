"""Find which picture is the mask of which image, by the names of folders and files."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.split_lists import NAMES
from terrain_training.preparation.entry import Entry, FoundSet, unique_names
from terrain_training.preparation.scan import Scan
from terrain_training.preparation.wording import counted

_SPLITS = {alias: split for split, aliases in NAMES.items() for alias in aliases}
_IMAGE_WORDS = {
    "frames", "image", "images", "img", "imgs", "input", "inputs", "jpegimages", "leftimg8bit",
    "original", "originals", "photo", "photos", "picture", "pictures", "raw", "rgb",
}  # fmt: skip
_MASK_WORDS = {
    "ann", "annot", "annotation", "annotations", "annots", "anns", "groundtruth", "gt",
    "gtcoarse", "gtfine", "label", "labelids", "labels", "lbl", "mask", "masks", "seg",
    "segmentation", "segmentationclass", "segmentationclassaug", "segmentationclasspng",
    "target", "targets", "truth",
}  # fmt: skip
_OTHER_WORDS = {
    "depth", "disparity", "overlay", "overlays", "preview", "previews",
    "segmentationclassvisualization", "segmentationobject", "segmentationobjectpng", "vis",
    "visualization",
}  # fmt: skip
_NEUTRAL = {"dir", "folder", "set", "data"}
_GLUED = re.compile(r"(train|val|test)(images?|imgs?|masks?|labels?|annot|gt)")
_MASK_ENDING = re.compile(
    r"(.+?)(?:_gtfine|_gtcoarse)?[_\-. ]"
    r"(?:masks?|labels?|labelids|labeltrainids|lbl|seg|segmentation|gt|annotation|groundtruth|l)"
)
_OTHER_ENDING = re.compile(r".+[_\-](?:gtfine|gtcoarse)_(?:color|instanceids)|.+_overlay")
_IMAGE_ENDING = re.compile(r"(.+?)[_\-. ](?:leftimg8bit|image|img|rgb|sat|photo)")
_BEGINNING = re.compile(r"(?:mask|label|image|img|gt|seg|photo|frame)[_\-]?(.+)")
_JPEG = {".jpg", ".jpeg"}
IMAGE, MASK, OTHER = "image", "mask", "other"


@dataclass(frozen=True)
class _Picture:
    """A picture, its role, and the names under which it may be found."""

    path: Path
    role: str
    split: str | None
    folders: tuple[str, ...]
    stems: tuple[str, ...]


def find_pairs(scan: Scan) -> FoundSet | None:
    """Return the images that have a mask; None where no picture looks like a mask of another.

    Raises:
        ConfigError: two images have one mask.
    """
    pictures = [_picture(path, scan.root) for path in scan.pictures]
    masks = [picture for picture in pictures if picture.role == MASK]
    images = [picture for picture in pictures if picture.role == IMAGE]
    if not masks:
        images, masks = _same_stem(images)
    by_key = _by_key(masks)
    entries: list[Entry] = []
    of_mask: dict[Path, _Picture] = {}
    used: set[tuple[tuple[str, ...], str]] = set()
    for image in images:
        mask = _mask_of(image, by_key)
        if mask is None:
            continue
        if mask.path in of_mask:
            raise ConfigError(
                f"{of_mask[mask.path].path} and {image.path} would both have the mask {mask.path}; "
                "keep one of them in the folder"
            )
        of_mask[mask.path] = image
        used.add((mask.folders, mask.stems[-1]))
        entries.append(Entry(image.path.stem, image.path, mask.path, image.split or mask.split))
    if not entries:
        return None
    notes = []
    if len(entries) < len(images):
        lacking = sorted({i.path.name for i in images} - {e.image.name for e in entries})
        without = counted(len(images) - len(entries), "image has", "images have")
        some = f", such as {lacking[0]}" if lacking else ""
        notes.append(f"{without} no mask{some}; left out")
    alone = [mask.path.name for mask in masks if (mask.folders, mask.stems[-1]) not in used]
    if alone:
        number = counted(len(alone), "mask has", "masks have")
        notes.append(f"{number} no image, such as {alone[0]}; left out")
    kind, layout = _layout(scan, entries)
    whole = len(entries) == len(images)
    in_place = kind == "folder" and whole and _is_labelled_folder(scan, entries)
    named = tuple(entries) if in_place else unique_names(entries, scan.root)
    return FoundSet(layout, named, in_place=in_place, notes=tuple(notes), kind=kind)


def _picture(path: Path, root: Path) -> _Picture:
    role, split, folders = None, None, []
    for part in path.relative_to(root).parts[:-1]:
        its_role, its_split, rest = _folder(part)
        role, split = its_role or role, its_split or split
        folders += [rest] if rest else []
    stem = path.stem.lower()
    stems = [stem]
    if _OTHER_ENDING.fullmatch(stem):
        role = OTHER
    elif (found := _MASK_ENDING.fullmatch(stem)) is not None:
        role = role if role == OTHER else MASK
        stems.append(found[1])
    elif (found := _IMAGE_ENDING.fullmatch(stem)) is not None:
        stems.append(found[1])
    short = _BEGINNING.fullmatch(stem)
    if short is not None:
        if role is None and stem.startswith(("mask", "label", "gt", "seg")):
            role = MASK
        stems.append(short[1])
    return _Picture(path, role or IMAGE, split, tuple(folders), tuple(stems))


def _folder(name: str) -> tuple[str | None, str | None, str]:
    """Return role and split that a folder's name tells, and what else it says."""
    role, split, rest = None, None, []
    for word in re.split(r"[_\-. ]+", name.lower()):
        glued = _GLUED.fullmatch(word)
        for part in glued.groups() if glued else (word,):
            if part in _SPLITS:
                split = _SPLITS[part]
            elif part in _OTHER_WORDS:
                role = OTHER
            elif part in _MASK_WORDS:
                role = role or MASK
            elif part in _IMAGE_WORDS:
                role = role or IMAGE
            elif part not in _NEUTRAL:
                rest.append(part)
    return role, split, "_".join(rest)


def _same_stem(pictures: list[_Picture]) -> tuple[list[_Picture], list[_Picture]]:
    """Return JPEG images and the PNG masks of the same stems in the same folders."""
    photos = {p.path.with_suffix("") for p in pictures if p.path.suffix.lower() in _JPEG}
    masks = [
        p for p in pictures if p.path.suffix.lower() == ".png" and p.path.with_suffix("") in photos
    ]
    taken = {mask.path for mask in masks}
    return [p for p in pictures if p.path not in taken], masks


_Keys = dict[tuple[str | None, tuple[str, ...], str], list[_Picture]]


def _by_key(masks: Iterable[_Picture]) -> _Keys:
    found: _Keys = defaultdict(list)
    for mask in masks:
        for stem in dict.fromkeys(mask.stems):
            for split in {mask.split, None}:
                found[split, mask.folders, stem].append(mask)
    return found


def _mask_of(image: _Picture, masks: _Keys) -> _Picture | None:
    for stem in image.stems:
        for split in (image.split, None) if image.split else (None,):
            found = masks.get((split, image.folders, stem), [])
            same = [mask for mask in found if mask.split in {image.split, None} or not image.split]
            if same:
                return min(same, key=lambda mask: _rank(mask.path))
    return None


def _rank(mask: Path) -> tuple[int, str]:
    """Return what is taken first where an image has several masks: ids before training ids."""
    stem = mask.stem.lower()
    return (0 if stem.endswith("labelids") else 1 + stem.endswith("labeltrainids"), str(mask))


def _layout(scan: Scan, entries: list[Entry]) -> tuple[str, str]:
    """Return what kind of set it is, and that in words."""
    names = {part.lower() for entry in entries for part in _parts(entry, scan.root)}
    if any("_gtfine_" in name or "_gtcoarse_" in name for name in names):
        return "cityscapes", "Cityscapes (leftImg8bit and gtFine)"
    if "jpegimages" in names and any(name.startswith("segmentationclass") for name in names):
        return "voc", "Pascal VOC (JPEGImages and SegmentationClass)"
    folders = Counter(
        f"{_place(entry.image, scan.root)} and {_place(Path(str(entry.label)), scan.root)}"
        for entry in entries
    )
    (most, _), *others = folders.most_common()
    first = entries[0]
    if first.image.parent == Path(str(first.label)).parent:
        pair = f"{first.image.name} and {Path(str(first.label)).name}"
        return "folder", f"masks beside their images, such as {pair}"
    also = f" and {len(others)} more folders" if others else ""
    return "folder", f"images and masks in {most}{also}"


def _parts(entry: Entry, root: Path) -> tuple[str, ...]:
    return (*entry.image.relative_to(root).parts, *Path(str(entry.label)).relative_to(root).parts)


def _place(path: Path, root: Path) -> str:
    return f"{path.parent.relative_to(root)}/"


def _is_labelled_folder(scan: Scan, entries: list[Entry]) -> bool:
    """Return whether `labelled_folder` finds the same pairs."""
    return all(
        entry.image.parent == scan.root / "images"
        and isinstance(entry.label, Path)
        and entry.label.parent == scan.root / "masks"
        and entry.label.stem == entry.image.stem
        for entry in entries
    ) and len({entry.image.stem for entry in entries}) == len(entries)
