"""Pieces of work on the workers of a Dask cluster (extra `fleet`)."""

from __future__ import annotations

import logging
import uuid
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.fleet.child import PieceError
from terrain_seg_ros.fleet.pieces import Outcome, Place, attempt

try:
    import distributed
except ImportError as error:
    raise ConfigError(
        f"--cluster needs Dask, which is not installed ({error}): run pip install 'bokeh>=3.4,<4' "
        "'dask>=2024.8,<2027' 'distributed>=2024.8,<2027' (the extra `fleet` of this package)"
    ) from error

if TYPE_CHECKING:
    from distributed import Client

Piece = TypeVar("Piece")
Result = TypeVar("Result")
CONNECT_S = 10.0
WORKERS_S = 15.0
"""How long to wait for the scheduler, and then for its first worker."""
PACKAGE = "terrain_seg_ros"
SAME_VERSIONS = (PACKAGE, "dask", "distributed", "numpy")
"""Packages that have one version on all machines, so that results do not depend on the place."""


def run_on_cluster(
    function: Callable[[Piece], Result],
    pieces: Sequence[Piece],
    place: Place,
    *,
    say: Callable[[str], None],
) -> Iterator[Outcome[Result]]:
    """Yield the outcome of each piece when it is finished, in any order; see `run_pieces`.

    Raises:
        ConfigError: the cluster cannot be used, or the connection to it was lost.
    """
    address = str(place.cluster)
    with _connected(address) as client, _marked(place.writes) as mark:
        _check_workers(client, address)
        versions = client.get_versions(packages=[PACKAGE])
        _check_versions(versions, address)
        _check_paths(client, place.reads, mark)
        say(_about(client, address))
        call = partial(_attempt_here, _versions_of(versions["client"]))
        stop = mark if place.own_process else None
        # pure=False: two equal pieces, or those of an earlier command, are not one task.
        futures = {
            client.submit(call, function, index, piece, stop, pure=False): index
            for index, piece in enumerate(pieces)
        }
        try:
            for future in distributed.as_completed(futures, loop=client.loop):
                yield _outcome(future, futures[future], address)
                future.release()
        finally:
            if client.status == "running":
                client.cancel(list(futures))


def _attempt_here(
    versions: Mapping[str, str | None],
    function: Callable[[Piece], Result],
    index: int,
    piece: Piece,
    stop: Path | None,
) -> Outcome[Result]:
    """Run one piece on a worker, which may have joined after the others were checked."""
    here = _versions_of(distributed.versions.get_versions(packages=[PACKAGE]))
    try:
        _compare_versions(here, versions, "a worker that joined later")
    except ConfigError as error:
        return Outcome(index, None, error)
    return attempt(function, index, piece, stop)


def _about(client: Client, address: str) -> str:
    """Return a line about the workers and the dashboard, which the scheduler may lack."""
    count = len(client.nthreads())
    has_dashboard = "dashboard" in client.scheduler_info()["services"]
    link = f", dashboard {client.dashboard_link}" if has_dashboard else ""
    return f"{count} worker{'s' if count > 1 else ''} at {address}{link}"


def _outcome(future: Any, index: int, address: str) -> Outcome[Any]:
    try:
        outcome: Outcome[Any] = future.result()
        return outcome
    except distributed.scheduler.KilledWorker as error:
        text = (
            f"{1 + error.allowed_failures} workers ended while they ran piece {index + 1}, the "
            f"last one {error.last_worker.address}; its log says why (often too little memory)"
        )
        return Outcome(index, None, PieceError(text))
    except CancelledError as error:
        raise ConfigError(
            f"the scheduler at {address} was lost or dropped the work; start the command again"
        ) from error


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is raised here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # other versions, which are refused in one line
        try:
            client = _client(address)
        except (OSError, ValueError, TypeError, RuntimeError, AssertionError) as error:
            reason = str(error).partition("\n")[0] or type(error).__name__
            raise ConfigError(
                f"--cluster {address}: no Dask scheduler answers there ({reason}); start `dask "
                "scheduler` and give the address that it prints, such as tcp://10.0.0.1:8786"
            ) from error
    try:
        yield client
    finally:
        client.close(timeout=CONNECT_S)


def _client(address: str) -> Client:
    """Connect to a scheduler.

    Raises:
        ValueError: the address is empty, for which Dask would start a cluster of its own.
        OSError, TypeError, RuntimeError: the address is malformed, or nothing answers.
        AssertionError: the thread for the connection could not start, twice.
    """
    if not address.strip():
        raise ValueError("the address is empty")
    try:
        return distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
    except AssertionError:  # its thread did not start within 10 s: a machine that stood still
        return distributed.Client(address, timeout=CONNECT_S, set_as_default=False)


@contextmanager
def _marked(folder: Path | None) -> Iterator[Path | None]:
    """Put a file into a folder while the pieces run, by which workers recognise the folder."""
    if folder is None:
        yield None
        return
    mark = folder.absolute() / f".fleet_{uuid.uuid4().hex}"
    mark.touch()
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)


def _check_versions(versions: Mapping[str, Any], address: str) -> None:
    """Check that scheduler and workers have the versions of this process.

    Raises:
        ConfigError: one has another.
    """
    here = _versions_of(versions["client"])
    places = {f"the scheduler at {address}": versions["scheduler"]}
    places |= {f"worker {name}": found for name, found in versions["workers"].items()}
    for name, found in places.items():
        _compare_versions(_versions_of(found), here, name)


def _compare_versions(
    there: Mapping[str, str | None], here: Mapping[str, str | None], name: str
) -> None:
    for package, version in here.items():
        if there[package] != version:
            raise ConfigError(
                f"{name} has {package} {there[package] or 'not installed'}, but the command runs "
                f"with {version}; install the same versions on all machines"
            )


def _versions_of(found: Mapping[str, Any]) -> dict[str, str | None]:
    python = ".".join(found["host"]["python"].split(".")[:2])
    return {"Python": python, **{name: found["packages"].get(name) for name in SAME_VERSIONS}}


def _check_workers(client: Client, address: str) -> None:
    """Check that there are workers and that each takes one piece at a time.

    Raises:
        ConfigError: there are none, or one takes several.
    """
    try:
        client.wait_for_workers(1, timeout=WORKERS_S)
    except TimeoutError as error:
        raise ConfigError(
            f"the scheduler at {address} has no workers; start some: dask worker {address} "
            "--nworkers auto --nthreads 1"
        ) from error
    for name, threads in client.nthreads().items():
        if threads != 1:
            raise ConfigError(
                f"worker {name} runs {threads} pieces at once in one process, where they share "
                "threads and memory; start it with --nworkers auto --nthreads 1"
            )


def _check_paths(client: Client, reads: Sequence[Path], mark: Path | None) -> None:
    """Check that every worker sees the files that are read, and the folder that is written.

    Raises:
        ConfigError: a worker does not.
    """
    paths = [path.absolute() for path in reads] + ([] if mark is None else [mark])
    for name, lacking in client.run(_lacking, paths).items():
        if lacking is not None:
            shown = lacking.parent if lacking == mark else lacking
            raise ConfigError(
                f"worker {name} does not see {str(shown)!r}; put it into a folder that all "
                "machines mount under the same name"
            )


def _lacking(paths: list[Path]) -> Path | None:
    """Return the first path that does not exist here."""
    return next((path for path in paths if not path.exists()), None)
