"""`terrain-train export`."""

from __future__ import annotations

import argparse
from pathlib import Path

from terrain_training.commands.common import add_data, print_table
from terrain_training.export.export_model import ExportRequest, export_model

NAME = "export"
HELP = "write model.onnx, card.json, golden.npz and README.md of a run"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument("run", type=Path, help="folder of a run")
    add_data(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder of the model"
    )
    parser.add_argument("--hdf5", action="store_true", help="write the weights as weights.h5 too")


def run(options: argparse.Namespace) -> int:
    """Export and print what lower precisions cost.

    Raises:
        ConfigError: run or data cannot be used.
        ModelError: the runtimes disagree.
    """
    request = ExportRequest(
        run=options.run,
        data=options.data,
        out=options.out,
        skip_bad=options.skip_bad,
        hdf5=options.hdf5,
    )
    card = export_model(request)
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
    return 0
