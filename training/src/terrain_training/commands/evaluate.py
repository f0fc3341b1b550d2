"""`terrain-train evaluate`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

from terrain_seg_ros.fleet.arguments import add_cluster_argument
from terrain_seg_ros.fleet.pieces import Place
from terrain_seg_ros.report.output_place import (
    check_output_file,
    holds_json,
    write_whole,
)
from terrain_training.commands.common import (
    MODEL_FORMS,
    add_backend,
    add_data,
    add_threads,
    cell,
    positive,
    print_table,
    share,
    use_threads,
)
from terrain_training.commands.tiling_options import add_tiling, tiling_of
from terrain_training.cpu import available_cores
from terrain_training.evaluation.evaluation_report import (
    about,
    check_report_place,
    comparisons,
    hazard_advice,
    write_evaluation_report,
)
from terrain_training.evaluation.in_pieces import CountInPieces, Opening
from terrain_training.evaluation.report import ROCKS_TITLE
from terrain_training.evaluation.report_tables import rock_table
from terrain_training.evaluation.run import Evaluation, EvaluationRequest, evaluate
from terrain_training.evaluation.subject import TORCH, Subject
from terrain_training.metrics.figures import Comparison, EvaluationFigures

HELP = "score a run, a checkpoint or an exported model on labelled images"
SCORED_AT = "image size (that of the labels)"
EXAMPLES = (
    "terrain-train evaluate runs/mars_navcam-1 --data data/ai4mars --report out/evaluation",
    "terrain-train evaluate out/mars_navcam --data data/ai4mars --backend openvino",
)
INTERRUPTED = "nothing was written; run the same command again to start over"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("model", type=Path, metavar="MODEL", help=MODEL_FORMS)
    add_data(parser)
    parser.add_argument("--recipe", type=Path, help="recipe, if the model does not contain its own")
    parser.add_argument(
        "--split",
        default="validation",
        help="split of the data set; `all` for every sample (default %(default)s)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures to this file as JSON"
    )
    parser.add_argument(
        "--report", type=Path, metavar="DIR", help="write an HTML report to this folder"
    )
    parser.add_argument(
        "--sharpen",
        action="store_true",
        help="also report the effect of the recipe's mask sharpening",
    )
    parser.add_argument(
        "--outside", type=Path, metavar="DIR", help="images unlike the training data, unlabelled"
    )
    parser.add_argument(
        "--false-alarm-rate",
        type=share,
        default=0.05,
        metavar="SHARE",
        help="false-alarm rate at which the hazard recall is reported (default %(default)s)",
    )
    parser.add_argument(
        "--hazard-threshold",
        type=float,
        default=0.5,
        metavar="HAZARD",
        help="P(hazard) from which a pixel is a hazard, above 0, at most 1 (default %(default)s)",
    )
    parser.add_argument(
        "--resamples", type=positive, default=1000, help="number of bootstrap resamples"
    )
    add_backend(parser)
    add_tiling(parser)
    add_threads(parser)
    parser.add_argument(
        "--jobs",
        type=positive,
        default=1,
        metavar="N",
        help="processes that share the images (default %(default)s, which uses all cores)",
    )
    add_cluster_argument(parser, "images")


def run(options: argparse.Namespace) -> int:
    """Evaluate, print the figures and write what was asked for.

    Raises:
        ConfigError: model, recipe or data cannot be used.
        ModelError: the exported model cannot be used.
        InferenceError: the backend cannot be used.
    """
    threads = use_threads(options)
    if options.json is not None:
        own = holds_json("model", "split", "mean_iou")
        check_output_file(options.json, option="--json", is_own=own)
    if options.report is not None:
        check_report_place(options.report, option="--report")
    opening = Opening(
        options.model,
        options.recipe,
        options.backend,
        options.precision,
        threads,
        tiling_of(options),
    )
    subject = opening.subject()
    request = EvaluationRequest(
        data=options.data,
        split=options.split,
        skip_bad=options.skip_bad,
        sharpened=options.sharpen,
        outside=options.outside,
        hazard_threshold=options.hazard_threshold,
        false_alarm_rate=options.false_alarm_rate,
        resamples=options.resamples,
    )
    count = None
    if options.jobs > 1 or options.cluster is not None:
        count = CountInPieces(
            _opening_elsewhere(opening, subject, options),
            request,
            Place(options.jobs, options.cluster),
        )
    evaluation = evaluate(subject, request, count=count)
    comparison = comparisons(evaluation)
    _print(subject, evaluation, comparison)
    if options.json is not None:
        content = {
            **about(subject),
            "backend_precision": subject.precision,  # "precision" is a score of the figures
            "split": options.split,
            "scored_at": SCORED_AT,
            **evaluation.figures.to_json(),
            "bad_samples": evaluation.bad,
            "comparison": [asdict(item) for item in comparison],
            "rocks": None if evaluation.rocks is None else asdict(evaluation.rocks),
        }
        write_whole(options.json, json.dumps(content, indent=2, allow_nan=False) + "\n")
    if options.report is not None:
        page = write_evaluation_report(options.report, subject, request, evaluation)
        print(f"report {page}")
    return 0


def _opening_elsewhere(opening: Opening, subject: Subject, options: argparse.Namespace) -> Opening:
    """Return how each process opens the model: the backend by name, and its share of threads."""
    shared = max(available_cores() // options.jobs, 1) if options.cluster is None else 1
    opening = replace(opening, threads=options.threads or shared)
    if subject.backend == TORCH:
        return opening
    return replace(opening, backend=subject.backend, precision=subject.precision)


def _print(subject: Subject, evaluation: Evaluation, comparison: tuple[Comparison, ...]) -> None:
    figures = evaluation.figures
    for text in evaluation.bad.values():
        print(f"left out: {text}")
    print(f"{subject.name}, {subject.backend} {subject.precision}, {figures.images} images")
    for text in hazard_advice(subject, evaluation).values():
        print(f"note: {text}")
    names = list(figures.iou)
    columns = (figures.iou, figures.precision, figures.recall, figures.dice, figures.boundary_f1)
    print_table(
        ("class", "IoU", "precision", "recall", "Dice", "boundary F1"),
        [(name, *(cell(column[name]) for column in columns)) for name in names],
    )
    for name, text in _lines(figures):
        print(f"{name:<24}{text}")
    if evaluation.rocks is not None:
        print(ROCKS_TITLE)
        print_table(*rock_table(evaluation.rocks))
    for item in comparison:
        print(item.title)
        rows = [(name, *(cell(value) for value in row)) for name, row in item.rows.items()]
        print_table(("", *item.columns), rows)


def _lines(figures: EvaluationFigures) -> list[tuple[str, str]]:
    recall, intervals = figures.hazard_recall, figures.intervals
    return [
        ("mean IoU, image size", f"{figures.mean_iou:.4f}{_interval(intervals.mean_iou)}"),
        ("pixel accuracy", f"{figures.pixel_accuracy:.4f}{_interval(intervals.pixel_accuracy)}"),
        (
            "boundary F1",
            f"{cell(figures.mean_boundary_f1)} in {sum(figures.boundary_images.values())} outlines",
        ),
        (
            "hazard recall",
            f"{cell(recall.recall)}{_interval(intervals.hazard_recall)} at a false-alarm rate of "
            f"{recall.wanted:g}",
        ),
        (
            "false-safe rate",
            f"{cell(figures.false_safe_rate, 5)}{_interval(intervals.false_safe_rate)}",
        ),
        ("missed hazards", f"{cell(figures.missed_hazard_share)} of the hazardous pixels"),
        ("calibration error", f"{figures.expected_calibration_error:.4f}"),
        ("out-of-distribution", _outside(figures)),
    ]


def _outside(figures: EvaluationFigures) -> str:
    found = figures.out_of_distribution
    text = f"mean score {found.mean:.4f}"
    if found.auroc is None:
        return text
    return f"{text}, AUROC {found.auroc:.4f} against {found.outside_images} other images"


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" [{interval[0]:.4f}, {interval[1]:.4f}]"
