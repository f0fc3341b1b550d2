"""A backend that serves while a better one is made ready, and then lets that one serve."""

from __future__ import annotations

from threading import Lock

from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.core.tensor_to_probabilities import Backend, NetworkOutput
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.inference.engine_cache import Report, warn


class SwitchingBackend:
    """Run on one backend, and on another as soon as it is offered.

    Calls come from one thread, offers from any. The first call after an offer tries the new
    backend: if it fails, the old one serves that call and all later ones, and the failure is told
    once; only when it has served is the old one closed. `name` and `precision` are of the one
    that serves.
    """

    def __init__(self, serving: Backend, *, report: Report = warn) -> None:
        """Take over a backend, which is closed here from now on."""
        self._serving = serving
        self.name = serving.name
        self.precision = serving.precision
        self._report = report
        self._offered: Backend | None = None
        self._closed = False
        self._lock = Lock()

    @property
    def serving(self) -> Backend:
        """Return the backend that serves."""
        return self._serving

    def offer(self, ready: Backend) -> None:
        """Let a tested backend serve from the next call on; it is closed here from now on."""
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
        with self._lock:
            ready, self._offered = self._offered, None
        if ready is not None:
            output = self._try(ready, tensor_nhwc_u8)
            if output is not None:
                return output
        return self._serving(tensor_nhwc_u8)

    def close(self) -> None:
        """Close all backends; calling again does nothing."""
        with self._lock:
            self._closed = True
            unused, self._offered = self._offered, None
        if unused is not None:
            unused.close()
        self._serving.close()

    def _try(self, ready: Backend, tensor: U8) -> NetworkOutput | None:
        before = self._serving
        try:
            output = ready(tensor)
        except InferenceError as error:
            ready.close()
            self._report(f"backend {ready.name} fails, {before.name} goes on serving: {error}")
            return None
        self._serving = ready
        self.name, self.precision = ready.name, ready.precision
        before.close()
        self._report(f"backend {ready.name} ({ready.precision}) serves now, not {before.name}")
        return output
