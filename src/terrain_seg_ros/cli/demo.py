"""`terrain-seg demo`: real rover images, then simulated worlds, through the live node."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
from collections.abc import Callable
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
from terrain_seg_ros.demo.report import latency_rows, share_rows, write_report
from terrain_seg_ros.demo.scenes import SCENES
from terrain_seg_ros.demo.sim_report import write_scenes
from terrain_seg_ros.demo.sim_scenes import PlayedScene, play_scene, simulator_is_missing
from terrain_seg_ros.inference.backend_names import BackendName
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.report.table import text_table

PLAY_LIMIT_S = 95.0
"""For the processes to meet and for all pictures."""
NODE_LIMIT_S = PLAY_LIMIT_S + 2 * END_LIMIT_S
"""After this the node ends by itself, should the demo have been killed."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument(
        "--model", default="mars_navcam", metavar="NAME|PATH", help="(default: %(default)s)"
    )
    parser.add_argument(
        "--backend",
        default=BackendName.AUTO.value,
        choices=[item.value for item in BackendName],
        help="backend of the node (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/demo"),
        metavar="DIR",
        help="folder for the results; each run adds a bag and draws the rest again "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--domain", type=int, metavar="N", help="DDS domain (default: one that is free)"
    )
    parser.add_argument(
        "--pictures", type=int, metavar="N", help="play only the first N (default: all)"
    )
    parser.add_argument(
        "--no-sim", action="store_true", help="leave out the drive and the descent in simulation"
    )


def run(arguments: argparse.Namespace) -> int:
    """Run player, node and recorder as three processes, then make the report.

    Raises:
        ConfigError: an argument, the folder or Cyclone DDS cannot be used.
        ModelError: the model cannot be used.
        InferenceError: a process failed or took too long.
    """
    _check_dds()
    frames = first_frames(arguments.pictures)
    load_card(arguments.model)
    domain = free_domain() if arguments.domain is None else choose_domain(arguments.domain)
    out: Path = arguments.out
    _prepare(out)
    bag = out / time.strftime("bag_%Y%m%d_%H%M%S")
    _say(f"starting player, node and recorder on DDS domain {domain}, on this machine only")
    with ending_signals_interrupt():
        summary = _play(arguments, len(frames), domain=domain, bag=bag)
        played = [] if arguments.no_sim else _play_scenes(arguments, domain)
        _say("drawing the report")
        scenes = write_scenes(played, out=out)
        made = write_report(
            bag, summary, frames, model=arguments.model, out=out, scenes=scenes.sections
        )
    _print_summary(summary, frames, made.shares)
    for scene in played:
        print(f"\n{scene.scene.title}: {scene.source}")
    print("\nmade:")
    for name, path in {"bag": bag, **made.paths, **scenes.paths}.items():
        print(f"  {name:<14}{path}")
    return 0


def _prepare(out: Path) -> None:
    """Make the folder and try it, before anything is started.

    Raises:
        OSError: it cannot be made or written.
    """
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):
        (out / "node.json").unlink(missing_ok=True)


def _play(
    arguments: argparse.Namespace, pictures: int, *, domain: int, bag: Path
) -> dict[str, Any]:
    """Start recorder and node, play all pictures, end the two in turn; return what the node says.

    Raises:
        InferenceError: a process failed or did not end in time.
    """
    out: Path = arguments.out
    node = module_command("cli.main", "run", "--domain", domain, "--discovery", "host")
    node += ["--model", arguments.model, "--backend", arguments.backend]
    node += ["--duration", str(NODE_LIMIT_S), "--json", str(out / "node.json")]
    recorder = module_command("demo.recorder", "--domain", domain, "--bag", bag)
    player = module_command("demo.player", "--domain", domain, "--pictures", pictures)
    show = _progress()
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


def _play_scenes(arguments: argparse.Namespace, domain: int) -> list[PlayedScene]:
    missing = simulator_is_missing()
    if missing:
        _say(f"playing recordings of the simulated worlds: {missing}")
    played = []
    for scene in SCENES:
        _say(f"{scene.title}, simulated")
        show = _progress()
        backend, out = arguments.backend, arguments.out
        played.append(
            play_scene(scene, missing=missing, backend=backend, out=out, domain=domain, show=show)
        )
        show("")
    return played


def _progress() -> Callable[[str], None]:
    """Return what shows progress: one line that changes, on a terminal; else line by line."""
    if not sys.stderr.isatty():
        return lambda line: _say(line) if line else None

    def rewrite(line: str) -> None:
        sys.stderr.write(f"\rterrain-seg: {line}\x1b[K" if line else "\n")
        sys.stderr.flush()

    return rewrite


def _check_dds() -> None:
    try:
        importlib.import_module("terrain_seg_ros.dds.cyclone")
    except ConfigError as error:
        raise ConfigError(
            f"the demo needs Cyclone DDS: {error}; `terrain-seg segment` and `terrain-seg replay` "
            "work without it"
        ) from error


def _print_summary(
    summary: dict[str, Any], frames: list[DemoFrame], shares: dict[str, float]
) -> None:
    facts = [
        ["model", summary["model"]],
        ["backend", f"{summary['backend']} in {summary['precision']}"],
        ["pictures", str(len(frames))],
        ["frames in", str(summary["images_in"])],
        ["frames out", str(summary["images_out"])],
        ["dropped", str(sum(summary["dropped"].values()))],
        ["refused", str(sum(summary["refused"].values()))],
    ]
    for head, rows in (
        (["what", "value"], facts),
        (["stage", "p50 ms", "p90 ms", "p99 ms"], latency_rows(summary)),
        (["class", "share"], share_rows(shares)),
    ):
        print(f"\n{text_table(head, rows)}")


def _say(text: str) -> None:
    print(f"terrain-seg: {text}", file=sys.stderr, flush=True)
