"""Play the demo's simulated scenes through the live node: drawn now, or as they were recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.demo.processes import END_LIMIT_S, follow, module_command, started
from terrain_seg_ros.demo.scenes import DemoScene
from terrain_seg_ros.sim.opengl import choose_platform, mujoco_is_installed

LISTENERS = 2
"""The node and the recorder."""
SCENE_LIMIT_S = 75.0
RECORDED_PERIOD_S = 0.2
PROGRESS = ("making", "waiting", "played")
"""How the lines begin that tell how far a player is."""


@dataclass(frozen=True)
class PlayedScene:
    """A scene that was played: its bag, the summary of the node, and how it was made."""

    scene: DemoScene
    bag: Path
    summary: dict[str, Any]
    source: str


def simulator_is_missing() -> str:
    """Return why the scenes are played from their recordings; empty if they can be drawn."""
    if not mujoco_is_installed():
        return (
            "MuJoCo is not installed (the optional extra `sim`: "
            "`.venv/bin/pip install -c constraints.txt -e '.[sim]'`)"
        )
    try:
        choose_platform()
    except ConfigError as error:
        return str(error)
    return ""


def play_scene(
    scene: DemoScene,
    *,
    missing: str,
    backend: str,
    out: Path,
    domain: int,
    viewers: int = 0,
    show: Callable[[str], None],
) -> PlayedScene:
    """Play a scene, record it and return what came of it.

    Args:
        scene: which.
        missing: what `simulator_is_missing` says.
        backend: of the node.
        out: folder of the demo.
        domain: DDS domain.
        viewers: how many listen beside the node and the recorder.
        show: gets lines of progress.

    Raises:
        ConfigError: the installation lacks a part of the scene.
        InferenceError: a process failed or took too long.
    """
    folder = out / scene.name
    folder.mkdir(parents=True, exist_ok=True)
    bag = folder / time.strftime("bag_%Y%m%d_%H%M%S")
    report = folder / "node.json"
    report.unlink(missing_ok=True)
    node = module_command("cli.main", "run", "--domain", domain, "--discovery", "host")
    node += ["--mode", scene.mode, "--params", str(scene.parameters), "--backend", backend]
    node += ["--duration", str(SCENE_LIMIT_S + 2 * END_LIMIT_S), "--json", str(report)]
    recorder = module_command("demo.recorder", "--domain", domain, "--bag", bag, "--sim")
    player = _player(scene, missing, domain, listeners=LISTENERS + viewers)
    with (
        started("recorder", recorder, folder=folder) as recording,
        started("node", node, folder=folder) as running,
        started("player", player, folder=folder) as playing,
    ):
        follow(playing, [recording, running], limit_s=SCENE_LIMIT_S, show=only_progress(show))
        running.interrupt()
        recording.interrupt()
    source = f"a recording, because {missing}" if missing else "drawn by MuJoCo while it ran"
    return PlayedScene(scene, bag, json.loads(report.read_text(encoding="utf-8")), source)


def only_progress(show: Callable[[str], None]) -> Callable[[str], None]:
    """Return what shows a player's lines of progress, and not the table at its end."""
    return lambda line: show(line) if line.startswith(PROGRESS) else None


def _player(scene: DemoScene, missing: str, domain: int, *, listeners: int) -> list[str]:
    if missing:
        return module_command(
            "demo.recording",
            *("--domain", domain, "--bag", scene.recording),
            *("--listeners", listeners, "--period", RECORDED_PERIOD_S),
        )
    return module_command(
        "cli.main",
        *("sim", *scene.sim, "--params", scene.parameters),
        *("--domain", domain, "--discovery", "host", "--wait-for", listeners),
    )
