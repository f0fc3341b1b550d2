"""The program of the demo: play everything through the live node, then draw the report."""

from __future__ import annotations

import importlib
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError, InferenceError
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
from terrain_seg_ros.demo.ros_node import (
    SETTLE_S,
    RosFacts,
    find_ros,
    node_command,
    operator_command,
    ros_environment,
)
from terrain_seg_ros.demo.scenes import SCENES
from terrain_seg_ros.demo.sim_report import write_scenes
from terrain_seg_ros.demo.sim_scenes import PlayedScene, play_scene, simulator_is_missing
from terrain_seg_ros.demo.twins import TwinResult, play_twins
from terrain_seg_ros.model_store.model_store import load_card

PLAY_LIMIT_S = 95.0
"""For the processes to meet and for all pictures."""
LISTENERS = 2
"""The node and the recorder."""
NODE_LIMIT_S = PLAY_LIMIT_S + 2 * END_LIMIT_S
"""After this the node ends by itself, should the demo have been killed."""


Say = Callable[[str], None]
Show = Callable[[str], None]
"""Shows a line of progress; an empty text ends it."""
Watch = Callable[[int], AbstractContextManager[Callable[[], int]]]
"""Shows a DDS domain while the demo runs; yields what returns how many viewers listen now."""


def nobody(_domain: int) -> AbstractContextManager[Callable[[], int]]:
    """Show the domain to nobody."""
    return nullcontext(lambda: 0)


@dataclass(frozen=True)
class DemoRequest:
    """What to play, and where the results go.

    `domain` None: a free one. `pictures` None: all. `with_ros`: run the ROS 2 node where rclpy
    can be had, else the node without ROS. `watch` shows the live run meanwhile.
    """

    model: str
    backend: str
    out: Path
    domain: int | None
    pictures: int | None
    has_scenes: bool
    with_ros: bool = True
    watch: Watch = nobody


@dataclass(frozen=True)
class DemoResult:
    """What was played and made: the node's summary, the share of each class, and the files.

    `node` says which node ran; `twins` compares the two nodes, where both can run.
    """

    summary: dict[str, Any]
    node: str
    twins: TwinResult | None
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
    ros = find_ros(domain) if request.with_ros else "it was not asked for"
    if isinstance(ros, RosFacts):
        node = f"ROS 2 lifecycle node, {ros.text}"
    else:
        node = f"node without ROS ({ros})"
    say(f"the {node}")
    say(f"starting player, node and recorder on DDS domain {domain}, on this machine only")
    twins = None
    with ending_signals_interrupt(), request.watch(domain) as viewers:
        run = _play_ros if isinstance(ros, RosFacts) else _play
        bus = _Bus(domain, viewers)
        summary = run(request, len(frames), bus=bus, bag=bag, show=show)
        if isinstance(ros, RosFacts):
            say("both nodes on the same images")
            twins = _play_twins(request, summary, len(frames), bus=bus, show=show)
        played = _play_scenes(request, bus, say=say, show=show) if request.has_scenes else []
        say("drawing the report")
        scenes = write_scenes(played, out=out)
        made = write_report(
            bag,
            {**summary, "node": node},
            frames,
            model=request.model,
            out=out,
            scenes=scenes.sections,
            twins=twins,
        )
    paths = {"bag": bag, **made.paths, **scenes.paths}
    return DemoResult(summary, node, twins, frames, made.shares, played, paths)


@dataclass(frozen=True)
class _Bus:
    """The DDS domain, and what returns how many viewers listen on it now."""

    domain: int
    viewers: Callable[[], int]


def _prepare(out: Path) -> None:
    """Make the folder and try it, before anything is started.

    Raises:
        OSError: it cannot be made or written.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):
        (out / "node.json").unlink(missing_ok=True)


def _play(
    request: DemoRequest, pictures: int, *, bus: _Bus, bag: Path, show: Show
) -> dict[str, Any]:
    """Start recorder and node, play all pictures, end the two in turn; return its summary.

    Raises:
        InferenceError: a process failed or did not end in time.
    """
    out, domain = request.out, bus.domain
    node = module_command("cli.main", "run", "--domain", domain, "--discovery", "host")
    node += ["--model", request.model, "--backend", request.backend]
    node += ["--duration", str(NODE_LIMIT_S), "--json", str(out / "node.json")]
    recorder = module_command("demo.recorder", "--domain", domain, "--bag", bag)
    player = module_command("demo.player", "--domain", domain, "--pictures", pictures)
    player += ["--listeners", str(LISTENERS + bus.viewers())]
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


def _play_ros(
    request: DemoRequest, pictures: int, *, bus: _Bus, bag: Path, show: Show
) -> dict[str, Any]:
    """Do the same with the ROS 2 node, brought up and down through its lifecycle services.

    Raises:
        InferenceError: a process failed or did not end in time.
    """
    out, domain = request.out, bus.domain
    ros = ros_environment(domain)
    values = {"model": request.model, "backend": request.backend}
    node = node_command(values, json_file=out / "node.json", limit_s=NODE_LIMIT_S)
    recorder = module_command("demo.recorder", "--domain", domain, "--bag", bag)
    player = module_command("demo.player", "--domain", domain, "--pictures", pictures)
    player += ["--listeners", str(LISTENERS + bus.viewers()), "--settle", str(SETTLE_S)]
    with (
        started("recorder", recorder, folder=out) as recording,
        started("node", node, folder=out, changes=ros) as running,
        started("operator", operator_command(), folder=out, changes=ros) as operating,
        started("player", player, folder=out) as playing,
    ):
        try:
            follow(playing, [recording, running, operating], limit_s=PLAY_LIMIT_S, show=show)
        except InferenceError as error:
            raise InferenceError(f"{error}; the node: {running.last_words()}") from error
        for child in (operating, running, recording):
            child.interrupt()
    show("")
    summary: dict[str, Any] = json.loads((out / "node.json").read_text(encoding="utf-8"))
    return summary


def _play_twins(
    request: DemoRequest, summary: dict[str, Any], pictures: int, *, bus: _Bus, show: Show
) -> TwinResult:
    values = {
        "model": request.model,
        "backend": summary["backend"],
        "precision": summary["precision"],
    }
    twins = play_twins(
        values,
        pictures=pictures,
        out=request.out,
        domain=bus.domain,
        viewers=bus.viewers(),
        show=show,
    )
    show("")
    return twins


def _play_scenes(request: DemoRequest, bus: _Bus, *, say: Say, show: Show) -> list[PlayedScene]:
    missing = simulator_is_missing()
    if missing:
        say(f"playing recordings of the simulated worlds: {missing}")
    played = []
    for scene in SCENES:
        say(f"{scene.title}, simulated")
        played.append(
            play_scene(
                scene,
                missing=missing,
                backend=request.backend,
                out=request.out,
                domain=bus.domain,
                viewers=bus.viewers(),
                show=show,
            )
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
