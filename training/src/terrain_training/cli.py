"""The command line `terrain-train`; a command's module is imported only when it is asked for."""

from __future__ import annotations

import argparse
import difflib
import importlib
import logging
import os
import sys
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_training import parts
from terrain_training.cpu import let_threads_sleep
from terrain_training.errors import TrainingError
from terrain_training.interrupt import Interrupted, Signals
from terrain_training.processes import is_first_process
from terrain_training.progress import PlainOrTimed

PROGRAM = "terrain-train"
EXAMPLES = (
    f"{PROGRAM} list recipes",
    f"{PROGRAM} train mars_navcam --data data/ai4mars",
)
EXIT_FAILED = 1
EXIT_WRONG_INPUT = 2
EXIT_BROKEN_PIPE = 141
COMMANDS = {
    "list": "list recipes, data sources, networks, encoders, losses and augmentations",
    "init": "look at a folder of images and labels, and write a recipe and a sheet for it",
    "inspect": "report balance, heat maps, duplicates, foreign images and leakage of a data set",
    "inspect-check": "plant foreign images in a data set and count how many `inspect` finds",
    "download": "download a published data set; an interrupted download resumes",
    "render": "render labelled training images of generated worlds",
    "render-score": "path-trace the images of a plan of `terrain-seg score --plan`",
    "render-sheet": "draw a contact sheet of renders and measure how real they look",
    "train": "train a recipe, or resume where --out holds a checkpoint",
    "evaluate": "score a run, a checkpoint or an exported model on labelled images",
    "predict": "predict images and videos: masks, overlays and a sheet to look at",
    "export": "export a run as a model folder, or a float32 model in lower precision",
    "novelty": "measure how many images a model refuses as unlike its training",
    "tune": "search learning rate, batch size, dropout, loss, encoder or any key of a recipe",
    "compare": "train, evaluate and export several recipes or runs, and compare them",
    "throughput": "compare the trainer's images per second with a bare loop's, and give its memory",
    "peers": "time an exported model against PyTorch, plain and compiled, and ONNX Runtime",
}


class Command(Protocol):
    """The interface of a command's module."""

    HELP: str
    EXAMPLES: tuple[str, str]
    INTERRUPTED: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Expected failures are one line on stderr: exit code 2 for input that cannot be used, 1 for work
    that cannot go on, 128 and the signal's number where a signal ended it.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0] if words and words[0] in COMMANDS else None
    let_threads_sleep()
    with Signals(f"{PROGRAM}: ended at once") as signals:
        command: Command | None = None
        options: argparse.Namespace | None = None
        try:
            if name is None:
                _overview().parse_args(words)
                raise AssertionError("the overview takes no command that is not in COMMANDS")
            command = load_command(name)
            options = command_parser(name, command).parse_args(words[1:])
            handler = logging.StreamHandler(sys.stderr)
            handler.setFormatter(PlainOrTimed())
            logging.basicConfig(level=logging.INFO, handlers=[handler])
            return command.run(options)
        except TrainingError as error:
            return _say(str(error), EXIT_FAILED)
        except TerrainSegError as error:
            return _say(str(error), EXIT_WRONG_INPUT)
        except KeyboardInterrupt as caught:
            asked = caught if isinstance(caught, Interrupted) else Interrupted(signals.number or 2)
            return _interrupted(asked, command, options)
        except Exception as error:  # noqa: BLE001  (raised again where it is unexpected)
            if signals.number is not None:
                # What broke while all was being ended, such as a process that loads images.
                return _interrupted(Interrupted(signals.number), command, options)
            return _unexpected(error)


def load_command(name: str) -> Command:
    """Import the module of one command of `COMMANDS`."""
    return cast(
        Command, importlib.import_module(f"terrain_training.commands.{name.replace('-', '_')}")
    )


def command_parser(name: str, command: Command) -> argparse.ArgumentParser:
    """Return the parser of one command's arguments."""
    parser = argparse.ArgumentParser(
        prog=f"{PROGRAM} {name}",
        description=command.HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    parts = [parser.epilog, _examples(command.EXAMPLES)]
    parser.epilog = "\n\n".join(part for part in parts if part)
    return parser


def _examples(lines: tuple[str, str]) -> str:
    return "\n".join(["examples:", *(f"  {line}" for line in lines)])


def _overview() -> argparse.ArgumentParser:
    width = max(len(name) for name in COMMANDS) + 2
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Turn raw data into a model that the vehicle can run.",
        epilog="\n".join(
            [
                "commands:",
                *(f"  {name:<{width}}{text}" for name, text in COMMANDS.items()),
                "",
                f"'{PROGRAM} COMMAND --help' shows the options of one.",
                "",
                _examples(EXAMPLES),
            ]
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("command", type=_known_command, metavar="COMMAND", help="see below")
    return parser


def _known_command(name: str) -> str:
    """Return a command's name.

    Raises:
        ArgumentTypeError: there is no such command; names the nearest.
    """
    if name in COMMANDS:
        return name
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise argparse.ArgumentTypeError(
        f"there is no command {name!r}; {hint}known are {', '.join(COMMANDS)}"
    )


def _interrupted(
    asked: Interrupted, command: Command | None, options: argparse.Namespace | None
) -> int:
    """Print how to continue, in the first of several processes, and return the exit code."""
    if is_first_process():
        rest = "nothing was started"
        if command is not None:
            rest = command.INTERRUPTED.format(out=getattr(options, "out", None) or "DIR")
        _say(f"interrupted; {rest}", 0)
    return asked.exit_code


def _unexpected(error: Exception) -> int:
    """Report what failed in a parts file or on the machine; raise anything else again."""
    own = parts.blamed(error)
    if own is not None:
        return _say(own, EXIT_WRONG_INPUT)
    if not isinstance(error, OSError):
        raise error
    return _machine_failed(error)


def _machine_failed(error: OSError) -> int:
    """Report a failed file operation, such as on a full disk, and return the exit code."""
    if isinstance(error, BrokenPipeError):
        # The interpreter flushes stdout at exit and would complain about the closed pipe again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    reason = error.strerror or str(error) or type(error).__name__
    place = "" if error.filename is None else f"cannot use {str(error.filename)!r}: "
    return _say(f"{place}{reason}; check the paths and the free space", EXIT_FAILED)


def _say(text: str, code: int) -> int:
    print(f"{PROGRAM}: {' '.join(text.split())}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
