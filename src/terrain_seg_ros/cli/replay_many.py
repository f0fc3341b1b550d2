"""Several bags at once: one process each, so that one that fails does not end the others."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError

Results = dict[str, dict[str, Any] | None]
_REPEATED = ("params", "image_topic", "skip", "truth")
_SINGLE = ("mode", "namespace", "ignore", "map", "model", "backend", "precision", "threads")
_END_WAIT_S = 10.0
_NOTHING_CAME = 1
"""How a replay ends of which no mask or no grid came; its scores say why."""


def run_many(arguments: argparse.Namespace) -> Results:
    """Replay every bag into a folder and return the scores by name, None where it failed.

    Raises:
        ConfigError: two bags have one name, or the folder cannot take them.
    """
    names = [source.name for source in arguments.sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two bags are called {name!r}; replay them one by one")
        if (arguments.target / name).exists():
            raise ConfigError(f"bag '{arguments.target / name}' exists already; name another OUT")
    if arguments.target.is_file():
        raise ConfigError(f"'{arguments.target}' is a file, but {len(names)} bags need a folder")
    jobs = arguments.jobs or min(len(names), os.cpu_count() or 1)
    if jobs < 1:
        raise ConfigError(f"--jobs is {jobs}, expected 1 or more")
    arguments.target.mkdir(parents=True, exist_ok=True)
    return _Runs(arguments, jobs).results()


class _Runs:
    """Hold the processes at work."""

    def __init__(self, arguments: argparse.Namespace, jobs: int) -> None:
        self._arguments = arguments
        self._jobs = jobs
        self._running: set[subprocess.Popen[str]] = set()
        self._ending = False

    def results(self) -> Results:
        """Run all and return their scores; an interrupt ends them."""
        results: Results = {source.name: None for source in self._arguments.sources}
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(self._jobs) as pool:
            futures: dict[Future[dict[str, Any] | None], str] = {
                pool.submit(self._run, source, Path(folder)): source.name
                for source in self._arguments.sources
            }
            try:
                for future in as_completed(futures):
                    results[futures[future]] = future.result()
            except BaseException:
                self._end()
                raise
        return results

    def _run(self, source: Path, folder: Path) -> dict[str, Any] | None:
        if self._ending:
            return None
        scores = folder / f"{source.name}.json"
        process = subprocess.Popen(
            self._command(source, scores),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.add(process)
        _, errors = process.communicate()
        self._running.discard(process)
        if process.returncode in (0, _NOTHING_CAME) and scores.is_file():
            print(f"terrain-seg: {source.name}: done", file=sys.stderr, flush=True)
            result: dict[str, Any] = json.loads(scores.read_text(encoding="utf-8"))
            return result
        lines = errors.strip().splitlines() or [f"ended with {process.returncode}"]
        print(f"terrain-seg: {source.name}: {lines[-1]}", file=sys.stderr, flush=True)
        return None

    def _command(self, source: Path, scores: Path) -> list[str]:
        given = vars(self._arguments)
        command = [sys.executable, "-m", "terrain_seg_ros.cli.main", "replay"]
        command += [str(source), str(self._arguments.target / source.name), "--json", str(scores)]
        for name in _REPEATED:
            for value in given[name]:
                command += [_option(name), str(value)]
        for name in _SINGLE:
            if given[name] is not None:
                command += [_option(name), str(given[name])]
        if given["threads"] is None:
            command += ["--threads", str(max((os.cpu_count() or 1) // self._jobs, 1))]
        return command

    def _end(self) -> None:
        self._ending = True
        for process in list(self._running):
            process.terminate()
        for process in list(self._running):
            _wait_or_kill(process)


def _wait_or_kill(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(_END_WAIT_S)
    except subprocess.TimeoutExpired:
        process.kill()


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
