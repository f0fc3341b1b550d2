import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.landing_grids import (
    CLEARANCE_M,
    RESOLUTION_M,
    free,
    landing_settings,
    sites_of,
    snapshot,
)
from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.core.grid.cost_to_safe_map import FootprintSettings, cost_to_safe_map

seeds = st.integers(0, 2**32 - 1)


def random_grid(seed, side=40, lethal=0.01, unknown=0.005, origin=(0.0, 0.0)):
    random = np.random.default_rng(seed)
    cost = random.integers(0, 30, (side, side)).astype(np.int8)
    cost[random.random(cost.shape) < lethal] = 100
    cost[random.random(cost.shape) < unknown] = -1
    age_s = random.uniform(0.0, 9.0, cost.shape).astype(np.float32)
    return snapshot(cost, age_s=age_s, origin=origin)


def gap_m(grid, site):
    """Return how near any point of the site's cell is to any point of an unsafe cell."""
    padded = np.pad(grid.cost, 1, constant_values=-1)
    unsafe = np.argwhere((padded == 100) | (padded == -1)) - 1
    row = math.floor((site.y_m - grid.origin_y_m) / RESOLUTION_M)
    col = math.floor((site.x_m - grid.origin_x_m) / RESOLUTION_M)
    apart = np.maximum(np.abs(unsafe - [row, col]) - 1, 0)
    return float(np.hypot(*apart.T).min()) * RESOLUTION_M


@pytest.mark.requirement("TSR-SAFE-011")
@given(seeds)
@settings(max_examples=60)
def test_nothing_within_the_clear_radius_is_a_hazard_or_unknown(seed):
    grid = random_grid(seed)
    for site in sites_of(grid):
        assert site.clear_radius_m >= CLEARANCE_M - 1e-6
        assert gap_m(grid, site) >= site.clear_radius_m - 1e-6
        assert site.margin_m == pytest.approx(site.clear_radius_m - CLEARANCE_M, abs=1e-6)


@given(seeds)
@settings(max_examples=40)
def test_sites_lie_where_the_safe_map_is_safe_and_are_found_if_it_is_anywhere(seed):
    grid = random_grid(seed, lethal=0.02)
    safe = cost_to_safe_map(
        grid.cost, FootprintSettings(CLEARANCE_M, 0.0, 0.0), resolution_m=RESOLUTION_M
    )
    found = sites_of(grid)
    for site in found:
        assert safe[int(site.y_m / RESOLUTION_M), int(site.x_m / RESOLUTION_M)] == 0
    assert bool(found) == bool((safe == 0).any())


@given(seeds)
@settings(max_examples=40)
def test_they_are_apart_best_first_and_not_too_many(seed):
    found = sites_of(random_grid(seed))
    assert len(found) <= 4
    scores = [site.score for site in found]
    assert scores == sorted(scores, reverse=True)
    for index, site in enumerate(found):
        assert 0.0 <= site.score <= 1.0
        assert 0.5 <= site.p_safe <= 1.0
        for other in found[:index]:
            assert math.dist((site.x_m, site.y_m), (other.x_m, other.y_m)) >= 3.0 - 1e-9


@given(seeds)
@settings(max_examples=30)
def test_no_cell_scores_better_than_the_first_site(seed):
    grid = random_grid(seed)
    found = sites_of(grid)
    for pin in ((10.25, 10.25), (5.25, 14.25), (15.25, 7.75)):
        other = sites_of(grid, pinned=pin)
        assert other[0].score <= found[0].score + 1e-6 if other else not found


@given(seeds, st.integers(-300, 300), st.integers(-300, 300))
@settings(max_examples=30)
def test_moving_everything_moves_the_sites(seed, east, north):
    shift = np.array([east, north]) * RESOLUTION_M
    before = sites_of(random_grid(seed), vehicle=(3.1, 4.2))
    after = sites_of(
        random_grid(seed, origin=tuple(shift)), vehicle=(3.1 + shift[0], 4.2 + shift[1])
    )
    assert len(before) == len(after)
    for old, new in zip(before, after):
        assert (new.x_m - shift[0], new.y_m - shift[1]) == pytest.approx((old.x_m, old.y_m))
        assert new.score == pytest.approx(old.score, abs=1e-5)


@given(seeds, st.integers(1, 3))
@settings(max_examples=30)
def test_turning_everything_turns_the_sites(seed, turns):
    grid = random_grid(seed)
    layers = (grid.cost, grid.hazard, grid.reason, grid.age_s)
    cost, hazard, reason, age_s = (np.ascontiguousarray(np.rot90(a, turns)) for a in layers)
    turned = replace(grid, cost=cost, hazard=hazard, reason=reason, age_s=age_s)
    vehicle = np.array([3.1, 4.2]) - 10.0
    for _ in range(turns):
        vehicle = np.array([vehicle[1], -vehicle[0]])  # rows go north, so rot90 turns clockwise
    before, after = sites_of(grid), sites_of(turned, vehicle=tuple(vehicle + 10.0))
    assert [s.score for s in after] == pytest.approx([s.score for s in before], abs=1e-5)
    assert [s.p_safe for s in after] == pytest.approx([s.p_safe for s in before], abs=1e-5)


@pytest.mark.requirement("TSR-SAFE-011")
@given(seeds, st.integers(0, 39), st.integers(0, 39), st.sampled_from([100, -1]))
@settings(max_examples=60)
def test_a_hazard_or_doubt_more_never_improves_a_site(seed, row, col, value):
    grid = random_grid(seed)
    cost = grid.cost.copy()
    cost[row, col] = value
    hazard = grid.hazard.copy()
    hazard[row, col] = 1.0 if value == 100 else np.nan
    worse = replace(grid, cost=cost, hazard=hazard)
    best, now = sites_of(grid), sites_of(worse)
    if now:
        assert now[0].score <= best[0].score + 1e-5
    for site in best:
        pinned = sites_of(worse, pinned=(site.x_m, site.y_m))
        if pinned and (pinned[0].x_m, pinned[0].y_m) == (site.x_m, site.y_m):
            assert pinned[0].score <= site.score + 1e-5
            assert pinned[0].clear_radius_m <= site.clear_radius_m + 1e-6
            assert pinned[0].p_safe <= site.p_safe + 1e-5


def test_each_part_counts_as_it_is_weighted():
    cost = free()
    age_s = np.zeros((30, 30), dtype=np.float32)
    age_s[:, 15:] = 4.0
    grid = snapshot(cost, hazard=np.full((30, 30), 0.2), age_s=age_s)
    only = {f"{part}_weight": 0.0 for part in ("margin", "safety", "freshness", "divert")}
    site = sites_of(grid, landing_settings(**{**only, "safety_weight": 3.0}))[0]
    assert site.score == pytest.approx(0.8, abs=1e-5)
    site = sites_of(grid, landing_settings(**{**only, "freshness_weight": 2.0}))[0]
    assert (site.score, site.age_s) == (1.0, 0.0)
    aged = sites_of(
        grid, landing_settings(**{**only, "freshness_weight": 2.0}), pinned=(12.25, 7.25)
    )[0]
    assert (aged.x_m, aged.age_s) == (12.25, 4.0)
    assert aged.score == pytest.approx(math.exp(-4.0 / 5.0))
    site = sites_of(grid, landing_settings(**{**only, "divert_weight": 1.0}))[0]
    assert site.score == pytest.approx(1.0 - site.divert_m / 50.0)
    assert math.dist((site.x_m, site.y_m), (3.1, 4.2)) == pytest.approx(site.divert_m, abs=1e-5)
    site = sites_of(grid, landing_settings(**{**only, "margin_weight": 1.0, "full_margin_m": 9.0}))[
        0
    ]
    assert site.score == pytest.approx(site.margin_m / 9.0)


def test_ground_of_little_probability_is_not_offered():
    grid = snapshot(free(), hazard=np.full((30, 30), 0.45))
    assert sites_of(grid)
    assert sites_of(grid, landing_settings(min_p_safe=0.6)) == ()


def test_nothing_is_offered_where_nothing_is_seen_or_all_is_lethal():
    assert sites_of(snapshot(np.full((30, 30), -1))) == ()
    assert sites_of(snapshot(np.full((30, 30), 100))) == ()
    assert sites_of(snapshot(np.zeros((3, 3)))) == ()


def test_a_site_that_is_kept_yields_only_to_a_much_better_neighbour():
    grid = snapshot(free())
    first = sites_of(grid, vehicle=(7.0, 7.0))[0]
    kept = [(first.x_m, first.y_m)]
    moved = sites_of(grid, vehicle=(8.0, 7.0), keep=kept)[0]
    assert (moved.x_m, moved.y_m) == kept[0]
    free_to_go = sites_of(grid, vehicle=(8.0, 7.0))[0]
    assert (free_to_go.x_m, free_to_go.y_m) != kept[0]
    assert free_to_go.score > moved.score
    strict = landing_settings(hysteresis=0.0)
    yielded = sites_of(grid, strict, vehicle=(8.0, 7.0), keep=kept)[0]
    assert (yielded.x_m, yielded.y_m) == (free_to_go.x_m, free_to_go.y_m)


def test_a_pinned_site_comes_first_as_long_as_it_can_be_offered():
    cost = free()
    pinned = (11.25, 11.25)
    found = sites_of(snapshot(cost), landing_settings(max_sites=1), pinned=pinned)
    assert (found[0].x_m, found[0].y_m) == pinned
    cost[22, 22] = 100
    assert all((s.x_m, s.y_m) != pinned for s in sites_of(snapshot(cost), pinned=pinned))
    assert sites_of(snapshot(free()), pinned=(99.0, 99.0)) == sites_of(snapshot(free()))


def plane(gradient, side=30):
    return np.tile((np.arange(side) * RESOLUTION_M * gradient).astype(np.float32), (side, 1))


def test_measured_heights_give_height_slope_and_probability_of_the_pads():
    site = sites_of(snapshot(free(), elevation_m=plane(0.05) + np.float32(3.0)))[0]
    assert site.slope_deg == pytest.approx(math.degrees(math.atan(0.05)), abs=0.5)
    assert site.z_m == pytest.approx(3.0 + 0.05 * (site.x_m - 0.25), abs=0.05)
    assert site.p_safe > 0.9
    assert sites_of(snapshot(free(), elevation_m=plane(0.4))) == ()


def test_without_heights_there_are_none_and_the_mask_alone_counts():
    for elevation_m in (None, np.full((30, 30), np.nan, dtype=np.float32)):
        site = sites_of(snapshot(free(), elevation_m=elevation_m))[0]
        assert (site.z_m, site.slope_deg, site.roughness_m) == (None, None, None)
        assert site.p_safe == pytest.approx(1.0)


def test_where_heights_are_measured_elsewhere_only_a_site_is_not_offered():
    elevation_m = plane(0.0)
    elevation_m[:, 15:] = np.nan
    found = sites_of(snapshot(free(), elevation_m=elevation_m))
    assert found
    assert all(site.x_m < 7.5 for site in found)


def test_the_order_is_the_same_each_time():
    grid = random_grid(3)
    assert sites_of(grid) == sites_of(grid)


def test_it_works_a_million_metres_from_the_origin():
    far = (1e6, -1e6)
    found = sites_of(snapshot(free(), origin=far), vehicle=(1e6 + 3.1, -1e6 + 4.2))
    assert found[0].divert_m == pytest.approx(sites_of(snapshot(free()))[0].divert_m, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_sites", 0),
        ("min_separation_m", -1.0),
        ("min_p_safe", 1.5),
        ("full_margin_m", 0.0),
        ("freshness_s", math.nan),
        ("max_divert_m", math.inf),
        ("safety_weight", -0.1),
        ("hysteresis", 2.0),
    ],
)
def test_wrong_settings_are_refused(name, value):
    with pytest.raises(ConfigError, match=name):
        landing_settings(**{name: value})


def test_weights_of_nothing_are_refused():
    with pytest.raises(ConfigError, match="all 0"):
        landing_settings(margin_weight=0, safety_weight=0, freshness_weight=0, divert_weight=0)


def test_a_vehicle_that_is_nowhere_is_refused():
    with pytest.raises(GeometryError, match="vehicle"):
        sites_of(snapshot(free()), vehicle=(math.nan, 0.0))
