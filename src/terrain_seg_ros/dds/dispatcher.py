"""Wait for samples in one thread and hand each message to its callback."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread
from typing import Any, NamedTuple

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds.cyclone import (
    InstanceState,
    ReadCondition,
    SampleState,
    ViewState,
    WaitSet,
)
from terrain_seg_ros.dds.endpoints import Reader
from terrain_seg_ros.dds.participant import Participant
from terrain_seg_ros.runtime.last_resort import LastResort
from terrain_seg_ros.runtime.worker import start_thread

PAUSE_S = 0.1
"""The thread pauses this long where waiting itself fails."""
WAKE_NS = 100_000_000
"""The thread checks this often whether it is to end."""
_MASK = ViewState.Any | SampleState.NotRead | InstanceState.Any

Callback = Callable[[Any], None]
Malformed = Callable[[str], None]


class _Served(NamedTuple):
    """A reader, its callbacks, and the condition that wakes the thread for it."""

    reader: Reader
    callback: Callback
    on_malformed: Malformed | None
    condition: Any


class Dispatcher:
    """Serve all readers of a participant; callbacks must return at once.

    An exception in a callback loses its message and those that were taken with it.
    """

    def __init__(self, participant: Participant, resort: LastResort) -> None:
        """Make a dispatcher that is not started; `resort` counts what callbacks raise."""
        self._resort = resort
        self._waitset: Any = WaitSet(participant.entity)
        self._served: list[_Served] = []
        self._stop = Event()
        self._ended = Event()
        self._thread: Thread | None = None

    def add(
        self, reader: Reader, callback: Callback, *, on_malformed: Malformed | None = None
    ) -> None:
        """Serve one more reader; `on_malformed` gets what was wrong, once for each sample.

        Raises:
            ConfigError: the thread runs already.
        """
        if self._thread is not None:
            raise ConfigError(
                f"{reader.dds_name!r} cannot be added any more; add readers before the start"
            )
        condition = ReadCondition(reader.entity, _MASK)
        self._waitset.attach(condition)
        self._served.append(_Served(reader, callback, on_malformed, condition))

    def start(self) -> None:
        """Start the thread."""
        self._thread = Thread(target=self._run, name="terrain_seg_dds", daemon=True)
        start_thread(self._thread)

    def stop(self) -> None:
        """End the thread and close the readers; calling again does nothing."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        for served in self._served:
            self._waitset.detach(served.condition)
            served.reader.close()
        self._served.clear()
        self._waitset = None

    def check(self) -> None:
        """Check that the thread lives.

        Raises:
            ConfigError: it ended by itself.
        """
        if self._ended.is_set() and not self._stop.is_set():
            raise ConfigError("the DDS thread ended by a defect; its traceback is in the log above")

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                with self._resort.around("waiting for messages") as attempt:
                    self._pass()
                if attempt.failed:
                    self._stop.wait(PAUSE_S)
        finally:
            self._ended.set()

    def _pass(self) -> None:
        """Wait briefly and serve the readers that received something."""
        if self._waitset.wait(WAKE_NS):
            for served in self._served:
                with self._resort.around(f"taking a message of {served.reader.dds_name}"):
                    _serve(served)


def _serve(served: _Served) -> None:
    reader = served.reader
    before = reader.malformed
    for message in reader.take():
        served.callback(message)
    if served.on_malformed is not None:
        for _ in range(reader.malformed - before):
            served.on_malformed(reader.last_error)
