"""Martian ground as a camera close to it sees it: slabs of bedrock, rippled sand, pebbly soil."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from terrain_seg_ros.core.types import F32, F64, U8
from terrain_seg_ros.worlds.world import BEDROCK, SAND, World
from terrain_training.rendering.cycles.arrays import Bool
from terrain_training.rendering.cycles.facts import NO_CLASS
from terrain_training.rendering.cycles.noise import cell_hash, value_noise
from terrain_training.rendering.cycles.relief import GroundStyle, Relief, true_half_side_m

EDGE_WAVES = ((1.3, 0.45), (0.4, 0.18), (0.13, 0.07), (0.05, 0.03))
"""How the border of a patch of ground winds: wavelength and shift, metres."""
BURIED_M = 0.15
"""Bedrock farther from a plate that shows is not asked for."""
FEATHER_M = 0.12
"""Distance over which one kind of ground becomes another for the eye."""


@dataclass(frozen=True)
class MarsGround:
    """Hold how bedrock and sand look.

    Plates of bedrock are about `slab_m` wide, stand out by `slab_high_m` and carry layers
    `layer_m` high; gaps between them are `gap_share` of that wide on each side, and `shown_share`
    of the plates are not buried. Ripples of sand are `ripple_m` apart and run across `ripple_rad`.
    """

    slab_m: float
    slab_high_m: float
    layer_m: float
    gap_share: float
    shown_share: float
    ripple_m: float
    ripple_rad: float


class MarsRelief(Relief):
    """Give the height, brightness and kind of Martian ground at any place."""

    def __init__(self, world: World, seed: int, style: GroundStyle, mars: MarsGround) -> None:
        """Take the world, a seed for the detail and the styles."""
        super().__init__(world, seed, style)
        self._mars = mars
        self._seed_of_patches = world.seed % 1_000_003

    def surface(self, x_m: F64, y_m: F64, spacing_m: F64) -> tuple[F32, F32]:
        """Return heights in the world's frame and brightness, as those of `Relief`."""
        height, tone = super().surface(x_m, y_m, spacing_m)
        bedrock, sand = self.cover(x_m, y_m)
        for weight, add in ((bedrock, self._slabs), (sand, self._ripples)):
            here = np.flatnonzero(weight.ravel() > 0.0)
            if here.size:
                more, bright = add(x_m.ravel()[here], y_m.ravel()[here], spacing_m.ravel()[here])
                share = weight.ravel()[here]
                height.ravel()[here] += share * more
                tone.ravel()[here] *= 1.0 + share * (bright - 1.0)
        return height, tone

    def ground_class(self, x_m: F64, y_m: F64) -> U8:
        """Return the class of the ground at places (N,).

        It is NO_CLASS beyond the world's own ground, and in bedrock where all of it is buried.
        """
        x, y = self._wound(x_m, y_m)
        found = self._world.class_at(x, y)
        bedrock = np.flatnonzero(found == BEDROCK)
        fine_m = np.full(bedrock.size, 0.02)
        shown = [
            self._plates(x_m[bedrock] + dx, y_m[bedrock] + dy, fine_m)[0]
            for dx, dy in ((0.0, 0.0), (BURIED_M, 0.0), (-BURIED_M, 0.0), (0.0, BURIED_M))
        ]
        found[bedrock[np.max(shown, axis=0) < 0.5]] = NO_CLASS
        beyond = np.maximum(np.abs(x_m), np.abs(y_m)) > true_half_side_m(self._world)
        return np.where(beyond, NO_CLASS, found).astype(np.uint8)

    def cover(self, x_m: F64, y_m: F64) -> tuple[F32, F32]:
        """Return how much of a place is bedrock and how much is sand, 0 to 1."""
        x, y = self._wound(x_m, y_m)
        bedrock, sand = np.zeros(x.shape, np.float32), np.zeros(x.shape, np.float32)
        for dx, dy in ((0.0, 0.0), (1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)):
            found = self._world.class_at(x + FEATHER_M * dx, y + FEATHER_M * dy)
            bedrock += 0.2 * (found == BEDROCK)
            sand += 0.2 * (found == SAND)
        return bedrock, sand

    def _wound(self, x_m: F64, y_m: F64) -> tuple[F64, F64]:
        """Return where the world's patches are looked up, so that their borders wind."""
        x, y = (_folded(part, true_half_side_m(self._world)) for part in (x_m, y_m))
        for number, (wave_m, shift_m) in enumerate(EDGE_WAVES):
            seed = self._seed_of_patches + 900 + 2 * number
            x += shift_m * value_noise(x_m / wave_m, y_m / wave_m, seed)
            y += shift_m * value_noise(x_m / wave_m, y_m / wave_m, seed + 1)
        return x, y

    def kinds(self, x_m: F64, y_m: F64, spacing_m: F64) -> tuple[F32, F32]:
        """Return how much of a place shows bedrock and sand, 0 to 1: soil fills the gaps."""
        bedrock, sand = self.cover(x_m, y_m)
        here = np.flatnonzero(bedrock.ravel() > 0.0)
        if here.size:
            where = (part.ravel()[here] for part in (x_m, y_m, spacing_m))
            bedrock.ravel()[here] *= self._plates(*where)[0]
        return bedrock, sand

    def _plates(self, x_m: F64, y_m: F64, spacing_m: F64) -> tuple[F32, F32, F32]:
        """Return exposure, height over the soil in slabs, and a number for each plate (N,)."""
        mars, size_m = self._mars, self._mars.slab_m
        bend = 0.16 * value_noise(2.5 * x_m / size_m, 2.5 * y_m / size_m, self._seed + 1190)
        edge, own, lean = cells(x_m / size_m + bend, y_m / size_m - bend, self._seed + 1200)
        rise = np.maximum(0.03, 1.2 * spacing_m / size_m)
        top = np.clip((edge - mars.gap_share) / rise, 0.0, 1.0).astype(np.float32)
        shown: F32 = top * ((own * 7.31) % 1.0 < mars.shown_share)
        # Far away a pixel sees many plates and gaps at once.
        far = np.clip(spacing_m / (0.4 * size_m) - 0.5, 0.0, 1.0).astype(np.float32)
        mean = np.float32(mars.shown_share * (1.0 - 2.0 * mars.gap_share))
        shown = shown + far * (mean - shown)
        return shown, shown * (0.4 + 0.6 * own + 0.9 * lean), own

    def _slabs(self, x_m: F64, y_m: F64, spacing_m: F64) -> tuple[F32, F32]:
        """Return height and brightness of plates of bedrock (N,), their cracks and layers."""
        mars, seed = self._mars, self._seed + 1250
        shown, high, own = self._plates(x_m, y_m, spacing_m)
        height = mars.slab_high_m * high
        tone = 1.0 + shown * (0.2 * own - 0.1)
        fine_m = 0.31 * mars.slab_m
        near = np.flatnonzero(fine_m > 5.0 * spacing_m)
        if near.size:
            edge, part, _ = cells(x_m[near] / fine_m, y_m[near] / fine_m, seed)
            crack = shown[near] * np.exp(-np.square(edge / 0.035)) * (part > 0.4)
            height[near] += shown[near] * 0.15 * mars.slab_high_m * part
            height[near] -= 0.3 * mars.slab_high_m * crack
            tone[near] *= 1.0 - 0.25 * crack
        wide = value_noise(x_m / 2.2, y_m / 2.2, seed + 3) + 0.4 * value_noise(
            x_m / 0.6, y_m / 0.6, seed + 4
        )
        steps = wide * 2.5 * mars.slab_high_m / mars.layer_m
        rise = np.floor(steps) + np.clip(6.0 * (steps - np.floor(steps)), 0.0, 1.0)
        height += shown * mars.layer_m * rise.astype(np.float32)
        tone *= 1.0 + 0.07 * shown * np.sin(2.0 * math.pi * steps).astype(np.float32)
        return height.astype(np.float32), tone.astype(np.float32)

    def _ripples(self, x_m: F64, y_m: F64, spacing_m: F64) -> tuple[F32, F32]:
        """Return height and brightness of ripples (N,): steep in the lee, and sorted by grain."""
        mars, seed = self._mars, self._seed + 1400
        along = math.cos(mars.ripple_rad) * x_m + math.sin(mars.ripple_rad) * y_m
        wander = value_noise(x_m / (7.0 * mars.ripple_m), y_m / (7.0 * mars.ripple_m), seed)
        fine = value_noise(x_m / (1.5 * mars.ripple_m), y_m / (1.5 * mars.ripple_m), seed + 1)
        phase = along / mars.ripple_m + 1.6 * wander + 0.12 * fine
        part = phase - np.floor(phase)
        wave = np.where(part < 0.68, part / 0.68, (1.0 - part) / 0.32)
        carried = np.clip(mars.ripple_m / (4.0 * spacing_m) - 0.5, 0.0, 1.0)
        strength = carried * np.clip(0.75 + 0.6 * wander, 0.0, 1.2)
        height = mars.ripple_m / 14.0 * strength * (wave * wave * (3.0 - 2.0 * wave) - 0.5)
        tone = 1.0 - 0.08 * strength * (wave - 0.5)
        return height.astype(np.float32), tone.astype(np.float32)


def _folded(place_m: F64, half_m: float) -> F64:
    """Return places mirrored at the world's border, so that its patches go on beyond it."""
    folded: F64 = np.abs((place_m - half_m) % (4.0 * half_m) - 2.0 * half_m) - half_m
    return folded


def cells(x: F64, y: F64, seed: int) -> tuple[F32, F32, F32]:
    """Return of Voronoi cells about 1 wide: distance to the border, a number for each, a tilt.

    Args:
        x: places (N,).
        y: places (N,).
        seed: of the cells.
    """
    ix, iy = np.floor(x).astype(np.int64), np.floor(y).astype(np.int64)
    first, second = np.full(x.size, 9.0, np.float32), np.full(x.size, 9.0, np.float32)
    own, lean = np.zeros(x.size, np.float32), np.zeros(x.size, np.float32)
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            jx, jy = ix + i, iy + j
            dx = (x - (jx + 0.1 + 0.8 * cell_hash(jx, jy, seed + 1))).astype(np.float32)
            dy = (y - (jy + 0.1 + 0.8 * cell_hash(jx, jy, seed + 2))).astype(np.float32)
            away = np.hypot(dx, dy)
            closer: Bool = away < first
            second = np.where(closer, first, np.minimum(second, away))
            number = cell_hash(jx, jy, seed + 3)
            turn = np.float32(2.0 * math.pi) * number
            own = np.where(closer, number, own)
            lean = np.where(closer, np.cos(turn) * dx + np.sin(turn) * dy, lean)
            first = np.where(closer, away, first)
    return 0.5 * (second - first), own, lean
