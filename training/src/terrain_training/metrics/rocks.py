"""How many rocks a network finds, by their apparent size, and how much ground it calls rock."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import U8, UNLABELLED

SIZE_EDGES = (0.0, 0.012, 0.016, 0.02, 0.028, 0.045, 0.07, 1.0)
"""Limits of the bins of apparent size: square root of the visible area over the image's width."""
FOUND_SHARE = 0.5
"""A rock is found if at least this share of its pixels is called rock, of whichever size."""
NOT_GROUND = ("sky", "vehicle", "shadow")
"""Classes that are neither rock nor ground."""


@dataclass(frozen=True)
class RockBin:
    """The rocks of one bin of apparent size; `recall` is of their pixels, None without rocks."""

    from_size: float
    to_size: float
    rocks: int
    found: int
    recall: float | None

    @property
    def share(self) -> float | None:
        """Return the share of the rocks that were found."""
        return self.found / self.rocks if self.rocks else None


@dataclass(frozen=True)
class RockFigures:
    """Rocks by apparent size, and the share of the ground that is called rock.

    `classes` are the rocks' classes. Rocks of one class that touch count as one, since masks do
    not part them. `false_rock_share` is None without ground.
    """

    classes: tuple[str, ...]
    bins: tuple[RockBin, ...]
    rocks: int
    found: int
    ground_px: int
    false_rock_px: int
    false_rock_share: float | None


def rock_ids(taxonomy: Taxonomy) -> tuple[int, ...]:
    """Return the ids of the classes `rock`, `small_rock` and so on; bedrock is ground."""
    return tuple(item.id for item in taxonomy if item.name == "rock" or item.name.endswith("_rock"))


class RockCounts:
    """Count rocks over any number of images."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        """Start empty; without a class of rocks there is nothing to count."""
        self._taxonomy = taxonomy
        self._ids = rock_ids(taxonomy)
        self._is_rock = np.zeros(256, dtype=np.bool_)
        self._is_rock[list(self._ids)] = True
        self._is_ground = np.zeros(256, dtype=np.bool_)
        self._is_ground[: len(taxonomy)] = True
        for item in taxonomy:
            self._is_ground[item.id] &= item.name not in NOT_GROUND and item.id not in self._ids
        bins = len(SIZE_EDGES) - 1
        self._rocks, self._found, self._px, self._found_px = (
            np.zeros(bins, dtype=np.int64) for _ in range(4)
        )
        self._ground_px = 0
        self._false_px = 0

    def add(self, truth: U8, mask: U8) -> None:
        """Count one image; both (H, W) of class ids, 255 in the truth where nothing counts."""
        called: NDArray[np.bool_] = self._is_rock[mask]
        ground = self._is_ground[truth] & (truth != UNLABELLED)
        self._ground_px += int(ground.sum())
        self._false_px += int((ground & called).sum())
        for class_id in self._ids:
            _, labels, stats, _ = cv2.connectedComponentsWithStats(
                (truth == class_id).astype(np.uint8), connectivity=8
            )
            areas = stats[1:, cv2.CC_STAT_AREA].astype(np.int64)
            hits = np.bincount(labels[called], minlength=len(stats))[1:]
            sizes = np.sqrt(areas) / truth.shape[1]
            places = np.clip(np.digitize(sizes, SIZE_EDGES) - 1, 0, len(self._rocks) - 1)
            np.add.at(self._rocks, places, 1)
            np.add.at(self._found, places, hits >= FOUND_SHARE * areas)
            np.add.at(self._px, places, areas)
            np.add.at(self._found_px, places, hits)

    def merge(self, other: RockCounts) -> None:
        """Add the counts of other images, of the same classes."""
        self._rocks += other._rocks
        self._found += other._found
        self._px += other._px
        self._found_px += other._found_px
        self._ground_px += other._ground_px
        self._false_px += other._false_px

    def figures(self) -> RockFigures | None:
        """Return the figures; None if the classes have no rocks."""
        if not self._ids:
            return None
        bins = tuple(
            RockBin(
                from_size=SIZE_EDGES[place],
                to_size=SIZE_EDGES[place + 1],
                rocks=int(self._rocks[place]),
                found=int(self._found[place]),
                recall=(
                    float(self._found_px[place] / self._px[place]) if self._px[place] else None
                ),
            )
            for place in range(len(self._rocks))
        )
        return RockFigures(
            classes=tuple(self._taxonomy.names[place] for place in self._ids),
            bins=bins,
            rocks=int(self._rocks.sum()),
            found=int(self._found.sum()),
            ground_px=self._ground_px,
            false_rock_px=self._false_px,
            false_rock_share=self._false_px / self._ground_px if self._ground_px else None,
        )
