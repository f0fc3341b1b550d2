"""The program of the demo: play everything through the live node, then draw the report."""

from __future__ import annotations

import importlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds.discovery import choose_domain
from terrain_seg_ros.demo.frames import DemoFrame, first_frames
from terrain_seg_ros.demo.processes import (
    END_LIMIT_S,
    ending_signals_interrupt,
    follow,
    free_domain,
    module_command,
    started,
)
from terrain_seg_ros.demo.report import write_report
from terrain_seg_ros.demo.scenes import SCENES
from terrain_seg_ros.demo.sim_report import write_scenes
from terrain_seg_ros.demo.sim_scenes import PlayedScene, play_scene, simulator_is_missing
from terrain_seg_ros.model_store.model_store import load_card

PLAY_LIMIT_S = 95.0
"""For the processes to meet and for all pictures."""
NODE_LIMIT_S = PLAY_LIMIT_S + 2 * END_LIMIT_S
"""After this the node ends by itself, should the demo have been killed."""


Say = Callable[[str], None]
Show = Callable[[str], None]
"""Shows a line of progress; an empty text ends it."""


@dataclass(frozen=True)
class DemoRequest:
    """What to play, and where the results go.

    `domain` None: a free one. `pictures` None: all.
    """

    model: str
    backend: str
    out: Path
    domain: int | None
    pictures: int | None
    has_scenes: bool


@dataclass(frozen=True)
class DemoResult:
    """What was played and made: the node's summary, the share of each class, and the files."""

    summary: dict[str, Any]
    frames: Sequence[DemoFrame]
    shares: dict[str, float]
    scenes: Sequence[PlayedScene]
    paths: dict[str, Path]


def play_demo(request: DemoRequest, *, say: Say, show: Show) -> DemoResult:
    """Run player, node and recorder as three processes, then draw the report.

    Args:
        request: what to play.
        say: is called with a line about each step.
        show: is called with the progress of a step.

    Raises:
        ConfigError: a value, the folder or Cyclone DDS cannot be used.
        ModelError: the model cannot be used.
        InferenceError: a process failed or took too long.
    """
    _check_dds()
    frames = first_frames(request.pictures)
    load_card(request.model)
    domain = free_domain() if request.domain is None else choose_domain(request.domain)
    out = request.out
    _prepare(out)
    bag = out / time.strftime("bag_%Y%m%d_%H%M%S")
    say(f"starting player, node and recorder on DDS domain {domain}, on this machine only")
    with ending_signals_interrupt():
        summary = _play(request, len(frames), domain=domain, bag=bag, show=show)
        played = _play_scenes(request, domain, say=say, show=show) if request.has_scenes else []
        say("drawing the report")
        scenes = write_scenes(played, out=out)
        made = write_report(
            bag, summary, frames, model=request.model, out=out, scenes=scenes.sections
        )
    paths = {"bag": bag, **made.paths, **scenes.paths}
    return DemoResult(summary, frames, made.shares, played, paths)


def _prepare(out: Path) -> None:
    """Make the folder and try it, before anything is started.

    Raises:
        OSError: it cannot be made or written.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):
        (out / "node.json").unlink(missing_ok=True)


def _play(
    request: DemoRequest, pictures: int, *, domain: int, bag: Path, show: Show
) -> dict[str, Any]:
    """Start recorder and node, play all pictures, end the two in turn; return its summary.

    Raises:
        InferenceError: a process failed or did not end in time.
    """
    out = request.out
    node = module_command("cli.main", "run", "--domain", domain, "--discovery", "host")
    node += ["--model", request.model, "--backend", request.backend]
    node += ["--duration", str(NODE_LIMIT_S), "--json", str(out / "node.json")]
    recorder = module_command("demo.recorder", "--domain", domain, "--bag", bag)
    player = module_command("demo.player", "--domain", domain, "--pictures", pictures)
    with (
        started("recorder", recorder, folder=out) as recording,
        started("node", node, folder=out) as running,
        started("player", player, folder=out) as playing,
    ):
        follow(playing, [recording, running], limit_s=PLAY_LIMIT_S, show=show)
        running.interrupt()
        recording.interrupt()
    show("")
    summary: dict[str, Any] = json.loads((out / "node.json").read_text(encoding="utf-8"))
    return summary


def _play_scenes(request: DemoRequest, domain: int, *, say: Say, show: Show) -> list[PlayedScene]:
    missing = simulator_is_missing()
    if missing:
        say(f"playing recordings of the simulated worlds: {missing}")
    played = []
    for scene in SCENES:
        say(f"{scene.title}, simulated")
        backend, out = request.backend, request.out
        played.append(
            play_scene(scene, missing=missing, backend=backend, out=out, domain=domain, show=show)
        )
        show("")
    return played


def _check_dds() -> None:
    try:
        importlib.import_module("terrain_seg_ros.dds.cyclone")
    except ConfigError as error:
        raise ConfigError(
            f"the demo needs Cyclone DDS: {error}; `terrain-seg segment` and `terrain-seg replay` "
            "work without it"
        ) from error
