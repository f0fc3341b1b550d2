"""A video with the predicted classes laid over its frames, one frame in memory at a time."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.pictures import legend_strip
from terrain_training.evaluation.subject import Subject
from terrain_training.prediction.predict import PredictedImage, predict_image
from terrain_training.progress import Progress
from terrain_training.settings.recipe import SharpeningSettings

MAX_FRAMES = 10_000
MAX_SIDE_PX = 8192
FALLBACK_HZ = 25.0
"""Of the result, where a video names no rate that can be used."""
_CODEC = "mp4v"


@dataclass(frozen=True)
class VideoFrames:
    """What a video file says of itself; `count` is 0 where it does not say."""

    path: Path
    count: int
    rate_hz: float
    width_px: int
    height_px: int

    def frames(self, limit: int) -> Iterator[U8]:
        """Yield up to `limit` frames (H, W, 3), RGB."""
        with _opened(self.path) as capture:
            for _ in range(limit):
                read, frame = capture.read()
                if not read:
                    return
                yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def open_video(path: Path) -> VideoFrames:
    """Return what a video file says of itself.

    Raises:
        ConfigError: OpenCV cannot read it, or its frames are too large.
    """
    with _opened(path) as capture:
        rate_hz = float(capture.get(cv2.CAP_PROP_FPS))
        video = VideoFrames(
            path=path,
            count=max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))),
            rate_hz=rate_hz if 0.0 < rate_hz <= 1000.0 else FALLBACK_HZ,
            width_px=int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)),
            height_px=int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT)),
        )
    if not 0 < max(video.width_px, video.height_px) <= MAX_SIDE_PX:
        raise ConfigError(
            f"video '{path}' has frames of {video.width_px} x {video.height_px} px, expected sides "
            f"of 1 to {MAX_SIDE_PX}; scale it"
        )
    return video


def predict_video(
    subject: Subject,
    video: VideoFrames,
    out: Path,
    *,
    sharpening: SharpeningSettings | None,
    limit: int,
) -> Iterator[PredictedImage]:
    """Yield the predictions of a video's frames, and write their overlays as a video.

    The video is complete once all predictions were taken; one that is not is removed.

    Args:
        subject: the model.
        video: of which at most `limit` frames are used.
        out: .mp4 file with the overlays above a legend.
        sharpening: of the output; None leaves it as it is.
        limit: number of frames.

    Raises:
        ConfigError: no frame can be read, or the file cannot be written.
    """
    total = min(video.count, limit) if video.count else limit
    legend = [(item.name, item.color_rgb) for item in subject.taxonomy]
    done = 0
    with (
        _writer(out, video.rate_hz) as write,
        Progress(video.path.name, total=total, unit="frame") as progress,
    ):
        for frame in video.frames(limit):
            predicted = predict_image(subject, frame, sharpening=sharpening)
            strip = legend_strip(legend, width_px=frame.shape[1])
            write(np.vstack([predicted.overlay(), strip]))
            progress.add()
            done += 1
            yield predicted
        if not done:
            raise ConfigError(f"video '{video.path}' has no frame that can be read; convert it")


class _Writer:
    """Write frames (H, W, 3) RGB of one size; sides become even, as the codec wants them."""

    def __init__(self, path: Path, rate_hz: float) -> None:
        self.path, self._rate_hz = path, rate_hz
        self._video: cv2.VideoWriter | None = None

    def __call__(self, rgb: U8) -> None:
        height, width = rgb.shape[0] + rgb.shape[0] % 2, rgb.shape[1] + rgb.shape[1] % 2
        if self._video is None:
            code = cv2.VideoWriter.fourcc(*_CODEC)
            self._video = cv2.VideoWriter(str(self.path), code, self._rate_hz, (width, height))
            if not self._video.isOpened():
                raise ConfigError(f"'{self.path}' cannot be written as a video by this OpenCV")
        even = np.zeros((height, width, 3), dtype=np.uint8)
        even[: rgb.shape[0], : rgb.shape[1]] = rgb
        self._video.write(cv2.cvtColor(even, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        if self._video is not None:
            self._video.release()


@contextmanager
def _writer(out: Path, rate_hz: float) -> Iterator[_Writer]:
    """Give a writer to a draft that takes its name when it is complete."""
    draft = out.with_name(f".{out.stem}.{secrets.token_hex(4)}{out.suffix}")
    writer = _Writer(draft, rate_hz)
    try:
        yield writer
        writer.close()
        draft.replace(out)
    finally:
        writer.close()
        draft.unlink(missing_ok=True)


@contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    capture = cv2.VideoCapture(os.fspath(path))
    try:
        if not capture.isOpened():
            raise ConfigError(
                f"video '{path}' cannot be read by OpenCV; convert it to .mp4, or give its frames "
                "as images"
            )
        yield capture
    finally:
        capture.release()
