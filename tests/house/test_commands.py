"""Every `terrain-seg` command that is published parses with the parser that users meet."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from terrain_seg_ros.cli.main import COMMANDS, load_command

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "training/README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "docker").rglob("*.md")),
]
COMMAND = re.compile(r"(?:\$ )?(?:\S*/)?terrain-seg (.+)")


def commands_in(text: str) -> list[tuple[list[str], bool]]:
    """Return the words of every command, and whether it stands in running text."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [(line, False) for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    lines += [(" ".join(code.split()), True) for code in re.findall(r"`([^`]+)`", rest)]
    found = []
    for line, inline in lines:
        match = COMMAND.match(line.strip())
        if match is not None and match[1].split()[0] in COMMANDS:
            whole = re.sub(r"\[(--[^\]]+)\]", r"\1", match[1])  # what may be left out
            words = shlex.split(whole.partition(" | ")[0].removesuffix(" &"), comments=True)
            found.append((words, inline))
    return found


ALL = [
    (page.name, words, inline)
    for page in PAGES
    for words, inline in commands_in(page.read_text(encoding="utf-8"))
]


def test_every_command_is_published_with_its_arguments():
    assert {words[0] for _, words, _ in ALL} == set(COMMANDS)


def test_no_command_stands_outside_of_code():
    """A line that lost its block is no command any more."""
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
        stray = re.findall(r"^terrain-(?:seg|train) [a-z]+ -.*$", text, re.MULTILINE)
        assert stray == [], page


@pytest.mark.parametrize(
    ("page", "words", "inline"), ALL, ids=[f"{page} {' '.join(words)}" for page, words, _ in ALL]
)
def test_every_published_command_parses(page, words, inline, capsys):
    command = load_command(words[0])
    parser = argparse.ArgumentParser(prog=words[0], allow_abbrev=False)
    command.add_arguments(parser)
    try:
        parser.parse_args(words[1:])
    except SystemExit:
        error = capsys.readouterr().err
        # Running text leaves out what it does not speak of; nothing else may be wrong.
        assert inline, error
        assert "the following arguments are required" in error, error
