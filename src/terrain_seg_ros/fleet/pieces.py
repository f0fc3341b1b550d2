"""Run a function over independent pieces of work, here through joblib or on a Dask cluster.

The caller gets each outcome with the index of its piece, in the order in which pieces finish, and
puts them in order: the result depends neither on the number of processes nor on the cluster.
"""

from __future__ import annotations

import signal
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from joblib import Parallel, delayed

from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.fleet.child import PieceError, run_in_child, wait_for_children

Piece = TypeVar("Piece")
Result = TypeVar("Result")
TRIES = 3
"""How often pieces are started again whose process was killed."""
_OF_TERMINALS = (signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True)
class Place:
    """Where pieces run.

    `jobs` pieces at once in processes of this machine (1: in this process, one after another), or
    on the Dask scheduler at the address `cluster`. Pieces that may crash, start processes or need
    a main thread run each in an `own_process`. On a cluster every worker must see the folder
    `writes` and the paths `reads` under the same names.
    """

    jobs: int = 1
    cluster: str | None = None
    own_process: bool = False
    writes: Path | None = None
    reads: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What came of the piece at `index`: its result, or the expected failure that ended it."""

    index: int
    result: Result | None
    error: TerrainSegError | None

    def get(self) -> Result:
        """Return the result.

        Raises:
            TerrainSegError: the piece failed.
        """
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # a result may be None


def run_pieces(
    function: Callable[[Piece], Result],
    pieces: Sequence[Piece],
    place: Place,
    *,
    say: Callable[[str], None],
) -> Iterator[Outcome[Result]]:
    """Yield the outcome of each piece when it is finished, in any order.

    A piece whose process or worker was lost runs again. Where the caller stops early or is
    interrupted, pieces that run in this machine's processes are ended; a cluster starts no further
    ones and ends those in an own process.

    Args:
        function: of a module, called with one piece.
        pieces: values that can be pickled; on a cluster, with absolute paths.
        place: where they run.
        say: called with a line about the cluster.

    Raises:
        ConfigError: the cluster cannot be used.
        PieceError: processes were killed again and again.
    """
    if place.cluster is not None:
        # Imported late because Dask is an extra; the error names it.
        from terrain_seg_ros.fleet.cluster import run_on_cluster  # noqa: PLC0415

        yield from run_on_cluster(function, pieces, place, say=say)
    elif place.own_process:
        yield from _run_in_own_processes(function, pieces, place.jobs)
    elif place.jobs == 1:
        for index, piece in enumerate(pieces):
            yield attempt(function, index, piece)
    else:
        yield from _run_in_processes(function, pieces, place.jobs)


def absolute(path: Path) -> Path:
    """Return where something is for every machine; a name such as a shipped model's stays."""
    return path.absolute() if path.exists() else path


def attempt(
    function: Callable[[Piece], Result], index: int, piece: Piece, stop: Path | None = None
) -> Outcome[Result]:
    """Run one piece; with `stop`, in a process of its own that ends when this file is gone."""
    try:
        result = function(piece) if stop is None else run_in_child(function, piece, stop)
        return Outcome(index, result, None)
    except TerrainSegError as error:
        return Outcome(index, None, error)


def _run_in_processes(
    function: Callable[[Piece], Result], pieces: Sequence[Piece], jobs: int
) -> Iterator[Outcome[Result]]:
    left = dict(enumerate(pieces))
    for _ in range(TRIES):
        # loky starts fresh interpreters: runtimes with threads do not survive a fork.
        parallel = Parallel(
            n_jobs=max(2, min(jobs, len(left))),  # with 1, joblib uses this process
            backend="loky",
            return_as="generator_unordered",
            batch_size=1,
            max_nbytes=None,
        )
        calls = [delayed(attempt)(function, index, piece) for index, piece in left.items()]
        with left_to_this_process():
            outcomes = parallel(calls)
        try:
            with _closing(outcomes):
                for outcome in outcomes:
                    del left[outcome.index]
                    yield outcome
            return
        except BrokenProcessPool:
            continue
    raise PieceError(
        f"processes were killed {TRIES} times with {len(left)} of {len(pieces)} pieces left; if "
        "the memory ran out, use fewer at once (--jobs)"
    )


def _run_in_own_processes(
    function: Callable[[Piece], Result], pieces: Sequence[Piece], jobs: int
) -> Iterator[Outcome[Result]]:
    parallel = Parallel(
        n_jobs=jobs, backend="threading", return_as="generator_unordered", batch_size=1
    )
    with tempfile.NamedTemporaryFile(prefix="terrain_seg_") as stop:
        path = Path(stop.name)
        calls = [
            delayed(attempt)(function, index, piece, path) for index, piece in enumerate(pieces)
        ]
        outcomes = parallel(calls)
        try:
            with _closing(outcomes):
                for outcome in outcomes:  # noqa: UP028  (`yield from` closes it unsilenced)
                    yield outcome
        finally:
            path.unlink()
            wait_for_children(path)
            path.touch()  # which the `with` statement removes


@contextmanager
def _closing(outcomes: Any) -> Iterator[None]:
    """Close a generator of joblib, without its warning about pieces that are ended."""
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            outcomes.close()


@contextmanager
def left_to_this_process() -> Iterator[None]:
    """Start processes in the `with` statement that Ctrl-C does not reach; it is for this one.

    They inherit the blocked signals, so a process that is still importing is not ended either.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
