"""Let frames in only while the node is active: ROS manages publishers, not subscriptions."""

from __future__ import annotations

from threading import Event


class Gate:
    """Be open or closed; closed at first. Every method may be called from any thread."""

    def __init__(self) -> None:
        """Make a closed gate."""
        self._open = Event()

    def open(self) -> None:
        """Let frames in."""
        self._open.set()

    def close(self) -> None:
        """Keep frames out."""
        self._open.clear()

    @property
    def is_open(self) -> bool:
        """Say whether frames are let in."""
        return self._open.is_set()
