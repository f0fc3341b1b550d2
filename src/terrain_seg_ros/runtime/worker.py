"""Run the pipeline in a separate thread, so that callbacks return at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event, Thread
from typing import Generic

from terrain_seg_ros.core.errors import THREADS_REMEDY, InferenceError
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.health import Drop, Health
from terrain_seg_ros.runtime.latest_slot import Item, LatestSlot


class Gate:
    """Lets images in only while the node is active: ROS manages publishers, not subscriptions.

    Closed at first. Every method may be called from any thread.
    """

    def __init__(self) -> None:
        """Make a closed gate."""
        self._open = Event()

    def open(self) -> None:
        """Let images in."""
        self._open.set()

    def close(self) -> None:
        """Keep images out."""
        self._open.clear()

    @property
    def is_open(self) -> bool:
        """Return whether images are let in."""
        return self._open.is_set()


class Worker(Generic[Item]):
    """Take the newest item per camera and hand it to `handle`, one or a few at a time.

    `handle` gets (camera, item) pairs of different cameras: one, or all that wait up to `batch`.
    `idle` is called in the same thread after every item and at least every `idle_s`: the place
    for the staleness watchdog. Neither may raise; if one does, the thread ends and `check` raises.
    """

    def __init__(
        self,
        handle: Callable[[Sequence[tuple[str, Item]]], None],
        health: Health,
        *,
        idle: Callable[[], None] | None = None,
        idle_s: float = 0.1,
        batch: int = 1,
    ) -> None:
        """Make a worker that is not started, with its gate closed.

        Args:
            handle: called with what is taken.
            health: counts what is dropped.
            idle: called after every item and at least every `idle_s`.
            idle_s: seconds.
            batch: largest number of items that are taken at once.
        """
        self.gate = Gate()
        self._handle = handle
        self._health = health
        self._idle = idle
        self._idle_s = idle_s
        self._batch = batch
        self._slot: LatestSlot[Item] = LatestSlot()
        self._done = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread; the gate stays as it is.

        Raises:
            InferenceError: it was started before, or the system gives no thread.
        """
        if self._thread is not None:
            raise InferenceError("the worker was started before; make a new one")
        self._thread = Thread(target=self._run, name="terrain_seg_worker", daemon=True)
        start_thread(self._thread)

    def offer(self, camera: str, item: Item) -> None:
        """Put an image into the slot, from any thread; count it, or what it replaces, as dropped.

        `handle` counts the images that reach it.
        """
        if not self.gate.is_open:
            self._drop(Drop.INACTIVE, 1)
        elif self._slot.put(camera, item):
            self._drop(Drop.REPLACED, 1)

    def pause(self) -> None:
        """Close the gate and discard what waits; the item at work is finished."""
        self.gate.close()
        self._drop(Drop.INACTIVE, self._slot.clear())

    def stop(self, timeout_s: float = 10.0) -> None:
        """Close the gate, finish the item at work and end the thread; calling again does nothing.

        Raises:
            InferenceError: the item at work does not end.
        """
        self.pause()
        self._slot.close()
        if self._thread is None:
            return
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise InferenceError(f"the worker did not end within {timeout_s} s; kill the process")

    def check(self) -> None:
        """Check that the thread lives.

        Raises:
            InferenceError: it ended by itself.
        """
        if self._done.is_set() and not self._slot.closed:
            raise InferenceError("the worker ended by a defect; its traceback is in the log above")

    @property
    def waiting(self) -> int:
        """Return how many images wait, at most one per camera."""
        return len(self._slot)

    def _drop(self, reason: Drop, count: int) -> None:
        for _ in range(count):
            self._health.count_in()
            self._health.count_dropped(reason)

    def _run(self) -> None:
        try:
            while not self._slot.closed:
                taken = self._slot.take(self._idle_s)
                if taken is not None:
                    self._handle([taken, *self._slot.take_waiting(self._batch - 1)])
                    del taken
                if self._idle is not None:
                    self._idle()
        finally:
            self._done.set()


def start_thread(thread: Thread) -> None:
    """Start a thread.

    Raises:
        InferenceError: the system gives none.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise InferenceError(f"{thread.name}: {error}; {THREADS_REMEDY}") from error


def check_thread_room(count: int) -> None:
    """Check that the system allows this many more threads, by starting and ending them.

    A library that cannot start its threads may end the process without a message.

    Raises:
        InferenceError: it does not.
    """
    end, threads = Event(), []
    try:
        for index in range(count):
            threads.append(Thread(target=end.wait, name=f"terrain_seg_room_{index}", daemon=True))
            start_thread(threads[-1])
    finally:
        end.set()
        for thread in threads:
            if thread.ident is not None:
                thread.join()


def images_at_once(parameters: NodeSettings) -> int:
    """Return how many images of different cameras the network may take in one run."""
    return len(parameters.input.cameras) if parameters.input.batch_cameras else 1
