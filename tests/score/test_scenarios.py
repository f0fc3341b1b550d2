"""The situations that a score is made of."""

from dataclasses import replace

import pytest

from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.score.scenarios import body_of, scenarios_of
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY, Body

ROVER, LANDER = scenarios_of("rover")[0], scenarios_of("lander")[0]
MARS_ALONE = load_card("mars_navcam").taxonomy


@pytest.mark.parametrize("taxonomy", [WORLD_TAXONOMY, load_card("truth_mask").taxonomy])
def test_a_model_of_the_worlds_classes_sees_both_bodies(taxonomy):
    bodies = [body_of(ROVER, seed, taxonomy=taxonomy) for seed in range(4)]
    assert bodies == [Body.MOON, Body.MARS, Body.MOON, Body.MARS]
    assert {body_of(LANDER, seed, taxonomy=taxonomy) for seed in range(4)} == {Body.MOON}


@pytest.mark.parametrize("scenario", [ROVER, LANDER])
def test_a_model_of_other_classes_sees_mars_alone(scenario):
    renamed = Taxonomy(
        tuple(
            replace(item, name="boulder") if item.name == "rock" else item
            for item in WORLD_TAXONOMY
        )
    )
    for taxonomy in (MARS_ALONE, renamed):
        assert {body_of(scenario, seed, taxonomy=taxonomy) for seed in range(4)} == {Body.MARS}


def test_hazards_do_not_matter_to_what_a_model_sees():
    tuned = WORLD_TAXONOMY.with_hazards({"sand": 0.9})
    assert body_of(ROVER, 0, taxonomy=tuned) is Body.MOON


def test_a_card_says_on_which_bodies_a_model_is_scored():
    taxonomy = Taxonomy((TerrainClass(0, "ground", (1, 2, 3), 0.0),))

    def bodies(scenario, names):
        return [body_of(scenario, seed, taxonomy=taxonomy, bodies=names) for seed in range(4)]

    assert bodies(ROVER, ["moon"]) == bodies(LANDER, ["moon"]) == [Body.MOON] * 4
    assert bodies(ROVER, ["moon", "mars"]) == [Body.MOON, Body.MARS] * 2
    assert bodies(LANDER, ["moon", "mars"]) == [Body.MOON] * 4
    assert bodies(LANDER, ["mars"]) == [Body.MARS] * 4
    assert bodies(ROVER, ["venus"]) == bodies(ROVER, []) == [Body.MARS] * 4
