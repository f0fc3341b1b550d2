"""The command line `terrain-train`: from raw data to a model that flies."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence

import torch

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_training.commands import (
    compare,
    download,
    evaluate,
    export,
    inspect,
    inspect_check,
    peers,
    render,
    throughput,
    train,
    tune,
)
from terrain_training.commands.common import positive

COMMANDS = (
    inspect,
    inspect_check,
    download,
    render,
    train,
    evaluate,
    export,
    tune,
    compare,
    throughput,
    peers,
)
EXIT_WRONG_INPUT = 2
EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; expected failures are one line on stderr and exit code 2."""
    options = make_parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    try:
        result: int = options.command(options)
    except TerrainSegError as error:
        print(f"terrain-train: {error}", file=sys.stderr)
        return EXIT_WRONG_INPUT
    except KeyboardInterrupt:
        print("terrain-train: interrupted; the same command goes on", file=sys.stderr)
        return EXIT_INTERRUPTED
    return result


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of every command."""
    parser = argparse.ArgumentParser(prog="terrain-train", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        sub = commands.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        sub.set_defaults(command=command.run)
        command.add_arguments(sub)
        sub.add_argument("--threads", type=positive, metavar="N", help="CPU threads of torch")
    return parser


if __name__ == "__main__":
    sys.exit(main())
