"""A backend that is replaced by a better one as soon as that is ready."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import perf_counter

from terrain_seg_ros.core.backend import Backend, NetworkOutput
from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.engines.engine_cache import Report, warn

WARM_UP_ROUNDS = 3
TIMED_ROUNDS = 9


@dataclass
class _Contest:
    """A backend that is compared with the one in use, and what was measured."""

    rival: Backend
    rounds: int = 0
    serving_ms: list[float] = field(default_factory=list)
    rival_ms: list[float] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Return whether enough was measured."""
        return len(self.rival_ms) == TIMED_ROUNDS

    def rival_wins(self) -> bool:
        """Return whether the rival's median time for the same images was shorter."""
        return statistics.median(r / s for r, s in zip(self.rival_ms, self.serving_ms)) < 1.0


class SwitchingBackend:
    """Run one backend, and another as soon as it is offered or has proved to be faster.

    Calls come from one thread, offers from any. Where only a faster one may serve, the next
    calls run both on the same images, timed, and give what the old one says. The first call after
    the decision tries the new backend: if it fails, there or before, the old one serves that call
    and all later ones, and the failure is reported once; only when it has served is the old one
    closed. `name` and `precision` are of the one that serves.
    """

    def __init__(
        self,
        serving: Backend,
        *,
        only_if_faster: bool = False,
        report: Report = warn,
        clock_s: Callable[[], float] = perf_counter,
    ) -> None:
        """Take over a backend, which is closed here from now on.

        Args:
            serving: what serves until another is offered.
            only_if_faster: compare what is offered with what serves, and take the faster.
            report: is called with what serves, and why.
            clock_s: seconds that never jump.
        """
        self._serving = serving
        self.name = serving.name
        self.precision = serving.precision
        self._only_if_faster = only_if_faster
        self._report = report
        self._clock_s = clock_s
        self._offered: Backend | None = None
        self._contest: _Contest | None = None
        self._closed = False
        self._lock = Lock()

    @property
    def serving(self) -> Backend:
        """Return the backend in use."""
        return self._serving

    def offer(self, ready: Backend) -> None:
        """Let a tested backend serve, or compete, from the next call on; it is closed here."""
        with self._lock:
            unused = ready if self._closed else self._offered
            if not self._closed:
                self._offered = ready
        if unused is not None:
            unused.close()

    def __call__(self, tensor_nhwc_u8: U8) -> NetworkOutput:
        """Run the network on (N, h, w, C) uint8.

        Raises:
            InferenceError: the tensor does not fit the model, or the runtime failed.
        """
        ready = self._take_offered()
        if ready is not None and self._only_if_faster:
            self._end_contest()
            self._contest, ready = _Contest(ready), None
        contest = self._contest
        if contest is not None and contest.is_over:
            self._contest, ready = None, self._winner(contest)
        if ready is not None:
            output = self._try(ready, tensor_nhwc_u8)
            if output is not None:
                return output
        if self._contest is not None:
            return self._compare(self._contest, tensor_nhwc_u8)
        return self._serving(tensor_nhwc_u8)

    def close(self) -> None:
        """Close all backends; calling again does nothing."""
        with self._lock:
            self._closed = True
            unused, self._offered = self._offered, None
        if unused is not None:
            unused.close()
        self._end_contest()
        self._serving.close()

    def _take_offered(self) -> Backend | None:
        with self._lock:
            ready, self._offered = self._offered, None
        return ready

    def _end_contest(self) -> None:
        contest, self._contest = self._contest, None
        if contest is not None:
            contest.rival.close()

    def _compare(self, contest: _Contest, tensor: U8) -> NetworkOutput:
        """Run both, record the time of each, and return the output of the one in use."""
        start_s = self._clock_s()
        output = self._serving(tensor)
        served_s = self._clock_s()
        try:
            contest.rival(tensor)
        except InferenceError as error:
            self._tell_failure(contest.rival, error)
            self._end_contest()
            return output
        rival_s = self._clock_s() - served_s
        contest.rounds += 1
        if contest.rounds > WARM_UP_ROUNDS:
            contest.serving_ms.append((served_s - start_s) * 1e3)
            contest.rival_ms.append(rival_s * 1e3)
        return output

    def _winner(self, contest: _Contest) -> Backend | None:
        """Return the rival if it is to be used; else close it and report why."""
        if contest.rival_wins():
            return contest.rival
        contest.rival.close()
        self._report(
            f"backend {contest.rival.name} ({contest.rival.precision}) is ready, but takes "
            f"{statistics.median(contest.rival_ms):.1f} ms where {self.name} ({self.precision}) "
            f"takes {statistics.median(contest.serving_ms):.1f} ms, which stays in use"
        )
        return None

    def _try(self, ready: Backend, tensor: U8) -> NetworkOutput | None:
        before = self._serving
        try:
            output = ready(tensor)
        except InferenceError as error:
            ready.close()
            self._tell_failure(ready, error)
            return None
        self._serving = ready
        self.name, self.precision = ready.name, ready.precision
        before.close()
        self._report(
            f"backend {ready.name} ({ready.precision}) is in use now, instead of {before.name}"
        )
        return output

    def _tell_failure(self, ready: Backend, error: InferenceError) -> None:
        self._report(f"backend {ready.name} fails, {self.name} stays in use: {error}")
