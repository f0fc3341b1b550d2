import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.landing_grids import CLEARANCE_M, SLOPE, free, landing_settings, snapshot
from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.core.landing.site_selector import LandingSiteSelector


def select(selector, grid, limits=None, vehicle=(7.0, 7.0)):
    return selector.select(
        grid,
        limits or landing_settings(),
        clearance_m=CLEARANCE_M,
        slope=SLOPE,
        vehicle=vehicle,
    )


def place(site):
    return site.x_m, site.y_m


def test_the_chosen_site_stays_while_the_vehicle_drifts_and_keeps_its_number():
    selector = LandingSiteSelector()
    first = select(selector, snapshot(free())).sites[0]
    for step in range(12):
        choice = select(selector, snapshot(free()), vehicle=(7.0 + 0.3 * step, 7.0))
        assert place(choice.sites[0]) == place(first)
        assert choice.sites[0].site_id == first.site_id


def test_it_yields_to_one_that_is_much_better():
    selector = LandingSiteSelector()
    first = select(selector, snapshot(free())).sites[0]
    hazard = np.zeros((30, 30))
    hazard[10:20, 10:20] = 0.6
    later = select(selector, snapshot(free(), hazard=hazard)).sites[0]
    assert later.site_id != first.site_id
    assert math.dist(place(later), place(first)) >= 1.0


@pytest.mark.requirement("TSR-SAFE-012")
def test_it_yields_when_it_is_unsafe():
    selector = LandingSiteSelector()
    first = select(selector, snapshot(free())).sites[0]
    cost = free()
    cost[int(first.y_m / 0.5), int(first.x_m / 0.5)] = 100
    later = select(selector, snapshot(cost))
    assert first.site_id not in [site.site_id for site in later.sites]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_numbers_are_unique_and_never_given_again_after_a_reset(seed):
    random = np.random.default_rng(seed)
    selector = LandingSiteSelector()
    used = set()
    for _ in range(3):
        for _ in range(3):
            cost = free()
            cost[random.random(cost.shape) < 0.01] = 100
            ids = [site.site_id for site in select(selector, snapshot(cost)).sites]
            assert len(set(ids)) == len(ids)
        assert not used & set(ids)
        used |= set(ids)
        selector.forget()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_behind_the_chosen_one_they_are_best_first(seed):
    random = np.random.default_rng(seed)
    selector = LandingSiteSelector()
    for step in range(4):
        cost = random.integers(0, 50, (30, 30)).astype(np.int8)
        cost[random.random(cost.shape) < 0.01] = 100
        sites = select(selector, snapshot(cost), vehicle=(3.0 * step, 7.0)).sites
        scores = [site.score for site in sites]
        assert scores[1:] == sorted(scores[1:], reverse=True)
        assert not sites or scores[0] >= max(scores) - 0.1


def test_a_selected_site_stays_until_it_is_unsafe():
    selector = LandingSiteSelector()
    other = select(selector, snapshot(free())).sites[2]
    assert selector.select_at((other.x_m + 0.4, other.y_m)).site_id == other.site_id
    worse = np.zeros((30, 30))
    worse[int(other.y_m / 0.5), int(other.x_m / 0.5)] = 0.9
    for vehicle in ((1.0, 1.0), (14.0, 14.0)):
        choice = select(selector, snapshot(free(), hazard=worse), vehicle=vehicle)
        assert choice.is_selected
        assert (place(choice.sites[0]), choice.sites[0].site_id) == (place(other), other.site_id)
    cost = free()
    cost[int(other.y_m / 0.5), int(other.x_m / 0.5)] = 100
    choice = select(selector, snapshot(cost))
    assert (choice.is_selected, choice.is_selection_lost) == (False, True)
    assert place(choice.sites[0]) != place(other)
    assert select(selector, snapshot(free())).is_selection_lost
    selector.release()
    assert not select(selector, snapshot(free())).is_selection_lost


def test_the_best_one_can_be_selected_and_released():
    selector = LandingSiteSelector()
    best = select(selector, snapshot(free())).sites[0]
    assert selector.select_best() == best
    far = select(selector, snapshot(free()), landing_settings(hysteresis=0.0), vehicle=(2.0, 12.0))
    assert (far.sites[0].site_id, far.is_selected) == (best.site_id, True)
    selector.release()
    far = select(selector, snapshot(free()), landing_settings(hysteresis=0.0), vehicle=(2.0, 12.0))
    assert not far.is_selected
    assert place(far.sites[0]) != place(best)


def test_a_safe_place_that_is_no_site_becomes_one():
    cost = free(60, 60)
    cost[::11, 30:] = 100
    cost[:, 30] = 100
    selector = LandingSiteSelector()
    limits = landing_settings(max_sites=1)
    select(selector, snapshot(cost), limits, vehicle=(5.0, 15.0))
    # Between the rows of rocks on the far side.
    made = selector.select_at((22.2, 2.6))
    assert place(made) == (22.25, 2.75)
    choice = select(selector, snapshot(cost), limits, vehicle=(5.0, 15.0))
    assert (place(choice.sites[0]), choice.sites[0].site_id) == (place(made), made.site_id)


def test_what_cannot_be_selected_is_refused_and_changes_nothing():
    selector = LandingSiteSelector()
    with pytest.raises(GeometryError, match="no landing site to select"):
        selector.select_best()
    with pytest.raises(GeometryError, match="no safe landing site"):
        selector.select_at((1.0, 1.0))
    cost = free()
    cost[0:12] = 100
    before = select(selector, snapshot(cost))
    for position in ((3.0, 2.0), (500.0, 0.0)):
        with pytest.raises(GeometryError, match="choose another position"):
            selector.select_at(position)
    with pytest.raises(GeometryError, match="give finite x and y"):
        selector.select_at((math.nan, 0.0))
    assert select(selector, snapshot(cost)) == before


def test_after_forgetting_nothing_is_selected():
    selector = LandingSiteSelector()
    select(selector, snapshot(free()))
    selector.select_best()
    selector.forget()
    with pytest.raises(GeometryError):
        selector.select_best()
    assert not select(selector, snapshot(free())).is_selected
