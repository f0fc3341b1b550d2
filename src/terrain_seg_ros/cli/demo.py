"""`terrain-seg demo`: real rover images through the live node, recorded and shown."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from terrain_seg_ros.cli.demo_frames import demo_frames
from terrain_seg_ros.cli.demo_report import write_report
from terrain_seg_ros.core.errors import ConfigError, InferenceError
from terrain_seg_ros.report.table import text_table

NAME = "demo"
HELP = "play real rover images through the live node and show what it makes of them"
DOMAINS = (60, 100)
"""ROS users rarely take these."""
START_LIMIT_S = 60.0
PLAY_LIMIT_S = 90.0
END_LIMIT_S = 15.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--model", default="mars_navcam", help="name or path of the model")
    parser.add_argument("--backend", default="auto", help="backend of the node (default: auto)")
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for the results")
    parser.add_argument("--domain", type=int, help="DDS domain (default: a free one)")


def run(arguments: argparse.Namespace) -> int:
    """Run player, node and recorder as three processes, then make the report."""
    _check_dds()
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    bag = out / time.strftime("bag_%Y%m%d_%H%M%S")
    domain = random.randrange(*DOMAINS) if arguments.domain is None else arguments.domain
    summary_path = out / "node.json"
    summary_path.unlink(missing_ok=True)
    _say(f"three processes meet on DDS domain {domain}, on this machine only")
    _play(arguments, domain=domain, bag=bag, summary_path=summary_path)
    summary = json.loads(summary_path.read_text(encoding="utf-8"))
    _say("drawing the report")
    made = write_report(bag, summary, model=arguments.model, out=out)
    _print_summary(summary, made.shares)
    print("\nmade:")
    for name, path in {"bag": bag, **made.paths}.items():
        print(f"  {name:<10}{path}")
    return 0


def _play(arguments: argparse.Namespace, *, domain: int, bag: Path, summary_path: Path) -> None:
    """Start recorder and node, play all frames, and end the two in turn.

    Raises:
        InferenceError: a process failed or did not end in time.
    """
    common = ["--domain", str(domain)]
    recorder = [*_module("demo_recorder"), *common, "--bag", str(bag)]
    node = [*_module("main"), "run", *common, "--discovery", "host"]
    node += ["--model", arguments.model, "--backend", arguments.backend]
    node += ["--json", str(summary_path)]
    with _process("recorder", recorder) as recording, _process("node", node) as running:
        player = [*_module("demo_player"), *common]
        with _process("player", player) as playing:
            _follow(playing, [recording, running])
        _end("node", running)
        _end("recorder", recording)


def _module(name: str) -> list[str]:
    return [sys.executable, "-m", f"terrain_seg_ros.cli.{name}"]


@contextmanager
def _process(name: str, command: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Start a process and end it by its own id, whatever happens."""
    environment = {key: value for key, value in os.environ.items() if key != "CYCLONEDDS_URI"}
    quiet = subprocess.DEVNULL if name == "node" else subprocess.PIPE
    process = subprocess.Popen(command, stdout=quiet, text=True, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(END_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _follow(playing: subprocess.Popen[str], others: Sequence[subprocess.Popen[str]]) -> None:
    """Show the player's progress until it ends; a lost companion ends the demo."""
    end_s = time.monotonic() + START_LIMIT_S + PLAY_LIMIT_S
    for line in playing.stdout or ():
        sys.stderr.write(f"\rterrain-seg: {line.strip()}   ")
        sys.stderr.flush()
        if time.monotonic() > end_s:
            raise InferenceError("the demo took too long; is another heavy job running?")
        if any(other.poll() is not None for other in others):
            raise InferenceError("a process of the demo ended early; its message is above")
    sys.stderr.write("\n")
    if playing.wait() != 0:
        raise InferenceError("the player failed; its message is above")


def _end(name: str, process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        code = process.wait(END_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise InferenceError(f"the {name} did not end within {END_LIMIT_S:.0f} s") from error
    if code != 0:
        raise InferenceError(f"the {name} ended with code {code}; its message is above")


def _check_dds() -> None:
    try:
        import cyclonedds  # noqa: F401, PLC0415
    except ImportError as error:
        raise ConfigError(
            f"the demo needs Cyclone DDS ({error}): pip install cyclonedds; where there is no "
            "wheel for this machine, use `terrain-seg segment` or `terrain-seg replay`"
        ) from error


def _print_summary(summary: dict[str, Any], shares: dict[str, float]) -> None:
    dropped, refused = sum(summary["dropped"].values()), sum(summary["refused"].values())
    frames = len(demo_frames())
    print(
        f"\n{summary['model']} on {summary['backend']} in {summary['precision']}: "
        f"{frames} pictures, {summary['images_in']} frames in, {summary['images_out']} out, "
        f"{dropped} dropped, {refused} refused\n"
    )
    stages = [
        [stage, *(f"{values[key]:.2f}" for key in ("p50", "p90", "p99"))]
        for stage, values in summary["latency_ms"].items()
    ]
    print(text_table(["stage", "p50 ms", "p90 ms", "p99 ms"], stages))
    print()
    print(text_table(["class", "share"], [[k, f"{v:.1%}"] for k, v in shares.items()]))


def _say(text: str) -> None:
    print(f"terrain-seg: {text}", file=sys.stderr, flush=True)
