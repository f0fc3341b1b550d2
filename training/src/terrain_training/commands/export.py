"""`terrain-train export`."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.model_card import PRECISIONS, ModelCard
from terrain_seg_ros.model_store.model_store import load_card
from terrain_training.commands.common import (
    add_data,
    add_threads,
    print_table,
    use_threads,
)
from terrain_training.export.export_model import ExportRequest, export_model
from terrain_training.export.lower_model import LoweredTo, LowerRequest, lower_model
from terrain_training.export.quantisation import Activations
from terrain_training.learning.run_folder import RunFolder, check_is_model

HELP = "export a run as a model folder, or a float32 model in lower precision"
EXAMPLES = (
    "terrain-train export runs/mars_navcam-1 --data data/ai4mars --out out/mars_navcam",
    "terrain-train export mars_navcam --data data/ai4mars --precision int8 --out "
    "out/mars_navcam_int8",
)
INTERRUPTED = "nothing was written; run the same command again to start over"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "source",
        type=Path,
        metavar="RUN|MODEL",
        help="folder of a run; or folder or name of a float32 model, for a lower --precision of it",
    )
    add_data(parser)
    parser.add_argument(
        "--name",
        help="name of the model (default: the recipe's; the name of a model that ships is never "
        "taken by itself: a run of its recipe is named after its folder as well)",
    )
    parser.add_argument("--version", help="version of the model (default: the recipe's)")
    parser.add_argument("--recipe", type=Path, help="recipe, if the model does not contain its own")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the model"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="fp32",
        help="number format of the file; int8 keeps sensitive layers in float32",
    )
    parser.add_argument(
        "--activations",
        choices=[kind.value for kind in Activations],
        default=Activations.INT8.value,
        help="format of activations with --precision int8: int8 runs everywhere; uint8 is faster "
        "in ONNX Runtime but does not run in TensorRT",
    )
    parser.add_argument(
        "--force", action="store_true", help="replace a model of another name in --out"
    )
    parser.add_argument("--hdf5", action="store_true", help="also write the weights as weights.h5")
    add_threads(parser)


def run(options: argparse.Namespace) -> int:
    """Export and print what lower precisions cost.

    Raises:
        ConfigError: run, model, recipe or data cannot be used.
        ModelError: the model cannot be used, or the runtimes disagree.
    """
    use_threads(options)
    card = _export(options) if _is_run(options) else _lower(options)
    print(f"{card.name} {card.version} written to {options.out}")
    print(
        f"mean IoU {card.metrics['mean_iou']:.4f} at {card.metrics['scored_at']} on "
        f"{card.metrics['images']} validation images"
    )
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
    print(f"next  terrain-seg segment IMAGE --model {shlex.quote(str(options.out))}")
    return 0


def _is_run(options: argparse.Namespace) -> bool:
    """Return whether the source is a run or a model.

    Raises:
        ConfigError: it is neither.
    """
    source: Path = options.source
    if RunFolder(source).snapshot.is_file():
        return True
    if source.is_file() and RunFolder(source.parent).snapshot.is_file():
        raise ConfigError(f"'{source}' is a file of a run; give the run's folder, {source.parent}")
    check_is_model(source)
    try:
        load_card(source)
    except ModelError as error:
        raise ConfigError(
            f"'{source}' is neither a run's folder nor a model's folder or name ({error}); train "
            "first, or see `terrain-seg models`"
        ) from error
    return False


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
            force=options.force,
            precision=options.precision,
            activations=Activations(options.activations),
            name=options.name,
            version=options.version,
        )
    )


def _lower(options: argparse.Namespace) -> ModelCard:
    if options.hdf5:
        raise ConfigError("--hdf5 writes the weights of a run; a model has them in its graph only")
    if options.name is not None or options.version is not None:
        raise ConfigError("--name and --version are for runs; a model keeps its own")
    return lower_model(
        LowerRequest(
            model=options.source,
            data=options.data,
            out=options.out,
            to=LoweredTo(options.precision, Activations(options.activations)),
            recipe=options.recipe,
            skip_bad=options.skip_bad,
            force=options.force,
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
