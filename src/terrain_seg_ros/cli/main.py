"""Dispatch `terrain-seg COMMAND`; a command's module is imported only when it is asked for."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from terrain_seg_ros import __version__
from terrain_seg_ros.core.errors import THREADS_REMEDY, TerrainSegError

PROGRAM = "terrain-seg"
EXIT_WRONG_INPUT = 2
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141

COMMANDS = {
    "demo": "play real images and simulated worlds through the live node and show what it makes",
    "run": "run the live node on the DDS bus until interrupted",
    "sim": "drive or descend through a world of known truth, on the DDS bus or into a bag",
    "replay": "read bags, write them again with all our topics added, and score them",
    "segment": "segment image files: mask, overlay and JSON for each",
    "evaluate": "score a model on labelled images",
    "score": "drive and descend through worlds of known truth; count what is wrongly called safe",
    "world": "write a Moon or Mars world of known truth for Gazebo Harmonic",
    "bench": "measure the bare runtime call against the whole path, per backend",
    "models": "list the models with their cards; add, wrap, pin, sign or remove your own",
    "prepare": "build engines ahead of the drive, or check that they are there",
    "doctor": "say what is installed and usable, and how to get what is missing",
}


class Command(Protocol):
    """Be what each command's module offers."""

    NAME: str
    HELP: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: the command line without the program; that of the process where absent.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        return _dispatch(words)
    except TerrainSegError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        _silence_stdout()
        return EXIT_BROKEN_PIPE
    except OSError as error:
        return _refuse(_describe(error))
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        return _refuse(f"{error}; {THREADS_REMEDY}")


def load_command(name: str) -> Command:
    """Import the module of one command of `COMMANDS`."""
    return cast(Command, importlib.import_module(f"terrain_seg_ros.cli.{name}"))


def _dispatch(words: list[str]) -> int:
    if words and words[0] in COMMANDS:
        command = load_command(words[0])
        parser = argparse.ArgumentParser(
            prog=f"{PROGRAM} {words[0]}", description=command.HELP, allow_abbrev=False
        )
        command.add_arguments(parser)
        code = command.run(parser.parse_args(words[1:]))
    else:
        _overview().parse_args(words)
        raise AssertionError("the overview takes no command that is not in COMMANDS")
    sys.stdout.flush()
    return code


def _overview() -> argparse.ArgumentParser:
    width = max(len(name) for name in COMMANDS) + 2
    lines = [f"  {name:<{width}}{text}" for name, text in COMMANDS.items()]
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Terrain segmentation and hazard mapping for rovers and landers.",
        epilog="\n".join(
            ["commands:", *lines, "", f"'{PROGRAM} COMMAND --help' tells more about one."]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="see below")
    return parser


def _refuse(text: str) -> int:
    line = " ".join(text.split())
    print(f"{PROGRAM}: error: {line}", file=sys.stderr)
    return EXIT_WRONG_INPUT


def _describe(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return f"{reason}; check the paths and the free space"
    return f"cannot use {os.fspath(error.filename)!r}: {reason}"


def _silence_stdout() -> None:
    # The interpreter flushes stdout at exit and would complain about the closed pipe again.
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
