"""`terrain-seg run`: the live node on the DDS bus until it is interrupted."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrain_seg_ros.cli.interrupt import Interrupt
from terrain_seg_ros.cli.model_arguments import add_mode_argument, add_model_arguments
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds.discovery import Discovery, choose_discovery, choose_domain, reach
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.parameters.parameters import Parameters, load_parameters
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_seg_ros.report.table import text_table
from terrain_seg_ros.runtime.health import HealthSnapshot
from terrain_seg_ros.runtime.health_report import note_line
from terrain_seg_ros.runtime.session import Session

if TYPE_CHECKING:
    from terrain_seg_ros.dds.port import NodeOptions
    from terrain_seg_ros.runtime.live import StandaloneNode

NAME = "run"
HELP = "run the live node on the DDS bus until interrupted"
READY = "terrain-seg: ready"
"""How the line begins that tells that the node listens."""
STATUS_PERIOD_S = 5.0
POLL_S = 0.05
_PARAMETER_OPTIONS = ("model", "backend", "precision", "threads")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line; what is not given comes from the parameters."""
    parser.add_argument(
        "--params",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="parameter file on top of the shipped one; may be given again, the last one wins",
    )
    parser.add_argument("--domain", type=int, metavar="N", help="DDS domain (else ROS_DOMAIN_ID)")
    parser.add_argument(
        "--discovery",
        choices=[item.value for item in Discovery],
        help="host: this machine only; any: network too; network: as Cyclone DDS does it (default: "
        "what ROS_AUTOMATIC_DISCOVERY_RANGE says where it is set, else host; CYCLONEDDS_URI "
        "overrides all)",
    )
    parser.add_argument(
        "--namespace", metavar="NAME", help="namespace of relative topics (default: /terrain)"
    )
    parser.add_argument(
        "--image-topic", metavar="NAME", help="instead of image_topic; may be a full /name"
    )
    parser.add_argument(
        "--camera-info-topic", metavar="NAME", help="instead of camera_info_topic; likewise"
    )
    parser.add_argument("--duration", type=float, metavar="S", help="end after S seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary to a file")
    add_mode_argument(parser)
    add_model_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the node and print what it did.

    However it ends, the grid goes out as unknown and the summary is written.

    Raises:
        ConfigError: a parameter, topic, domain or file cannot be used, or Cyclone DDS is missing.
        ModelError: the model cannot be used.
        InferenceError: the backend cannot be used.
    """
    if arguments.duration is not None and not arguments.duration > 0.0:
        raise ConfigError(f"--duration is {arguments.duration}, expected more than 0 s")
    if arguments.json is not None:
        own = holds_json("images_in", "images_out", "ended_by")
        check_output_file(arguments.json, option="--json", is_own=own)
    domain = choose_domain(arguments.domain)
    parameters = _parameters(arguments)
    with Interrupt() as interrupt:
        print(f"terrain-seg: loading model {parameters.text('model')!r} ...", file=sys.stderr)
        sys.stderr.flush()
        with Session(parameters, live=True) as session:
            options = _options(arguments, domain)
            node = _node(session, options)
            node.start()
            ended = "defect"
            try:
                _announce(node, options, session.describe())
                _wait(node, interrupt, arguments.duration)
                ended = interrupt.by or "duration"
            finally:
                try:
                    node.stop()
                finally:
                    about = {**session.describe(), "ended_by": ended}
                    _summarise(node.snapshot(), about, arguments.json)
    return 0


def _parameters(arguments: argparse.Namespace) -> Parameters:
    given = {
        name: getattr(arguments, name)
        for name in _PARAMETER_OPTIONS
        if getattr(arguments, name) is not None
    }
    return load_parameters(
        *arguments.params,
        overrides=given,
        shipped=arguments.mode,
        namespace=_namespace(arguments),
    )


def _namespace(arguments: argparse.Namespace) -> str:
    return NAMESPACE if arguments.namespace is None else f"/{arguments.namespace.strip('/')}"


def _options(arguments: argparse.Namespace, domain: int) -> NodeOptions:
    """Return how to join the bus; only here and in `_node` is Cyclone DDS imported."""
    from terrain_seg_ros.dds.port import NodeOptions  # noqa: PLC0415

    return NodeOptions(
        domain,
        choose_discovery(arguments.discovery),
        namespace=_namespace(arguments),
        image_topic=arguments.image_topic,
        camera_info_topic=arguments.camera_info_topic,
    )


def _node(session: Session, options: NodeOptions) -> StandaloneNode:
    from terrain_seg_ros.dds.port import dds_node  # noqa: PLC0415

    return dds_node(session, options)


def _announce(node: StandaloneNode, options: NodeOptions, about: dict[str, str]) -> None:
    names = ", ".join(node.port.full_name(item.spec.name) for item in node.inputs)
    print(
        f"{READY} on domain {options.domain_id}, {reach(options.discovery)}: "
        f"{about['model']}, {about['backend']} {about['precision']}; listening to {names}; "
        "Ctrl-C ends",
        file=sys.stderr,
        flush=True,
    )


def _wait(node: StandaloneNode, interrupt: Interrupt, duration_s: float | None) -> None:
    """Return when interrupted or when the time is over; tell the state now and then.

    Raises:
        TerrainSegError: a thread of the node has ended.
    """
    start_s = time.monotonic()
    next_status_s = start_s + STATUS_PERIOD_S
    told: set[str] = set()
    while not interrupt.asked:
        now_s = time.monotonic()
        if duration_s is not None and now_s - start_s >= duration_s:
            return
        node.check()
        if now_s >= next_status_s:
            next_status_s = now_s + STATUS_PERIOD_S
            snapshot = node.snapshot()
            print(_status(snapshot), file=sys.stderr, flush=True)
            for what in sorted(set(snapshot.standing) - told):
                print(f"terrain-seg: warning: {snapshot.standing[what]}", file=sys.stderr)
            told |= set(snapshot.standing)
        time.sleep(POLL_S)


def _status(health: HealthSnapshot) -> str:
    total = health.latency.get("total")
    took = f", {total.median_ms:.1f} ms median" if total else ""
    why = f"; last refused: {health.last_refusal}" if health.refused_since_good else ""
    return (
        f"terrain-seg: {health.images_in} in, {health.images_out} out, "
        f"{sum(health.dropped.values())} dropped, {sum(health.refused.values())} refused, "
        f"{health.rate_out_hz:.1f} Hz{took}{why}"
    )


def _summarise(health: HealthSnapshot, about: dict[str, str], path: Path | None) -> None:
    """Write the summary to a file if asked to, and print it, even where the file fails."""
    try:
        if path is not None:
            write_whole(path, json.dumps(_content(health, about), indent=2) + "\n")
    finally:
        _print_summary(health, about)


def _print_summary(health: HealthSnapshot, about: dict[str, str]) -> None:
    rows = list(about.items())
    rows += [
        ("images in", str(health.images_in)),
        ("images out", str(health.images_out)),
        ("grids out", str(health.grids_out)),
    ]
    rows += [(f"dropped: {reason.value}", str(n)) for reason, n in health.dropped.items()]
    rows += [(f"refused: {reason.value}", str(n)) for reason, n in health.refused.items()]
    rows += [("note", note_line(health, note)) for note in health.notes]
    rows += [(f"assumed: {about}", text) for about, text in health.remarks.items()]
    rows += [("warning", text) for text in health.standing.values()]
    print(text_table(("what", "value"), rows))
    if health.latency:
        stages = [
            (stage, f"{item.median_ms:.2f}", f"{item.p90_ms:.2f}", f"{item.p99_ms:.2f}")
            for stage, item in health.latency.items()
        ]
        print()
        print(text_table(("stage", "p50 ms", "p90 ms", "p99 ms"), stages))


def _content(health: HealthSnapshot, about: dict[str, str]) -> dict[str, Any]:
    return {
        **about,
        "images_in": health.images_in,
        "images_out": health.images_out,
        "grids_out": health.grids_out,
        "dropped": {reason.value: count for reason, count in health.dropped.items()},
        "refused": {reason.value: count for reason, count in health.refused.items()},
        "notes": {note.value: count for note, count in health.notes.items()},
        "assumed": dict(health.remarks),
        "refusal_texts": {reason.value: text for reason, text in health.refusal_texts.items()},
        "warnings": list(health.standing.values()),
        "latency_ms": {
            stage: {"p50": item.median_ms, "p90": item.p90_ms, "p99": item.p99_ms}
            for stage, item in health.latency.items()
        },
    }
