"""Write a set of some layout as a labelled folder; the set itself is only read."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_training.data.colours import ColourTable
from terrain_training.data.contract import BadSampleError, Sample
from terrain_training.data.files import read_colours, read_picture
from terrain_training.data.split_lists import BOTH
from terrain_training.preparation.draw_shapes import draw_shapes
from terrain_training.preparation.entry import Entry, FoundSet
from terrain_training.preparation.known import plain_name
from terrain_training.preparation.propose import BACKGROUND, Proposal
from terrain_training.progress import progress_of

_LISTS = {BOTH: "trainval"}


@dataclass
class Converted:
    """What was written, and which images or shapes could not be used, in words."""

    images: int = 0
    bad: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def convert(found: FoundSet, proposal: Proposal, folder: Path, *, blurred: bool) -> Converted:
    """Write images, masks of class ids and lists of splits into a new folder.

    Args:
        found: the set.
        proposal: its classes.
        folder: that does not exist, or is empty.
        blurred: masks hold colours in between.

    Raises:
        ConfigError: the folder holds something, or no image can be used.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"'{folder}' exists; remove it, or give another --out")
    label_of = _reader(proposal, blurred=blurred)
    done = Converted()
    splits: dict[str, list[str]] = {}
    with _draft(folder) as draft:
        for name in ("images", "masks"):
            (draft / name).mkdir()
        for entry in progress_of(found.entries, "convert", unit="image"):
            try:
                image = read_picture(entry.image)
                mask, problems = label_of(entry, (image.shape[0], image.shape[1]))
                Sample(str(entry.image), image, mask)
            except BadSampleError as error:
                done.bad.append(str(error))
                continue
            shutil.copyfile(
                entry.image, draft / "images" / f"{entry.name}{entry.image.suffix.lower()}"
            )
            _write_mask(draft / "masks" / f"{entry.name}.png", mask)
            done.images += 1
            done.problems += problems
            if entry.split is not None:
                splits.setdefault(entry.split, []).append(entry.name)
        if not done.images:
            raise ConfigError(
                f"none of {len(found.entries)} images can be used; the first: {done.bad[0]}"
            )
        _write_lists(draft, splits)
    return done


_Labels = Callable[[Entry, tuple[int, int]], tuple[U8, list[str]]]


def _reader(proposal: Proposal, *, blurred: bool) -> _Labels:
    """Return what gives the mask of an entry whose image is (height, width)."""
    names = [item.name for item in proposal.classes]
    rest = names.index(BACKGROUND) if BACKGROUND in names else IGNORE
    values = proposal.ids()
    table = ColourTable(values, remedy="it is in few masks; correct it") if values else None

    def read(entry: Entry, size: tuple[int, int]) -> tuple[U8, list[str]]:
        if entry.size not in (None, size):
            high, wide = entry.size or size
            raise BadSampleError(
                f"{entry.image} is {size[1]} x {size[0]} px, but its annotations are for "
                f"{wide} x {high} px; restore the image, or scale the annotations"
            )
        if not isinstance(entry.label, Path):
            ids = {shape.label: _id(shape.label, names) for shape in entry.label}
            return draw_shapes(entry.label, size, ids, rest=rest)
        if table is None:
            raise AssertionError("masks have values")
        colours, source = read_colours(entry.label), str(entry.label)
        if blurred:
            return table.decode_blurred(colours, source=source), []
        return table.decode(colours, source=source), []

    return read


def _id(label: str, names: Sequence[str]) -> int:
    name = plain_name(label)
    return names.index(name) if name in names else IGNORE


def _write_mask(path: Path, mask: U8) -> None:
    good, data = cv2.imencode(".png", mask)
    if not good:
        raise ConfigError(f"{path} cannot be written as PNG")
    path.write_bytes(np.asarray(data).tobytes())


def _write_lists(folder: Path, splits: dict[str, list[str]]) -> None:
    for split, names in splits.items():
        text = "".join(f"{name}\n" for name in names)
        (folder / f"{_LISTS.get(split, split)}.txt").write_text(text, encoding="utf-8")


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """Give a folder beside, which takes the place when all is written."""
    target = folder.absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
    draft.mkdir()
    try:
        yield draft
        if target.is_dir():
            target.rmdir()
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
