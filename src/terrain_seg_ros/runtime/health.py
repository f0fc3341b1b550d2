"""Count what happens to images and how long each stage takes, in bounded memory."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from threading import Lock

import numpy as np

from terrain_seg_ros.core.errors import TerrainSegError

WINDOW = 512
"""Latencies kept per stage, and arrivals for the rates."""
RATE_WINDOW_S = 5.0
TEXT_LIMIT = 400
STAGE_LIMIT = 32
REMARK_LIMIT = 64
"""Remarks that are kept, and texts that are logged for each."""
DEFECTS_IN_A_ROW = 3
"""After this many defects in a row at one place the grid turns unknown."""

log = logging.getLogger(__name__)


class Drop(str, Enum):
    """Why a well-formed image was not processed."""

    REPLACED = "replaced by a newer one"
    INACTIVE = "node not active"
    RATE_LIMIT = "camera_max_rates_hz"


class Refusal(str, Enum):
    """What was wrong with an input."""

    BAD_IMAGE = "bad image"
    BAD_CAMERA_INFO = "bad camera_info"
    BAD_TRANSFORM = "bad transform"
    BAD_DEPTH = "bad depth"
    SELECTION = "landing site not selected"
    NO_CAMERA_INFO = "no camera_info"
    SIZE_MISMATCH = "image contradicts camera_info"
    NO_TRANSFORM = "no transform"
    FUTURE = "stamp in the future"
    TOO_OLD = "stamp too old"
    OUT_OF_ORDER = "stamp out of order"
    UNKNOWN_CAMERA = "unknown camera"
    INFERENCE = "inference failed"
    GEOMETRY = "geometry failed"
    OUTPUT = "output failed"
    DEFECT = "defect"


class RefusedError(TerrainSegError):
    """An input cannot be used; `reason` is what it is counted under."""

    def __init__(self, reason: Refusal, text: str) -> None:
        """Hold the reason beside the text."""
        super().__init__(text)
        self.reason = reason


class Note(str, Enum):
    """What users should know although processing continues."""

    FIELD_OF_VIEW = "no camera_info: intrinsics come from horizontal_fov_rad"
    FIXED_POSE = "no transform from base_frame to grid_frame: the vehicle is assumed to stand still"
    NO_STAMP = "images have a zero stamp: they cannot be checked for age or order"
    NO_GROUND = "no pixel meets the ground"
    NOVEL = "the image is unlike the network's training: the view is not observed"
    NO_DEPTH = "no depth, cloud or range with the image: the ground is not measured"
    OFF_PLANE = "the measured ground differs from the plane: check ground.plane, mounting and pose"
    ONE_BY_ONE = "running several images at once failed: cameras are processed one by one"
    POSE_JUMP = "the vehicle moved faster than grid.max_speed_mps: the grid was cleared"
    SITE_LOST = "the selected landing site is no longer safe: the best one was chosen"
    TIME_JUMP = (
        "stamps jumped backwards: the grid was cleared, except for hazards if the vehicle has not "
        "moved"
    )
    ODD_STAMP = (
        "an accepted image had a wrong stamp, as later images are stamped before it: check the "
        "camera's clock, and that only one node publishes this topic"
    )
    FRAME_SLASH = "frame names begin with a slash, which is removed as in tf2"


@dataclass(frozen=True)
class Latency:
    """Percentiles of one stage over the last images, in milliseconds."""

    median_ms: float
    p90_ms: float
    p99_ms: float
    count: int


@dataclass(frozen=True)
class HealthSnapshot:
    """The counters at one moment; only reasons that occurred are listed.

    `recent_notes` are those of the last image. `remarks` are assumptions, by what they concern;
    `standing` are warnings that hold until their cause ends, by that cause.
    `defects_in_a_row` is the most at one place.
    """

    images_in: int
    images_out: int
    grids_out: int
    dropped: Mapping[Drop, int]
    refused: Mapping[Refusal, int]
    refusal_texts: Mapping[Refusal, str]
    last_refusal: str
    refused_since_good: int
    notes: Mapping[Note, int]
    note_texts: Mapping[Note, str]
    recent_notes: tuple[Note, ...]
    remarks: Mapping[str, str]
    latency: Mapping[str, Latency]
    gauges: Mapping[str, float]
    standing: Mapping[str, str]
    defects_in_a_row: int
    rate_in_hz: float
    rate_out_hz: float


class Health:
    """Collect counters; every method may be called from any thread.

    Memory does not grow: reasons are closed sets, texts are cut, windows are bounded.
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Start all counters at zero; `clock_s` is a clock that never jumps."""
        self._clock_s = clock_s
        self._lock = Lock()
        self._in = 0
        self._out = 0
        self._grids = 0
        self._dropped = dict.fromkeys(Drop, 0)
        self._refused = dict.fromkeys(Refusal, 0)
        self._texts: dict[Refusal, str] = {}
        self._last_refusal = ""
        self._refused_since_good = 0
        self._notes = dict.fromkeys(Note, 0)
        self._note_texts: dict[Note, str] = {}
        self._remarks: dict[str, str] = {}
        self._logged: set[str] = set()
        self._notes_now: set[Note] = set()
        self._notes_of_last: set[Note] = set()
        self._gauges: dict[str, float] = {}
        self._standing: dict[str, str] = {}
        self._defects: dict[str, int] = {}
        self._latency_ms: dict[str, deque[float]] = {}
        self._arrivals_s: deque[float] = deque(maxlen=WINDOW)
        self._departures_s: deque[float] = deque(maxlen=WINDOW)

    def count_in(self) -> None:
        """Count an image that arrived."""
        with self._lock:
            self._in += 1
            self._arrivals_s.append(self._clock_s())

    def count_out(self, *, with_grid: bool) -> None:
        """Count an image whose mask was published, and whether the grid took it in too."""
        with self._lock:
            self._out += 1
            self._departures_s.append(self._clock_s())
            self._notes_of_last, self._notes_now = self._notes_now, set()
            if with_grid:
                self._grids += 1
                self._refused_since_good = 0

    def count_dropped(self, reason: Drop) -> None:
        """Count a well-formed image that was not processed."""
        with self._lock:
            self._dropped[reason] += 1

    def count_refused(self, reason: Refusal, text: str) -> None:
        """Count an input that was wrong, and keep the last text."""
        with self._lock:
            self._refused[reason] += 1
            self._refused_since_good += 1
            self._texts[reason] = text[:TEXT_LIMIT]
            self._last_refusal = f"{reason.value}: {text[:TEXT_LIMIT]}"

    def count_defect(self, place: str, text: str) -> int:
        """Count an unexpected error; return how many occurred in a row at its place."""
        self.count_refused(Refusal.DEFECT, text)
        with self._lock:
            self._defects[place] = self._defects.get(place, 0) + 1
            return self._defects[place]

    def passed(self, place: str) -> None:
        """Note that work at a place succeeded, which ends a row of defects."""
        with self._lock:
            self._defects.pop(place, None)

    def set_standing(self, what: str, text: str) -> None:
        """Keep a warning until an empty text withdraws it."""
        with self._lock:
            self._standing.pop(what, None)
            if text:
                self._standing[what] = text[:TEXT_LIMIT]

    def note(self, note: Note, text: str = "") -> None:
        """Count a note on the current image, and keep the last text."""
        with self._lock:
            self._notes[note] += 1
            self._notes_now.add(note)
            if text:
                self._note_texts[note] = text[:TEXT_LIMIT]
            first = self._notes[note] == 1
        if first and text:
            log.warning("%s: %s", note.value, text)

    def remark(self, about: str, text: str) -> None:
        """Keep an assumption about an input, and log it if it is new.

        Args:
            about: what it concerns, such as the images of a camera.
            text: empty withdraws the assumption.
        """
        with self._lock:
            known = self._remarks.get(about, "")
            if text == known or (about not in self._remarks and len(self._remarks) >= REMARK_LIMIT):
                return
            self._remarks[about] = text[:TEXT_LIMIT]
            line = f"{about}: {text}"
            is_new = bool(text) and line not in self._logged
            is_new &= len(self._logged) < REMARK_LIMIT
            if is_new:
                self._logged.add(line)
        if is_new:
            log.warning("%s", line)

    def set_gauge(self, name: str, value: float) -> None:
        """Keep the newest value of a quantity, by a name with its unit."""
        with self._lock:
            self._gauges[name] = value

    def add_latencies(self, stage_ms: Mapping[str, float]) -> None:
        """Add the times of one image's stages."""
        with self._lock:
            for stage, value in stage_ms.items():
                if stage in self._latency_ms or len(self._latency_ms) < STAGE_LIMIT:
                    window = self._latency_ms.setdefault(stage, deque(maxlen=WINDOW))
                    window.append(value)

    def snapshot(self) -> HealthSnapshot:
        """Return the counters as they are now."""
        with self._lock:
            now_s = self._clock_s()
            return HealthSnapshot(
                images_in=self._in,
                images_out=self._out,
                grids_out=self._grids,
                dropped={reason: n for reason, n in self._dropped.items() if n},
                refused={reason: n for reason, n in self._refused.items() if n},
                refusal_texts=dict(self._texts),
                last_refusal=self._last_refusal,
                refused_since_good=self._refused_since_good,
                notes={note: n for note, n in self._notes.items() if n},
                note_texts=dict(self._note_texts),
                recent_notes=tuple(n for n in Note if n in self._notes_of_last),
                remarks={about: text for about, text in self._remarks.items() if text},
                latency={stage: _latency(window) for stage, window in self._latency_ms.items()},
                gauges=dict(self._gauges),
                standing=dict(self._standing),
                defects_in_a_row=max(self._defects.values(), default=0),
                rate_in_hz=_rate(self._arrivals_s, now_s),
                rate_out_hz=_rate(self._departures_s, now_s),
            )


def _latency(window: deque[float]) -> Latency:
    median, p90, p99 = np.percentile(np.array(window), [50.0, 90.0, 99.0]).tolist()
    return Latency(median, p90, p99, len(window))


def _rate(times_s: deque[float], now_s: float) -> float:
    """Return events per second over the last seconds; 0 after they stop."""
    recent = [value for value in times_s if now_s - value <= RATE_WINDOW_S]
    return (len(recent) - 1) / max(now_s - recent[0], 1e-3) if len(recent) > 1 else 0.0
