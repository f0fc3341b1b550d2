"""The options that say where independent pieces of work run."""

from __future__ import annotations

import argparse


def add_cluster_argument(parser: argparse._ActionsContainer, pieces: str) -> None:
    """Add --cluster, the address of a Dask scheduler that distributes `pieces`."""
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help=f"Dask scheduler that distributes the {pieces} to its workers, such as "
        "tcp://10.0.0.1:8786, on a trusted network only: whoever reaches it can run code there "
        "(extra `fleet`, see docs/howto/fleet.md)",
    )
