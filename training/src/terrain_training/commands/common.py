"""Arguments and tables that several commands share."""

from __future__ import annotations

import argparse
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.report.table import text_table
from terrain_training.cpu import available_cores
from terrain_training.learning.run import Machine
from terrain_training.rendering.cycles.blender_python import VARIABLE


def positive(text: str) -> int:
    """Return a whole number above 0.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def two_or_more(text: str) -> int:
    """Return a whole number above 1.

    Raises:
        ArgumentTypeError: it is none.
    """
    if not text.isdigit() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 2 or more")
    return int(text)


def add_render_python(parser: argparse._ActionsContainer) -> None:
    """Add --render-python, the Python that path-traces."""
    parser.add_argument(
        "--render-python",
        type=Path,
        metavar="FILE",
        help=f"the Python that has bpy (default: {VARIABLE}, else .venv-render/bin/python)",
    )


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


def size_px(text: str) -> tuple[int, int]:
    """Return width and height of a text such as 256 or 320x256.

    Raises:
        ArgumentTypeError: it is neither.
    """
    match = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a size, expected pixels such as 256, or WIDTHxHEIGHT such as 320x256"
        )
    return int(match[1]), int(match[2] or match[1])


def rate(text: str) -> str:
    """Return a number above 0 as YAML writes it.

    Raises:
        ArgumentTypeError: it is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0, such as 1e-3")
    return repr(value)


RECIPE_FORMS = "name of a shipped recipe (`terrain-train list recipes`), or a YAML file"


def add_recipe(parser: argparse.ArgumentParser) -> None:
    """Add the recipe that a command is about."""
    parser.add_argument("recipe", type=Path, metavar="RECIPE", help=RECIPE_FORMS)


MODEL_FORMS = (
    "folder of a run, .safetensors or .h5 in one, exported folder, .h5 in one, or a model's name"
)


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add what runs an exported model."""
    parser.add_argument(
        "--backend",
        default=BackendName.ONNXRUNTIME.value,
        choices=[name.value for name in BackendName if name is not BackendName.CONSTANT],
        help="inference backend of an exported model (default %(default)s)",
    )
    parser.add_argument(
        "--precision", default="fp32", help="precision of that backend (default %(default)s)"
    )


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
        help="override a key of the recipe, such as training.seed=7; may be repeated",
    )


class _SetKeys(argparse.Action):
    """Append `KEY=VALUE` for each key of a short option to what `--set` collects, in order."""

    def __init__(
        self,
        option_strings: Sequence[str],
        dest: str,
        *,
        keys: Sequence[str] = (),
        **rest: Any,  # of argparse
    ) -> None:
        super().__init__(option_strings, dest, **rest)
        self.keys = keys

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002  (argparse calls it)
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        given = values if isinstance(values, tuple) else (values,)
        kept = list(getattr(namespace, self.dest))
        kept += [f"{key}={value}" for key, value in zip(self.keys, given)]
        setattr(namespace, self.dest, kept)


def add_short_overrides(parser: argparse.ArgumentParser) -> None:
    """Add `--epochs`, `--batch`, `--size` and `--lr`, short for `--set`; the last one counts."""
    group = parser.add_argument_group("short for --set")
    rows: list[tuple[str, Callable[[str], Any], str, tuple[str, ...], str]] = [
        ("--epochs", positive, "N", ("training.epochs",), "passes over the training images"),
        ("--batch", positive, "N", ("training.batch_size",), "images per step"),
        (
            "--size",
            size_px,
            "PX",
            ("data.width_px", "data.height_px"),
            "network input, one side of a square or WIDTHxHEIGHT",
        ),
        ("--lr", rate, "RATE", ("training.learning_rate",), "learning rate"),
    ]
    for option, kind, metavar, keys, text in rows:
        group.add_argument(
            option,
            action=_SetKeys,
            keys=keys,
            type=kind,
            metavar=metavar,
            dest="overrides",
            default=argparse.SUPPRESS,
            help=f"{text} ({', '.join(keys)})",
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
    """Return what `add_machine` was given; a worker of a cluster chooses no threads itself."""
    own = options.threads is not None or "OMP_NUM_THREADS" in os.environ
    own |= getattr(options, "cluster", None) is not None
    return Machine(options.accelerator, options.devices, choose_threads=not own)


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print an aligned table."""
    print(text_table(head, rows))


def cell(value: float | None, digits: int = 4) -> str:
    """Return a number for a table, a dash for none."""
    return "-" if value is None else f"{value:.{digits}f}"
