"""Score a model on labelled images."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from terrain_seg_ros.cli.options import (
    add_image_arguments,
    add_json_argument,
    add_label_arguments,
    add_model_arguments,
    open_segmenter,
)
from terrain_seg_ros.core.scores.label_values import parse_label_values, parse_merges
from terrain_seg_ros.core.scores.segmentation_metrics import (
    SegmentationScores,
)
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_seg_ros.score.labelled_images import find_pairs, score_pairs


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
    add_label_arguments(parser)
    parser.add_argument(
        "--merge",
        metavar="NAME=NAME,...",
        help="count predictions of a class as another one, for masks that do not label it, such as "
        "rock=soil",
    )
    add_json_argument(parser, "the scores")
    add_image_arguments(parser)
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Compare the model's masks with the labelled ones, pixel by pixel over all images.

    Raises:
        ConfigError: folders, masks or the map cannot be used.
        ModelError: the model cannot be used, or a mask holds an id that is not a class.
        InferenceError: the backend cannot be used.
    """
    if arguments.json is not None:
        own = holds_json("model", "backend", "backend_precision")
        check_output_file(arguments.json, option="--json", is_own=own)
    pairs = find_pairs(arguments.images, arguments.masks, say=_say)
    with open_segmenter(arguments) as segmenter:
        table = parse_label_values(
            arguments.map, segmenter.card.taxonomy.names, ignore=arguments.ignore
        )
        scores = score_pairs(
            segmenter,
            tqdm(pairs, unit="image", disable=None),
            table,
            parse_merges(arguments.merge, segmenter.card.taxonomy.names),
            exif=arguments.exif,
        )
        about = {
            "model": segmenter.card.name,
            "backend": segmenter.backend,
            "backend_precision": segmenter.precision,
            "merged": arguments.merge,
        }
    _print_scores(scores, about)
    if arguments.json is not None:
        content = {**asdict(scores), "absent_classes": scores.absent, **about}
        text = json.dumps(content, indent=2) + "\n"
        write_whole(arguments.json, text)
    return 0


def _print_scores(scores: SegmentationScores, about: dict[str, Any]) -> None:
    how = f"{about['backend']} in {about['backend_precision']}"
    merged = f", {about['merged']}" if about["merged"] else ""
    print(f"{about['model']} on {how}, {scores.images} images{merged}")
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


def _say(text: str) -> None:
    print(text, file=sys.stderr)
