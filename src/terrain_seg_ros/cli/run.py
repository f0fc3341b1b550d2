"""`terrain-seg run`: the live node on the DDS bus until it is interrupted."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from terrain_seg_ros.cli.interrupt import Interrupt
from terrain_seg_ros.cli.options import (
    add_bus_arguments,
    add_json_argument,
    add_mode_argument,
    add_model_arguments,
    add_params_argument,
    read_parameters,
)
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.dds.discovery import choose_discovery, choose_domain, reach
from terrain_seg_ros.dds.names import dds_topic_name
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_seg_ros.report.table import text_table
from terrain_seg_ros.runtime.health import HealthSnapshot
from terrain_seg_ros.runtime.health_report import note_line
from terrain_seg_ros.runtime.run_summary import SUMMARY_KEYS, run_summary
from terrain_seg_ros.runtime.session import Session

if TYPE_CHECKING:
    from terrain_seg_ros.dds.port import NodeOptions
    from terrain_seg_ros.runtime.live import StandaloneNode

READY = "terrain-seg: ready"
"""Start of the line that is printed when the node listens."""
STATUS_PERIOD_S = 5.0
POLL_S = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line; what is not given comes from the parameters."""
    add_params_argument(parser)
    add_bus_arguments(parser)
    parser.add_argument(
        "--namespace", metavar="NAME", help="namespace of relative topics (default: /terrain)"
    )
    parser.add_argument(
        "--image-topic",
        metavar="NAME",
        help="overrides image_topic; may be absolute, such as /camera/image",
    )
    parser.add_argument(
        "--camera-info-topic", metavar="NAME", help="overrides camera_info_topic; may be absolute"
    )
    parser.add_argument("--duration", type=float, metavar="S", help="stop after S seconds")
    add_json_argument(parser, "the summary")
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
        own = holds_json(*SUMMARY_KEYS)
        check_output_file(arguments.json, option="--json", is_own=own)
    domain = choose_domain(arguments.domain)
    _check_names(arguments)
    parameters = read_parameters(arguments, namespace=_namespace(arguments))
    with Interrupt() as interrupt:
        print(f"terrain-seg: loading model {parameters.inference.model!r} ...", file=sys.stderr)
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


def _check_names(arguments: argparse.Namespace) -> None:
    """Check the names of the command line, before a model is loaded.

    Raises:
        ConfigError: ROS does not accept one.
    """
    namespace = _namespace(arguments)
    if namespace != "/":
        dds_topic_name(namespace, "/", option="--namespace")
    for option in ("image_topic", "camera_info_topic"):
        name = getattr(arguments, option)
        if name is not None:
            dds_topic_name(name, namespace, option=f"--{option.replace('_', '-')}")


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
            write_whole(path, json.dumps(run_summary(health, about), indent=2) + "\n")
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
