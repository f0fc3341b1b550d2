"""What a network's training images look like in numbers, as its card stores it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.core.files.strict_json import shown

METHOD = "nearest reference of the input's statistics, 1"
"""The definition of the statistics and of the distance; another one needs another text."""
MAX_REFERENCES = 1024
MAX_STATISTICS = 64
LARGEST = 1e6
Vector = tuple[float, ...]


@dataclass(frozen=True)
class NoveltyReference:
    """Reference points in the space of an image's statistics (`core.image.novelty`).

    Statistics (D,) minus `mean` (D,), times `whitening` (D, D) from the right, have about unit
    variance and no correlation over the training images; `references` (M, D) are such vectors.
    An image's distance is that to the nearest reference, and `limit` the distance that at most 1 %
    of the validation images exceed. `percentiles` are those of the training images' distances, by
    the percentage; `images` and `validation_images` count both.
    """

    mean: Vector = field(repr=False)
    whitening: tuple[Vector, ...] = field(repr=False)
    references: tuple[Vector, ...] = field(repr=False)
    limit: float
    percentiles: Mapping[str, float] = field(repr=False, hash=False)
    images: int
    validation_images: int
    data: str = ""


def parse_novelty(content: object, *, source: str) -> NoveltyReference:
    """Check the `novelty` of a card and return it as a value.

    Raises:
        ModelError: a part is missing, of the wrong shape or not a finite number.
    """
    if not isinstance(content, Mapping):
        raise ModelError(f"{source}: novelty is {shown(content)}, expected an object")
    if content.get("method") != METHOD:
        raise ModelError(
            f"{source}: novelty.method is {shown(content.get('method'))}, expected {METHOD!r}; "
            "update this software, or write the card's novelty again (terrain-train novelty)"
        )
    mean = _vector(content.get("mean"), None, f"{source}: novelty.mean")
    length = len(mean)
    whitening = _rows(content.get("whitening"), length, f"{source}: novelty.whitening")
    if len(whitening) != length:
        raise ModelError(f"{source}: novelty.whitening has {len(whitening)} rows, not {length}")
    percentiles = content.get("percentiles", {})
    if not isinstance(percentiles, Mapping):
        raise ModelError(f"{source}: novelty.percentiles is {shown(percentiles)}, not an object")
    return NoveltyReference(
        mean=mean,
        whitening=whitening,
        references=_rows(content.get("references"), length, f"{source}: novelty.references"),
        limit=_number(content.get("limit"), f"{source}: novelty.limit", above=0.0),
        percentiles={
            str(name): _number(value, f"{source}: novelty.percentiles")
            for name, value in percentiles.items()
        },
        images=_count(content.get("images"), f"{source}: novelty.images"),
        validation_images=_count(
            content.get("validation_images"), f"{source}: novelty.validation_images"
        ),
        data=str(content.get("data", "")),
    )


def novelty_content(reference: NoveltyReference) -> dict[str, Any]:
    """Return a reference as a JSON object, the inverse of `parse_novelty`."""
    return {
        "method": METHOD,
        "data": reference.data,
        "images": reference.images,
        "validation_images": reference.validation_images,
        "limit": reference.limit,
        "percentiles": dict(reference.percentiles),
        "mean": list(reference.mean),
        "whitening": [list(row) for row in reference.whitening],
        "references": [list(row) for row in reference.references],
    }


def _rows(value: object, length: int, what: str) -> tuple[Vector, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_REFERENCES:
        raise ModelError(f"{what} is {shown(value)}, expected 1 to {MAX_REFERENCES} lists")
    return tuple(_vector(row, length, what) for row in value)


def _vector(value: object, length: int | None, what: str) -> Vector:
    fits = isinstance(value, list) and 1 <= len(value) <= MAX_STATISTICS
    if not isinstance(value, Sequence) or not fits or len(value) != (length or len(value)):
        wanted = f"{length}" if length else f"1 to {MAX_STATISTICS}"
        raise ModelError(f"{what} is {shown(value)}, expected a list of {wanted} numbers")
    return tuple(_number(item, what) for item in value)


def _number(value: object, what: str, *, above: float = -math.inf) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not abs(value) <= LARGEST or not value > above:  # type: ignore[arg-type,operator]
        raise ModelError(f"{what} holds {shown(value)}, expected a number within {LARGEST:g}")
    return float(value)  # type: ignore[arg-type]


def _count(value: object, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ModelError(f"{what} is {shown(value)}, expected a whole number of 1 or more")
    return value
