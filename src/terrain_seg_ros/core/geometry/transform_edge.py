"""The pose of one frame in its parent over time, with interpolation."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from terrain_seg_ros.core.errors import TransformTimeError
from terrain_seg_ros.core.types import F64, Transform

NLERP_COSINE = 0.9995
"""Above this cosine of the half angle, linear interpolation replaces slerp and avoids 0/0."""

Quaternion = tuple[float, float, float, float]
Vector = tuple[float, float, float]


class Sample(NamedTuple):
    """The pose of a child in a parent; as in tf2, each sample has its own parent."""

    parent: str
    rotation_xyzw: Quaternion
    translation_m: Vector


@dataclass
class Edge:
    """The poses of one child, oldest first.

    A static frame has one sample, valid at all times. `doubts` are samples that show a static
    frame moving, while they are too few to be accepted.
    """

    static: bool
    stamps_ns: list[int] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    doubts: list[tuple[int, Sample]] = field(default_factory=list)

    def insert(self, stamp_ns: int, sample: Sample) -> None:
        """Insert a sample in order of time, replacing one with the same stamp."""
        at = bisect_left(self.stamps_ns, stamp_ns)
        if at < len(self.stamps_ns) and self.stamps_ns[at] == stamp_ns:
            self.samples[at] = sample
            return
        self.stamps_ns.insert(at, stamp_ns)
        self.samples.insert(at, sample)

    def drop_first(self, count: int) -> None:
        """Discard the oldest samples."""
        del self.stamps_ns[:count]
        del self.samples[:count]

    def drop_after(self, stamp_ns: int) -> None:
        """Discard the samples newer than a stamp."""
        at = bisect_right(self.stamps_ns, stamp_ns)
        del self.stamps_ns[at:]
        del self.samples[at:]

    def parent(self, stamp_ns: int) -> str:
        """Return the parent at a stamp: that of the sample before it, or of the first one."""
        at = 0 if self.static else bisect_right(self.stamps_ns, stamp_ns) - 1
        return self.samples[max(at, 0)].parent

    def pose(self, name: str, stamp_ns: int, what: str) -> Transform:
        """Return parent_T_child at a stamp.

        Between samples of different parents the older one is used, as in tf2.

        Args:
            name: the child's name, for the error.
            stamp_ns: the time of the pose.
            what: the lookup, for the error.

        Raises:
            TransformTimeError: there are no samples on both sides of the stamp.
        """
        stamps, samples = self.stamps_ns, self.samples
        if self.static:
            return _transform(samples[0].rotation_xyzw, samples[0].translation_m)
        at = bisect_left(stamps, stamp_ns)
        if at < len(stamps) and stamps[at] == stamp_ns:
            return _transform(samples[at].rotation_xyzw, samples[at].translation_m)
        if at == 0 or at == len(stamps):
            raise self._outside(name, stamp_ns, what)
        start, end = samples[at - 1], samples[at]
        if start.parent != end.parent:
            return _transform(start.rotation_xyzw, start.translation_m)
        share = (stamp_ns - stamps[at - 1]) / (stamps[at] - stamps[at - 1])
        rotation = _slerp(start.rotation_xyzw, end.rotation_xyzw, share)
        x, y, z = (a + (b - a) * share for a, b in zip(start.translation_m, end.translation_m))
        return _transform(rotation, (x, y, z))

    def _outside(self, name: str, stamp_ns: int, what: str) -> TransformTimeError:
        old = stamp_ns < self.stamps_ns[0]
        gap_s = (self.stamps_ns[0] - stamp_ns if old else stamp_ns - self.stamps_ns[-1]) * 1e-9
        side = "older than the oldest" if old else "newer than the newest"
        return TransformTimeError(
            f"{what} at {stamp_ns * 1e-9:.3f} s: the stamp is {gap_s:.3f} s {side} sample of "
            f"{name!r} in {self.samples[0].parent!r}; transforms are not extrapolated, check "
            "clocks and rates"
        )


def rotation_from_quaternion(rotation_xyzw: Quaternion) -> F64:
    """Return the rotation matrix of a unit quaternion."""
    x, y, z, w = rotation_xyzw
    return np.array(
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
            [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
            [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
        ]
    )


def quaternion_of(rotation: F64) -> Quaternion:
    """Return the unit quaternion of a rotation by Shepperd's method (1978)."""
    m: list[list[float]] = rotation.tolist()
    trace = m[0][0] + m[1][1] + m[2][2]
    parts = [m[0][0], m[1][1], m[2][2], trace]
    largest = parts.index(max(parts))
    if largest == 3:
        q = [m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1], 1.0 + trace]
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        q = [0.0, 0.0, 0.0, m[k][j] - m[j][k]]
        q[i] = 1.0 + m[i][i] - m[j][j] - m[k][k]
        q[j] = m[j][i] + m[i][j]
        q[k] = m[k][i] + m[i][k]
    norm = math.sqrt(sum(value * value for value in q))
    return q[0] / norm, q[1] / norm, q[2] / norm, q[3] / norm


def _transform(rotation_xyzw: Quaternion, translation_m: Vector) -> Transform:
    return Transform(rotation_from_quaternion(rotation_xyzw), np.array(translation_m))


def _slerp(start: Quaternion, end: Quaternion, share: float) -> Quaternion:
    """Interpolate along the shorter arc (Shoemake, 1985)."""
    cosine = sum(a * b for a, b in zip(start, end))
    sign = -1.0 if cosine < 0.0 else 1.0
    cosine *= sign
    first, second = 1.0 - share, share
    if cosine < NLERP_COSINE:
        angle = math.acos(cosine)
        first, second = math.sin(first * angle), math.sin(second * angle)
    values = [first * a + sign * second * b for a, b in zip(start, end)]
    norm = math.sqrt(sum(value * value for value in values))
    x, y, z, w = (value / norm for value in values)
    return x, y, z, w
