"""The worker of a live node: run the newest images and publish what they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.runtime.frame_processor import FrameProcessor
from terrain_seg_ros.runtime.health import Drop
from terrain_seg_ros.runtime.publisher import Publisher
from terrain_seg_ros.runtime.worker import Worker, images_at_once

WORKER_STOP_S = 5.0
"""The image at work is waited for this long; supervisors kill a process after 10 s."""
DELIVERY_S = 2.0
"""Subscribers that are to receive the last grid are waited for this long."""


class LiveWorker:
    """Run images in a thread between `start` and `stop`, which may alternate."""

    def __init__(self, processor: FrameProcessor, publisher: Publisher) -> None:
        """Stand still."""
        self._processor = processor
        self._publisher = publisher
        self._worker: Worker[Any] | None = None
        self._retired = False
        self.takes_images = True
        """Whether images are taken while the worker runs; those that are not count as dropped."""
        self.takes_next_image = False
        """Whether the next image is taken all the same."""

    @property
    def is_running(self) -> bool:
        """Return whether the thread was started."""
        return self._worker is not None

    @property
    def waiting(self) -> int:
        """Return how many images wait, at most one per camera."""
        return 0 if self._worker is None else self._worker.waiting

    def start(self, parameters: NodeSettings) -> None:
        """Start the thread and take images.

        Raises:
            InferenceError: the system gives no thread.
        """
        self.takes_images, self.takes_next_image, self._retired = True, False, False
        self._worker = Worker(
            self._run_images,
            self._processor.health,
            idle=self._tick,
            batch=images_at_once(parameters),
        )
        self._worker.start()
        self._worker.gate.open()

    def offer(self, camera: str, message: Any) -> None:
        """Take an image message of a camera, from any thread."""
        worker = self._worker
        if worker is None:
            return
        if self.takes_images or self.takes_next_image:
            self.takes_next_image = False
            worker.offer(camera, message)
            return
        self._processor.health.count_in()
        self._processor.health.count_dropped(Drop.INACTIVE)

    def stop(self) -> None:
        """Finish the image at work, end the thread and publish the grid as unknown.

        Subscribers keep the last grid of a node that is gone, so the unknown grid is waited for
        until they have it. Calling again does nothing.

        Raises:
            InferenceError: the image at work does not end.
        """
        worker, self._worker = self._worker, None
        if worker is None:
            return
        try:
            worker.stop(WORKER_STOP_S)
        finally:
            self._retired = True
            with self._processor.resort.around("taking the grid back"):
                outgoing = self._processor.retire()
                self._publisher.publish(outgoing)
                self._publisher.wait_delivered({name for name, _ in outgoing}, DELIVERY_S)

    def check(self) -> None:
        """Check that the thread lives.

        Raises:
            InferenceError: it ended by itself.
        """
        if self._worker is not None:
            self._worker.check()

    def _run_images(self, items: Sequence[tuple[str, Any]]) -> None:
        with self._processor.resort.around("working on images") as attempt:
            for outgoing in self._processor.images(items):
                if self._retired:
                    return
                self._publisher.publish(outgoing, stage="publish")
        if attempt.turned_persistent:
            self._publisher.publish(self._processor.retire())

    def _tick(self) -> None:
        with self._processor.resort.around("the watchdog"):
            outgoing = self._processor.tick()
            if not self._retired:
                self._publisher.publish(outgoing)
