"""Sub-commands whose modules are imported when they are parsed, so that --help is quick."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Command(NamedTuple):
    """A sub-command: how its arguments are declared and what runs it.

    `run` takes the parsed arguments and returns the exit code.
    """

    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


class LazyParser(argparse.ArgumentParser):
    """A parser that declares the arguments of its command when it first parses."""

    def __init__(self, *, load: Callable[[], Command], **options: Any) -> None:
        """Take what imports the command; the other options are argparse's."""
        super().__init__(allow_abbrev=False, **options)
        self._load = load
        self._is_loaded = False

    def load(self) -> None:
        """Import the command and declare its arguments; a second call does nothing."""
        if not self._is_loaded:
            self._is_loaded = True
            command = self._load()
            self.set_defaults(run_command=command.run)
            command.add_arguments(self)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Load the command, then parse."""
        self.load()
        return super().parse_known_args(args, namespace)


def add_commands(
    parser: argparse.ArgumentParser,
    commands: Mapping[str, str],
    load: Callable[[str], Command],
    *,
    required: bool = True,
) -> None:
    """Add a sub-command for each name; the parsed arguments hold its `run_command`.

    Args:
        parser: takes the sub-commands.
        commands: one line of help for each name.
        load: imports the command of a name.
        required: whether a command must be given.
    """
    group = parser.add_subparsers(
        metavar="COMMAND", required=required, parser_class=LazyParser, title="commands"
    )
    for name, text in commands.items():
        group.add_parser(name, help=text, description=text, load=lambda name=name: load(name))
