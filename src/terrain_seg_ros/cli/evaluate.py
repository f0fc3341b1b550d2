"""Score a model on labelled images."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from terrain_seg_ros.cli.options import (
    add_image_arguments,
    add_json_argument,
    add_label_arguments,
    add_model_arguments,
    open_segmenter,
    read_parameters,
)
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.label_values import parse_label_values, parse_merges
from terrain_seg_ros.core.scores.segmentation_metrics import (
    ConfusionMatrix,
    SegmentationScores,
)
from terrain_seg_ros.fleet.arguments import add_cluster_argument
from terrain_seg_ros.fleet.pieces import Place
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_seg_ros.score.labelled_images import (
    LabelledPiece,
    Pair,
    Values,
    count_in_pieces,
    count_pairs,
    find_pairs,
)
from terrain_seg_ros.segmenter import Segmenter


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
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="processes that share the images (default: %(default)s, which uses all processors)",
    )
    add_cluster_argument(parser, "images")


def run(arguments: argparse.Namespace) -> int:
    """Compare the model's masks with the labelled ones, pixel by pixel over all images.

    Raises:
        ConfigError: folders, masks or the map cannot be used.
        ModelError: the model cannot be used, or a mask holds an id that is not a class.
        InferenceError: the backend cannot be used.
    """
    if arguments.jobs < 1:
        raise ConfigError(f"--jobs is {arguments.jobs}, expected 1 or more")
    if arguments.json is not None:
        own = holds_json("model", "backend", "backend_precision")
        check_output_file(arguments.json, option="--json", is_own=own)
    pairs = find_pairs(arguments.images, arguments.masks, say=_say)
    with open_segmenter(arguments) as segmenter:
        table = parse_label_values(
            arguments.map, segmenter.card.taxonomy.names, ignore=arguments.ignore
        )
        merges = parse_merges(arguments.merge, segmenter.card.taxonomy.names)
        matrix = _count(arguments, segmenter, pairs, Values(table, merges))
        about = {
            "model": segmenter.card.name,
            "backend": segmenter.backend,
            "backend_precision": segmenter.precision,
            "merged": arguments.merge,
        }
    scores = matrix.scores()
    _print_scores(scores, about)
    if arguments.json is not None:
        content = {**asdict(scores), "absent_classes": scores.absent, **about}
        text = json.dumps(content, indent=2) + "\n"
        write_whole(arguments.json, text)
    return 0


def _count(
    arguments: argparse.Namespace, segmenter: Segmenter, pairs: list[Pair], values: Values
) -> ConfusionMatrix:
    """Count in this process, in several or on a cluster."""
    if arguments.jobs == 1 and arguments.cluster is None:
        shown = tqdm(pairs, unit="image", disable=None)
        return count_pairs(segmenter, shown, values, exif=arguments.exif)
    inference = read_parameters(arguments).inference
    threads = max((os.cpu_count() or 1) // arguments.jobs, 1) if arguments.cluster is None else 1
    whole = LabelledPiece(
        pairs=tuple(pairs),
        model=inference.model,
        backend=segmenter.backend,
        options=replace(
            inference.backend_options(),
            precision=segmenter.precision,
            threads=arguments.threads or threads,
        ),
        image_bits=arguments.image_bits,
        exif=arguments.exif,
        values=values,
    )
    matrix = ConfusionMatrix(segmenter.card.taxonomy.names)
    place = Place(arguments.jobs, arguments.cluster)
    folders = [arguments.images, arguments.masks]
    with tqdm(total=len(pairs), unit="image", disable=None) as bar:
        for count, counts in count_in_pieces(whole, place, folders=folders, say=_say):
            matrix.merge(counts)
            bar.update(count)
    return matrix


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
    tqdm.write(text, file=sys.stderr)
