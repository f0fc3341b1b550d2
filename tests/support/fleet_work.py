"""Pieces of work for the tests of `fleet`, which other processes import."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import NamedTuple

from terrain_seg_ros.core.errors import GeometryError


class Numbered(NamedTuple):
    """A number, and a folder in which pieces leave notes."""

    number: int
    folder: Path


def square(piece: Numbered) -> int:
    return piece.number**2


def square_all_but_three(piece: Numbered) -> int:
    if piece.number == 3:
        raise GeometryError(f"{piece.number} has no square")
    return square(piece)


def crash_at_three(piece: Numbered) -> int:
    if piece.number == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    return square(piece)


def lose_process_once(piece: Numbered) -> int:
    """Kill the process at the first try of the piece 3."""
    mark = piece.folder / "lost"
    if piece.number == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return square(piece)


def lose_parent_once(piece: Numbered) -> int:
    """Kill the parent, which is a worker of a cluster, at the first try of the piece 3."""
    mark = piece.folder / "lost"
    if piece.number == 3 and not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getppid(), signal.SIGKILL)
        threading.Event().wait()
    return square(piece)


def lose_process(piece: Numbered) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return square(piece)


def wait_at_three(piece: Numbered) -> int:
    """Wait for ever at the piece 3, and leave a note of the process in its folder."""
    if piece.number == 3:
        (piece.folder / "pid.part").write_text(str(os.getpid()))
        (piece.folder / "pid.part").rename(piece.folder / "pid")
        try:
            threading.Event().wait()
        finally:
            (piece.folder / "cleaned").touch()
    while not (piece.folder / "pid").exists():
        threading.Event().wait(0.05)
    return square(piece)
