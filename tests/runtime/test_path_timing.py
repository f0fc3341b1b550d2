"""Tests of what is timed, with a clock that only the backend and the serialiser move."""

from __future__ import annotations

import numpy as np
import pytest

from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.messages.cdr import serialize
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime import path_timing
from terrain_seg_ros.runtime.path_timing import MEASURED_TOPICS, PathTiming, time_path
from terrain_seg_ros.runtime.session import Session

BASE = {"model": "synthetic", "backend": "constant", "grid.size_m": 4.0, "grid.resolution_m": 0.25}
BACKEND_NS = 5_000_000
SERIALIZE_NS = 250_000
WARM_UP = 5


class Clock:
    """Stand still until something says that it took time; note the order of what happened."""

    def __init__(self):
        self.now_ns = 0
        self.calls = []

    def spend(self, what, duration_ns):
        self.calls.append(what)
        self.now_ns += duration_ns


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()

    def slow_serialize(message, type_name):
        clock.spend(type_name, SERIALIZE_NS)
        return serialize(message, type_name)

    monkeypatch.setattr(path_timing, "perf_counter_ns", lambda: clock.now_ns)
    monkeypatch.setattr(path_timing, "serialize", slow_serialize)
    return clock


@pytest.fixture
def session(clock, monkeypatch):
    with Session(load_parameters(overrides=BASE)) as session:
        backend = type(session.backend)
        original = backend.__call__

        def slow(self, tensor):
            clock.spend("backend", BACKEND_NS)
            session.tensors.append(np.array(tensor))
            return original(self, tensor)

        session.tensors = []
        monkeypatch.setattr(backend, "__call__", slow)
        yield session


def measure(session, *, rounds=4, pixels=None, width_px=64, height_px=48):
    pictures = [np.full((32, 32), 120, dtype=np.uint8)] if pixels is None else pixels
    return time_path(session, pictures, width_px=width_px, height_px=height_px, rounds=rounds)


def test_bare_is_the_backend_alone_and_the_rest_is_overhead(session):
    timing = measure(session)
    assert timing.bare_ms == (5.0,) * 4
    # One call of the backend, and one serialisation for mask, confidence and grid each.
    assert timing.end_to_end_ms == (5.0 + 3 * 0.25,) * 4
    assert timing.overhead_ms == pytest.approx(0.75)
    assert timing.ratio == pytest.approx(5.75 / 5.0)


def test_making_the_request_is_not_timed(session, clock):
    measure(session, rounds=1)
    requests = clock.calls.count("sensor_msgs/msg/Image") - 2 * (WARM_UP + 1)
    assert requests == WARM_UP + 1


def test_both_ways_give_the_backend_the_same_tensor(session):
    noise = np.random.default_rng(1).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    measure(session, rounds=2, pixels=[noise])
    first, *others = session.tensors
    assert len(others) == 2 * (WARM_UP + 2) - 1
    assert all(np.array_equal(first, other) for other in others)


def test_pictures_take_turns(session):
    dark, bright = (np.full((32, 32), value, dtype=np.uint8) for value in (10, 200))
    measure(session, rounds=2, pixels=[dark, bright])
    assert {int(tensor.max()) for tensor in session.tensors} == {10, 200}


def test_the_order_changes_every_round(session, clock, monkeypatch):
    order = []
    for name in ("bare_ms", "end_to_end_ms"):
        original = getattr(path_timing._Bench, name)

        def noting(self, turn, name=name, original=original):
            order.append(name)
            return original(self, turn)

        monkeypatch.setattr(path_timing._Bench, name, noting)
    measure(session, rounds=4)
    timed = order[2 * WARM_UP :]
    firsts = timed[::2]
    assert sorted(timed) == ["bare_ms"] * 4 + ["end_to_end_ms"] * 4
    assert firsts[0] != firsts[1]
    assert firsts[:2] == firsts[2:]


def test_the_grid_takes_part_in_every_round(session):
    timing = measure(session)
    assert {"decode", "inference", "project", "fuse", "cost", "encode_grids"} <= set(
        timing.stage_ms
    )


def test_a_refused_image_is_an_error_that_says_why(session, monkeypatch):
    forgets = lambda self, *_, **__: None  # noqa: E731
    monkeypatch.setattr(path_timing.TransformBuffer, "set", forgets)
    with pytest.raises(InferenceError, match="transform") as caught:
        measure(session)
    assert MEASURED_TOPICS[-1] in str(caught.value)


def test_overhead_and_ratio_are_of_the_medians():
    timing = PathTiming((1.0, 2.0, 90.0), (3.0, 5.0, 4.0), {})
    assert timing.overhead_ms == pytest.approx(2.0)
    assert timing.ratio == pytest.approx(2.0)
