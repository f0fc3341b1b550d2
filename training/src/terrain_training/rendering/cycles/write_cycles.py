"""A data set of path-traced pictures: several processes, resumed where they were stopped."""

from __future__ import annotations

import fcntl
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from terrain_seg_ros.core.errors import ConfigError, TerrainSegError
from terrain_seg_ros.fleet.pieces import Place, run_pieces
from terrain_seg_ros.report.output_place import check_output_folder, write_whole
from terrain_training.errors import TrainingError
from terrain_training.rendering.cycles.blender_python import RenderWorker, WorkerDiedError
from terrain_training.rendering.cycles.label_files import FOLDERS, IMAGES, label_again
from terrain_training.rendering.cycles.request import (
    MANIFEST,
    TAXONOMIES,
    CyclesRequest,
    check_request,
    open_manifest,
    read_manifest,
    write_manifest,
)

log = logging.getLogger(__name__)

LOCK = ".render.lock"
PICTURES_PER_PROCESS = 150
"""Blender keeps some memory of every picture: then a fresh process goes on."""
PIECE_WORLDS = 5
"""Worlds that a process on a cluster renders; Blender takes seconds to start."""
TRIES = 2
"""Processes that may die of one world before the command gives up."""
Report = Callable[["Taken"], None]


@dataclass(frozen=True)
class Taken:
    """Hold one picture that was made: its name, its CPU seconds, its process's peak memory."""

    stem: str
    cpu_s: float
    peak_mb: float


@dataclass(frozen=True)
class _World:
    seed: int
    numbers: list[int]


def write_cycles(
    request: CyclesRequest,
    python: Path,
    *,
    jobs: int,
    report: Report,
    begin: Callable[[int], None],
    cluster: str | None = None,
) -> dict[str, int]:
    """Render what is missing of a set, and return how many pictures each split has.

    The folder gets `images/STEM.png`, `masks/STEM.png`, `facts/STEM.npz`, `views/STEM.json`, a
    list of stems for each split, `taxonomy.yaml` and `renders.json`. It can be stopped at any
    moment: the same request goes on.

    Args:
        request: what to render.
        python: that has bpy.
        jobs: processes.
        report: is called after each picture.
        begin: is called once, with the number of pictures that are there already.
        cluster: Dask scheduler whose workers render instead; each needs the folder and the Python.

    Raises:
        ConfigError: the folder, the Python or the cluster cannot be used.
        TrainingError: a process died twice of one world, or the disk is full.
    """
    check_output_folder(request.out, option="--out", is_own=_is_own)
    request.out.mkdir(parents=True, exist_ok=True)
    with _locked(request.out):
        manifest = open_manifest(request)
        for name in FOLDERS:
            (request.out / name).mkdir(exist_ok=True)
        _remove_unfinished(request.out)
        missing = _missing(request)
        begin(request.count - sum(len(world.numbers) for world in missing))
        team = _Team(request, python, manifest, report)
        if missing and cluster is not None:
            team.note_version()
            for taken in _render_on_cluster(request, python, manifest, missing, cluster):
                report(taken)
        elif missing:
            team.render(missing, jobs)
        return _write_lists(request)


def relabel(request: CyclesRequest) -> int:
    """Write the masks of a set's pictures by the request's rule; return how many.

    Raises:
        ConfigError: the folder holds no renders, or those of another request.
    """
    with _locked(request.out):
        manifest = read_manifest(request.out)
        check_request(request, manifest)
        rule = request.rule_remembered()
        stems = [stem for names in request.stems().values() for stem in names]
        count = label_again(request.out, stems, rule)
        write_manifest(request.out, {**manifest, "rule": rule})
    return count


@dataclass(frozen=True)
class _Piece:
    request: CyclesRequest
    python: Path
    manifest: dict[str, Any]
    worlds: list[_World]


def _render_on_cluster(
    request: CyclesRequest,
    python: Path,
    manifest: dict[str, Any],
    worlds: list[_World],
    cluster: str,
) -> Iterator[Taken]:
    """Yield what was taken of each piece when all its worlds are rendered."""
    request, python = replace(request, out=request.out.absolute()), python.absolute()
    pieces = [
        _Piece(request, python, manifest, worlds[first : first + PIECE_WORLDS])
        for first in range(0, len(worlds), PIECE_WORLDS)
    ]
    place = Place(cluster=cluster, own_process=True, writes=request.out, reads=(python,))
    for outcome in run_pieces(_render_piece, pieces, place, say=log.info):
        yield from outcome.get()


def _render_piece(piece: _Piece) -> list[Taken]:
    taken: list[Taken] = []
    team = _Team(piece.request, piece.python, dict(piece.manifest), taken.append)
    team.render(piece.worlds, 1)
    return taken


class _Team:
    """Let threads feed one render process each."""

    def __init__(
        self, request: CyclesRequest, python: Path, manifest: dict[str, Any], report: Report
    ) -> None:
        self._request = request
        self._python = python
        self._manifest = manifest
        self._report = report
        self._worlds: queue.SimpleQueue[_World] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Taken | TerrainSegError | None] = queue.SimpleQueue()
        self._workers: dict[int, RenderWorker] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def render(self, worlds: list[_World], jobs: int) -> None:
        for world in worlds:
            self._worlds.put(world)
        # The first process checks the Python before others start.
        self._start(0)
        count = min(jobs, len(worlds))
        threads = [
            threading.Thread(target=self._work, args=(number,), daemon=True)
            for number in range(count)
        ]
        try:
            for thread in threads:
                thread.start()
            running = count
            while running:
                answer = self._answers.get()
                if isinstance(answer, TerrainSegError):
                    raise answer
                if answer is None:
                    running -= 1
                else:
                    self._report(answer)
        finally:
            self._stop()
            for thread in threads:
                thread.join()

    def note_version(self) -> None:
        """Note the version of bpy in the manifest, by a process that renders nothing.

        Raises:
            ConfigError: the folder was begun with another one, or the Python cannot be used.
        """
        try:
            self._start(0)
        finally:
            self._stop()

    def _work(self, number: int) -> None:
        try:
            done = 0
            while True:
                try:
                    world = self._worlds.get_nowait()
                except queue.Empty:
                    break
                if done >= PICTURES_PER_PROCESS:
                    self._drop(number)
                    done = 0
                done += self._finish(number, world)
        except TerrainSegError as error:
            if not self._stopped:
                self._answers.put(error)
                return
        self._answers.put(None)

    def _finish(self, number: int, world: _World) -> int:
        """Render a world, in a second process if the first one dies; return its pictures."""
        left = list(world.numbers)
        for attempt in range(TRIES):
            worker = self._workers.get(number) or self._start(number)
            try:
                worker.write({"seed": world.seed, "numbers": left})
                while "world" not in (answer := worker.read()):
                    left.remove(self._taken(answer))
                return len(world.numbers)
            except WorkerDiedError as error:
                self._drop(number)
                if self._stopped or attempt + 1 == TRIES:
                    raise WorkerDiedError(
                        f"{error} (twice in world {world.seed}); the pictures so far are kept, "
                        "the same command goes on"
                    ) from error
        raise AssertionError("the last attempt returns or raises")

    def _taken(self, answer: dict[str, Any]) -> int:
        """Report a picture and return its number in its world."""
        if "failed" in answer:
            raise TrainingError(
                f"a picture cannot be written ({answer['failed']}); free some space, then the "
                "same command goes on with the pictures that are missing"
            )
        taken = Taken(answer["stem"], answer["cpu_s"], answer["peak_mb"])
        self._answers.put(taken)
        return int(taken.stem.rsplit("_", 1)[1])

    def _start(self, number: int) -> RenderWorker:
        request = self._request
        job = {
            "out": str(request.out.resolve()),
            "task": request.task,
            "size_px": request.size_px,
            "samples": request.samples,
            "rule": request.rule_remembered(),
        }
        worker = RenderWorker(self._python, job)
        with self._lock:
            if self._stopped:
                worker.stop()
                raise WorkerDiedError("the command ended")
            self._workers[number] = worker
            self._check_version(worker)
        return worker

    def _check_version(self, worker: RenderWorker) -> None:
        """Note the first process's bpy in the manifest; later ones must have the same."""
        known = self._manifest.setdefault("bpy", worker.bpy)
        if known != worker.bpy:
            raise ConfigError(
                f"'{self._request.out}' was begun with bpy {known}, and '{self._python}' has "
                f"{worker.bpy}; go on with the first, or give a new folder"
            )
        write_manifest(self._request.out, self._manifest)

    def _drop(self, number: int) -> None:
        with self._lock:
            worker = self._workers.pop(number, None)
        if worker is not None:
            worker.stop()

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            workers = list(self._workers.values())
        for worker in workers:
            worker.stop()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one command at a time write into a folder."""
    if not folder.is_dir():
        raise ConfigError(f"'{folder}' is not there; give a folder of renders")
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                f"another command renders into '{folder}'; wait for it or give another folder"
            ) from error
        yield


def _is_own(folder: Path) -> bool:
    """Return whether a folder has renders, or only what a command that just began leaves."""
    names = {path.name for path in folder.iterdir()}
    return MANIFEST in names or all(name.startswith(".render") for name in names)


def _remove_unfinished(folder: Path) -> None:
    for name in FOLDERS:
        for path in (folder / name).glob(".*.new"):
            path.unlink(missing_ok=True)


def _missing(request: CyclesRequest) -> list[_World]:
    there = {path.name for path in (request.out / IMAGES).iterdir()}
    worlds = []
    for seed in request.world_seeds():
        numbers = [
            number
            for number in range(request.views_of(seed))
            if f"{request.stem(seed, number)}.png" not in there
        ]
        if numbers:
            worlds.append(_World(seed, numbers))
    return worlds


def _write_lists(request: CyclesRequest) -> dict[str, int]:
    lists = request.stems()
    for split, names in lists.items():
        write_whole(request.out / f"{split}.txt", "".join(f"{name}\n" for name in names))
    taxonomy = TAXONOMIES[request.task]
    classes = [
        {"name": item.name, "color": list(item.color_rgb), "hazard": item.hazard}
        for item in taxonomy
    ]
    content = {"classes": classes, "map": {name: name for name in taxonomy.names}}
    write_whole(request.out / "taxonomy.yaml", yaml.safe_dump(content, sort_keys=False))
    return {split: len(names) for split, names in lists.items()}
