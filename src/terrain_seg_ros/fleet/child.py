"""One piece of work in a process of its own, which may crash alone and can be ended."""

from __future__ import annotations

import ctypes
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from terrain_seg_ros.core.errors import TerrainSegError

Piece = TypeVar("Piece")
Result = TypeVar("Result")
EXIT_TERMINATED = 143
_LOOK_EVERY_S = 0.5
_END_WAIT_S = 10.0
_PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>
_running: Counter[Path] = Counter()
_changed = threading.Condition()


class PieceError(TerrainSegError):
    """The process of a piece ended without a result."""


def run_in_child(function: Callable[[Piece], Result], piece: Piece, stop: Path) -> Result:
    """Return what a function of a module makes of a piece, computed in a fresh process.

    Args:
        function: to call.
        piece: that can be pickled.
        stop: a file; when it is removed, the process gets SIGTERM and, 10 s later, SIGKILL.

    Raises:
        TerrainSegError: the function raised it.
        PieceError: the process crashed or was ended.
    """
    with _changed:
        _running[stop] += 1
    try:
        with tempfile.TemporaryDirectory(prefix="terrain_seg_") as folder:
            task, answer = Path(folder, "task"), Path(folder, "answer")
            task.write_bytes(pickle.dumps((function, piece)))
            code, errors = _run([str(task), str(answer)], stop)
            if not answer.is_file():
                lines = errors.strip().splitlines() or [f"ended with exit code {code}"]
                raise PieceError(lines[-1])
            # Written by the process above, in a folder that is closed to other users.
            result, error = pickle.loads(answer.read_bytes())  # noqa: S301
    finally:
        with _changed:
            _running[stop] -= 1
            _changed.notify_all()
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]  # of an unpickled pair


def wait_for_children(stop: Path) -> None:
    """Wait until no process runs that was started with a stop file, which is removed already."""
    with _changed:
        _changed.wait_for(lambda: not _running[stop])
        del _running[stop]


def main() -> None:
    """Run one piece: the arguments are a file to read it from and one for the answer.

    Ctrl-C in a terminal reaches every process of a command and is left to the first, which ends
    this one by SIGTERM; so does the system where the first one was killed. SIGTERM is an exception
    here, so that no half-written file is left.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _terminated)
    task, answer = map(Path, sys.argv[1:])
    # Written by the parent process, in a folder that is closed to other users.
    function, piece = pickle.loads(task.read_bytes())  # noqa: S301
    pair: tuple[Any, TerrainSegError | None]
    try:
        pair = function(piece), None
    except TerrainSegError as error:
        pair = None, error
    content = pickle.dumps(pair)
    part = answer.with_suffix(".part")
    part.write_bytes(content)
    part.rename(answer)


def _run(words: list[str], stop: Path) -> tuple[int, str]:
    """Run `main` in a fresh interpreter; return its exit code and what it wrote to stderr."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    with process:
        while (errors := _errors_within(process, _LOOK_EVERY_S)) is None and stop.exists():
            pass
        if errors is None:
            process.terminate()
            errors = _errors_within(process, _END_WAIT_S)
        if errors is None:
            process.kill()
            errors = process.communicate()[1]
    return process.returncode, errors


def _errors_within(process: subprocess.Popen[str], wait_s: float) -> str | None:
    """Return what a process wrote to stderr until it ended; None where it still runs."""
    try:
        return process.communicate(timeout=wait_s)[1]
    except subprocess.TimeoutExpired:
        return None


def _terminated(*_: object) -> None:
    raise SystemExit(EXIT_TERMINATED)


if __name__ == "__main__":
    main()
