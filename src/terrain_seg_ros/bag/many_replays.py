"""Replay several bags at once, each in a process of its own, so that one may fail alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError

Results = dict[str, dict[str, Any] | None]
Say = Callable[[str], None]
_END_WAIT_S = 10.0
_NOTHING_CAME = 1
"""Exit code of a replay that produced no mask or no grid; its scores say why."""


def replay_all(
    sources: Sequence[Path],
    target: Path,
    words: Sequence[str],
    *,
    pages: Path | None = None,
    jobs: int | None,
    say: Say,
) -> Results:
    """Replay every bag into a folder and return the scores by name, None where it failed.

    Args:
        sources: the bags.
        target: folder that receives one bag of the same name for each.
        words: options of `terrain-seg replay` for all of them.
        pages: folder that receives a page of each in a folder of the same name; None: no pages.
        jobs: processes at once; None: one per processor.
        say: is called with a line for each bag that ends.

    Raises:
        ConfigError: two bags have the same name, or the folder cannot be used.
    """
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two bags are called {name!r}; replay them one by one")
        if (target / name).exists():
            raise ConfigError(f"bag '{target / name}' exists already; name another OUT")
    if target.is_file():
        raise ConfigError(f"'{target}' is a file, but {len(names)} bags need a folder")
    jobs = jobs or min(len(names), os.cpu_count() or 1)
    if jobs < 1:
        raise ConfigError(f"--jobs is {jobs}, expected 1 or more")
    target.mkdir(parents=True, exist_ok=True)
    if "--threads" not in words:
        words = [*words, "--threads", str(max((os.cpu_count() or 1) // jobs, 1))]
    return _Runs(target, words, jobs, say, pages=pages).results(sources)


class _Runs:
    """The processes that run."""

    def __init__(
        self, target: Path, words: Sequence[str], jobs: int, say: Say, *, pages: Path | None
    ) -> None:
        self._target, self._pages = target, pages
        self._words = words
        self._say = say
        self._jobs = jobs
        self._running: set[subprocess.Popen[str]] = set()
        self._ending = False

    def results(self, sources: Sequence[Path]) -> Results:
        """Run all and return their scores; an interrupt ends them."""
        results: Results = {source.name: None for source in sources}
        with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(self._jobs) as pool:
            futures: dict[Future[dict[str, Any] | None], str] = {
                pool.submit(self._run, source, Path(folder)): source.name for source in sources
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
            self._say(f"{source.name}: done")
            result: dict[str, Any] = json.loads(scores.read_text(encoding="utf-8"))
            return result
        lines = errors.strip().splitlines() or [f"ended with {process.returncode}"]
        self._say(f"{source.name}: {lines[-1]}")
        return None

    def _command(self, source: Path, scores: Path) -> list[str]:
        command = [sys.executable, "-m", "terrain_seg_ros.cli.main", "replay", str(source)]
        command += [str(self._target / source.name), "--json", str(scores), *self._words]
        return (
            command if self._pages is None else [*command, "--page", str(self._pages / source.name)]
        )

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
