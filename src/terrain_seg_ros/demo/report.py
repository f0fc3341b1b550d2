"""Turn the demo's bag into pictures and one page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.mask_to_picture import color_mask, overlay
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.types import U8, Reason
from terrain_seg_ros.demo.frames import APART_M, HOLD, DemoFrame
from terrain_seg_ros.demo.twins import HEADER, TwinResult
from terrain_seg_ros.messages.grid_message import GridValues, decode_grid
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import decode_image
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.report.map_pictures import COMPARISON_LEGEND
from terrain_seg_ros.report.page import Page, Row, Section, render_page
from terrain_seg_ros.report.pictures import (
    Legend,
    brightened,
    confidence_picture,
    grid_legend,
    grid_picture,
    legend_strip,
    reasons_in,
    sheet,
)
from terrain_seg_ros.report.run_tables import (
    LATENCY_HEAD,
    SHARE_HEAD,
    class_shares,
    latency_rows,
    share_rows,
)
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY

PICTURE_TOPICS = ("mask", "confidence", "hazard_grid", "hazard_reason")
GRID_SIDE_PX = 384
SHEET_COLUMNS = 6
NOTES = (
    "The frames carry no poses: mounting (mast 1.9 m high, pitch as given per picture), flat "
    "ground and so all distances are assumed. Every picture is taken as a place of its own, the "
    "vehicle stands there for six camera images, and the grid starts anew at the next.",
    "Sky and rover hardware are unlabelled in the training data. The network gives them some "
    "ground class; what lies above the horizon never reaches the grid, rover hardware does.",
    "The labels shown for comparison are AI4Mars's crowd-sourced ones; white is unlabelled.",
    "Big rocks are rare in the training data and often missed. Do not steer by this model alone.",
    "Images: NASA/JPL-Caltech. Labels: AI4Mars (Swan et al., 2021).",
)

SIM_NOTES = (
    "The simulated worlds are generated; every rock, crater and slope in them is known. Their "
    "masks are ground truth, read by the model truth_mask, a decoder rather than a neural "
    "network: those pictures show the quality of geometry and fusion, not of recognition. No "
    "model for the Moon is shipped.",
)
WORLD_LEGEND: Legend = [(entry.name, entry.color_rgb) for entry in WORLD_TAXONOMY]


@dataclass(frozen=True)
class DemoReport:
    """The files that were written, and the share of each class over all pictures."""

    paths: dict[str, Path]
    shares: dict[str, float]


@dataclass
class _PictureMessages:
    """The messages of one picture in the bag, from its last camera image."""

    mask: U8 | None = None
    confidence: U8 | None = None
    cost: GridValues | None = None
    reason: GridValues | None = None


def write_report(
    bag: Path,
    summary: dict[str, Any],
    frames: Sequence[DemoFrame],
    *,
    model: str,
    out: Path,
    scenes: Sequence[Section] = (),
    twins: TwinResult | None = None,
) -> DemoReport:
    """Write overlays, the grids' picture and the page.

    Args:
        bag: what the recorder wrote.
        summary: what the node says of its work.
        frames: what was played.
        model: its name or path, for the classes.
        out: folder.
        scenes: sections about simulated worlds, shown after the pictures.
        twins: comparison of the two nodes.

    Raises:
        ConfigError: the bag lacks the node's answers.
    """
    card = load_card(model)
    shown = _read(bag, frames)
    folder = out / "overlays"
    folder.mkdir(parents=True, exist_ok=True)
    rows: dict[str, list[Row]] = {}
    grids = []
    for frame, item in zip(frames, shown):
        pictures = _pictures(frame, item, card)
        _write(folder / f"{frame.index:02d}_{frame.name}.png", pictures["overlay"])
        grids.append(pictures["grid"])
        pitch = f"assumed pitch {np.degrees(frame.pitch_rad):.0f}°"
        rows.setdefault(frame.scene, []).append(
            Row(f"{frame.index:02d} · {frame.name} · {pitch}", pictures)
        )
    legend = _grid_legend(shown)
    _write(out / "grids.png", _grid_sheet(grids, [f"{f.index:02d}" for f in frames], legend))
    shares = _shares(shown, card)
    page = _page(
        card, summary, rows=rows, shares=shares, grid_legend=legend, scenes=scenes, twins=twins
    )
    (out / "index.html").write_text(render_page(page), encoding="utf-8")
    paths = {"page": out / "index.html", "overlays": folder, "grids": out / "grids.png"}
    return DemoReport(paths, shares)


def _read(bag: Path, frames: Sequence[DemoFrame]) -> list[_PictureMessages]:
    """Return what the bag holds, separated by the position of the grid."""
    by_stamp: dict[int, dict[str, Any]] = {}
    for name, message in _messages(bag):
        by_stamp.setdefault(stamp_ns(message.header), {})[name] = message
    shown = [_PictureMessages() for _ in frames]
    for stamp in sorted(by_stamp):
        parts = by_stamp[stamp]
        if set(parts) != set(PICTURE_TOPICS):
            continue
        cost = decode_grid(parts["hazard_grid"])
        index = round((cost.origin_x_m + cost.values.shape[1] * cost.resolution_m / 2) / APART_M)
        if not 0 <= index < len(shown):
            continue
        item = shown[index]
        item.cost, item.reason = cost, decode_grid(parts["hazard_reason"])
        item.mask = decode_image(parts["mask"]).pixels
        item.confidence = decode_image(parts["confidence"]).pixels
    missing = [frame.name for frame, item in zip(frames, shown) if item.mask is None]
    if missing:
        raise ConfigError(
            f"{bag} lacks the node's answer to {len(missing)} of {len(frames)} pictures, first "
            f"{missing[0]}; the machine was too busy, try again"
        )
    return shown


def _messages(bag: Path) -> Iterator[tuple[str, Any]]:
    with AnyReader([bag]) as reader:
        wanted = [c for c in reader.connections if c.topic.rsplit("/", 1)[-1] in PICTURE_TOPICS]
        for connection, _, data in reader.messages(connections=wanted):
            name = connection.topic.rsplit("/", 1)[-1]
            yield name, reader.deserialize(data, connection.msgtype)


def _pictures(frame: DemoFrame, item: _PictureMessages, card: ModelCard) -> dict[str, U8]:
    assert item.mask is not None and item.confidence is not None  # noqa: S101
    assert item.cost is not None and item.reason is not None  # noqa: S101
    pixels = brightened(frame.pixels())
    truth = color_mask(frame.truth(), card.taxonomy)
    truth[frame.truth() >= len(card.taxonomy)] = 255
    x_m = frame.index * APART_M
    cells = item.cost.resolution_m
    vehicle = (-item.cost.origin_y_m / cells, (x_m - item.cost.origin_x_m) / cells)
    return {
        "image": cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB),  # type: ignore[dict-item]
        "overlay": overlay(pixels, item.mask, card.taxonomy, alpha=0.45),
        "label (AI4Mars)": truth,
        "confidence": confidence_picture(item.confidence),
        "grid": grid_picture(
            item.cost.values,
            item.reason.values.astype(np.uint8),
            resolution_m=cells,
            vehicle_row_col=vehicle,
            side_px=GRID_SIDE_PX,
        ),
    }


def _shares(shown: list[_PictureMessages], card: ModelCard) -> dict[str, float]:
    counts: NDArray[np.int64] = np.zeros(256, dtype=np.int64)
    for item in shown:
        if item.mask is not None:
            counts += np.bincount(item.mask.ravel(), minlength=256)
    return class_shares(counts, card.taxonomy)


def _grid_legend(shown: Sequence[_PictureMessages]) -> Legend:
    """Return the legend of the grids' colours, with the reasons that occur."""
    found: set[Reason] = set()
    for item in shown:
        if item.cost is not None and item.reason is not None:
            found |= reasons_in(item.cost.values, item.reason.values.astype(np.uint8))
    return grid_legend(found)


def _grid_sheet(grids: Sequence[U8], labels: Sequence[str], legend: Legend) -> U8:
    pictures = sheet(grids, columns=SHEET_COLUMNS, labels=labels)
    strip = legend_strip(legend, width_px=pictures.shape[1])
    return np.concatenate([pictures, strip])


def _page(
    card: ModelCard,
    summary: dict[str, Any],
    *,
    rows: dict[str, list[Row]],
    shares: dict[str, float],
    grid_legend: Legend,
    scenes: Sequence[Section],
    twins: TwinResult | None,
) -> Page:
    twin_notes = () if twins is None else (f"{twins.text[:1].upper()}{twins.text[1:]}.",)
    simulated = {"simulated terrain": WORLD_LEGEND, "grid against truth": COMPARISON_LEGEND}
    return Page(
        title="Mars through terrain_seg_ros",
        lead=(
            "Real Curiosity NavCam images, played as camera topics on a DDS bus, segmented by the "
            f"live node and projected onto the ground. Each is held for {HOLD} camera images."
        ),
        facts=_facts(summary),
        legends={
            "terrain": [(entry.name, entry.color_rgb) for entry in card.taxonomy],
            "grid": grid_legend,
            **(simulated if scenes else {}),
        },
        tables={
            "Latency per stage": (LATENCY_HEAD, latency_rows(summary["latency_ms"])),
            "Share of all pixels": (SHARE_HEAD, share_rows(shares)),
            **({} if twins is None else {"Both nodes on the same images": (HEADER, twins.rows)}),
        },
        notes=(*NOTES, *(SIM_NOTES if scenes else ()), *twin_notes),
        sections=[
            *(
                Section(scene, f"Pictures of one drive, by rover clock: {len(items)}", items)
                for scene, items in rows.items()
            ),
            *scenes,
        ],
    )


def _facts(summary: dict[str, Any]) -> dict[str, str]:
    total = summary["latency_ms"].get("total", {})
    return {
        "node": summary.get("node", "node without ROS"),
        "model": summary["model"],
        "backend": f"{summary['backend']} {summary['precision']}",
        "frames in / out": f"{summary['images_in']} / {summary['images_out']}",
        "dropped": str(sum(summary["dropped"].values())),
        "refused": str(sum(summary["refused"].values())),
        "node, median": f"{total.get('p50', 0.0):.1f} ms",
    }


def _write(path: Path, pixels: U8) -> None:
    if not cv2.imwrite(str(path), cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)):
        raise ConfigError(f"{path} cannot be written; check the folder")
