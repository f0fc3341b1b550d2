"""What mask files hold: class ids, grey levels, or colours; exact, or blurred by JPEG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.types import U8
from terrain_training.data.colours import BLUR_LEVELS, Colour
from terrain_training.data.contract import BadSampleError
from terrain_training.data.files import is_jpeg, read_colours
from terrain_training.progress import progress_of

MAX_MASKS = 2000
"""Masks that are looked at; of more, some evenly spaced."""
MAX_EXACT = 64
"""More values than this are no classes: masks were smoothed, or stored as JPEG."""
MAX_CLEAN = 24
"""Up to as many values, each is a class, even one that only lines have."""
MAX_IDS = 64
FLAT_LEVELS = 24
MIN_SHARE = 0.001
MIN_EVEN = 0.05
"""Share of the pixels of smoothed masks that lies amid areas of one value."""
_CORE_LEVELS = 16.0


class Holds(Enum):
    """What the values of masks mean."""

    IDS = "class ids"
    LEVELS = "grey levels"
    COLOURS = "colours"


@dataclass(frozen=True)
class MaskValues:
    """The values of the masks, each as a colour; grey levels are three equal channels.

    `blurred` masks hold colours in between as well; `jpeg` ones are files of JPEG. `ignored` are
    values that stand for no class. `palette` has the colour of each id, empty where there is none.
    """

    holds: Holds
    colours: tuple[Colour, ...]
    blurred: bool
    jpeg: bool
    ignored: tuple[Colour, ...]
    looked_at: int
    palette: tuple[Colour, ...]

    def id_of(self, value: Colour) -> int | None:
        """Return the number that stands for a value in the files; None where they hold colours."""
        if self.holds is not Holds.COLOURS:
            return value[0]
        return _places(self.palette).get(value)

    def words(self) -> str:
        """Return what masks hold, for people."""
        count = f"{len(self.colours)} {self.holds.value}"
        if self.holds is not Holds.COLOURS:
            count += f" ({', '.join(str(colour[0]) for colour in self.colours[:12])}"
            count += ", ...)" if len(self.colours) > 12 else ")"
        form = " of a palette" if self.palette else ""
        blur = ", blurred by JPEG: a pixel takes the class of the nearest" if self.jpeg else ""
        if self.blurred and not self.jpeg:
            blur = ", with smoothed edges: a pixel takes the class of the nearest"
        return f"{count}{form}{blur}"


def look_at_masks(paths: Sequence[Path]) -> MaskValues:
    """Return what masks hold.

    Raises:
        ConfigError: none can be read, or they hold fewer than two values or far too many.
    """
    step = -(-len(paths) // MAX_MASKS)
    chosen = paths[::step]
    everywhere: Counter[int] = Counter()
    amid: Counter[int] = Counter()
    even: Counter[int] = Counter()
    jpeg = False
    failures: list[str] = []
    for path in progress_of(chosen, "look at masks", unit="mask"):
        try:
            keys, spread = _keys(read_colours(path))
            jpeg = is_jpeg(path) or jpeg
        except BadSampleError as error:
            failures.append(str(error))
            continue
        everywhere.update(_counted(keys))
        amid.update(_counted(keys[spread <= FLAT_LEVELS]))
        even.update(_counted(keys[spread == 0]))
    if not everywhere:
        raise ConfigError(f"none of {len(chosen)} masks can be read; the first: {failures[0]}")
    blurred = jpeg or len(everywhere) > max(MAX_CLEAN, 2 * len(amid)) or len(amid) > MAX_EXACT
    if blurred and not jpeg:
        _check_smoothed(even, everywhere.total())
    counts = amid if blurred else everywhere
    found = _peaks(counts) if blurred else [_colour_of(key) for key in counts]
    palette = _palette(chosen[0])
    return _meaning(found, counts, blurred=blurred, jpeg=jpeg, palette=palette, seen=len(chosen))


def _check_smoothed(even: Counter[int], pixels: int) -> None:
    """Check that masks with many values are smoothed ones of few classes.

    Args:
        even: pixels by value, of those amid an area of exactly that value.
        pixels: of the masks.

    Raises:
        ConfigError: they have more classes than can be proposed, or are pictures.
    """
    classes = sum(count >= MIN_SHARE / 10 * even.total() for count in even.values())
    if classes > MAX_EXACT:
        raise ConfigError(
            f"the masks hold areas of {classes} values, and classes are proposed for up to "
            f"{MAX_EXACT}; join classes in the masks, or write data.options.classes of a recipe "
            "for labelled_folder yourself"
        )
    if even.total() < MIN_EVEN * pixels:
        raise ConfigError(
            f"the masks hold no areas of one value ({even.total() / pixels:.1%} of the pixels), as "
            "photographs do; check which files are masks"
        )


def _keys(colours: U8) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
    """Return colours as numbers (H, W), and how far those around each pixel differ, in levels."""
    wide = colours.astype(np.int32)
    kernel = np.ones((3, 3), dtype=np.uint8)
    spread = cv2.dilate(colours, kernel).astype(np.int16) - cv2.erode(colours, kernel)
    keys = (wide[..., 0] << 16) | (wide[..., 1] << 8) | wide[..., 2]
    return keys, np.asarray(spread.max(axis=2))


def _counted(keys: NDArray[np.int32]) -> dict[int, int]:
    found, counts = np.unique(keys, return_counts=True)
    return dict(zip(found.tolist(), counts.tolist()))


def _peaks(counts: Counter[int]) -> list[Colour]:
    """Return the colours that areas have, most frequent first, each far from the others.

    Raises:
        ConfigError: there are more than `MAX_EXACT`: the files are pictures.
    """
    keys = np.array(list(counts), dtype=np.int64)
    weights = np.array(list(counts.values()), dtype=np.int64)
    points = np.stack([keys >> 16, keys >> 8 & 255, keys & 255], axis=1).astype(np.float32)
    free = np.ones(len(keys), dtype=bool)
    found: list[Colour] = []
    while free.any():
        index = int(np.argmax(np.where(free, weights, -1)))
        distance = np.sqrt(((points - points[index]) ** 2).sum(axis=1))
        if weights[free & (distance <= _CORE_LEVELS)].sum() >= MIN_SHARE * weights.sum():
            found.append(_colour_of(int(keys[index])))
        free &= distance > BLUR_LEVELS
        if len(found) > MAX_EXACT:
            raise ConfigError(
                f"the masks hold more than {MAX_EXACT} colours, as photographs do; check which "
                "files are masks, and store them as PNG"
            )
    return found


def _meaning(
    colours: list[Colour],
    counts: Counter[int],
    *,
    blurred: bool,
    jpeg: bool,
    palette: tuple[Colour, ...],
    seen: int,
) -> MaskValues:
    """Return what values mean: small ones are ids, other grey ones levels, the rest colours."""
    if len(colours) < 2:
        raise ConfigError(
            f"the masks hold the single value {colours[0] if colours else 'none'}, so that there "
            "is nothing to tell apart; check which files are masks"
        )
    if not all(colour[0] == colour[1] == colour[2] for colour in colours):
        order = _places(palette)
        ignored = tuple(colour for colour in colours if order.get(colour) == IGNORE)
        colours = [colour for colour in colours if colour not in ignored]
        ordered = sorted(colours, key=lambda c: (order.get(c, 256), -counts[_key_of(c)]))
        return MaskValues(Holds.COLOURS, tuple(ordered), blurred, jpeg, ignored, seen, palette)
    levels = sorted(colour[0] for colour in colours)
    ignored = ()
    if levels[-1] == IGNORE and len(levels) > 2 and levels[-2] < MAX_IDS:
        levels, ignored = levels[:-1], ((IGNORE,) * 3,)
    are_ids = not blurred and levels == list(range(len(levels)))
    holds = Holds.IDS if are_ids else Holds.LEVELS
    values = tuple((level, level, level) for level in levels)
    return MaskValues(holds, values, blurred, jpeg, ignored, seen, ())


def _places(palette: tuple[Colour, ...]) -> dict[Colour, int]:
    return {colour: place for place, colour in reversed(list(enumerate(palette)))}


def _palette(path: Path) -> tuple[Colour, ...]:
    """Return the palette of a PNG file in its order; empty where it has none."""
    try:
        with path.open("rb") as file:
            data = file.read(64 * 1024)
    except OSError:
        return ()
    place = 8
    while data.startswith(b"\x89PNG") and place + 8 <= len(data):
        size, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if kind == b"PLTE":
            body = data[place + 8 : place + 8 + min(size, 768)]
            return tuple((body[i], body[i + 1], body[i + 2]) for i in range(0, len(body) - 2, 3))
        if kind == b"IDAT":
            break
        place += size + 12
    return ()


def _key_of(colour: Colour) -> int:
    return colour[0] << 16 | colour[1] << 8 | colour[2]


def _colour_of(key: int) -> Colour:
    return key >> 16, key >> 8 & 255, key & 255
