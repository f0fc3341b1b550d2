"""Write the predictions for images and videos to a folder, with a sheet to look at."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.captioned_sheet import Tile, captioned_sheet
from terrain_seg_ros.report.output_place import has_own_file, holds_json, write_whole
from terrain_seg_ros.report.segmented_files import OVERLAY_END, png_of, write_segmented
from terrain_training.evaluation.subject import Subject
from terrain_training.prediction.inputs import Inputs
from terrain_training.prediction.predict import PredictedImage, predict_image
from terrain_training.prediction.video import open_video, predict_video
from terrain_training.progress import progress_of
from terrain_training.settings.recipe import SharpeningSettings

SHEET_FILE = "sheet.png"
RESULTS_FILE = "predictions.json"
OWN_PREDICTIONS = has_own_file(RESULTS_FILE, holds_json("model", "results", "sharpening"))
"""Tells whether a folder holds earlier predictions."""
SHOWN = 24
"""Images on the sheet, at equal distances among all; of each video, frames likewise."""
SHOWN_FRAMES = 8
COLUMNS = 2
PICTURE_PX = 310
NAMED_SHARE = 0.005
AT_THE_END = "at the end"


@dataclass(frozen=True)
class Written:
    """What was predicted, by the name of the file, and what could not be used and why."""

    results: Mapping[str, Mapping[str, Any]]
    refused: Mapping[str, str]


def write_predictions(
    subject: Subject,
    inputs: Inputs,
    out: Path,
    *,
    sharpening: SharpeningSettings | None,
    max_frames: int,
) -> Written:
    """Write masks and overlays of images, overlays of videos, a sheet and `predictions.json`.

    Args:
        subject: the model.
        inputs: images and videos.
        out: folder, created if it does not exist.
        sharpening: of the output; None leaves it as it is.
        max_frames: of each video.

    Raises:
        ConfigError: none of the inputs can be used.
        OSError: a file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    predictions = _Predictions(subject, out, sharpening)
    # It comes first: it says that the pictures beside it are results.
    predictions.write_results()
    predictions.add_images(inputs.images)
    predictions.add_videos(inputs.videos, max_frames)
    if not predictions.results:
        reasons = "; ".join(list(predictions.refused.values())[:3])
        raise ConfigError(f"nothing was predicted: {reasons}")
    predictions.write_results()
    predictions.write_sheet()
    return Written(predictions.results, predictions.refused)


def shares_line(result: Mapping[str, Any]) -> str:
    """Return the largest classes of a result as text, such as "soil 82 %, sand 17 %"."""
    largest = sorted(result["shares"].items(), key=lambda item: -item[1])
    named = [f"{name} {share:.0%}" for name, share in largest if share >= NAMED_SHARE]
    return ", ".join(named) or "nothing predicted"


class _Predictions:
    """Gather what is predicted, and write it."""

    def __init__(self, subject: Subject, out: Path, sharpening: SharpeningSettings | None) -> None:
        self._subject, self._out, self._sharpening = subject, out, sharpening
        self._tiles: list[Tile] = []
        self.results: dict[str, dict[str, Any]] = {}
        self.refused: dict[str, str] = {}

    def add_images(self, paths: Sequence[Path]) -> None:
        """Write mask and overlay of each image."""
        shown = set(_spread(len(paths), SHOWN))
        for number, path in enumerate(progress_of(paths, "predict", unit="image")):
            try:
                pixels = read_image(path)
            except ConfigError as error:
                self.refused[path.name] = str(error)
                continue
            predicted = predict_image(self._subject, pixels, sharpening=self._sharpening)
            base = self._out / path.stem
            write_segmented(base, mask=predicted.mask, overlay_rgb=predicted.overlay())
            self.results[path.name] = _result(predicted)
            if number in shown:
                self._tiles.append(_tile(predicted, path.name))

    def add_videos(self, paths: Sequence[Path], max_frames: int) -> None:
        """Write the overlays of each video."""
        for path in paths:
            result = _VideoResult(path.name, limit=max_frames)
            try:
                self._tiles += result.write(self._subject, path, self._out, self._sharpening)
            except ConfigError as error:
                self.refused[path.name] = str(error)
                continue
            self.results[path.name] = result.content()

    def write_results(self) -> None:
        """Write `predictions.json`."""
        subject, sharpening = self._subject, self._sharpening
        content = {
            "model": subject.name,
            "backend": subject.backend,
            "precision": subject.precision,
            "classes": list(subject.taxonomy.names),
            "sharpening": None if sharpening is None else asdict(sharpening),
            "results": self.results,
            "refused": self.refused,
        }
        text = json.dumps(content, indent=2, allow_nan=False) + "\n"
        write_whole(self._out / RESULTS_FILE, text)

    def write_sheet(self) -> None:
        """Write images and overlays side by side, with captions and a legend."""
        legend = [(item.name, item.color_rgb) for item in self._subject.taxonomy]
        sheet = captioned_sheet(
            self._tiles,
            heads=("image", "prediction"),
            legend=legend,
            columns=COLUMNS,
            picture_px=PICTURE_PX,
        )
        write_whole(self._out / SHEET_FILE, png_of(sheet))


class _VideoResult:
    """Gather the results of a video's frames while they are written."""

    def __init__(self, name: str, *, limit: int) -> None:
        self._name, self._limit = name, limit
        self._frames = 0
        self._of = 0
        self._sums: dict[str, float] = {}
        self._confidence = 0.0

    def write(
        self, subject: Subject, path: Path, out: Path, sharpening: SharpeningSettings | None
    ) -> list[Tile]:
        """Write the overlays of a video and return tiles of some frames."""
        video = open_video(path)
        self._of = video.count
        expected = min(video.count or self._limit, self._limit)
        shown = set(_spread(expected, SHOWN_FRAMES))
        target = out / f"{path.stem}{Path(OVERLAY_END).stem}.mp4"
        tiles = []
        for predicted in predict_video(
            subject, video, target, sharpening=sharpening, limit=self._limit
        ):
            if self._frames in shown:
                at_s = self._frames / video.rate_hz
                tiles.append(_tile(predicted, f"{path.name}, {at_s:.1f} s"))
            self._add(predicted)
        return tiles

    def content(self) -> dict[str, Any]:
        """Return the means over the frames."""
        shares = {name: round(value / self._frames, 6) for name, value in self._sums.items()}
        return {
            "shares": shares,
            "mean_confidence": round(self._confidence / self._frames, 6),
            "frames": self._frames,
            "frames_in_file": self._of or None,
            "ended": self._ended(),
        }

    def _ended(self) -> str:
        """Return why the last frame was the last one."""
        if self._frames >= self._limit:
            return "at the limit of frames"
        if self._frames < self._of - max(2, 0.02 * self._of):  # some files only estimate it
            return "no further frame can be read: the file is cut off or damaged"
        return AT_THE_END

    def _add(self, predicted: PredictedImage) -> None:
        self._frames += 1
        self._confidence += predicted.mean_confidence()
        for name, share in predicted.shares().items():
            self._sums[name] = self._sums.get(name, 0.0) + share


def _result(predicted: PredictedImage) -> dict[str, Any]:
    height_px, width_px = predicted.mask.shape
    return {
        "width_px": width_px,
        "height_px": height_px,
        "shares": {name: round(share, 6) for name, share in predicted.shares().items()},
        "mean_confidence": round(predicted.mean_confidence(), 6),
    }


def _tile(predicted: PredictedImage, title: str) -> Tile:
    result = _result(predicted)
    shares = f"{shares_line(result)}; confidence {result['mean_confidence']:.2f}"
    return Tile((_bounded(predicted.pixels), _bounded(predicted.overlay())), f"{title}\n{shares}")


def _bounded(picture: U8) -> U8:
    """Return a copy that keeps no more pixels than the sheet shows."""
    step = max(1, picture.shape[1] // (2 * PICTURE_PX))
    return np.ascontiguousarray(picture[::step, ::step])


def _spread(count: int, wanted: int) -> Iterator[int]:
    if count:
        yield from np.linspace(0, count - 1, min(count, wanted)).astype(int).tolist()
