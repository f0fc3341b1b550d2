"""Measure a bag that was recorded in a world of `terrain-seg world` against the world's truth.

    python -m terrain_seg_ros.bench.recorded_world score BAG --body mars --seed 1
    python -m terrain_seg_ros.bench.recorded_world code BAG OUT

`score` compares the grids of the bag, and its depth and labels, with the world. `code` writes a bag
with the true labels in place of the camera's images, for a replay with the model `truth_mask`.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from terrain_seg_ros.bench.true_images import (
    DEPTH,
    IMAGE,
    INFO,
    LABELS,
    TRANSFORMS,
    WAITING,
    classes_of,
    items,
    thinned,
    write_coded,
)
from terrain_seg_ros.core.errors import ConfigError, GeometryError, TerrainSegError
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_seg_ros.core.geometry.transform_buffer import TransformBuffer
from terrain_seg_ros.core.grid.cost_to_safe_map import cost_to_safe_map
from terrain_seg_ros.core.grid.costs import COST_UNKNOWN
from terrain_seg_ros.core.types import F32, U8, UNLABELLED, GridSnapshot, Transform
from terrain_seg_ros.messages.camera_info_message import camera_model
from terrain_seg_ros.messages.depth_message import decode_depth
from terrain_seg_ros.messages.grid_message import GridValues, decode_grid
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.transform_message import StampedTransform, decode_each
from terrain_seg_ros.parameters.file import NAMESPACE
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.parameters.shipped import MODES
from terrain_seg_ros.report.output_place import check_output_file, holds_json, write_whole
from terrain_seg_ros.score.scenarios import MIN_HAZARD_M
from terrain_seg_ros.score.score_picture import run_picture, write_picture
from terrain_seg_ros.score.tally import Tally, figures
from terrain_seg_ros.score.truth_comparison import TruthComparison
from terrain_seg_ros.score.truth_field import TruthField
from terrain_seg_ros.worlds.cast_rays import RayCast, cast_rays
from terrain_seg_ros.worlds.gazebo.world_to_sdf import gazebo_world
from terrain_seg_ros.worlds.world import Body, World

GRID, SITE = f"{NAMESPACE}/hazard_grid", f"{NAMESPACE}/best_landing_site"
CACHE_S = 1e6
NEAR_M = 20.0
"""Depth is compared up to this distance."""
OTHER_WORLD_M = 0.3
"""An error of depth above this, at 98 %, says that the bag shows another world."""


@dataclass
class Rendering:
    """How far a renderer's depth and labels agree with rays cast into the world."""

    camera: CameraModel
    equal_px: int = 0
    labelled_px: int = 0
    errors_m: list[F32] = field(default_factory=list)

    def add(self, cast: RayCast, depth_m: F32, classes: U8 | None) -> None:
        """Compare one view, which has the size of the cast."""
        near = np.isfinite(depth_m) & (cast.depth_m < NEAR_M)
        self.errors_m.append(np.abs(depth_m - cast.depth_m)[near])
        if classes is not None:
            known = classes != UNLABELLED
            self.labelled_px += int(known.sum())
            self.equal_px += int((known & (classes == cast.mask)).sum())

    def result(self) -> dict[str, float | None]:
        """Return the figures, None without anything to compare."""
        errors_m = np.concatenate(self.errors_m) if self.errors_m else np.zeros(0)
        parts = np.percentile(errors_m, [50, 98]).tolist() if errors_m.size else [None, None]
        return {
            "labels_equal_share": self.equal_px / self.labelled_px if self.labelled_px else None,
            "depth_error_median_m": parts[0],
            "depth_error_98_percent_m": parts[1],
        }


@dataclass
class Measured:
    """A bag compared with its world."""

    comparison: TruthComparison
    rendering: Rendering
    places_m: list[tuple[float, float]]
    images: int
    without_pose: int = 0
    """Grids that were not compared: of before the first transform, or after the last."""

    def result(self) -> dict[str, Any]:
        """Return all figures."""
        tally = self.comparison.finish()
        steps_m = np.diff(np.array(self.places_m), axis=0)
        kept = figures([tally])
        for name in ("worlds", "latency_ms", "novel_view_share", "landings_chosen"):
            del kept[name]
        return {
            "body": tally.body,
            "seed": tally.seed,
            "images": self.images,
            "grids": len(self.places_m),
            "grids_without_pose": self.without_pose,
            "path_m": float(np.linalg.norm(steps_m, axis=1).sum()),
            **self.rendering.result(),
            **{name: value for name, value in kept.items() if not name.endswith("_interval")},
        }


def measure(bag: Path, world: World, parameters: NodeSettings) -> Measured:
    """Compare all grids of a bag with the truth of the world that it was recorded in.

    The grids' frame is the world's, as that of the true pose is in Gazebo. What is in view is
    counted at the size of the shipped networks' input, at which the node looks.

    Raises:
        ConfigError: the bag lacks grids, camera or transforms, or shows another world.
    """
    settings = parameters.pipeline
    truth = TruthField(
        world,
        cell_m=settings.grid.resolution_m,
        min_hazard_m=MIN_HAZARD_M,
        max_slope_rad=math.radians(settings.slope.max_slope_deg),
        baseline_m=settings.slope.baseline_m,
    )
    poses, camera, frame = _poses(bag)
    small, _, _ = thinned(camera)
    tally = Tally("recorded", world.body.value, world.seed)
    done = Measured(TruthComparison(truth, settings, small, tally), Rendering(camera), [], 0)
    views: dict[int, dict[str, Any]] = {}
    last: GridSnapshot | None = None
    site_m: tuple[float, float] | None = None
    for item in items(bag, (IMAGE, DEPTH, LABELS, GRID, SITE)):
        done.images += item.topic == IMAGE
        stamp = stamp_ns(item.message.header)
        if item.topic in (DEPTH, LABELS):
            views.setdefault(stamp, {})[item.topic] = item.message
            if len(views) > WAITING:
                del views[min(views)]
        elif item.topic == SITE:
            site_m = (item.message.pose.position.x, item.message.pose.position.y)
        elif item.topic == GRID and (decode_grid(item.message).values != COST_UNKNOWN).any():
            grid = snapshot(decode_grid(item.message))
            try:
                world_T_base, world_T_camera = (
                    poses.lookup(grid.frame_id, name, stamp)
                    for name in (settings.ground.base_frame, frame)
                )
            except GeometryError:
                done.without_pose += 1
                continue
            last = grid
            _compare(done, last, (world_T_base, world_T_camera), views.pop(stamp, {}))
    if last is None:
        raise ConfigError(
            f"bag '{bag}' has no {GRID} that knows anything; replay it, and see whether all images "
            "are refused, such as for being unlike the network's training"
        )
    if parameters.output.landing_enable:
        done.comparison.compare_site(last, site_m)
    error_m = done.rendering.result()["depth_error_98_percent_m"]
    if error_m is not None and error_m > OTHER_WORLD_M:
        raise ConfigError(
            f"bag '{bag}' shows another world than {world.body.value} {world.seed}: its depth is "
            f"{error_m:.2f} m off at 98 %; check --body and --seed"
        )
    return done


def _compare(
    done: Measured, grid: GridSnapshot, poses: tuple[Transform, Transform], view: dict[str, Any]
) -> None:
    world, (world_T_base, world_T_camera) = done.comparison.field.world, poses
    cast = cast_rays(world, done.comparison.camera, world_T_camera)
    if DEPTH in view:
        classes = classes_of(view[LABELS]) if LABELS in view else None
        whole = cast_rays(world, done.rendering.camera, world_T_camera)
        done.rendering.add(whole, decode_depth(view[DEPTH]).depth_m, classes)
    x_m, y_m, z_m = world_T_camera.translation_m.tolist()
    ahead = world_T_base.rotation[:, 0]
    safe = cost_to_safe_map(
        grid.cost,
        done.comparison.settings.footprint,
        resolution_m=grid.resolution_m,
        heading_rad=math.atan2(ahead[1], ahead[0]),
    )
    height_m = z_m - float(np.nan_to_num(world.ground_height_m(x_m, y_m)))
    done.comparison.compare(grid, safe, cast, height_m=height_m)
    done.places_m.append(
        (float(world_T_base.translation_m[0]), float(world_T_base.translation_m[1]))
    )


def _poses(bag: Path) -> tuple[TransformBuffer, CameraModel, str]:
    """Return the transforms of a bag, its camera, and the frame of that."""
    buffer, info = TransformBuffer(CACHE_S), None
    for item in items(bag, (*TRANSFORMS, INFO)):
        if item.topic == INFO:
            info = info or item.message
            continue
        for one in decode_each(item.message):
            if isinstance(one, StampedTransform):
                static = item.topic == "/tf_static"
                buffer.set(one.parent, one.child, one.stamp_ns, one.transform, static)
    if info is None:
        raise ConfigError(f"bag '{bag}' has no {INFO}; record the namespace {NAMESPACE}")
    return buffer, camera_model(info), str(info.header.frame_id)


def snapshot(grid: GridValues) -> GridSnapshot:
    """Return a grid that was received as the node had it; reasons are not part of the message."""
    unknown = grid.values == COST_UNKNOWN
    return GridSnapshot(
        cost=grid.values,
        hazard=np.where(unknown, np.nan, grid.values / 100.0).astype(np.float32),
        reason=np.zeros(grid.values.shape, dtype=np.uint8),
        resolution_m=round(grid.resolution_m, 6),  # the message has a float32
        origin_x_m=grid.origin_x_m,
        origin_y_m=grid.origin_y_m,
        frame_id=grid.frame_id,
        stamp_ns=grid.stamp_ns,
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run one of the two commands."""
    arguments = _parser().parse_args(words)
    try:
        if arguments.command == "code":
            count = write_coded(arguments.bag, arguments.target)
            print(f"{count} images of true labels in {arguments.target}")
            target = shlex.quote(str(arguments.target))
            print(f"next  terrain-seg replay {target} OUT --model truth_mask")
        else:
            _score(arguments)
    except TerrainSegError as error:
        print(f"recorded_world: error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    code = commands.add_parser("code", help="write the true labels as images")
    score = commands.add_parser("score", help="compare the grids with the world")
    for each in (code, score):
        each.add_argument("bag", type=Path, help="bag of sim.launch.py record:=true, or a replay's")
    code.add_argument("target", type=Path, help="bag to write")
    score.add_argument("--body", choices=[body.value for body in Body], required=True)
    score.add_argument("--seed", type=int, required=True, help="seed of the world")
    score.add_argument("--mode", choices=MODES, default=MODES[0])
    score.add_argument("--params", type=Path, action="append", default=[], metavar="FILE")
    score.add_argument("--picture", type=Path, metavar="FILE", help="draw truth, grid and path")
    score.add_argument("--json", type=Path, metavar="FILE", help="also write the figures")
    return parser


def _score(arguments: argparse.Namespace) -> None:
    if arguments.json is not None:
        check_output_file(arguments.json, option="--json", is_own=holds_json("body", "grids"))
    if arguments.picture is not None:
        # No picture says who drew it: none is replaced.
        check_output_file(arguments.picture, option="--picture", is_own=lambda _: False)
    parameters = load_parameters(*arguments.params, shipped=arguments.mode)
    world = gazebo_world(Body(arguments.body), arguments.seed)
    done = measure(arguments.bag, world, parameters)
    result = done.result()
    shown = {name: value for name, value in result.items() if isinstance(value, (int, float, str))}
    print("\n".join(f"{name}: {value}" for name, value in shown.items()))
    if result["depth_error_98_percent_m"] is None:
        print(f"no {DEPTH} of a grid's stamp: whether the bag shows this world was not checked")
    if arguments.json is not None:
        write_whole(arguments.json, json.dumps(result, indent=2) + "\n")
    if arguments.picture is not None:
        cells = done.comparison.cells_of(done.places_m)
        write_picture(arguments.picture, run_picture(done.comparison.layers(), path_cells=cells))


if __name__ == "__main__":
    sys.exit(main())
