"""`terrain-train predict`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.output_place import check_output_folder
from terrain_training.commands.common import (
    MODEL_FORMS,
    add_backend,
    add_threads,
    positive,
    use_threads,
)
from terrain_training.commands.tiling_options import add_tiling, tiling_of
from terrain_training.evaluation.subject import open_subject
from terrain_training.evaluation.tiling import tiled
from terrain_training.learning.new_run import run_folder
from terrain_training.prediction.inputs import find_inputs
from terrain_training.prediction.predict import Sharpening, sharpening_of
from terrain_training.prediction.video import MAX_FRAMES
from terrain_training.prediction.write_predictions import (
    AT_THE_END,
    OWN_PREDICTIONS,
    SHEET_FILE,
    Written,
    shares_line,
    write_predictions,
)
from terrain_training.yaml_file import parse_yaml

HELP = "predict images and videos: masks, overlays and a sheet to look at"
EXAMPLES = (
    "terrain-train predict runs/mars_navcam-1 photos --out out/photos",
    "terrain-train predict mars_navcam drive.mp4 --sharpen amount=1.5 min_area_px=30",
)
INTERRUPTED = "run the same command again to start over"
PREDICTIONS = Path("predictions")
EXIT_REFUSED = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL", help=MODEL_FORMS)
    parser.add_argument(
        "inputs",
        nargs="+",
        type=Path,
        metavar="INPUT",
        help="image, video, or folder of them",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for STEM_mask.png (class ids, 255 is unlabelled), STEM_overlay.png or .mp4, "
        f"{SHEET_FILE} and predictions.json (default: a new folder {PREDICTIONS}/NAME-N)",
    )
    parser.add_argument(
        "--sharpen",
        nargs="*",
        metavar="KEY=VALUE",
        help="sharpen borders and remove specks, with the recipe's values or with these of "
        "amount, sigma_px and min_area_px",
    )
    parser.add_argument(
        "--max-frames",
        type=positive,
        default=MAX_FRAMES,
        metavar="N",
        help="frames of each video to predict (default %(default)s)",
    )
    parser.add_argument("--recipe", type=Path, help="recipe, if the model does not contain its own")
    add_backend(parser)
    add_tiling(parser)
    add_threads(parser)


def run(options: argparse.Namespace) -> int:
    """Predict, and print a line for each image and video.

    Returns:
        0, or 2 if an input could not be used.

    Raises:
        ConfigError: model, inputs or `--out` cannot be used.
        ModelError: the exported model cannot be used.
        InferenceError: the backend cannot be used.
    """
    threads = use_threads(options)
    inputs = find_inputs(options.inputs)
    if options.out is not None:
        check_output_folder(options.out, option="--out", is_own=OWN_PREDICTIONS)
    subject = open_subject(
        options.model,
        recipe=options.recipe,
        backend=options.backend,
        precision=options.precision,
        threads=threads,
    )
    subject = tiled(subject, tiling_of(options))
    sharpening = sharpening_of(subject, _sharpening(options.sharpen))
    with run_folder(options.out, subject.recipe.name, parent=PREDICTIONS) as out:
        written = write_predictions(
            subject, inputs, out, sharpening=sharpening, max_frames=options.max_frames
        )
        print(f"{subject.name}, {subject.backend} {subject.precision}")
        _print(written, out)
    return EXIT_REFUSED if written.refused else 0


def _sharpening(texts: Sequence[str] | None) -> Sharpening:
    """Return what `--sharpen` was given.

    Raises:
        ConfigError: a text is not KEY=VALUE.
    """
    if not texts:
        return texts is not None
    values = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator:
            raise ConfigError(f"--sharpen {text!r}: expected KEY=VALUE, such as amount=1.5")
        values[key] = parse_yaml(value, source=f"--sharpen {text}")
    return values


def _frames(result: Mapping[str, Any]) -> str:
    """Return how many frames of a video were predicted, and of how many if not of all."""
    done, there = result["frames"], result["frames_in_file"]
    if there is None or done >= there or result["ended"] == AT_THE_END:
        return f"{done} frames"
    return f"{done} of {there} frames ({result['ended']})"


def _print(written: Written, out: Path) -> None:
    for name, result in written.results.items():
        frames = f"{_frames(result)}; " if "frames" in result else ""
        confidence = f"confidence {result['mean_confidence']:.2f}"
        print(f"{name}: {frames}{shares_line(result)}; {confidence}")
    for reason in written.refused.values():
        print(f"left out: {reason}")
    print(f"sheet {out / SHEET_FILE}")
