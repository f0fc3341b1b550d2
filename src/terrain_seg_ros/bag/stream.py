"""What the messages of one topic look like: rate, gaps, stamps and forms, in bounded memory."""

from __future__ import annotations

import math
from typing import Any

from terrain_seg_ros.core.errors import MessageError
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import flat_bytes
from terrain_seg_ros.messages.picture_size import picture_size

FORM_LIMIT = 8
"""Forms, frames and sizes of a topic that are kept; a publisher may send any number."""
TEXT_LIMIT = 80
"""Longest name of one."""
LOST_SHARE = 0.01
"""Images at the ends of a bag often lack transforms: a smaller share is no cause for doubt."""


def negligible(count: int) -> int:
    """Return how many of the images may be lost without a cause for doubt: of few, none."""
    return min(max(2, math.ceil(LOST_SHARE * count)), count // 10)


class Stream:
    """Figures of one topic, of the messages read so far."""

    def __init__(self) -> None:
        """Start without messages."""
        self.count = self.zero_stamps = self.swapped_stamps = 0
        self.size_bytes = 0
        self.first_ns = self.last_ns = 0
        self.longest_gap_ns = self.gap_at_ns = 0
        self.delays_ns: tuple[int, int] | None = None
        """Shortest and longest time from the stamp to the recording."""
        self.forms: dict[str, int] = {}
        """Encoding and size of images, with how many have it."""
        self.frames: dict[str, int] = {}
        """`frame_id` of the headers, with how many have it."""
        self._last_stamp_ns = 0

    @property
    def rate_hz(self) -> float:
        """Return the mean rate of recording; 0 for fewer than two messages."""
        span_ns = self.last_ns - self.first_ns
        return (self.count - 1) * 1e9 / span_ns if span_ns > 0 else 0.0

    def recorded(self, log_ns: int, size_bytes: int) -> None:
        """Take in when a message was recorded, and how large it is."""
        if self.count == 0:
            self.first_ns = log_ns
        elif log_ns - self.last_ns > self.longest_gap_ns:
            self.longest_gap_ns, self.gap_at_ns = log_ns - self.last_ns, self.last_ns
        self.last_ns = max(self.last_ns, log_ns)
        self.count += 1
        self.size_bytes += size_bytes

    def header(self, header: Any, log_ns: int) -> None:
        """Take in stamp and frame of a message that was recorded at `log_ns`."""
        _count(self.frames, str(header.frame_id))
        try:
            stamp = stamp_ns(header)
        except MessageError:
            return
        if stamp == 0:
            self.zero_stamps += 1
            return
        self.swapped_stamps += stamp <= self._last_stamp_ns
        self._last_stamp_ns = stamp
        delay_ns = log_ns - stamp
        low_ns, high_ns = self.delays_ns or (delay_ns, delay_ns)
        self.delays_ns = min(low_ns, delay_ns), max(high_ns, delay_ns)

    def picture(self, message: Any) -> None:
        """Take in encoding and size of an image message, as far as they can be read."""
        if hasattr(message, "encoding"):
            size, name = (int(message.width), int(message.height)), str(message.encoding)
        else:
            name = str(message.format) or "compressed"
            try:
                size = picture_size(flat_bytes(message.data).data)
            except MessageError:
                return
        _count(self.forms, f"{name} {size[0]}x{size[1]}")


def _count(counts: dict[str, int], name: str) -> None:
    name = name[:TEXT_LIMIT]
    if name in counts or len(counts) < FORM_LIMIT:
        counts[name] = counts.get(name, 0) + 1
