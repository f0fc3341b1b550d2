"""Score a model on labelled images."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from terrain_seg_ros.cli.model_arguments import (
    add_image_arguments,
    add_model_arguments,
    open_segmenter,
)
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.exif import TURNS, UPRIGHT
from terrain_seg_ros.core.image.image_file import decode_file, file_turn, read_stored_image
from terrain_seg_ros.core.scores.label_values import parse_label_values, truth_from_mask
from terrain_seg_ros.core.scores.segmentation_metrics import (
    IGNORE,
    ConfusionMatrix,
    SegmentationScores,
)
from terrain_seg_ros.core.types import U8
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_seg_ros.segmenter import Segmenter

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
    add_image_arguments(parser)
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
        scores = _score(segmenter, pairs, table, exif=arguments.exif)
        about = {
            "model": segmenter.card.name,
            "backend": segmenter.backend,
            "backend_precision": segmenter.precision,
        }
    _print_scores(scores, about)
    if arguments.json is not None:
        content = {**asdict(scores), "absent_classes": scores.absent, **about}
        text = json.dumps(content, indent=2) + "\n"
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


def _score(
    segmenter: Segmenter, pairs: list[tuple[Path, Path]], table: U8, *, exif: str | None
) -> SegmentationScores:
    matrix = ConfusionMatrix(segmenter.card.taxonomy.names)
    for number, (image_path, mask_path) in enumerate(pairs, start=1):
        truth = truth_from_mask(decode_file(mask_path), table, source=str(mask_path))
        _check_turn(image_path, (mask_path, truth), exif=exif)
        mask = segmenter(image_path).mask
        _check_fit((image_path, mask), (mask_path, truth), exif=exif)
        matrix.add(truth, mask)
        if number % _PROGRESS_EVERY == 0 or number == len(pairs):
            end = "\n" if number == len(pairs) else ""
            print(f"\r{number} of {len(pairs)} images", end=end, file=sys.stderr, flush=True)
    return matrix.scores()


def _check_turn(image_path: Path, truth: tuple[Path, U8], *, exif: str | None) -> None:
    """Check that EXIF leaves no doubt to which pixels of an image a mask belongs.

    Raises:
        ConfigError: it does.
    """
    truth_path, ids = truth
    if file_turn(truth_path) != UPRIGHT:
        raise ConfigError(
            f"{truth_path}: EXIF wants the mask turned; store its pixels as the image's, without "
            "EXIF"
        )
    if exif is None and file_turn(image_path) != UPRIGHT:
        rows, cols = ids.shape
        raise ConfigError(
            f"{image_path}: the image is {read_stored_image(image_path).sizes()}, and the mask "
            f"{truth_path.name} is {cols} x {rows} px; say by --exif stored or --exif upright "
            "which pixels the masks belong to"
        )


def _check_fit(image: tuple[Path, U8], truth: tuple[Path, U8], *, exif: str | None) -> None:
    """Check that a mask is of an image's size.

    Raises:
        ConfigError: it is not.
    """
    (image_path, mask), (truth_path, ids) = image, truth
    turn = file_turn(image_path)
    (height_px, width_px), (rows, cols) = mask.shape, ids.shape
    if mask.shape != ids.shape:
        turned = "" if turn == UPRIGHT else f" ({exif}, EXIF orientation {turn}: {TURNS[turn]})"
        raise ConfigError(
            f"{image_path}: the image is {width_px} x {height_px} px{turned}, but the mask "
            f"{truth_path.name} is {cols} x {rows} px; give masks of the images' size"
        )


def _print_scores(scores: SegmentationScores, about: dict[str, Any]) -> None:
    how = f"{about['backend']} in {about['backend_precision']}"
    print(f"{about['model']} on {how}, {scores.images} images")
    width = max(len(name) for name in scores.iou)
    print(f"{'class':<{width}}  {'IoU':>7}  {'precision':>9}  {'recall':>7}")
    for name, iou in scores.iou.items():
        cells = (_cell(iou, 7), _cell(scores.precision[name], 9), _cell(scores.recall[name], 7))
        print(f"{name:<{width}}  {'  '.join(cells)}")
    print(f"mean IoU {scores.mean_iou:.4f}, pixel accuracy {scores.pixel_accuracy:.4f}")
    print(
        f"{scores.ignored:.2%} of the pixels did not count (ignored in the truth); "
        f"{scores.unpredicted:.2%} of the others had no prediction"
    )
    if scores.absent:
        print(
            f"never in the truth: {', '.join(scores.absent)}; they have no IoU and no part in the "
            "mean"
        )
    print("confusion (rows truth, columns prediction, pixels):")
    cell_width = max(len(str(count)) for row in scores.confusion for count in row)
    for name, row in zip(scores.iou, scores.confusion):
        print(f"{name:<{width}}  {'  '.join(f'{count:>{cell_width}}' for count in row)}")


def _cell(value: float | None, width: int) -> str:
    return f"{'-' if value is None else f'{value:.4f}':>{width}}"
