"""Scoring of many worlds: generate each world, run the closed loop in it, and count."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.pipeline import Pipeline
from terrain_seg_ros.core.types import U8, CameraImage, Transform
from terrain_seg_ros.fleet.pieces import Place, absolute, run_pieces
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.parameters.node_settings import NodeSettings
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.runtime.vehicle_pose import static_mounting
from terrain_seg_ros.score.closed_loop import ClosedLoop, RenderedView
from terrain_seg_ros.score.paths import PathPose, descend, drive, pose_on_ground
from terrain_seg_ros.score.rendered_ahead import FORMAT, RenderedAhead, scene_content
from terrain_seg_ros.score.scenarios import (
    MIN_HAZARD_M,
    MODES,
    Scenario,
    body_of,
    camera_of,
    perfect_mask,
    scenarios_of,
)
from terrain_seg_ros.score.score_picture import run_picture, write_picture
from terrain_seg_ros.score.stereo_noise import StereoNoise
from terrain_seg_ros.score.tally import Tally
from terrain_seg_ros.score.truth_field import TruthField
from terrain_seg_ros.score.variants import Variant
from terrain_seg_ros.worlds.cast_rays import RayCast, cast_rays
from terrain_seg_ros.worlds.coded_image import coded_image
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.render import render_view
from terrain_seg_ros.worlds.settings import WorldSettings, default_settings
from terrain_seg_ros.worlds.world import Body, World

SIDE_M = {"rover": 60.0, "lander": 80.0}
SPACING_M = 0.1
GOLDEN_ANGLE_RAD = math.pi * (3.0 - math.sqrt(5.0))
"""Step of the azimuths of slope and sun between seeds, which covers all directions evenly."""
TRUTH_MODEL = "truth_mask"
MAX_VIEWS = 10_000
"""More than a path has, so that no two views share the noise of their depth."""


@dataclass(frozen=True)
class ScoreRequest:
    """A request to score worlds; empty `scenarios` means all of the mode, in turn.

    `max_novelty` replaces the parameter `observability.max_novelty`, None keeps it. `renders` is a
    folder of images made ahead (`rendered_ahead`), all of the Moon. With `stereo_baseline_m`,
    depth is that of a stereo camera of this baseline instead of the true one. `params` are
    parameter files on top of the shipped one; each of `variants` is scored on the same images
    besides. Worlds are scored by `jobs` processes or by the workers of
    the Dask scheduler at `cluster`, with the same result.
    """

    worlds: int
    seed: int
    masks: str
    mode: str
    model: str | None
    scenarios: tuple[str, ...]
    jobs: int
    pictures: Path | None
    views: int | None = None
    max_novelty: float | None = None
    renders: Path | None = None
    stereo_baseline_m: float | None = None
    cluster: str | None = None
    params: tuple[Path, ...] = ()
    variants: tuple[Variant, ...] = ()

    def place(self) -> Place:
        """Return where the worlds are scored, with the paths that workers of a cluster need."""
        reads = [*self.params, *([] if self.renders is None else [self.renders])]
        if self.model is not None and Path(self.model).exists():
            reads.append(Path(self.model))
        return Place(self.jobs, self.cluster, writes=self.pictures, reads=tuple(reads))


@dataclass(frozen=True)
class ScoreTask:
    """One world to score."""

    scenario: Scenario
    seed: int
    masks: str
    model: str | None
    threads: int
    pictures: Path | None
    views: int | None
    max_novelty: float | None
    renders: Path | None
    stereo_baseline_m: float | None = None
    params: tuple[Path, ...] = ()
    variants: tuple[Variant, ...] = ()


def has_own_pictures(folder: Path) -> bool:
    """Return whether a folder contains only pictures of earlier scores."""
    names = "|".join(re.escape(scenario.name) for mode in MODES for scenario in scenarios_of(mode))
    own = re.compile(rf"({names})_[0-9]+\.png")
    return all(own.fullmatch(path.name) for path in folder.iterdir())


def score_worlds(
    request: ScoreRequest, *, say: Callable[[str], None]
) -> Iterator[tuple[Tally, ...]]:
    """Yield the counts of each world when it is finished, in any order.

    The first of them is that of the parameters as they are, the others those of the variants.

    Args:
        request: what is scored and where.
        say: called with a line about the cluster.

    Raises:
        ConfigError: a scenario does not exist in the mode, parameters name classes that the
            model lacks, or the cluster cannot be used.
        ModelError: the model cannot be used.
        PieceError: processes were killed again and again.
    """
    scenarios = scenarios_of(request.mode, request.scenarios)
    if request.pictures is not None:
        request.pictures.mkdir(parents=True, exist_ok=True)
    model, place = request.model, request.place()
    tasks = [
        ScoreTask(
            scenarios[index % len(scenarios)],
            request.seed + index,
            request.masks,
            model and str(absolute(Path(model))),
            threads=1,
            pictures=request.pictures and request.pictures.absolute(),
            views=request.views,
            max_novelty=request.max_novelty,
            renders=request.renders and request.renders.absolute(),
            stereo_baseline_m=request.stereo_baseline_m,
            params=tuple(path.absolute() for path in request.params),
            variants=request.variants,
        )
        for index in range(request.worlds)
    ]
    for outcome in run_pieces(score_world, tasks, place, say=say):
        yield outcome.get()


def score_world(task: ScoreTask) -> tuple[Tally, ...]:
    """Return the counts of one world: of the parameters as they are, and of each variant."""
    scenario = task.scenario
    parameters, stereo = _task_parameters(task)
    ahead = None if task.renders is None else RenderedAhead(task.renders)
    card = load_card(parameters.inference.model)
    body = (
        Body.MOON
        if ahead
        else body_of(
            scenario, task.seed, taxonomy=card.taxonomy, bodies=card.training.get("bodies", ())
        )
    )
    world = scenario_world(scenario, task.seed, body)
    slope = parameters.pipeline.slope.max_slope_deg
    field = TruthField(
        world,
        cell_m=parameters.pipeline.grid.resolution_m,
        min_hazard_m=MIN_HAZARD_M,
        max_slope_rad=math.radians(slope),
        baseline_m=parameters.pipeline.slope.baseline_m,
    )
    with Session(parameters.with_values({"threads": task.threads})) as session:
        loops = [
            ClosedLoop(
                pipeline,
                field,
                camera_of(scenario),
                Tally(scenario=scenario.name, body=world.body.value, seed=task.seed),
                judged_by=parameters.pipeline,
            )
            for pipeline in _pipelines(session, task.variants)
        ]
        poses = scenario_path(scenario, world, task.seed, views=task.views)
        renderer = ViewRenderer(scenario, world, parameters, masks=task.masks, ahead=ahead)
        for number, pose in enumerate(poses):
            view = renderer.render(pose, number)
            depth_m = view.cast.depth_m if scenario.with_depth else None
            if depth_m is not None and stereo is not None:
                depth_m = stereo.measure(depth_m, seed=task.seed * MAX_VIEWS + number)
            start = perf_counter()
            step = session.pipeline.segment(view.image)
            took_s = perf_counter() - start
            grids = [loop.add_masks(step, view, depth_m=depth_m, took_s=took_s) for loop in loops]
        sites = [
            loop.score_landing_site(grid, view) if scenario.mode == "lander" else None
            for loop, grid in zip(loops, grids)
        ]
    if task.pictures is not None:
        loop, site = loops[0], sites[0]
        picture = run_picture(
            loop.layers(), path_cells=loop.cells_of(poses), site=loop.disc_of(site)
        )
        write_picture(task.pictures / f"{scenario.name}_{task.seed}.png", picture)
    return tuple(loop.finish() for loop in loops)


def _task_parameters(task: ScoreTask) -> tuple[NodeSettings, StereoNoise | None]:
    """Return the parameters of a task, and the noise of its depth, if any."""
    scenario = task.scenario
    parameters = scenario_parameters(
        scenario, masks=task.masks, model=task.model, params=task.params
    )
    if task.max_novelty is not None:
        parameters = parameters.with_values({"observability.max_novelty": task.max_novelty})
    if task.stereo_baseline_m is None:
        return parameters, None
    stereo = StereoNoise(camera_of(scenario).fx_px, task.stereo_baseline_m)
    sigma = {"depth.range_sigma_per_m2": stereo.range_sigma_per_m2}
    return parameters.with_values(sigma), stereo


def _pipelines(session: Session, variants: Sequence[Variant]) -> list[Pipeline]:
    """Return the session's pipeline and one for each variant, with the same network."""
    changed = [session.parameters.with_values(one.changes, running=True) for one in variants]
    more = [Pipeline(session.model.card, session.backend, one.pipeline) for one in changed]
    return [session.pipeline, *more]


def scenario_parameters(
    scenario: Scenario, *, masks: str, model: str | None, params: Sequence[Path] = ()
) -> NodeSettings:
    """Return the shipped parameters of a mode, files on top, and those of a scenario on top.

    Raises:
        ConfigError: they are inconsistent.
    """
    overrides = dict(scenario.overrides)
    if masks != "model":
        overrides["model"] = TRUTH_MODEL
    elif model is not None:
        overrides["model"] = model
    return load_parameters(*params, overrides=overrides, shipped=scenario.mode)


def picture_plan(request: ScoreRequest) -> dict[str, Any]:
    """Return the worlds and views of a request on the Moon, for `terrain-train render-score`.

    Scenarios whose lens distorts are left out, since the path tracer has none.

    Raises:
        ConfigError: a scenario does not exist in the mode, or is one of those.
    """
    scenarios = tuple(item for item in scenarios_of(request.mode, request.scenarios))
    if request.scenarios and any(item.lens for item in scenarios):
        raise ConfigError("a scenario with a lens that distorts cannot be rendered ahead; omit it")
    scenarios = tuple(item for item in scenarios if not item.lens)
    scenes = []
    for index in range(request.worlds):
        scenario, seed = scenarios[index % len(scenarios)], request.seed + index
        world = scenario_world(scenario, seed, Body.MOON)
        parameters = scenario_parameters(scenario, masks="truth", model=None)
        base_T_camera = static_mounting(parameters)
        path = scenario_path(scenario, world, seed, views=request.views)
        scenes.append(
            scene_content(
                scenario,
                seed,
                settings=scenario_settings(scenario, seed, Body.MOON),
                side_m=SIDE_M[scenario.mode],
                spacing_m=SPACING_M,
                camera=camera_of(scenario),
                poses=[pose.world_T_base @ base_T_camera for pose in path],
            )
        )
    return {
        "format": FORMAT,
        "mode": request.mode,
        "seed": request.seed,
        "worlds": request.worlds,
        "views": request.views,
        "scenarios": [item.name for item in scenarios],
        "scenes": scenes,
    }


def scenario_world(scenario: Scenario, seed: int, body: Body) -> World:
    """Return the world of a seed for a scenario."""
    settings = scenario_settings(scenario, seed, body)
    return generate_world(
        body, seed, side_m=SIDE_M[scenario.mode], spacing_m=SPACING_M, settings=settings
    )


def scenario_settings(scenario: Scenario, seed: int, body: Body) -> WorldSettings:
    """Return what the world of a seed is generated from."""
    return replace(
        default_settings(body),
        tilt_azimuth_rad=GOLDEN_ANGLE_RAD * seed,
        sun_azimuth_rad=2.0 * GOLDEN_ANGLE_RAD * seed,
        **scenario.ground,
    )


def scenario_path(
    scenario: Scenario, world: World, seed: int, *, views: int | None = None
) -> tuple[PathPose, ...]:
    """Return the drive or descent of a seed; `views` overrides the scenario's number of poses."""
    if scenario.mode == "lander":
        descent = replace(scenario.descent, count=views or scenario.descent.count)
        return descend(world, descent, seed=seed)
    return drive(world, replace(scenario.drive, count=views or scenario.drive.count), seed=seed)


class ViewRenderer:
    """Renders views of a world, either as coded true masks or as camera images."""

    def __init__(
        self,
        scenario: Scenario,
        world: World,
        parameters: NodeSettings,
        *,
        masks: str,
        ahead: RenderedAhead | None = None,
    ) -> None:
        """Mount the camera according to the parameters; `ahead` are images made before."""
        self._ahead = ahead
        self._scenario = scenario
        self._world = world
        self._camera = camera_of(scenario)
        self._base_T_camera = static_mounting(parameters)
        self._masks = masks

    def render(self, pose: PathPose, number: int = 0) -> RenderedView:
        """Return the view at a pose, the `number`-th of its path, with its ground truth."""
        world_T_camera = pose.world_T_base @ self._base_T_camera
        cast = cast_rays(self._world, self._camera, world_T_camera)
        pixels = (
            self._pixels(cast, seed=pose.stamp_ns // 1_000_000)
            if self._ahead is None
            else self._ahead.picture(self._scenario, self._world.seed, number)
        )
        return RenderedView(
            stamp_ns=pose.stamp_ns,
            image=CameraImage(pixels, pose.stamp_ns, "camera"),
            cast=cast,
            world_T_base=pose.world_T_base,
            world_T_camera=world_T_camera,
            height_m=self._height_m(pose.world_T_base, world_T_camera),
        )

    def _pixels(self, cast: RayCast, *, seed: int) -> U8:
        if self._masks != "model":
            least_m = MIN_HAZARD_M if self._masks == "truth" else math.inf
            mask = perfect_mask(self._world, cast, min_hazard_m=least_m)
            return coded_image(mask)
        return render_view(self._world, self._camera, cast.world_T_camera, seed=seed)

    def _height_m(self, world_T_base: Transform, world_T_camera: Transform) -> float:
        x_m, y_m, _ = world_T_base.translation_m.tolist()
        if self._scenario.mode == "lander":
            ground_m = float(self._world.ground_height_m(x_m, y_m))
            return float(world_T_camera.translation_m[2]) - ground_m
        up = pose_on_ground(self._world, x_m, y_m, 0.0).rotation[:, 2]
        return float(up @ (world_T_camera.translation_m - world_T_base.translation_m))
