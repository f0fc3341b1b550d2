"""Test that worlds repeat, obey their settings and follow the laws they cite."""

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.worlds.crater_field import crater_count_per_m2, crater_profile, draw_craters
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.near_pairs import PointBins
from terrain_seg_ros.worlds.relief import fractal_ground
from terrain_seg_ros.worlds.rock_field import _count_table, covered_share, draw_rocks
from terrain_seg_ros.worlds.settings import MARS, MOON, WorldSettings
from terrain_seg_ros.worlds.world import BEDROCK, SAND, SOIL, Body, Craters

NO_CRATERS = Craters(*[np.zeros(0)] * 4)
SIGMAS = 4.0


def rocks_per_m2(low_m, high_m, abundance):
    return float(_count_table(low_m, high_m, abundance)[1][-1])


def nowhere(x, y):
    return np.zeros(np.shape(x), dtype=bool)


def digest(world):
    parts = [world.ground_m, world.classes, world.albedo, *vars(world.rocks).values()]
    parts += list(vars(world.craters).values())
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts))


@pytest.mark.parametrize("body", list(Body))
def test_a_seed_gives_one_world(body):
    first, again, other = (
        generate_world(body, seed, side_m=20.0, spacing_m=0.1) for seed in (5, 5, 6)
    )
    assert digest(first).digest() == digest(again).digest()
    assert digest(first).digest() != digest(other).digest()
    assert first.ground_m.shape == (201, 201)
    assert first.half_side_m == pytest.approx(10.0)


@pytest.mark.parametrize(
    ("body", "rocks", "craters", "relief_m", "largest_m"),
    [(Body.MOON, 523, 147, 1.48417, 0.541386), (Body.MARS, 1032, 4, 0.640736, 0.769591)],
)
def test_worlds_stay_what_they_were(body, rocks, craters, relief_m, largest_m):
    """A change here makes every score of a seed a score of another world."""
    world = generate_world(body, 42, side_m=30.0, spacing_m=0.1)
    assert (len(world.rocks), world.craters.x_m.size) == (rocks, craters)
    assert np.ptp(world.ground_m) == pytest.approx(relief_m, rel=1e-3)
    assert world.rocks.diameter_m[0] == pytest.approx(largest_m, rel=1e-4)


def test_other_rocks_leave_the_ground_as_it_is():
    few, many = (
        generate_world(
            Body.MARS,
            3,
            side_m=20.0,
            spacing_m=0.1,
            settings=replace(MARS, rock_abundance=abundance),
        )
        for abundance in (0.02, 0.1)
    )
    np.testing.assert_array_equal(few.ground_m, many.ground_m)
    np.testing.assert_array_equal(few.classes, many.classes)
    assert len(few.rocks) < len(many.rocks)


def test_level_ground_is_level():
    flat = replace(MARS, rms_slope_rad=0.0, crater_saturation=0.0)
    world = generate_world(Body.MARS, 1, side_m=20.0, spacing_m=0.1, settings=flat)
    assert (world.ground_m == 0.0).all()
    assert len(world.rocks) > 50


def test_a_tilt_tilts_the_whole_world():
    tilted = replace(
        MOON,
        rms_slope_rad=0.0,
        crater_saturation=0.0,
        tilt_rad=math.radians(15.0),
        tilt_azimuth_rad=math.radians(60.0),
    )
    world = generate_world(Body.MOON, 1, side_m=20.0, spacing_m=0.1, settings=tilted)
    np.testing.assert_allclose(world.slope_rad(1.0)[10:-10, 10:-10], math.radians(15.0), rtol=1e-4)
    up = float(world.ground_height_m(5.0 * math.cos(math.pi / 3), 5.0 * math.sin(math.pi / 3)))
    assert up == pytest.approx(5.0 * math.tan(math.radians(15.0)), rel=1e-4)


def test_classes_cover_their_shares():
    world = generate_world(Body.MARS, 2, side_m=60.0, spacing_m=0.1)
    share = np.bincount(world.classes.ravel(), minlength=3) / world.classes.size
    assert share[BEDROCK] == pytest.approx(MARS.bedrock_share, abs=0.005)
    assert share[SAND] == pytest.approx(MARS.sand_share, abs=0.005)
    moon = generate_world(Body.MOON, 2, side_m=20.0, spacing_m=0.1)
    assert (moon.classes == SOIL).all()
    sand = world.class_at(world.rocks.x_m, world.rocks.y_m) == SAND
    assert sand.mean() < 0.5 * MARS.sand_share  # sand buries rocks
    assert world.albedo.min() > 0.0
    assert world.albedo[world.classes == SAND].mean() < world.albedo[world.classes == SOIL].mean()


@pytest.mark.parametrize("hurst", [0.5, 0.65, 0.8])
def test_relief_is_self_affine(hurst):
    """RMS deviation over L is L^hurst, and that over 1 m is 1."""
    lags = np.array([4, 8, 16, 32])
    deviations = []
    for seed in range(4):
        rng = np.random.Generator(np.random.PCG64(seed))
        field = fractal_ground(rng, 513, 0.1, hurst=hurst, smooth_below_m=0.1).astype(float)
        one = np.concatenate(
            [(field[10:] - field[:-10]).ravel(), (field[:, 10:] - field[:, :-10]).ravel()]
        )
        assert np.sqrt(np.mean(one**2)) == pytest.approx(1.0, rel=1e-3)
        deviations.append(
            [np.sqrt(np.mean((field[:, lag:] - field[:, :-lag]) ** 2)) for lag in lags]
        )
    slope = np.polyfit(np.log(lags), np.log(np.mean(deviations, axis=0)), 1)[0]
    assert slope == pytest.approx(hurst, abs=0.08)


def test_relief_of_a_world_has_its_slope():
    smooth = replace(MOON, crater_saturation=0.0)
    ground = generate_world(Body.MOON, 4, side_m=60.0, spacing_m=0.1, settings=smooth).ground_m
    steps = np.concatenate(
        [(ground[10:] - ground[:-10]).ravel(), (ground[:, 10:] - ground[:, :-10]).ravel()]
    )
    assert np.sqrt(np.mean(steps.astype(float) ** 2)) == pytest.approx(
        math.tan(MOON.rms_slope_rad), rel=1e-3
    )


@pytest.mark.parametrize("abundance", [0.02, 0.05, 0.1])
def test_rocks_follow_golombek(abundance):
    """Number and covered area between diameters are Poisson's about what F_k(D) says."""
    side_m, worlds = 60.0, 6
    wanted = replace(MARS, rock_abundance=abundance, min_rock_m=0.15, max_rock_m=3.0)
    diameters = np.concatenate(
        [
            draw_rocks(
                np.random.Generator(np.random.PCG64(seed)),
                side_m,
                wanted,
                craters=NO_CRATERS,
                is_sand=nowhere,
            ).diameter_m
            for seed in range(worlds)
        ]
    )
    area_m2 = worlds * side_m**2
    for low, high in ((0.15, 0.2), (0.2, 0.3), (0.3, 0.5), (0.5, 1.0)):
        inside = (diameters >= low) & (diameters < high)
        expected = rocks_per_m2(low, high, abundance) * area_m2
        # Rocks for which there is no place are left out: at most one in a hundred.
        assert inside.sum() > expected * 0.99 - SIGMAS * math.sqrt(expected)
        assert inside.sum() < expected + SIGMAS * math.sqrt(expected)
        covered = np.sum(0.25 * math.pi * diameters[inside] ** 2) / area_m2
        law = float(
            covered_share(np.array(low), abundance) - covered_share(np.array(high), abundance)
        )
        assert covered == pytest.approx(law, rel=0.01 + SIGMAS / math.sqrt(expected))


def test_the_law_is_golombek_and_rapp():
    assert float(covered_share(np.array(0.0), 0.05)) == pytest.approx(0.05)
    steep = 1.79 + 0.152 / 0.05
    assert float(covered_share(np.array(0.5), 0.05)) == pytest.approx(0.05 * math.exp(-0.5 * steep))
    diameter = np.linspace(0.2, 3.0, 200_001)
    middle = 0.5 * (diameter[1:] + diameter[:-1])
    density = 0.05 * steep * np.exp(-steep * middle) / (0.25 * math.pi * middle**2)
    assert rocks_per_m2(0.2, 3.0, 0.05) == pytest.approx(
        np.sum(density * np.diff(diameter)), rel=1e-4
    )


def test_rocks_have_their_shape_and_place():
    world = generate_world(Body.MARS, 8, side_m=40.0, spacing_m=0.1)
    rocks = world.rocks
    ground = world.ground_height_m(rocks.x_m, rocks.y_m)
    height = rocks.z_m + rocks.c_m - ground
    ratio = height / rocks.diameter_m
    assert ratio.mean() == pytest.approx(0.5, abs=0.02)
    assert ratio.std() == pytest.approx(0.1, abs=0.02)
    assert (rocks.z_m >= ground).all() and (rocks.z_m - rocks.c_m < ground).all()
    assert (rocks.a_m >= rocks.b_m).all() and (rocks.a_m <= 1.5001 * rocks.b_m).all()
    assert (np.diff(rocks.diameter_m) <= 1e-12).all()
    assert rocks.diameter_m.min() >= MARS.min_rock_m
    assert np.abs(np.concatenate([rocks.x_m, rocks.y_m])).max() < 20.0


def test_rocks_do_not_lie_on_each_other():
    rocks = generate_world(
        Body.MARS,
        8,
        side_m=30.0,
        spacing_m=0.1,
        settings=replace(MARS, rock_abundance=0.2, rocks_near_craters=0.5),
    ).rocks
    distance = np.hypot(rocks.x_m[:, np.newaxis] - rocks.x_m, rocks.y_m[:, np.newaxis] - rocks.y_m)
    reach = 0.5 * (rocks.diameter_m[:, np.newaxis] + rocks.diameter_m)
    np.fill_diagonal(distance, np.inf)
    assert len(rocks) > 1000
    assert (distance >= (1.0 - MARS.max_overlap) * reach - 1e-9).all()


def test_craters_have_more_rocks_around_them():
    crater = Craters(np.array([5.0]), np.array([-5.0]), np.array([6.0]), np.array([1.0]))
    rocks = draw_rocks(
        np.random.Generator(np.random.PCG64(1)),
        60.0,
        replace(MOON, rocks_near_craters=0.5),
        craters=crater,
        is_sand=nowhere,
    )
    near = np.hypot(rocks.x_m - 5.0, rocks.y_m + 5.0) < 9.0
    assert near.mean() > 0.3
    assert near.mean() < 0.6


def test_craters_follow_the_equilibrium():
    """Counts per diameter are Poisson's about saturation x 1.54 D^-2, in the world's square."""
    side_m, worlds = 150.0, 5
    found = [
        draw_craters(np.random.Generator(np.random.PCG64(seed)), side_m, MOON, spacing_m=0.1)
        for seed in range(worlds)
    ]
    inside = [np.maximum(np.abs(part.x_m), np.abs(part.y_m)) < 0.5 * side_m for part in found]
    diameters = np.concatenate([part.diameter_m[keep] for part, keep in zip(found, inside)])
    for low, high in ((0.6, 1.0), (1.0, 2.0), (2.0, 4.0), (4.0, 10.0), (10.0, 40.0)):
        law = crater_count_per_m2(low, 0.03) - crater_count_per_m2(high, 0.03)
        expected = law * worlds * side_m**2
        count = np.sum((diameters >= low) & (diameters < high))
        assert abs(count - expected) < SIGMAS * math.sqrt(expected)
    ratio = np.concatenate([part.depth_m / part.diameter_m for part in found])
    span = (math.log(MOON.old_depth_ratio), math.log(MOON.fresh_depth_ratio))
    quantiles = np.quantile((np.log(ratio) - span[0]) / (span[1] - span[0]), [0.25, 0.5, 0.75])
    np.testing.assert_allclose(quantiles, [0.25, 0.5, 0.75], atol=0.03)
    assert ratio.min() >= MOON.old_depth_ratio and ratio.max() <= MOON.fresh_depth_ratio


def test_mars_has_fewer_craters():
    side_m = 150.0
    counts = {
        body: generate_world(body, 1, side_m=side_m, spacing_m=0.25).craters.x_m.size
        for body in Body
    }
    assert counts[Body.MARS] < 0.2 * counts[Body.MOON]


@settings(max_examples=30)
@given(ratio=st.floats(0.03, 0.2))
def test_crater_has_depth_rim_and_ejecta(ratio):
    distance = np.linspace(0.0, 4.0, 4001)
    height = crater_profile(distance, ratio, MOON)
    rim = distance[np.argmax(height)]
    assert height.max() - height[0] == pytest.approx(1.0, abs=1e-3)
    assert 0.9 < rim < 1.15
    assert 0.05 < height.max() < 0.25
    outside = height[distance >= 1.3]
    assert (np.diff(outside) <= 1e-12).all()
    assert (height[distance >= 3.0] == 0.0).all()
    assert np.abs(np.diff(height)).max() < 0.004  # no step


def test_a_crater_is_as_deep_in_the_ground():
    lonely = replace(
        MOON,
        rms_slope_rad=0.0,
        rock_abundance=0.0,
        crater_saturation=0.02,
        min_crater_m=8.0,
        max_crater_m=9.0,
    )
    for seed in range(30):
        world = generate_world(Body.MOON, seed, side_m=60.0, spacing_m=0.1, settings=lonely)
        craters = world.craters
        if craters.x_m.size == 1 and max(abs(craters.x_m[0]), abs(craters.y_m[0])) < 20.0:
            depth = float(world.ground_m.max() - world.ground_m.min())
            assert depth == pytest.approx(craters.depth_m[0], rel=0.01)
            floor = np.unravel_index(np.argmin(world.ground_m), world.ground_m.shape)
            assert floor[1] * 0.1 - 30.0 == pytest.approx(craters.x_m[0], abs=0.3)
            assert floor[0] * 0.1 - 30.0 == pytest.approx(craters.y_m[0], abs=0.3)
            return
    pytest.fail("no seed gave a single crater")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"side_m": 3000.0}, "side_m 3000"),
        ({"spacing_m": 0.0}, r"spacing_m 0\.0"),
        ({"spacing_m": 0.005}, "8001 posts"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_impossible_worlds_are_refused(changes, message):
    arguments = {"seed": 1, "side_m": 40.0, "spacing_m": 0.1, **changes}
    with pytest.raises(ConfigError, match=message):
        generate_world(Body.MARS, arguments.pop("seed"), **arguments)


def test_too_many_rocks_or_craters_are_refused():
    rng = np.random.Generator(np.random.PCG64(0))
    with pytest.raises(ConfigError, match=r"rocks.*raise min_rock_m"):
        draw_rocks(rng, 400.0, replace(MARS, min_rock_m=0.02), craters=NO_CRATERS, is_sand=nowhere)
    with pytest.raises(ConfigError, match=r"craters.*raise min_crater_m"):
        draw_craters(rng, 1500.0, MOON, spacing_m=0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hurst", 0.0),
        ("hurst", 1.1),
        ("rms_slope_rad", -0.1),
        ("rock_abundance", 0.6),
        ("min_rock_m", 4.0),
        ("min_crater_m", 50.0),
        ("old_depth_ratio", 0.3),
        ("bedrock_share", 0.9),
        ("rock_height_ratio", 0.05),
        ("sun_elevation_rad", 0.0),
        ("patch_m", 0.0),
        ("albedo", math.nan),
        ("tilt_rad", 1.2),
    ],
)
def test_settings_out_of_range_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        replace(MARS, **{name: value})


def test_settings_may_turn_everything_off():
    bare = replace(MARS, rms_slope_rad=0.0, crater_saturation=0.0, rock_abundance=0.0)
    assert isinstance(bare, WorldSettings)
    world = generate_world(Body.MARS, 0, side_m=10.0, spacing_m=0.5, settings=bare)
    assert len(world.rocks) == 0 and world.craters.x_m.size == 0


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), bin_m=st.floats(0.05, 3.0))
def test_bins_find_all_points_in_squares(seed, bin_m):
    rng = np.random.default_rng(seed)
    x, y = rng.uniform(-3.0, 3.0, (2, 60))
    middle_x, middle_y = rng.uniform(-4.0, 4.0, (2, 9))
    reach_x, reach_y = rng.uniform(0.0, 2.0, (2, 9))
    shape, point = PointBins(x, y, bin_m).pairs(middle_x, middle_y, reach_x, reach_y)
    inside = np.abs(x - middle_x[:, np.newaxis]) <= reach_x[:, np.newaxis]
    inside &= np.abs(y - middle_y[:, np.newaxis]) <= reach_y[:, np.newaxis]
    found = np.zeros_like(inside)
    np.add.at(found, (shape, point), True)
    np.testing.assert_array_equal(found, inside)
    assert shape.size == inside.sum()
