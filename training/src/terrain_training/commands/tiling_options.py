"""The arguments `--flips`, `--window` and `--overlap`."""

from __future__ import annotations

import argparse

from terrain_training.commands.common import share, size_px
from terrain_training.evaluation.tiling import DEFAULT_OVERLAP, Tiling


def add_tiling(parser: argparse.ArgumentParser) -> None:
    """Add how images are given to the network."""
    group = parser.add_argument_group("more than one look at an image")
    group.add_argument(
        "--flips",
        action="store_true",
        help="also predict the mirrored image (upside down too, if the recipe has flip_vertical), "
        "and take the mean",
    )
    group.add_argument(
        "--window",
        type=size_px,
        metavar="PX",
        help="slide a window of this size over large images, one side of a square or WIDTHxHEIGHT",
    )
    group.add_argument(
        "--overlap",
        type=share,
        default=DEFAULT_OVERLAP,
        metavar="SHARE",
        help="share of a window's side that neighbours have in common (default %(default)s)",
    )


def tiling_of(options: argparse.Namespace) -> Tiling:
    """Return what `add_tiling` was given."""
    return Tiling(flips=options.flips, window_px=options.window, overlap=options.overlap)
