"""`terrain-train export`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import PRECISIONS, ModelCard
from terrain_seg_ros.inference.model_files import CARD_FILE
from terrain_training.commands.common import add_data, print_table
from terrain_training.export.export_model import ExportRequest, export_model
from terrain_training.export.lower_model import LoweredTo, LowerRequest, lower_model
from terrain_training.export.quantisation import Activations
from terrain_training.learning.run_folder import RunFolder

NAME = "export"
HELP = "write model.onnx, card.json, golden.npz and README.md of a run, or of a model in less"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="RUN|MODEL",
        help="folder of a run; or of an exported float32 model, for a lower --precision of it",
    )
    add_data(parser)
    parser.add_argument("--recipe", type=Path, help="where the model does not keep its own")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the model"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="what the numbers in the file are; int8 keeps sensitive layers in float32",
    )
    parser.add_argument(
        "--activations",
        choices=[kind.value for kind in Activations],
        default=Activations.INT8.value,
        help="of --precision int8: int8 runs everywhere, uint8 faster in ONNX Runtime and not in "
        "TensorRT",
    )
    parser.add_argument("--hdf5", action="store_true", help="write the weights as weights.h5 too")


def run(options: argparse.Namespace) -> int:
    """Export and print what lower precisions cost.

    Raises:
        ConfigError: run, model, recipe or data cannot be used.
        ModelError: the model cannot be used, or the runtimes disagree.
    """
    card = _export(options) if _is_run(options) else _lower(options)
    print(f"{card.name} {card.version} written to {options.out}")
    print(f"mean IoU {card.metrics['mean_iou']:.4f} on {card.metrics['images']} validation images")
    print_table(
        ("backend", "precision", "mean IoU lost", "dangerous recall lost", "clear px changed"),
        [
            (
                row["backend"],
                row["precision"],
                f"{row['mean_iou_loss']:.4f}",
                f"{row['dangerous_recall_loss']:.4f}",
                f"{row['clear_margin_changed']:.5f}",
            )
            for row in card.metrics["parity"]
        ],
    )
    if "bare_call" in card.metrics:
        _print_speed(card.metrics["bare_call"])
    return 0


def _is_run(options: argparse.Namespace) -> bool:
    run = RunFolder(options.source)
    return run.snapshot.is_file() or not (options.source / CARD_FILE).is_file()


def _export(options: argparse.Namespace) -> ModelCard:
    if options.recipe is not None:
        raise ConfigError("--recipe is for models; a run keeps its own")
    return export_model(
        ExportRequest(
            run=options.source,
            data=options.data,
            out=options.out,
            skip_bad=options.skip_bad,
            hdf5=options.hdf5,
            precision=options.precision,
            activations=Activations(options.activations),
        )
    )


def _lower(options: argparse.Namespace) -> ModelCard:
    if options.hdf5:
        raise ConfigError("--hdf5 writes the weights of a run; a model has them in its graph only")
    return lower_model(
        LowerRequest(
            model=options.source,
            data=options.data,
            out=options.out,
            to=LoweredTo(options.precision, Activations(options.activations)),
            recipe=options.recipe,
            skip_bad=options.skip_bad,
        )
    )


def _print_speed(calls: Mapping[str, Any]) -> None:
    """Print the milliseconds of a bare call, and how much faster than its float32 each is."""
    exact = {
        row["backend"]: row["median_ms"]
        for row in calls["rows"]
        if row["file"] == row["precision"] == "fp32"
    }
    print(f"bare call on {calls['processor']}, {calls['threads']} threads")
    print_table(
        ("file", "backend", "precision", "median ms", "x fp32"),
        [
            (
                row["file"],
                row["backend"],
                row["precision"],
                f"{row['median_ms']:.2f}",
                f"{exact[row['backend']] / row['median_ms']:.2f}",
            )
            for row in calls["rows"]
        ],
    )
