"""The program `terrain-seg`: its commands, exit codes and one-line errors."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from terrain_seg_ros import __version__
from terrain_seg_ros.cli.error_text import describe_os_error
from terrain_seg_ros.cli.lazy_parser import Command, add_commands
from terrain_seg_ros.core.errors import THREADS_REMEDY, TerrainSegError
from terrain_seg_ros.report.table import printable

PROGRAM = "terrain-seg"
EXIT_WRONG_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

COMMANDS = {
    "demo": "play real images and simulated worlds through the live node and draw a report",
    "run": "run the live node on the DDS bus until interrupted",
    "sim": "simulate a drive or descent with ground truth, on the DDS bus or into a bag",
    "view": "show a live node or a recorded run as a live picture in the browser",
    "replay": "rerun the node over recorded bags, add its topics, score the result",
    "downlink": "decode the packets of the slow link: map, landing sites, health, thumbnail",
    "segment": "segment image files: mask, overlay and JSON for each",
    "evaluate": "score a model on labelled images",
    "score": "score simulated drives and descents against ground truth",
    "world": "write a generated Moon or Mars world with ground truth for Gazebo Harmonic",
    "bench": "time each backend: the runtime alone and the complete pipeline",
    "models": "list the models and their cards; add, wrap, pin, sign or remove your own",
    "prepare": "build the engines that a backend needs in advance, or check that they exist",
    "doctor": "report what is installed and usable, or what a bag lacks, and what helps",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: the command line without the program; that of the process where absent.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    _open_closed_streams()
    try:
        return _run(words)
    except TerrainSegError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return EXIT_BROKEN_PIPE
    except OSError as error:
        return _refuse(describe_os_error(error))
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        return _refuse(f"{error}; {THREADS_REMEDY}")


def load_command(name: str) -> Command:
    """Import one command of `COMMANDS`."""
    module = importlib.import_module(f"terrain_seg_ros.cli.{name}")
    return Command(module.add_arguments, module.run)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Terrain segmentation and hazard mapping for rovers and landers.",
        epilog=f"'{PROGRAM} COMMAND --help' describes a command.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    add_commands(parser, COMMANDS, load_command)
    return parser


def _run(words: Sequence[str]) -> int:
    arguments = make_parser().parse_args(words)
    code: int = arguments.run_command(arguments)
    sys.stdout.flush()
    return code


def _refuse(text: str) -> int:
    line = printable(" ".join(text.split()))
    print(f"{PROGRAM}: error: {line}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:
        _silence_stdout()
    return EXIT_WRONG_INPUT


def _open_closed_streams() -> None:
    """Open stdin, stdout and stderr on the null device where the caller closed them.

    In the order of their numbers, so that no file gets one of them.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


def _silence_stdout() -> None:
    # The interpreter flushes stdout at exit and would complain of a closed pipe or full disk again.
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
