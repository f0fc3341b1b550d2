"""Replay several bags at once, each in a process of its own, so that one may fail alone."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.fleet.pieces import Place, absolute, run_pieces
from terrain_seg_ros.report.table import printable

Results = dict[str, dict[str, Any] | None]
"""Scores by the name of the bag; None where its replay failed."""


def replay_all(
    arguments: argparse.Namespace, replay_one: Callable[[argparse.Namespace], dict[str, Any]]
) -> Results:
    """Replay every bag into a folder and return the scores by name, None where it failed.

    Args:
        arguments: the command line, with several sources.
        replay_one: function of a module that returns the scores of one bag.

    Raises:
        ConfigError: two bags have the same name, or the folder or the cluster cannot be used.
    """
    names = _checked_names(arguments.sources, arguments.target)
    jobs = arguments.jobs if arguments.jobs is not None else os.cpu_count() or 1
    if jobs < 1:
        raise ConfigError(f"--jobs is {jobs}, expected 1 or more")
    jobs = min(jobs, len(names))
    arguments.target.mkdir(parents=True, exist_ok=True)
    pieces = _pieces(arguments, jobs)
    place = Place(
        jobs, arguments.cluster, own_process=True, writes=arguments.target, reads=_reads(pieces)
    )
    results: Results = dict.fromkeys(names)
    with tqdm(total=len(names), unit="bag", disable=None) as bar:
        for outcome in run_pieces(replay_one, pieces, place, say=_say):
            name = names[outcome.index]
            results[name] = outcome.result
            _say(f"{name}: {outcome.error or 'done'}")
            bar.update()
    return results


def _checked_names(sources: Sequence[Path], target: Path) -> list[str]:
    names = [source.name for source in sources]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"two bags are called {name!r}; replay them one by one")
        if (target / name).exists():
            raise ConfigError(f"bag '{target / name}' exists already; name another OUT")
    if target.is_file():
        raise ConfigError(f"'{target}' is a file, but {len(names)} bags need a folder")
    return names


def _pieces(arguments: argparse.Namespace, jobs: int) -> list[argparse.Namespace]:
    """Return the command line of each bag, with absolute paths: workers have other folders."""
    threads = max((os.cpu_count() or 1) // jobs, 1) if arguments.cluster is None else 1
    common = {
        **{name: value for name, value in vars(arguments).items() if name != "run_command"},
        "params": [path.absolute() for path in arguments.params],
        "truth": [_absolute_truth(text) for text in arguments.truth],
        "model": arguments.model and str(absolute(Path(arguments.model))),
        "threads": threads if arguments.threads is None else arguments.threads,
    }
    target, page = arguments.target.absolute(), arguments.page and arguments.page.absolute()
    return [
        argparse.Namespace(
            **{
                **common,
                "sources": [source.absolute()],
                "target": target / source.name,
                "page": page and page / source.name,
            }
        )
        for source in arguments.sources
    ]


def _absolute_truth(text: str) -> str:
    """Return CAMERA=DIR with an absolute folder; a topic has none of that name beside it."""
    camera, equals, place = text.rpartition("=")
    return f"{camera}{equals}{absolute(Path(place))}"


def _reads(pieces: Sequence[argparse.Namespace]) -> tuple[Path, ...]:
    """Return the files and folders that the replays read."""
    first = pieces[0]
    named = [Path(text.rpartition("=")[2]) for text in first.truth]
    named += [Path(first.model)] if first.model else []
    others = [path for path in named if path.is_absolute() and path.exists()]
    return (*(piece.sources[0] for piece in pieces), *first.params, *others)


def _say(text: str) -> None:
    tqdm.write(f"terrain-seg: {printable(text)}", file=sys.stderr)
