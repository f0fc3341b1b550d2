"""The page's part about the simulated scenes: pictures of truth, grid and path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.highlevel import AnyReader

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.grid.costs import COST_LETHAL, COST_UNKNOWN
from terrain_seg_ros.core.image.mask_to_picture import overlay
from terrain_seg_ros.core.types import F64, U8
from terrain_seg_ros.demo.sim_scenes import PlayedScene
from terrain_seg_ros.messages.grid_message import GridValues, decode_grid
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import decode_compressed, decode_image
from terrain_seg_ros.messages.transform_message import decode_transforms
from terrain_seg_ros.report.map_pictures import (
    comparison_colors,
    map_picture,
    truth_colors,
)
from terrain_seg_ros.report.page import Row, Section
from terrain_seg_ros.report.pictures import grid_colors, sheet
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY

MAP_SIDE_PX = 384
MOMENTS = 3
BY_STAMP = ("image/compressed", "mask", "hazard_grid", "hazard_reason", "best_landing_site")
NEEDED = BY_STAMP[:4]


@dataclass
class _Bag:
    """The content of a scene's bag: messages by stamp, the path, and the true hazards."""

    by_stamp: dict[int, dict[str, Any]] = field(default_factory=dict)
    path: dict[int, F64] = field(default_factory=dict)
    headings: dict[int, F64] = field(default_factory=dict)
    truth: GridValues | None = None

    def moments(self) -> list[int]:
        """Return the stamps at which everything needed is there."""
        return [
            stamp
            for stamp in sorted(self.by_stamp)
            if stamp in self.path and all(name in self.by_stamp[stamp] for name in NEEDED)
        ]


@dataclass(frozen=True)
class MadeScenes:
    """The sections of the page, and the pictures that were written."""

    sections: list[Section]
    paths: dict[str, Path]


def write_scenes(played: Sequence[PlayedScene], *, out: Path) -> MadeScenes:
    """Write a picture of truth, grid and path per scene; return the page's sections.

    Args:
        played: scenes.
        out: folder.

    Raises:
        ConfigError: a bag lacks what is shown, or a picture cannot be written.
    """
    sections, paths = [], {}
    for item in played:
        section = scene_section(item)
        path = out / f"{item.scene.name}.png"
        last = section.rows[-1].pictures.values()
        picture = cv2.cvtColor(sheet(list(last), columns=len(last)), cv2.COLOR_RGB2BGR)
        if not cv2.imwrite(str(path), picture):
            raise ConfigError(f"{path} cannot be written; check the folder")
        sections.append(section)
        paths[item.scene.name] = path
    return MadeScenes(sections, paths)


def scene_section(played: PlayedScene) -> Section:
    """Return the page's section of a scene.

    Raises:
        ConfigError: the bag lacks what is shown.
    """
    bag = _read(played.bag)
    moments = bag.moments()
    if not moments or bag.truth is None:
        raise ConfigError(
            f"{played.bag} lacks pictures with the node's answers, or the true hazards; the "
            "machine was too busy, try again"
        )
    chosen = [moments[i] for i in np.linspace(0, len(moments) - 1, MOMENTS).round().astype(int)]
    rows = [_moment_row(bag, stamp, moments[0]) for stamp in dict.fromkeys(chosen)]
    rows.append(_truth_row(bag, bag.truth, moments[-1]))
    summary = played.summary
    text = (
        f"{played.scene.text} Node: {summary['model']}, {summary['backend']} "
        f"{summary['precision']}; {summary['images_in']} images in, {summary['images_out']} out. "
        f"Camera: {played.source}."
    )
    return Section(played.scene.title, text, rows)


def _read(path: Path) -> _Bag:
    bag = _Bag()
    with AnyReader([path]) as reader:
        for connection, _, data in reader.messages():
            name = connection.topic.removeprefix("/terrain/")
            if name not in {*BY_STAMP, "truth/hazard_map", "/tf"}:
                continue
            message: Any = reader.deserialize(data, connection.msgtype)
            if name == "/tf":
                for item in decode_transforms(message):
                    bag.path[item.stamp_ns] = item.transform.translation_m
                    bag.headings[item.stamp_ns] = item.transform.rotation[:, 0]
            elif name == "truth/hazard_map":
                bag.truth = decode_grid(message)
            else:
                bag.by_stamp.setdefault(stamp_ns(message.header), {}).setdefault(name, message)
    return bag


def _moment_row(bag: _Bag, stamp: int, first: int) -> Row:
    parts = bag.by_stamp[stamp]
    picture = decode_compressed(parts["image/compressed"]).pixels
    mask = decode_image(parts["mask"]).pixels
    grid, reason = decode_grid(parts["hazard_grid"]), decode_grid(parts["hazard_reason"])
    colors = grid_colors(grid.values, reason.values.astype(np.uint8))
    seconds, height_m = (stamp - first) / 1e9, float(bag.path[stamp][2])
    caption = f"after {seconds:.1f} s, base_link at height {height_m:.1f} m"
    return Row(
        caption,
        {
            "camera": picture,
            "true classes, as the node gives them": overlay(
                picture, mask, WORLD_TAXONOMY, alpha=0.45
            ),
            "grid": _map(bag, grid, colors, stamp),
        },
    )


def _truth_row(bag: _Bag, truth: GridValues, stamp: int) -> Row:
    grid = decode_grid(bag.by_stamp[stamp]["hazard_grid"])
    hazard = cut_to(truth, grid)
    known = (grid.values != COST_UNKNOWN) & (hazard >= 0)
    called_free = known & (grid.values != COST_LETHAL)
    false_free = int((called_free & (hazard == COST_LETHAL)).sum())
    caption = (
        f"at the end: {int(known.sum())} cells of {grid.resolution_m:g} m observed; of the "
        f"{int(called_free.sum())} called free {false_free} touch a true hazard"
    )
    compared = comparison_colors(grid.values, hazard)
    reason = decode_grid(bag.by_stamp[stamp]["hazard_reason"]).values.astype(np.uint8)
    return Row(
        caption,
        {
            "truth and path": _map(bag, grid, truth_colors(hazard), stamp),
            "grid at the end": _map(bag, grid, grid_colors(grid.values, reason), stamp),
            "grid against truth": _map(bag, grid, compared, stamp),
        },
    )


def cut_to(truth: GridValues, grid: GridValues) -> NDArray[np.int8]:
    """Return the truth at the cells of a grid, -1 outside of it.

    Raises:
        ConfigError: the cells of the two are not the same.
    """
    offsets = [
        (grid_m - truth_m) / truth.resolution_m
        for grid_m, truth_m in (
            (grid.origin_y_m, truth.origin_y_m),
            (grid.origin_x_m, truth.origin_x_m),
        )
    ]
    row, col = (round(offset) for offset in offsets)
    same = abs(grid.resolution_m - truth.resolution_m) < 1e-6
    if not same or max(abs(row - offsets[0]), abs(col - offsets[1])) > 1e-3:
        raise ConfigError(
            f"truth has cells of {truth.resolution_m} m and the grid of {grid.resolution_m} m, "
            f"{offsets} apart, expected the same cells; give simulator and node one --params"
        )
    padded = np.full(grid.values.shape, -1, dtype=np.int8)
    rows, cols = truth.values.shape
    top, left = max(0, row), max(0, col)
    bottom, right = (
        min(rows, row + grid.values.shape[0]),
        min(cols, col + grid.values.shape[1]),
    )
    if top < bottom and left < right:
        part = truth.values[top:bottom, left:right]
        padded[top - row : bottom - row, left - col : right - col] = part
    return padded


def _map(bag: _Bag, grid: GridValues, colors: U8, stamp: int) -> U8:
    corner_m = np.array([grid.origin_y_m, grid.origin_x_m])
    places = [bag.path[item][[1, 0]] for item in sorted(bag.path) if item <= stamp]
    heading = bag.headings[stamp][[1, 0]]
    site = bag.by_stamp[stamp].get("best_landing_site")
    site_row_col: list[float] = []
    if site is not None:
        at = site.pose.position
        site_row_col = ((np.array([at.y, at.x]) - corner_m) / grid.resolution_m).tolist()
    return map_picture(
        colors,
        side_px=MAP_SIDE_PX,
        path_row_col=(np.array(places) - corner_m) / grid.resolution_m,
        heading_row_col=heading / max(1e-9, float(np.linalg.norm(heading))),
        site_row_col=site_row_col,
    )
