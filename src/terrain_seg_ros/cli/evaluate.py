"""Score a model on labelled images."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from terrain_seg_ros.cli.model_arguments import add_model_arguments, open_segmenter
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image_file import decode_file, read_image
from terrain_seg_ros.core.label_values import (
    parse_label_values,
    resize_labels,
    truth_from_mask,
)
from terrain_seg_ros.core.segmentation_metrics import (
    IGNORE,
    ConfusionMatrix,
    SegmentationScores,
)
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_seg_ros.segmenter import Segmenter

NAME = "evaluate"
HELP = "score a model on labelled images"

IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MASK_SUFFIXES = (".bmp", ".pgm", ".png", ".tif", ".tiff")
"""Without JPEG, which changes class ids."""

_SHOWN_STEMS = 3
_PROGRESS_EVERY = 25


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("--images", required=True, type=Path, metavar="DIR", help="camera images")
    parser.add_argument(
        "--masks",
        required=True,
        type=Path,
        metavar="DIR",
        help="single-channel masks of the same file stems",
    )
    parser.add_argument(
        "--ignore",
        type=int,
        default=IGNORE,
        metavar="VALUE",
        help="mask value that does not count (default %(default)s)",
    )
    parser.add_argument(
        "--map",
        metavar="VALUE=name,...",
        help="what mask values mean, by class name or 'ignore'; without it they are class ids",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the scores there as well")
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compare the model's masks with the labelled ones, pixel by pixel over all images.

    Raises:
        ConfigError: folders, masks or the map cannot be used.
        ModelError: the model cannot be used, or a mask holds an id that is no class.
        InferenceError: the backend cannot be used.
    """
    if arguments.json is not None:
        own = holds_json("model", "backend", "backend_precision")
        check_output_file(arguments.json, option="--json", is_own=own)
    pairs = _pairs(arguments.images, arguments.masks)
    with open_segmenter(arguments) as segmenter:
        table = parse_label_values(
            arguments.map, segmenter.card.taxonomy.names, ignore=arguments.ignore
        )
        scores = _score(segmenter, pairs, table)
        about = {
            "model": segmenter.card.name,
            "backend": segmenter.backend,
            "backend_precision": segmenter.precision,
        }
    _print_scores(scores, about)
    if arguments.json is not None:
        text = json.dumps({**asdict(scores), **about}, indent=2) + "\n"
        write_whole(arguments.json, text)
    return 0


def _pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    found, labelled = _by_stem(images, IMAGE_SUFFIXES), _by_stem(masks, MASK_SUFFIXES)
    both = sorted(found.keys() & labelled.keys())
    for stems, lack in (
        (found.keys() - labelled.keys(), "mask"),
        (labelled.keys() - found.keys(), "image"),
    ):
        if stems:
            shown = sorted(stems)[:_SHOWN_STEMS]
            more = ", ..." if len(stems) > len(shown) else ""
            print(
                f"left out, no {lack} of the same stem: {len(stems)} ({', '.join(shown)}{more})",
                file=sys.stderr,
            )
    if not both:
        raise ConfigError(
            f"no image in {images} ({len(found)}) has a mask of the same file stem in {masks} "
            f"({len(labelled)} of {', '.join(MASK_SUFFIXES)}); rename one of them"
        )
    return [(found[stem], labelled[stem]) for stem in both]


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {str(folder)!r}; check the path")
    paths: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in suffixes or path.name.startswith("."):
            continue
        if path.stem in paths:
            raise ConfigError(
                f"{path.name} and {paths[path.stem].name} in {folder} have the same stem; "
                "keep one of them"
            )
        paths[path.stem] = path
    return paths


def _score(segmenter: Segmenter, pairs: list[tuple[Path, Path]], table: U8) -> SegmentationScores:
    matrix = ConfusionMatrix(segmenter.card.taxonomy.names)
    for number, (image_path, mask_path) in enumerate(pairs, start=1):
        truth = truth_from_mask(decode_file(mask_path), table, source=str(mask_path))
        matrix.add(truth, _predict(segmenter, image_path, truth.shape))
        if number % _PROGRESS_EVERY == 0 or number == len(pairs):
            end = "\n" if number == len(pairs) else ""
            print(f"\r{number} of {len(pairs)} images", end=end, file=sys.stderr, flush=True)
    return matrix.scores()


def _predict(segmenter: Segmenter, path: Path, shape: tuple[int, ...]) -> U8:
    """Return the mask of an image, at the size of its truth."""
    return resize_labels(segmenter(read_image(path)).mask, shape)


def _print_scores(scores: SegmentationScores, about: dict[str, Any]) -> None:
    how = f"{about['backend']} in {about['backend_precision']}"
    print(f"{about['model']} on {how}, {scores.images} images")
    width = max(len(name) for name in scores.iou)
    print(f"{'class':<{width}}  {'IoU':>7}  {'precision':>9}  {'recall':>7}")
    for name, iou in scores.iou.items():
        cells = (_cell(iou, 7), _cell(scores.precision[name], 9), _cell(scores.recall[name], 7))
        print(f"{name:<{width}}  {'  '.join(cells)}")
    print(f"mean IoU {scores.mean_iou:.4f}, pixel accuracy {scores.pixel_accuracy:.4f}")
    print("confusion (rows truth, columns prediction, pixels):")
    cell_width = max(len(str(count)) for row in scores.confusion for count in row)
    for name, row in zip(scores.iou, scores.confusion):
        print(f"{name:<{width}}  {'  '.join(f'{count:>{cell_width}}' for count in row)}")


def _cell(value: float | None, width: int) -> str:
    return f"{'-' if value is None else f'{value:.4f}':>{width}}"
