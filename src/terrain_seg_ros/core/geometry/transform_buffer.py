"""A buffer of transforms over time; lookups interpolate and never extrapolate."""

from __future__ import annotations

import functools
import math
from bisect import bisect_left
from collections.abc import Sequence
from threading import Lock

import numpy as np
from numpy.typing import ArrayLike

from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.geometry.transform_edge import (
    Edge,
    Sample,
    Vector,
    quaternion_of,
    rotation_from_quaternion,
)
from terrain_seg_ros.core.types import F64, Transform

MAX_FRAMES = 1000
"""Most frames in a buffer; more indicate a publisher that generates frame names."""
MAX_SAMPLES = 10_000
"""Most samples per frame, whatever their spacing."""
BELIEVED = 3
"""Consecutive samples after which a frame declared as static is treated as moving."""
QUATERNION_TOLERANCE = 1e-2
"""Largest deviation of a quaternion's squared length from 1, the same as in tf2."""


class TransformBuffer:
    """A forest of frames; every method is thread-safe.

    After a jump backwards in time the caller must clear the buffer, as with tf2.
    """

    def __init__(self, cache_s: float) -> None:
        """Create an empty buffer that keeps `cache_s` seconds of each moving frame."""
        if not (math.isfinite(cache_s) and cache_s > 0.0):
            raise ConfigError(f"transform cache_s is {cache_s}, expected more than 0 s")
        self._cache_ns = round(cache_s * 1e9)
        self._edges: dict[str, Edge] = {}
        self._lock = Lock()

    def set(
        self, parent: str, child: str, stamp_ns: int, transform: Transform, static: bool
    ) -> bool:
        """Store `parent_T_child`, at the stamp or, if static, for all times.

        Samples may arrive in any order; a sample with an existing stamp replaces the old one. As
        in tf2 each sample has its own parent: a child with a new parent keeps its history.

        Returns:
            Whether it was stored; a sample older than the cache is not.

        Raises:
            GeometryError: a name is empty, the frames form a loop, there are too many, or a frame
                is published both as static and as moving.
        """
        parent, child = parent.lstrip("/"), child.lstrip("/")
        if not parent or not child:
            raise GeometryError(
                f"transform from {child!r} to {parent!r} has an empty frame name; "
                "check the TF publisher"
            )
        sample = Sample(parent, quaternion_of(transform.rotation), _vector(transform.translation_m))
        with self._lock:
            self._check_tree(parent, child, stamp_ns)
            edge = self._edges.get(child)
            if static:
                self._fix(edge, child, sample)
                return True
            if edge is not None and edge.static:
                edge = self._doubt(edge, child, stamp_ns, sample)
            elif edge is None:
                edge = self._edges[child] = Edge(static=False)
            if edge.stamps_ns and stamp_ns < edge.stamps_ns[-1] - self._cache_ns:
                return False
            edge.insert(stamp_ns, sample)
            self._prune(edge)
        return True

    def lookup(self, target: str, source: str, stamp_ns: int) -> Transform:
        """Return `target_T_source` at the stamp.

        Raises:
            GeometryError: the frames are not connected.
            TransformTimeError: a frame in between has no samples on both sides of the stamp.
        """
        target, source = target.lstrip("/"), source.lstrip("/")
        with self._lock:
            up, down = self._chain(source, stamp_ns), self._chain(target, stamp_ns)
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

    def parents(self) -> dict[str, str]:
        """Return the newest parent of each frame that has one."""
        with self._lock:
            return {name: edge.samples[-1].parent for name, edge in self._edges.items()}

    def clear(self) -> None:
        """Discard everything, including static transforms."""
        with self._lock:
            self._edges.clear()

    def clear_moving(self, child: str | None = None) -> None:
        """Discard one moving frame, or all; static transforms, which are sent once, are kept."""
        with self._lock:
            self._edges = {
                name: edge
                for name, edge in self._edges.items()
                if edge.static or child not in {None, name}
            }

    def drop_after(self, child: str, stamp_ns: int) -> None:
        """Discard a moving frame's samples after a stamp, if they were stamped wrongly."""
        with self._lock:
            edge = self._edges.get(child)
            if edge is None or edge.static:
                return
            edge.drop_after(stamp_ns)
            if not edge.stamps_ns:
                del self._edges[child]

    def _check_tree(self, parent: str, child: str, stamp_ns: int) -> None:
        """Check that a frame may be added, after dropping expired frames that prevent it."""
        chain = self._chain(parent, stamp_ns)
        if child in chain:
            self._drop_expired(chain[: chain.index(child)], stamp_ns)
            chain = self._chain(parent, stamp_ns)
        if child in chain:
            raise GeometryError(
                f"transform from {child!r} to {parent!r} closes a loop of frames; "
                "two nodes publish conflicting TF"
            )
        if child not in self._edges and len(self._edges) >= MAX_FRAMES:
            self._drop_expired(list(self._edges), stamp_ns)
            if len(self._edges) >= MAX_FRAMES:
                raise GeometryError(
                    f"transform from {child!r} is rejected: {MAX_FRAMES} frames are known already; "
                    "check for a TF publisher that generates frame names"
                )

    def _drop_expired(self, names: Sequence[str], stamp_ns: int) -> None:
        for name in names:
            edge = self._edges[name]
            if not edge.static and edge.stamps_ns[-1] < stamp_ns - self._cache_ns:
                del self._edges[name]

    def _fix(self, edge: Edge | None, child: str, sample: Sample) -> None:
        """Store a static frame, unless it is known to move."""
        if edge is not None and not edge.static and len(edge.stamps_ns) >= BELIEVED:
            raise GeometryError(
                f"transform from {child!r} to {sample.parent!r} is static on /tf_static, but the "
                "frame moves on /tf; stop one of the two publishers"
            )
        self._edges[child] = Edge(static=True, stamps_ns=[0], samples=[sample])

    def _doubt(self, edge: Edge, child: str, stamp_ns: int, sample: Sample) -> Edge:
        """Replace a static edge by a moving one, once enough samples show that it moves."""
        if edge.doubts and stamp_ns <= edge.doubts[-1][0]:
            edge.doubts.clear()
        edge.doubts.append((stamp_ns, sample))
        if len(edge.doubts) < BELIEVED:
            raise GeometryError(
                f"transform from {child!r} to {sample.parent!r} moves on /tf, but is static on "
                "/tf_static; stop one of the two publishers"
            )
        moving = Edge(static=False)
        for stamp, older in edge.doubts:
            moving.insert(stamp, older)
        self._edges[child] = moving
        return moving

    def _prune(self, edge: Edge) -> None:
        oldest_ns = edge.stamps_ns[-1] - self._cache_ns
        count = max(bisect_left(edge.stamps_ns, oldest_ns), len(edge.stamps_ns) - MAX_SAMPLES)
        if count > 0:
            edge.drop_first(count)

    def _chain(self, name: str, stamp_ns: int) -> list[str]:
        """Return a frame and its ancestors.

        Raises:
            GeometryError: they form a loop at this stamp.
        """
        chain = [name]
        while chain[-1] in self._edges:
            chain.append(self._edges[chain[-1]].parent(stamp_ns))
            if len(chain) > MAX_FRAMES + 1:
                raise GeometryError(
                    f"the frames above {name!r} form a loop; two nodes publish conflicting TF"
                )
        return chain

    def _names(self) -> list[str]:
        names = set(self._edges)
        for edge in self._edges.values():
            names.add(edge.samples[-1].parent)
        return sorted(names)[:20]

    def _pose(self, chain: Sequence[str], stamp_ns: int, what: str) -> Transform:
        """Return ancestor_T_frame for the chain from a frame up to the child of the ancestor."""
        samples = [self._edges[name].pose(name, stamp_ns, what) for name in chain]
        if not samples:
            return Transform(np.eye(3), np.zeros(3))
        return functools.reduce(lambda pose, step: step @ pose, samples)


def transform_from_quaternion(
    x: float, y: float, z: float, w: float, translation: ArrayLike
) -> Transform:
    """Return the transform of a quaternion, which is normalised, and a translation in metres.

    Raises:
        GeometryError: the quaternion is not finite or not of unit length, or the translation is
            not finite or too large.
    """
    square = x * x + y * y + z * z + w * w
    if not abs(square - 1.0) <= QUATERNION_TOLERANCE:
        raise GeometryError(
            f"quaternion ({x:g}, {y:g}, {z:g}, {w:g}) is not a rotation, expected unit length "
            "(identity is 0, 0, 0, 1); check the TF publisher"
        )
    norm = math.sqrt(square)
    rotation = rotation_from_quaternion((x / norm, y / norm, z / norm, w / norm))
    return Transform(rotation, np.array(translation, dtype=np.float64).reshape(-1))


def _vector(values: F64) -> Vector:
    x, y, z = values.tolist()
    return x, y, z
