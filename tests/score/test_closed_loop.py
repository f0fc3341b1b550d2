from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from support.small_world import small_world
from terrain_seg_ros.core.types import CameraImage
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.runtime.session import Session
from terrain_seg_ros.runtime.vehicle_pose import static_mounting
from terrain_seg_ros.score.closed_loop import ClosedLoop, RenderedView
from terrain_seg_ros.score.paths import pose_on_ground
from terrain_seg_ros.score.scenarios import camera_of, perfect_mask, scenarios_of
from terrain_seg_ros.score.tally import Tally, figures
from terrain_seg_ros.score.truth_comparison import rocks_in_view
from terrain_seg_ros.score.truth_field import TruthField
from terrain_seg_ros.worlds.cast_rays import cast_rays
from terrain_seg_ros.worlds.coded_image import coded_image
from terrain_seg_ros.worlds.world import ROCK, SOIL

FLAT = scenarios_of("rover", ("flat_tilt",))[0]
ROCKS = [(6.0, 0.0, 0.4), (7.0, 2.0, 0.25), (5.0, -2.0, 0.06), (9.0, 0.1, 0.3)]


@pytest.fixture(scope="module")
def session():
    overrides = {"model": "truth_mask", "backend": "onnxruntime", **FLAT.overrides}
    with Session(load_parameters(overrides=overrides)) as opened:
        yield opened


def loop_in(world, session):
    session.pipeline.reset_grid()
    field = TruthField(
        world, cell_m=0.1, min_hazard_m=0.2, max_slope_rad=math.radians(20), baseline_m=1.0
    )
    return ClosedLoop(session.pipeline, field, camera_of(FLAT), Tally("flat", "mars", 0))


def view_at(world, x_m, session, *, blind=False):
    base = pose_on_ground(world, x_m, 0.0, 0.0)
    camera_pose = base @ static_mounting(session.parameters)
    cast = cast_rays(world, camera_of(FLAT), camera_pose)
    mask = perfect_mask(world, cast, min_hazard_m=0.2)
    if blind:
        mask = np.where(mask == ROCK, SOIL, mask).astype(np.uint8)
    stamp_ns = round((1 + x_m) * 1e9)
    image = CameraImage(coded_image(mask), stamp_ns, "camera")
    return RenderedView(stamp_ns, image, cast, base, camera_pose, height_m=2.0)


def test_true_masks_find_all_rocks_and_call_nothing_safe_that_is_not(session):
    world = small_world(rocks=ROCKS)
    loop = loop_in(world, session)
    for x_m in (0.0, 0.5, 1.0):
        loop.add_view(view_at(world, x_m, session), depth_m=None)
    result = figures([loop.finish()])
    assert result["hazard_recall"] == 1.0
    assert result["false_safe_share"] == 0.0
    assert result["safe_found_share"] > 0.9
    assert result["called_safe_area_m2"] > 20.0
    assert result["observed_share"] > 0.95
    assert loop.tally.rocks_seen.sum() >= 6


def test_the_grid_after_each_view_is_counted(session):
    world = small_world(rocks=ROCKS)
    loop = loop_in(world, session)
    for x_m, blind in ((0.0, False), (0.5, True)):
        loop.add_view(view_at(world, x_m, session, blind=blind), depth_m=None)
    first, second = loop.finish().by_view
    assert first.called_safe > 10.0
    assert first.false_safe == 0.0
    assert 0.9 * first.findable < first.found <= first.called_safe
    assert second.findable > first.findable
    shares = figures([loop.tally])["by_view"]
    assert shares[0] == {
        "false_safe_share": 0.0,
        "safe_found_share": first.found / first.findable,
    }


def test_a_larger_vehicle_is_judged_by_the_truth_of_another(session):
    """What is safe is up to `judged_by`, so that sets of parameters can be compared."""
    world = small_world(rocks=ROCKS)
    settings = session.parameters.with_values({"footprint.radius_m": 2.0}).pipeline
    small = loop_in(world, session)
    small.add_view(view_at(world, 0.0, session), depth_m=None)
    session.pipeline.reset_grid()
    strict = ClosedLoop(
        session.pipeline,
        small._comparison.field,
        camera_of(FLAT),
        Tally("", "", 0),
        judged_by=settings,
    )
    strict.add_view(view_at(world, 0.0, session), depth_m=None)
    assert small.finish().false_safe_m2 == 0.0
    assert strict.finish().false_safe_m2 > 1.0


def test_a_network_that_misses_rocks_shows_in_every_figure(session):
    world = small_world(rocks=ROCKS)
    loop = loop_in(world, session)
    loop.add_view(view_at(world, 0.0, session, blind=True), depth_m=None)
    result = figures([loop.finish()])
    assert result["hazard_recall"] == 0.0
    assert result["false_safe_share"] > 0.05
    assert result["false_safe_area_m2"] > 1.0
    assert result["rock_cells_called_free_share"] > 0.5


def test_false_alarms_lower_precision_and_what_is_found(session):
    world = small_world(rocks=ROCKS)
    loop = loop_in(world, session)
    good = view_at(world, 0.0, session)
    pixels = good.image.pixels.copy()
    pixels[150:200, 60:200] = coded_image(np.full((1, 1), ROCK, np.uint8))[0, 0]
    loop.add_view(replace(good, image=replace(good.image, pixels=pixels)), depth_m=None)
    result = figures([loop.finish()])
    assert result["hazard_precision"] < 0.3
    assert result["safe_found_share"] < 0.9


def test_small_rocks_are_ground_to_a_perfect_network():
    world = small_world(rocks=ROCKS)
    cast = cast_rays(
        world,
        camera_of(FLAT),
        pose_on_ground(world, 0.0, 0.0, 0.0) @ static_mounting(load_parameters()),
    )
    mask = perfect_mask(world, cast, min_hazard_m=0.2)
    assert (mask[cast.rock == 2] == SOIL).all()
    assert (cast.mask[cast.rock == 2] == ROCK).all()
    assert (mask[cast.rock == 0] == ROCK).all()


def test_a_rock_behind_another_is_not_in_view():
    world = small_world(rocks=[(5.0, 0.0, 0.6), (7.0, 0.0, 0.5), (6.0, 3.0, 0.4)])
    cast = cast_rays(
        world,
        camera_of(FLAT),
        pose_on_ground(world, 0.0, 0.0, 0.0) @ static_mounting(load_parameters()),
    )
    assert (cast.rock == 1).any()
    assert set(rocks_in_view(cast)) == {0, 2}
