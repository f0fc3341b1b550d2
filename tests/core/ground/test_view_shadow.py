"""Test what protruding objects hide: feet, depth, merged regions, edges, cells, invariance."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support.numpy_shadow import numpy_hide_shadows
from support.scenes import (
    CELL_M,
    FISHEYE,
    LENS,
    PINHOLE,
    STRETCH,
    cells,
    mounting,
    pose,
    project,
    projector,
)
from support.small_worlds import flat
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.ground.ground_view import GroundView
from terrain_seg_ros.core.ground.view_shadow import ShadowSettings, hide_shadows
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.core.types import Reason
from terrain_seg_ros.worlds.cast_rays import cast_rays
from terrain_seg_ros.worlds.world import ROCK

tilt = st.floats(-math.radians(10), math.radians(10))
yaw = st.floats(-math.pi, math.pi)
TAXONOMY = Taxonomy(
    (
        TerrainClass(0, "soil", (1, 1, 1), 0.0),
        TerrainClass(1, "sand", (2, 2, 2), 0.5),
        TerrainClass(2, "rock", (3, 3, 3), 1.0),
    )
)


def see(rows, base=None, *, camera=PINHOLE, ratio=1.0, cell_m=CELL_M, mount=None):
    """Return the ray cast of rocks on level ground and the view with what they hide."""
    base = base or pose()
    mount = mount or mounting()
    world = flat(80.0, 1.0, *rows)
    cast = cast_rays(world, camera, base @ mount, geometry=STRETCH)
    view = project(projector(cell_m=cell_m), base, camera=camera, mount=mount)
    shaded = hide_shadows(
        view,
        (cast.mask == ROCK).astype(np.uint8),
        camera_m=(base @ mount).translation_m,
        depth_ratio=ratio,
        cell_m=cell_m,
    )
    return cast, view, shaded


def rock(x, y, radius, height=None):
    return (x, y, 0.0, radius, radius, radius if height is None else height, 0.0)


def shown(cast, view):
    """Return x and y of the pixels of rocks that count as seen."""
    good = (cast.mask == ROCK) & (view.reason == Reason.OBSERVED)
    return view.local_x_m[good], view.local_y_m[good]


@given(
    camera=st.sampled_from([PINHOLE, LENS, FISHEYE]),
    angles=st.tuples(tilt, tilt),
    radius=st.floats(0.15, 0.5),
    at=st.tuples(st.floats(2.5, 6.0), st.floats(-0.2, 0.2)),
    height=st.floats(0.5, 1.2),
)
@settings(max_examples=40)
def test_a_rock_is_where_its_foot_is(camera, angles, radius, at, height):
    x, y = at[0], at[0] * at[1]
    cast, _, shaded = see([rock(x, y, radius, radius * height)], pose(*angles), camera=camera)
    seen_x, seen_y = shown(cast, shaded)
    assert seen_x.size
    apart = np.hypot(seen_x - x, seen_y - y) - radius
    pixel_m = float(shaded.ground_sample_m[(cast.mask == ROCK)].min())
    assert apart.max() <= 0.5 * radius + CELL_M + 2.0 * pixel_m


@given(turn=yaw, at=st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)))
@settings(max_examples=25)
def test_moving_and_turning_the_whole_scene_changes_nothing(turn, at):
    rows = [rock(3.0, 0.4, 0.3), rock(4.5, -0.8, 0.4), rock(4.2, 0.5, 0.5)]
    cast, _, here = see(rows)
    base = pose(yaw=turn, x=at[0], y=at[1])
    moved = project(projector(), base)
    there = hide_shadows(
        moved,
        (cast.mask == ROCK).astype(np.uint8),
        camera_m=(base @ mounting()).translation_m,
        depth_ratio=1.0,
        cell_m=CELL_M,
    )
    hidden = (here.reason == Reason.HIDDEN) & (cast.mask == ROCK)
    hidden_there = (there.reason == Reason.HIDDEN) & (cast.mask == ROCK)
    # A pixel on the very border may fall on either side by rounding.
    assert (hidden != hidden_there).sum() <= 0.05 * hidden.sum()
    rim = (here.reason == Reason.HIDDEN) & (cast.mask != ROCK)
    assert rim.any()


def test_two_rocks_one_behind_the_other_are_not_one_huge_rock():
    near, behind = rock(3.0, 0.0, 0.25), rock(4.2, 0.35, 0.35)
    cast, _, shaded = see([near, behind])
    x, y = shown(cast, shaded)
    from_near = np.hypot(x - 3.0, y) - 0.25
    from_behind = np.hypot(x - 4.2, y - 0.35) - 0.35
    assert (np.minimum(from_near, from_behind) < 0.25).all()
    assert (from_near < 0.2).any()
    assert (from_behind < 0.2).any()


def test_side_by_side_rocks_keep_the_depth_of_their_own():
    rows = [rock(4.0, y, 0.2) for y in (-0.6, 0.0, 0.6)]
    cast, _, shaded = see(rows)
    x, _ = shown(cast, shaded)
    assert x.max() < 4.0 + 0.2 + 0.35


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0, 3.0])
def test_the_ratio_says_how_deep_rocks_are(ratio):
    cast, view, shaded = see([rock(4.0, 0.0, 0.4, 0.5)], ratio=ratio)
    x, _ = shown(cast, shaded)
    limit_m = min(3.6 + ratio * 0.8, float(view.local_x_m[cast.mask == ROCK].max()))
    assert x.max() <= limit_m + 0.3
    assert x.min() < 3.75


def test_a_pixel_or_two_are_no_object():
    protruding = np.zeros((128, 128), dtype=np.uint8)
    protruding[100, 60:62] = 1
    view = project(projector(), pose())
    shaded = hide_shadows(
        view, protruding, camera_m=mounting().translation_m, depth_ratio=1.0, cell_m=CELL_M
    )
    np.testing.assert_array_equal(shaded.reason, view.reason)
    protruding[99, 60:62] = 1
    shaded = hide_shadows(
        view, protruding, camera_m=mounting().translation_m, depth_ratio=1.0, cell_m=CELL_M
    )
    assert (shaded.reason != view.reason).any()


def test_nothing_protrudes_nothing_changes():
    view = project(projector(), pose())
    same = hide_shadows(
        view,
        np.zeros((128, 128), dtype=np.uint8),
        camera_m=mounting().translation_m,
        depth_ratio=1.0,
        cell_m=CELL_M,
    )
    assert same is view


@pytest.mark.requirement("TSR-SAFE-016")
@given(
    angles=st.tuples(tilt, tilt, yaw),
    cell_m=st.sampled_from([0.05, 0.1, 0.25]),
    at=st.tuples(st.floats(2.5, 7.0), st.floats(-0.3, 0.3)),
    radius=st.floats(0.1, 0.5),
)
@settings(max_examples=40)
def test_no_ground_is_seen_in_a_cell_with_a_rock_or_its_shadow(angles, cell_m, at, radius):
    base = pose(angles[0], angles[1], angles[2])
    x, y = at[0], at[0] * at[1]
    cos, sin = math.cos(angles[2]), math.sin(angles[2])
    row = rock(cos * x - sin * y, sin * x + cos * y, radius)
    cast, view, shaded = see([row], base, cell_m=cell_m)
    rocky = cast.mask == ROCK
    assume(rocky.sum() >= 3)
    seen = shaded.reason == Reason.OBSERVED
    touched = cells(view, where=rocky & (view.reason == Reason.OBSERVED), cell_m=cell_m)
    ground = cells(shaded, where=seen & ~rocky, cell_m=cell_m)
    # Points of rock in the rim belong to the rock; where its body covers cells there is no ground.
    assert not touched & ground
    assert cells(shaded, where=seen & rocky, cell_m=cell_m)


def test_the_rim_of_a_rock_is_no_safe_ground_and_its_front_shows_the_rock():
    cast, view, shaded = see([rock(3.0, 0.0, 0.4)])
    region = cast.mask == ROCK
    grown = np.zeros_like(region)
    for rows in (-1, 0, 1):
        for cols in (-1, 0, 1):
            grown |= np.roll(region, (rows, cols), (0, 1))
    rim = grown & ~region
    assert (shaded.reason[rim] == Reason.HIDDEN).all()
    added = shaded.fill_pixel.size - view.fill_pixel.size
    assert added > 10
    x = shaded.fill_x_m[-added:]
    assert region.ravel()[shaded.fill_pixel[-added:]].all()
    assert x.min() < view.local_x_m[region].min()
    front = cells(shaded) - cells(view)
    assert all(math.hypot(c * CELL_M - 3.0, r * CELL_M) < 0.8 for c, r in front)


def test_seen_from_above_a_rock_hides_next_to_nothing():
    down = mounting(pitch_down=math.pi / 2, height=8.0)
    cast, _, shaded = see([rock(0.5, 0.2, 0.5, 0.2)], mount=down)
    region = cast.mask == ROCK
    assert (shaded.reason[region] == Reason.OBSERVED).mean() > 0.95


def test_measured_pixels_stay_where_they_are():
    view = project(projector(), pose())
    protruding = np.zeros((128, 128), dtype=np.uint8)
    protruding[60:100, 50:60] = 1
    shaded = hide_shadows(
        view, protruding, camera_m=mounting().translation_m, depth_ratio=None, cell_m=CELL_M
    )
    np.testing.assert_array_equal(shaded.reason[protruding == 1], view.reason[protruding == 1])
    assert (shaded.reason[60:100, 49] != Reason.OBSERVED).all()


def test_what_lies_outside_the_view_or_too_far_does_no_harm():
    protruding = np.ones((128, 128), dtype=np.uint8)
    view = project(projector(max_range_m=3.0), pose(), mount=mounting(0.1))
    shaded = hide_shadows(
        view, protruding, camera_m=mounting(0.1).translation_m, depth_ratio=1.0, cell_m=0.001
    )
    kept = view.reason != Reason.OBSERVED
    np.testing.assert_array_equal(shaded.reason[kept], view.reason[kept])
    sky = project(projector(), pose(), mount=mounting(-0.9))
    assert (
        hide_shadows(
            sky, protruding, camera_m=mounting(-0.9).translation_m, depth_ratio=1.0, cell_m=CELL_M
        )
        is sky
    )


def test_classes_stand_out_by_name_or_by_their_hazard():
    table = ShadowSettings(("auto",), 1.0).table(TAXONOMY, hazard_threshold=0.5)
    assert np.flatnonzero(table).tolist() == [1, 2]
    table = ShadowSettings(("auto",), 1.0).table(TAXONOMY, hazard_threshold=0.6)
    assert np.flatnonzero(table).tolist() == [2]
    table = ShadowSettings(("soil", "rock"), 1.0).table(TAXONOMY, hazard_threshold=0.5)
    assert np.flatnonzero(table).tolist() == [0, 2]
    assert not ShadowSettings(("",), 1.0).table(TAXONOMY, hazard_threshold=0.5).any()
    with pytest.raises(ConfigError, match="boulder"):
        ShadowSettings(("boulder",), 1.0).table(TAXONOMY, hazard_threshold=0.5)
    with pytest.raises(ConfigError, match="auto"):
        ShadowSettings(("auto", "rock"), 1.0)
    with pytest.raises(ConfigError, match="rock_depth_ratio"):
        ShadowSettings(("auto",), math.nan)


@given(seed=st.integers(0, 2**32 - 1), is_measured=st.booleans())
@settings(max_examples=60)
def test_the_compiled_loops_equal_their_numpy_reference(seed, is_measured):
    random = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:18, 0:24]
    x_m = (2.0 + (17 - rows) * 0.25 + random.normal(0.0, 0.05, rows.shape)).astype(np.float32)
    y_m = ((cols - 12) * x_m * 0.05).astype(np.float32)
    standing = random.random(rows.shape) < 0.03
    standing[rows[standing] // 2, cols[standing]] = True
    fill = random.integers(0, rows.size, 40)
    fill_m = [
        axis.reshape(-1)[fill] + random.normal(0.0, 0.2, 40).astype(np.float32)
        for axis in (x_m, y_m)
    ]
    view = GroundView(
        range_m=np.hypot(x_m, y_m),
        reason=random.choice([0, 0, 0, 0, 2, 3, 4], rows.shape).astype(np.uint8),
        plane_x_m=x_m,
        plane_y_m=y_m,
        grid_R_plane=np.eye(3),
        anchor_m=random.uniform(-9.0, 9.0, 3) * [1, 1, 0],
        local_x_m=x_m,
        local_y_m=y_m,
        fill_pixel=fill,
        fill_x_m=fill_m[0],
        fill_y_m=fill_m[1],
        ground_sample_m=np.full(rows.shape, 0.25, np.float32),
    )
    given = {
        "camera_m": view.anchor_m + [0.0, 0.0, 1.5],
        "depth_ratio": None if is_measured else 1.0,
        "cell_m": random.choice([0.2, 0.4, 1e-3]),
    }
    found = hide_shadows(view, standing.astype(np.uint8), **given)
    expected = numpy_hide_shadows(view, standing.astype(np.uint8), **given)
    np.testing.assert_array_equal(found.reason, expected.reason)
    for name in ("fill_pixel", "fill_x_m", "fill_y_m"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
