"""Dask clusters of real processes on the loopback interface, with free ports."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from distributed import LocalCluster

TESTS = Path(__file__).parents[1]


def path_of_tests() -> str:
    """Return PYTHONPATH for processes that import `support` and the packages under test."""
    return os.pathsep.join([str(TESTS), *(path for path in sys.path if path)])


@contextmanager
def cluster(folder: Path, *, workers: int = 2, threads: int = 1) -> Iterator[str]:
    """Yield the address of a scheduler with workers that are processes."""
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=threads,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        local_directory=str(folder),
        silence_logs=50,
    ) as started:
        yield started.scheduler_address


@contextmanager
def worker(address: str, folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run one worker with a changed environment; it may not have joined yet."""
    words = ["worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *words, "--local-directory", str(folder)],
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()
