"""Transforms over time: looked up at a stamp, interpolated, never extrapolated."""

from __future__ import annotations

import functools
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from numpy.typing import ArrayLike

from terrain_seg_ros.core.errors import ConfigError, GeometryError, TransformTimeError
from terrain_seg_ros.core.types import F64, Transform

MAX_FRAMES = 1000
"""Frames that a buffer holds; more are a publisher that invents names."""
MAX_SAMPLES = 10_000
"""Samples that a buffer holds of one frame, whatever their spacing."""
NLERP_COSINE = 0.9995
"""Above this cosine of the half angle a straight line is as good as slerp, and never 0/0."""

Quaternion = tuple[float, float, float, float]
Vector = tuple[float, float, float]


@dataclass
class _Edge:
    """Hold the pose of one child in its parent over time, oldest first."""

    parent: str
    static: bool
    stamps_ns: list[int] = field(default_factory=list)
    rotations_xyzw: list[Quaternion] = field(default_factory=list)
    translations_m: list[Vector] = field(default_factory=list)

    def insert(self, stamp_ns: int, rotation_xyzw: Quaternion, translation_m: Vector) -> None:
        at = bisect_left(self.stamps_ns, stamp_ns)
        if at < len(self.stamps_ns) and self.stamps_ns[at] == stamp_ns:
            self.rotations_xyzw[at] = rotation_xyzw
            self.translations_m[at] = translation_m
            return
        self.stamps_ns.insert(at, stamp_ns)
        self.rotations_xyzw.insert(at, rotation_xyzw)
        self.translations_m.insert(at, translation_m)

    def drop_first(self, count: int) -> None:
        del self.stamps_ns[:count]
        del self.rotations_xyzw[:count]
        del self.translations_m[:count]


class TransformBuffer:
    """Hold a forest of frames; every method may be called from any thread.

    After a jump backwards in time the caller clears the buffer, as tf2's users do.
    """

    def __init__(self, cache_s: float) -> None:
        """Make an empty buffer that keeps `cache_s` seconds of each moving frame."""
        if not (math.isfinite(cache_s) and cache_s > 0.0):
            raise ConfigError(f"transform cache_s is {cache_s}, expected more than 0 s")
        self._cache_ns = round(cache_s * 1e9)
        self._edges: dict[str, _Edge] = {}
        self._lock = Lock()

    def set(
        self, parent: str, child: str, stamp_ns: int, transform: Transform, static: bool
    ) -> None:
        """Store `parent_T_child`, at the stamp or, if static, for all times.

        Samples may come in any order; one older than the cache is ignored, one with a known
        stamp replaces it. A child that gets another parent loses its history.

        Raises:
            GeometryError: a name is empty, the frames form a loop, or there are too many.
        """
        parent, child = parent.lstrip("/"), child.lstrip("/")
        if not parent or not child:
            raise GeometryError(
                f"transform from {child!r} to {parent!r} has an empty frame name; "
                "check the TF publisher"
            )
        rotation = _quaternion_from_rotation(transform.rotation)
        translation = _vector(transform.translation_m)
        with self._lock:
            edge = self._edge(parent, child, static)
            if static:
                edge.drop_first(len(edge.stamps_ns))
                stamp_ns = 0
            elif edge.stamps_ns and stamp_ns < edge.stamps_ns[-1] - self._cache_ns:
                return
            edge.insert(stamp_ns, rotation, translation)
            self._prune(edge)

    def lookup(self, target: str, source: str, stamp_ns: int) -> Transform:
        """Return `target_T_source` at the stamp.

        Raises:
            GeometryError: the frames are not connected.
            TransformTimeError: a frame on the way has no samples on both sides of the stamp.
        """
        target, source = target.lstrip("/"), source.lstrip("/")
        with self._lock:
            up, down = self._chain(source), self._chain(target)
            if up[-1] != down[-1]:
                raise GeometryError(
                    f"no transform from {source!r} to {target!r}: they are not connected; known "
                    f"frames are {self._names()}; check that TF is published and the names agree"
                )
            while up and down and up[-1] == down[-1]:
                up.pop()
                down.pop()
            what = f"no transform from {source!r} to {target!r}"
            ancestor_T_source = self._pose(up, stamp_ns, what)
            if not down:
                return ancestor_T_source
            ancestor_T_target = self._pose(down, stamp_ns, what)
        return ancestor_T_target.inverse() @ ancestor_T_source

    def clear(self) -> None:
        """Forget everything, static transforms included."""
        with self._lock:
            self._edges.clear()

    def clear_moving(self) -> None:
        """Forget all but the static transforms, which are sent only once."""
        with self._lock:
            self._edges = {name: edge for name, edge in self._edges.items() if edge.static}

    def _edge(self, parent: str, child: str, static: bool) -> _Edge:
        edge = self._edges.get(child)
        if edge is not None and edge.parent == parent and edge.static == static:
            return edge
        if child in self._chain(parent):
            raise GeometryError(
                f"transform from {child!r} to {parent!r} closes a loop of frames; "
                "two nodes publish contradicting TF"
            )
        if edge is None and len(self._edges) >= MAX_FRAMES:
            raise GeometryError(
                f"transform from {child!r} is refused: {MAX_FRAMES} frames are known already; "
                "a TF publisher invents frame names"
            )
        edge = _Edge(parent, static)
        self._edges[child] = edge
        return edge

    def _prune(self, edge: _Edge) -> None:
        oldest_ns = edge.stamps_ns[-1] - self._cache_ns
        count = max(bisect_left(edge.stamps_ns, oldest_ns), len(edge.stamps_ns) - MAX_SAMPLES)
        if count > 0:
            edge.drop_first(count)

    def _chain(self, name: str) -> list[str]:
        chain = [name]
        while chain[-1] in self._edges:
            chain.append(self._edges[chain[-1]].parent)
        return chain

    def _names(self) -> list[str]:
        names = set(self._edges) | {edge.parent for edge in self._edges.values()}
        return sorted(names)[:20]

    def _pose(self, chain: Sequence[str], stamp_ns: int, what: str) -> Transform:
        """Return ancestor_T_frame for the chain from a frame up to below the ancestor."""
        samples = [_sample(self._edges[name], name, stamp_ns, what) for name in chain]
        if not samples:
            return Transform(np.eye(3), np.zeros(3))
        return functools.reduce(lambda pose, step: step @ pose, samples)


def transform_from_quaternion(
    x: float, y: float, z: float, w: float, translation: ArrayLike
) -> Transform:
    """Return the transform of a quaternion, normalised here, and a translation in metres.

    Raises:
        GeometryError: the quaternion or the translation is not finite, or all zero.
    """
    norm = math.sqrt(x * x + y * y + z * z + w * w)
    if not math.isfinite(norm) or norm < 1e-6:
        raise GeometryError(
            f"quaternion ({x}, {y}, {z}, {w}) cannot be normalised; check the TF publisher "
            "(identity is 0, 0, 0, 1)"
        )
    rotation = _rotation_from_quaternion((x / norm, y / norm, z / norm, w / norm))
    return Transform(rotation, np.array(translation, dtype=np.float64).reshape(-1))


def rotation_from_rpy(roll_rad: float, pitch_rad: float, yaw_rad: float) -> F64:
    """Return Rz(yaw) Ry(pitch) Rx(roll), the fixed-axis convention of REP-103 and URDF."""
    cr, sr = math.cos(roll_rad), math.sin(roll_rad)
    cp, sp = math.cos(pitch_rad), math.sin(pitch_rad)
    cy, sy = math.cos(yaw_rad), math.sin(yaw_rad)
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def _sample(edge: _Edge, name: str, stamp_ns: int, what: str) -> Transform:
    stamps = edge.stamps_ns
    if edge.static:
        return _transform(edge.rotations_xyzw[0], edge.translations_m[0])
    at = bisect_left(stamps, stamp_ns)
    if at < len(stamps) and stamps[at] == stamp_ns:
        return _transform(edge.rotations_xyzw[at], edge.translations_m[at])
    if at == 0 or at == len(stamps):
        gap_s = (stamps[0] - stamp_ns if at == 0 else stamp_ns - stamps[-1]) * 1e-9
        side = "older than the oldest" if at == 0 else "newer than the newest"
        raise TransformTimeError(
            f"{what} at {stamp_ns * 1e-9:.3f} s: the stamp is {gap_s:.3f} s {side} sample of "
            f"{name!r} in {edge.parent!r}; transforms are not extrapolated, check clocks and rates"
        )
    share = (stamp_ns - stamps[at - 1]) / (stamps[at] - stamps[at - 1])
    start_m, end_m = edge.translations_m[at - 1], edge.translations_m[at]
    rotation = _slerp(edge.rotations_xyzw[at - 1], edge.rotations_xyzw[at], share)
    x, y, z = (a + (b - a) * share for a, b in zip(start_m, end_m))
    return _transform(rotation, (x, y, z))


def _transform(rotation_xyzw: Quaternion, translation_m: Vector) -> Transform:
    return Transform(_rotation_from_quaternion(rotation_xyzw), np.array(translation_m))


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


def _rotation_from_quaternion(rotation_xyzw: Quaternion) -> F64:
    x, y, z, w = rotation_xyzw
    return np.array(
        [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y - z * w), 2.0 * (x * z + y * w)],
            [2.0 * (x * y + z * w), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z - x * w)],
            [2.0 * (x * z - y * w), 2.0 * (y * z + x * w), 1.0 - 2.0 * (x * x + y * y)],
        ]
    )


def _quaternion_from_rotation(rotation: F64) -> Quaternion:
    """Return the unit quaternion of a rotation by way of its largest part (Shepperd, 1978)."""
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


def _vector(values: F64) -> Vector:
    x, y, z = values.tolist()
    return x, y, z
