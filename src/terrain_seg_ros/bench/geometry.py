"""The stages after the network: from pixels to grid and landing sites, on one processor."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import cv2
import numpy as np

from terrain_seg_ros.core.geometry.frames import rotation_from_rpy
from terrain_seg_ros.core.ground.measurement import DepthImage
from terrain_seg_ros.core.types import Transform
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.score.closed_loop import RenderedView
from terrain_seg_ros.score.scenarios import body_of, camera_of, scenarios_of
from terrain_seg_ros.score.score_worlds import (
    ViewRenderer,
    scenario_parameters,
    scenario_path,
    scenario_world,
)
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY

SEED = 1
CELLS_PER_SIDE = 400
STAGES = ("project", "fuse", "cost")
STEP_M, TURN_RAD = 0.03, 0.002
"""What the vehicle moves between two images: 1 m/s at 30 Hz."""
TILT_RAD = 0.01
PERIOD_NS = 33_333_333


@dataclass(frozen=True)
class GroundCase:
    """A way of finding the ground, and the scenario that it is timed in."""

    name: str
    mode: str
    scenario: str
    tilts: bool = False


GROUND_CASES = (
    GroundCase("plane, camera fixed to it", "rover", "slope"),
    GroundCase("plane, body pitches", "rover", "flat_tilt", tilts=True),
    GroundCase("depth image", "rover", "rough_depth"),
    GroundCase("lander, plane", "lander", "descent"),
    GroundCase("lander, depth image", "lander", "descent_depth"),
)


def time_geometry(rounds: int) -> list[dict[str, Any]]:
    """Return the median milliseconds of each way of finding the ground.

    One picture of 256 x 256 pixels with its true mask, seen from a vehicle that moves on, goes into
    a grid of 400 x 400 cells, round after round, on one processor.

    Args:
        rounds: that are timed.
    """
    with _one_processor():
        return [_time(case, rounds) for case in GROUND_CASES]


def _time(case: GroundCase, rounds: int) -> dict[str, Any]:
    scenario = scenarios_of(case.mode, (case.scenario,))[0]
    parameters = scenario_parameters(scenario, masks="truth", model=None)
    size_m = CELLS_PER_SIDE * parameters.pipeline.grid.resolution_m
    parameters = parameters.with_values(
        {"grid.size_m": size_m, "threads": 1, "backend": "onnxruntime"}
    )
    world = scenario_world(scenario, SEED, body_of(scenario, SEED, taxonomy=WORLD_TAXONOMY))
    poses = scenario_path(scenario, world, SEED)
    view = ViewRenderer(scenario, world, parameters, masks="truth").render(poses[-1])
    measured = DepthImage(view.cast.depth_m, 0) if scenario.with_depth else None
    stages_ms: dict[str, list[float]] = {name: [] for name in STAGES}
    landing_ms = []
    with Session(parameters) as session:
        step = session.pipeline.segment(view.image)
        for index in range(rounds):
            moved = _moved(view, index, tilt_rad=TILT_RAD if case.tilts else 0.0)
            fused = session.pipeline.fuse(
                step,
                camera_of(scenario),
                grid_T_camera=moved @ view.world_T_camera,
                grid_T_base=moved @ view.world_T_base,
                stamp_ns=view.stamp_ns + index * PERIOD_NS,
                measured=measured,
            )
            for name in STAGES:
                stages_ms[name].append(fused.stage_ms[name])
            if case.mode == "lander":
                start = perf_counter()
                session.pipeline.products.landing_sites(fused.grid, (0.0, 0.0))
                landing_ms.append((perf_counter() - start) * 1e3)
    medians = {name: float(np.median(values)) for name, values in stages_ms.items()}
    return {
        "way": case.name,
        "cells": CELLS_PER_SIDE,
        "stage_median_ms": medians,
        "sum_ms": float(np.median(np.sum(list(stages_ms.values()), axis=0))),
        "landing_ms": float(np.median(landing_ms)) if landing_ms else None,
    }


def _moved(view: RenderedView, index: int, *, tilt_rad: float) -> Transform:
    """Return how the vehicle has moved after some images: ahead, turned, and pitched or not."""
    pitch_rad = tilt_rad * math.sin(0.5 * index)
    rotation = rotation_from_rpy(0.0, pitch_rad, TURN_RAD * index)
    base_m = view.world_T_base.translation_m
    ahead_m = STEP_M * index * view.world_T_base.rotation[:, 0]
    return Transform(rotation, base_m + ahead_m - rotation @ base_m)


@contextmanager
def _one_processor() -> Iterator[None]:
    """Keep this thread and OpenCV on one processor, where the platform can."""
    threads = cv2.getNumThreads()
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    cv2.setNumThreads(1)
    if allowed is not None:
        os.sched_setaffinity(0, {min(allowed)})
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
        if allowed is not None:
            os.sched_setaffinity(0, allowed)
