"""The tables of a replay: one bag in full, or a row for each of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from terrain_seg_ros.bag.replay import ReplayReport
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.report.table import printable, text_table
from terrain_seg_ros.runtime.health import Note
from terrain_seg_ros.runtime.health_report import note_line

_S_PER_H = 3600.0
_NO_INFO = "no camera_info"
ASSUMING = frozenset({Note.FIELD_OF_VIEW, Note.FIXED_POSE})
"""Notes that `assumed_rows` tells."""
_HEAD = (
    "bag",
    "images",
    "grids",
    "mean IoU",
    "missed hazard",
    "p99 ms",
    "dropped",
    "refused",
    "verdict",
)


def report_lines(
    report: ReplayReport,
    scores: Mapping[str, Any],
    parameters: NodeSettings,
    *,
    source: Path,
    target: Path,
    took_s: float,
) -> Iterator[str]:
    """Give the counts, latencies and scores of one bag, table by table."""
    health = report.health
    rows = [("bag read", str(source)), ("bag written", str(target)), *_rows(report, parameters)]
    yield text_table(("what", "value"), [*rows, ("seconds", f"{took_s:.1f}")])
    if health.latency:
        stages = [
            (stage, f"{item.median_ms:.2f}", f"{item.p90_ms:.2f}", f"{item.p99_ms:.2f}")
            for stage, item in health.latency.items()
        ]
        yield ""
        yield text_table(("stage", "p50 ms", "p90 ms", "p99 ms"), stages)
    if "iou" in scores:
        yield ""
        yield text_table(("class", "IoU", "precision", "recall"), list(_classes(scores)))
        yield _summary(scores)
    if health.refused:
        yield "\nRefused, the last of each kind:"
    for reason in health.refused:
        yield f"  {reason.value}: {printable(health.refusal_texts.get(reason, ''))}"


def bag_table(
    results: Mapping[str, Mapping[str, Any] | None], missed: Mapping[str, Sequence[str]]
) -> str:
    """Return one row per bag."""
    return text_table(_HEAD, [_bag_row(name, results[name], missed) for name in results])


def cost_line(results: Mapping[str, Mapping[str, Any] | None]) -> str:
    """Return what the replays cost in time of processor cores, by `cpu_s` of the scores."""
    done = [scores for scores in results.values() if scores is not None]
    images = sum(scores["images_in"] for scores in done)
    if not images:
        return "cost: nothing was replayed"
    total_s = sum(scores["cpu_s"] for scores in done)
    mean_s = total_s / len(done)
    return (
        f"cost: {mean_s:.1f} core seconds per bag ({total_s / images:.3f} per image), so "
        f"{_S_PER_H / mean_s:.0f} bags per hour and core; 1,000 such bags take "
        f"{1000 * mean_s / _S_PER_H:.1f} core hours"
    )


def assumed_rows(report: ReplayReport, parameters: NodeSettings) -> Iterator[tuple[str, str]]:
    """Yield what was assumed, as nothing measured it: lens, mounting, motion, ground, bits."""
    health, at, ground = report.health, parameters.mounting, parameters.pipeline.ground
    if Note.FIELD_OF_VIEW in health.notes:
        fov_rad = parameters.input.horizontal_fov_rad
        text = f"no camera_info: a pinhole camera with horizontal_fov_rad {fov_rad:g}"
        yield "lens", f"{text}, without distortion ({health.notes[Note.FIELD_OF_VIEW]} images)"
    for camera in report.cameras:
        if camera.info_topic is not None and not camera.info_is_beside:
            text = (
                f"{camera.info_topic}, the only camera_info, although it is not beside the images"
            )
            yield f"lens of {camera.name}", text
    if not at.use_tf:
        text = f"not from TF: x {at.x_m:g}, y {at.y_m:g}, z {at.z_m:g} m; roll {at.roll_rad:g}, "
        yield "mounting", f"{text}pitch {at.pitch_rad:g}, yaw {at.yaw_rad:g} rad"
    if Note.FIXED_POSE in health.notes:
        yield "motion", note_line(health, Note.FIXED_POSE)
    if ground.source == "plane":
        height = "" if ground.plane == "range_plane" else f" at {ground.plane_height_m:g} m"
        yield "ground", f"a plane: {ground.plane}{height}"
    yield from health.remarks.items()


def _rows(report: ReplayReport, parameters: NodeSettings) -> Iterator[tuple[str, str]]:
    health = report.health
    for camera in report.cameras:
        yield f"camera {camera.name}", f"{camera.image_topic}, {camera.info_topic or _NO_INFO}"
    yield from (("note", text) for text in report.notes)
    yield from ((f"left out: {name}", why) for name, why in report.left_out.items())
    yield from report.about.items()
    yield "messages copied", str(report.messages_copied)
    yield "messages added", str(report.messages_added)
    yield from (("replaced", name) for name in report.replaced_topics)
    yield "images in", str(health.images_in)
    yield "images out", str(health.images_out)
    yield "grids out", str(health.grids_out)
    yield from ((f"dropped: {reason.value}", str(n)) for reason, n in health.dropped.items())
    yield from ((f"refused: {reason.value}", str(n)) for reason, n in health.refused.items())
    for kind, count in report.defects.items():
        yield f"defect: {kind}", f"{count}, last: {report.defect_texts.get(kind, '')}"
    yield from (("note", note_line(health, n)) for n in health.notes if n not in ASSUMING)
    yield from ((f"assumed: {about}", text) for about, text in assumed_rows(report, parameters))
    yield from ((name, f"{value:.3f}") for name, value in health.gauges.items())


def _classes(scores: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name in scores["iou"]:
        iou, precision, recall = (scores[key][name] for key in ("iou", "precision", "recall"))
        yield name, _cell(iou), _cell(precision), _cell(recall)


def _summary(scores: Mapping[str, Any]) -> str:
    truth = scores["truth"]
    lines = [
        f"mean IoU {scores['mean_iou']:.4f}, pixel accuracy {scores['pixel_accuracy']:.4f}, "
        f"missed hazard {_cell(scores['missed_hazard_rate'])} over {truth['matched']} masks"
    ]
    if scores["hazard_unavailable"]:
        lines.append(f"missed hazard is not available: {scores['hazard_unavailable']}")
    if scores["absent_classes"]:
        lines.append(f"never in the truth, without IoU: {', '.join(scores['absent_classes'])}")
    lines.append(f"{scores['ignored']:.2%} of the truth's pixels did not count")
    alone = [
        (truth["truth_without_mask"], "truths without a mask"),
        (truth["masks_without_truth"], "masks without truth"),
        (truth["damaged"], f"damaged, the last: {printable(truth['last_damage'])}"),
    ]
    lines += [f"{count} {text}" for count, text in alone if count]
    return "\n".join(lines)


def _bag_row(
    name: str, scores: Mapping[str, Any] | None, missed: Mapping[str, Sequence[str]]
) -> tuple[str, ...]:
    if scores is None:
        return (name, *["-"] * (len(_HEAD) - 2), "failed")
    total = scores["latency_ms"].get("total", {})
    lines = missed.get(name, ())
    return (
        name,
        str(scores["images_in"]),
        str(scores["grids_out"]),
        _cell(scores.get("mean_iou")),
        _cell(scores.get("missed_hazard_rate")),
        _cell(total.get("p99"), digits=1),
        str(scores["dropped"]["total"]),
        str(scores["refused"]["total"]),
        _verdict(scores, lines),
    )


def _verdict(scores: Mapping[str, Any], missed: Sequence[str]) -> str:
    missing = [name for name in ("images_out", "grids_out") if not scores[name]]
    if missing:
        return "no masks" if missing[0] == "images_out" else "no grids"
    return f"{len(missed)} missed" if missed else "passed"


def _cell(value: float | None, *, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
