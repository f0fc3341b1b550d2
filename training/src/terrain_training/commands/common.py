"""Arguments and tables that several commands share."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from terrain_seg_ros.report.table import text_table
from terrain_training.cpu import available_cores
from terrain_training.learning.run import Machine


def positive(text: str) -> int:
    """Return a whole number above 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def share(text: str) -> float:
    """Return a number of at least 0 and below 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share, expected 0 to below 1")
    return value


def add_data(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add where the data are, and what happens to bad samples."""
    parser.add_argument(
        "--data",
        type=Path,
        required=required,
        metavar="PATH",
        help="folder or file of the data set",
    )
    parser.add_argument(
        "--skip-bad",
        action="store_true",
        help="report unusable samples and skip them, instead of stopping at the first",
    )


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Add `--set`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="override a key of the recipe, such as training.epochs=2; may be repeated",
    )


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Add `--threads`."""
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="number of CPU threads (default: all available cores, fewer for small networks)",
    )


def use_threads(options: argparse.Namespace) -> int:
    """Set the number of torch's threads, by default the available cores; return it."""
    threads: int = options.threads or available_cores()
    if options.threads is not None or "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads)
    return threads


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add what computes."""
    parser.add_argument(
        "--accelerator",
        default="auto",
        choices=("auto", "cpu", "gpu"),
        help="hardware to compute on (default %(default)s)",
    )
    parser.add_argument(
        "--devices",
        type=positive,
        default=1,
        metavar="N",
        help="number of GPUs, or of processes on the CPU (default %(default)s)",
    )


def machine_of(options: argparse.Namespace) -> Machine:
    """Return what `add_machine` was given."""
    own = options.threads is not None or "OMP_NUM_THREADS" in os.environ
    return Machine(options.accelerator, options.devices, choose_threads=not own)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print an aligned table."""
    print(text_table(head, rows))


def cell(value: float | None, digits: int = 4) -> str:
    """Return a number for a table, a dash for none."""
    return "-" if value is None else f"{value:.{digits}f}"
