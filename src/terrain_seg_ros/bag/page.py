"""One page about a replay: frames, the fused map of the drive, what was assumed and refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from terrain_seg_ros.bag.drive import (
    CONFIDENCE,
    GRID,
    IMAGE,
    MASK,
    REASON,
    SITE,
    UPDATES,
    Drive,
    Moment,
    Names,
    Place,
    read_drive,
    read_moments,
)
from terrain_seg_ros.bag.plan import ReplayOptions, find_outputs
from terrain_seg_ros.bag.replay import ReplayReport
from terrain_seg_ros.bag.tables import ASSUMING, assumed_rows
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid.costs import COST_LETHAL, COST_UNKNOWN
from terrain_seg_ros.core.image.mask_to_picture import color_mask, overlay
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F64, U8, Reason
from terrain_seg_ros.messages.grid_message import GridValues
from terrain_seg_ros.messages.topics import resolve, topic
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.report.map_canvas import MapCut
from terrain_seg_ros.report.map_pictures import draw_scale, map_picture
from terrain_seg_ros.report.output_place import write_whole
from terrain_seg_ros.report.page import Page, Row, Section, render_page
from terrain_seg_ros.report.pictures import (
    confidence_picture,
    grid_colors,
    grid_legend,
    legend_strip,
)
from terrain_seg_ros.report.run_tables import (
    LATENCY_HEAD,
    SHARE_HEAD,
    class_shares,
    latency_rows,
    share_rows,
)
from terrain_seg_ros.runtime.health_report import note_line

INDEX, MAP = "index.html", "map.png"
MOMENTS = 6
"""Frames that are shown of each camera, of several cameras fewer."""
MOMENTS_OF_SEVERAL = 3
PICTURE_SIDE_PX = 512
"""Larger camera images are shown smaller."""
GRID_SIDE_PX = 384
MAP_SIDE_PX = 900
ALPHA = 0.45


@dataclass(frozen=True)
class Replayed:
    """A replay that is done: the bag it read, the one it wrote, and what it did."""

    source: Path
    target: Path
    options: ReplayOptions
    parameters: NodeSettings
    report: ReplayReport
    scores: Mapping[str, Any]


def write_page(replayed: Replayed, folder: Path) -> Path:
    """Write the page of a replay and the picture of its map; return the page's path.

    Args:
        replayed: the replay.
        folder: is made where there is none.

    Raises:
        ConfigError: a picture cannot be encoded.
        MessageError: the replayed bag is damaged.
        ModelError: the model's card cannot be used.
    """
    cameras = [camera.name for camera in replayed.report.cameras]
    parameters = replayed.parameters.with_values({"cameras": cameras})
    names = _names(replayed, parameters)
    drive = read_drive(
        replayed.target,
        names,
        grid_frame=parameters.pipeline.grid.frame_id,
        base_frame=parameters.pipeline.ground.base_frame,
        cache_s=parameters.transforms.tf_cache_s,
    )
    folder.mkdir(parents=True, exist_ok=True)
    taxonomy = load_card(parameters.inference.model).taxonomy
    sections = _map_section(drive, folder)
    if not sections:
        (folder / MAP).unlink(missing_ok=True)  # of an earlier page
    for camera in cameras:
        sections += _frames(replayed, names, drive, camera, taxonomy=taxonomy)
    page = _page(replayed, parameters, drive, sections=sections, taxonomy=taxonomy)
    write_whole(folder / INDEX, render_page(page))
    return folder / INDEX


def _names(replayed: Replayed, parameters: NodeSettings) -> Names:
    """Return the topics of a replayed bag."""
    outputs = find_outputs(parameters, replayed.options)
    cameras = {}
    for camera in replayed.report.cameras:
        rows = {IMAGE: camera.image_topic}
        for row in (MASK, CONFIDENCE):
            name = resolve(topic(row), camera.name, len(replayed.report.cameras))
            rows[row] = outputs[name].full_name
        cameras[camera.name] = rows
    shared = {
        row: outputs[row].full_name for row in (GRID, UPDATES, REASON, SITE) if row in outputs
    }
    return Names(shared, cameras)


def _map_section(drive: Drive, folder: Path) -> list[Section]:
    """Return the section of the map, and write the map with its legend as a file."""
    places = list(drive.places.values())
    if not places or drive.last is None:
        return []
    cut = drive.canvas.cut(_positions(places))
    if cut is None:
        return []
    picture = _drawn(cut, places, side_px=MAP_SIDE_PX, site_m=drive.site_m)
    strip = legend_strip(grid_legend(drive.reasons), width_px=picture.shape[1])
    _write(folder / MAP, np.concatenate([picture, strip]))
    side_m = cut.cost.shape[0] * cut.cell_m
    known = cut.cost != COST_UNKNOWN
    hazards = int((cut.cost == COST_LETHAL).sum())
    steps_m = np.diff(_positions(places), axis=0)
    length_m = float(np.linalg.norm(steps_m, axis=1).sum())
    caption = (
        f"{side_m:.0f} m a side, cells of {cut.cell_m:g} m: {int(known.sum())} observed, "
        f"{hazards} of them hazards; path {length_m:.1f} m"
    )
    text = (
        "The rolling grids on one map: every cell as it was last observed. x to the right, y up; "
        "the white line is the vehicle's path, the arrow its last heading."
    )
    if drive.site_m is not None:
        text += " The circle is the landing site that was chosen last."
    if drive.canvas.is_full:
        text += " The drive is longer than the map: its later part is left out."
    grid, reason = drive.last
    pictures = {
        "fused map of the drive": picture,
        "the grid at the end": _drawn(_as_cut(grid, reason), places, side_px=MAP_SIDE_PX),
    }
    return [Section("The drive", text, [Row(caption, pictures, columns=2)])]


def _frames(
    replayed: Replayed, names: Names, drive: Drive, camera: str, *, taxonomy: Taxonomy
) -> list[Section]:
    """Return the section of a camera; none where none of its images reached the grid."""
    count = MOMENTS if len(names.cameras) == 1 else MOMENTS_OF_SEVERAL
    moments = read_moments(replayed.target, names, drive, camera, count=count)
    first_ns = min(drive.places, default=0)
    rows = [_moment_row(item, drive, first_ns, taxonomy) for item in moments]
    if not rows:
        return []
    answers = len(drive.answers[camera])
    text = (
        f"{len(rows)} of {answers} images that reached the grid, evenly spread. The grid is that "
        "of the same moment, with the path so far."
    )
    return [Section(f"Frames of {camera}", text, rows)]


def _moment_row(item: Moment, drive: Drive, first_ns: int, taxonomy: Taxonomy) -> Row:
    pixels, mask = _small(item.image.pixels), item.mask
    shape = pixels.shape[:2]
    small_mask = np.asarray(
        cv2.resize(mask, shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8
    )
    sure = np.asarray(cv2.resize(item.confidence, shape[::-1]), dtype=np.uint8)
    path = [place for stamp, place in drive.places.items() if stamp < item.stamp_ns]
    known = item.grid.values != COST_UNKNOWN
    hazards = int((item.grid.values == COST_LETHAL).sum())
    caption = (
        f"{(item.stamp_ns - first_ns) / 1e9:.1f} s after the first grid, stamp "
        f"{item.stamp_ns / 1e9:.3f} s: "
        f"{int(known.sum())} cells observed, {hazards} hazards"
    )
    cut = _as_cut(item.grid, item.reason)
    return Row(
        caption,
        {
            "image": pixels,
            "overlay": overlay(pixels, small_mask, taxonomy, alpha=ALPHA),
            "mask": color_mask(small_mask, taxonomy),
            "confidence": confidence_picture(sure),
            "grid": _drawn(cut, [*path, item.place], side_px=GRID_SIDE_PX),
        },
    )


def _as_cut(grid: GridValues, reason: GridValues | None) -> MapCut:
    outside = np.full(grid.values.shape, Reason.OUTSIDE_VIEW, dtype=np.uint8)
    same = reason is not None and reason.values.shape == grid.values.shape
    why = reason.values.astype(np.uint8) if reason is not None and same else outside
    return MapCut(grid.values, why, (grid.origin_x_m, grid.origin_y_m), grid.resolution_m)


def _positions(places: Sequence[Place]) -> F64:
    return np.array([[place.x_m, place.y_m] for place in places], dtype=np.float64)


def _drawn(
    cut: MapCut,
    places: Sequence[Place],
    *,
    side_px: int,
    site_m: tuple[float, float] | None = None,
) -> U8:
    site = [] if site_m is None else cut.row_col(np.array([site_m], dtype=np.float64))[0].tolist()
    picture = map_picture(
        grid_colors(cut.cost, cut.reason),
        side_px=side_px,
        path_row_col=cut.row_col(_positions(places)),
        heading_row_col=np.array([places[-1].heading_y, places[-1].heading_x]),
        site_row_col=site,
    )
    draw_scale(picture, m_per_px=cut.cost.shape[1] * cut.cell_m / side_px)
    return picture


def _small(pixels: U8) -> U8:
    scale = PICTURE_SIDE_PX / max(pixels.shape[:2])
    if scale >= 1.0:
        return pixels
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _page(
    replayed: Replayed,
    parameters: NodeSettings,
    drive: Drive,
    *,
    sections: Sequence[Section],
    taxonomy: Taxonomy,
) -> Page:
    report, scores = replayed.report, replayed.scores
    tables: dict[str, tuple[Sequence[str], Sequence[Sequence[str]]]] = {
        "Cameras": (("camera", "images", "camera_info"), _camera_rows(report)),
        "Assumed": (("what", "assumption"), list(assumed_rows(report, parameters))),
        "Refused and left out": (("what", "count", "the last one, or why"), _refused_rows(report)),
        "Latency per stage": (LATENCY_HEAD, latency_rows(scores["latency_ms"])),
    }
    if drive.class_counts.any():
        shares = class_shares(drive.class_counts, taxonomy)
        tables["Share of all pixels"] = (SHARE_HEAD, share_rows(shares))
    if "iou" in scores:
        tables["Against the truth"] = (("class", "IoU", "precision", "recall"), _truth_rows(scores))
    return Page(
        title=f"{replayed.source.name} through terrain_seg_ros",
        lead=(
            f"A replay of {replayed.source} into {replayed.target}: of {scores['images_in']} "
            f"images {scores['images_out']} were segmented, and {scores['grids_out']} projected "
            "onto the ground with the transforms of their stamp and fused into the grid."
        ),
        facts=_facts(report, scores),
        legends={
            "terrain": [(entry.name, entry.color_rgb) for entry in taxonomy],
            "grid": grid_legend(drive.reasons),
        },
        tables={title: table for title, table in tables.items() if table[1]},
        notes=_notes(report),
        sections=sections,
    )


def _facts(report: ReplayReport, scores: Mapping[str, Any]) -> dict[str, str]:
    total = scores["latency_ms"].get("total", {})
    facts = {
        "model": report.about["model"],
        "backend": f"{report.about['backend']} {report.about['precision']}",
        "images in / out": f"{scores['images_in']} / {scores['images_out']}",
        "grids": str(scores["grids_out"]),
        "dropped": str(scores["dropped"]["total"]),
        "refused": str(scores["refused"]["total"]),
    }
    if total:
        facts["per image, median"] = f"{total['p50']:.1f} ms"
    if "mean_iou" in scores:
        facts["mean IoU"] = f"{scores['mean_iou']:.3f}"
    return facts


def _camera_rows(report: ReplayReport) -> list[list[str]]:
    return [
        [camera.name, camera.image_topic, camera.info_topic or "none in the bag"]
        for camera in report.cameras
    ]


def _refused_rows(report: ReplayReport) -> list[list[str]]:
    health = report.health
    rows = [
        [f"refused: {reason.value}", str(count), health.refusal_texts.get(reason, "")]
        for reason, count in health.refused.items()
    ]
    rows += [[f"dropped: {reason.value}", str(n), ""] for reason, n in health.dropped.items()]
    rows += [
        [f"defect: {kind}", str(count), report.defect_texts.get(kind, "")]
        for kind, count in report.defects.items()
    ]
    rows += [[f"topic {name}", "all", why] for name, why in report.left_out.items()]
    return rows


def _truth_rows(scores: Mapping[str, Any]) -> list[list[str]]:
    def cell(kind: str, name: str) -> str:
        value = scores[kind][name]
        return "-" if value is None else f"{value:.4f}"

    return [
        [name, *(cell(k, name) for k in ("iou", "precision", "recall"))] for name in scores["iou"]
    ]


def _notes(report: ReplayReport) -> list[str]:
    health = report.health
    notes = [note_line(health, note) for note in health.notes if note not in ASSUMING]
    if report.replaced_topics:
        notes.append(f"Replaced, as from an earlier run: {', '.join(report.replaced_topics)}.")
    notes.append(
        "Grids show what the network took the ground for, on the ground as assumed or measured; a "
        "wrong mounting shows as rocks that move when the vehicle drives."
    )
    return [*report.notes, *notes]


def _write(path: Path, pixels: U8) -> None:
    done, data = cv2.imencode(path.suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    if not done:
        raise ConfigError(f"'{path}' cannot be encoded as a picture")
    write_whole(path, data.tobytes())
