"""The lists beside a folder of images that say which image is in which split.

`val.txt`, `valid.txt`, `dev.txt` and `validation.txt` all mean validation. A line names an image,
with or without its ending and folders; `#` begins a comment. Other .txt files are no splits, unless
they list images.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.files import IMAGE_SUFFIXES
from terrain_training.data.splits import random_split

log = logging.getLogger(__name__)

LIST_LIMIT_BYTES = 16 * 2**20
TRAIN, VALIDATION, TEST, BOTH = "train", "validation", "test", "train and validation"
NAMES = {
    TRAIN: ("train", "training"),
    VALIDATION: ("validation", "val", "valid", "dev"),
    TEST: ("test", "testing"),
    BOTH: ("trainval", "train_val", "trainvalidation", "train_validation"),
}
_MEANING = {alias: split for split, aliases in NAMES.items() for alias in aliases}
_OTHER_USE = {"removed", "remove", "suspects", "duplicates", "foreign", "bad", "excluded"}
"""Lists of images that do not belong: of names alone they look like splits."""
_SHOWN = 3


@dataclass
class _Lists:
    """The lists that were read: names by split, and the file of each."""

    parts: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    seen: dict[str, Path] = field(default_factory=dict)


def read_splits(
    root: Path, known: Mapping[str, object], *, shares: Mapping[str, float], seed: int
) -> dict[str, list[str]]:
    """Return the names of each split, from the lists of a folder; what they lack is drawn.

    Args:
        root: folder that may hold lists.
        known: the images by stem.
        shares: of the splits that are drawn.
        seed: of what is drawn.

    Raises:
        ConfigError: a list names what is not there, an image is in two splits or twice in one, or
            a list is empty, too large or no text.
    """
    lists = _Lists()
    others: list[Path] = []
    for path in sorted(root.iterdir()):
        if path.suffix.lower() != ".txt" or path.name.startswith(".") or not path.is_file():
            continue
        if path.stem.lower() in _MEANING:
            _add(lists, _MEANING[path.stem.lower()], path, known)
        else:
            others.append(path)
    for path in others:
        _add_other(lists, path, known)
    if not lists.parts:
        log.info("%s has no lists of splits; they are drawn with seed %d", root, seed)
        return random_split(known, shares, seed=seed)
    _draw_missing(lists, known, shares=shares, seed=seed)
    used = {name for part in lists.parts.values() for name in part}
    unlisted = [name for name in known if name not in used]
    if unlisted:
        log.warning("%s: %s are in no list and are not used", root, _some(unlisted))
    return {split: lists.parts[split] for split in _in_order(lists.parts)}


def _add(lists: _Lists, split: str, path: Path, known: Mapping[str, object]) -> None:
    """Add a list whose file name says that it is one."""
    names = []
    for number, line in _lines(path):
        found = names_in(line, known)
        if found is None:
            raise ConfigError(
                f"{path}, line {number}: {line!r} is not an image of the folder; correct the list"
            )
        names += found
    if not names:
        raise ConfigError(f"{path} names no image; fill it, or remove it to have the split drawn")
    if split in lists.parts:
        first = lists.files[split]
        if sorted(lists.parts[split]) == sorted(names):
            return
        raise ConfigError(
            f"{first.name} and {path.name} of {path.parent} both mean {split}; keep one"
        )
    for name in names:
        if name in lists.seen:
            raise ConfigError(
                f"{path}: {name!r} is in {lists.seen[name].name} already; keep it once, since an "
                "image that is learned from cannot validate"
            )
        lists.seen[name] = path
    lists.parts[split], lists.files[split] = names, path


def _add_other(lists: _Lists, path: Path, known: Mapping[str, object]) -> None:
    """Add a list of another name if it names images in no split; else say that it is none."""
    try:
        lines = [names_in(line, known) for _, line in _lines(path)]
    except ConfigError:
        lines = []
    found = [name for names in lines if names is not None for name in names]
    strange = lines.count(None)
    listed = all(name in lists.seen for name in found)
    if path.stem.lower() in _OTHER_USE or listed or len(lines) - strange < strange:
        log.warning("%s is taken for no list of a split and left out", path)
        return
    _add(lists, path.stem, path, known)
    log.info("%s is the split %r of %d images", path, path.stem, len(found))


def _draw_missing(
    lists: _Lists, known: Mapping[str, object], *, shares: Mapping[str, float], seed: int
) -> None:
    """Draw training and validation images where there is no list of them."""
    parts = lists.parts
    pool = parts.pop(BOTH, None)
    missing = [split for split in (TRAIN, VALIDATION) if split not in parts]
    if not missing:
        return
    if pool is None:
        free = [name for name in known if name not in lists.seen]
        pool = parts.pop(TRAIN) if missing == [VALIDATION] else free
        source = lists.files[TRAIN].name if missing == [VALIDATION] else "the images in no list"
    else:
        pool = [name for name in pool if name not in set(parts.get(missing[0], []))]
        source = lists.files[BOTH].name
    if missing == [TRAIN]:
        if not pool:
            raise ConfigError(
                f"{lists.files[VALIDATION]} names every image; there is none to learn from"
            )
        parts[TRAIN] = list(pool)
        log.warning("there is no list of training images; %s are taken: %d", source, len(pool))
        return
    asked = {split: float(shares.get(split, 0.0)) for split in (TRAIN, VALIDATION)}
    if min(asked.values()) <= 0.0:
        raise ConfigError(
            f"recipe key data.options.shares is {dict(shares)}, expected shares of {TRAIN} and "
            f"{VALIDATION} above 0, since there is no list of {missing[-1]}"
        )
    total = sum(asked.values())
    parts.update(
        random_split(pool, {split: value / total for split, value in asked.items()}, seed=seed)
    )
    log.warning(
        "there is no list of %s; of %s, %d are drawn to train and %d to validate, seed %d",
        " or of ".join(f"{split} images" for split in missing),
        source,
        len(parts[TRAIN]),
        len(parts[VALIDATION]),
        seed,
    )


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield number and text of the lines that say something.

    Raises:
        ConfigError: the file is too large or no text.
    """
    try:
        if path.stat().st_size > LIST_LIMIT_BYTES:
            raise ConfigError(f"{path} is larger than {LIST_LIMIT_BYTES} bytes; is it a list?")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path} cannot be read ({error}); write one name per line in UTF-8"
        ) from error
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.strip()
        if said and not said.startswith("#"):
            yield number, said


def names_in(line: str, known: Mapping[str, object]) -> list[str] | None:
    """Return the stems that a line names, None where it names something else.

    It is one name, perhaps with spaces, or several; an image and its mask are one. A comment may
    follow.
    """
    before = line.partition(" #")[0].strip()
    for whole in (line, before):
        name = _stem(whole, known)
        if name is not None:
            return [name]
    names = [_stem(word, known) for word in before.replace(",", " ").split()]
    found = [name for name in names if name is not None]
    return list(dict.fromkeys(found)) if found and len(found) == len(names) else None


def _stem(text: str, known: Mapping[str, object]) -> str | None:
    name = PurePosixPath(text.strip().strip("\"'").replace("\\", "/")).name
    stem, dot, ending = name.rpartition(".")
    if name in known:
        return name
    return stem if f"{dot}{ending}".lower() in IMAGE_SUFFIXES and stem in known else None


def _in_order(parts: Mapping[str, object]) -> list[str]:
    usual = [split for split in (TRAIN, VALIDATION, TEST) if split in parts]
    return [*usual, *(split for split in parts if split not in usual)]


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
