"""Cards keep the recipe of their model for good, in whatever form was current."""

from __future__ import annotations

import dataclasses
import logging

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.model_store.model_store import load_card
from terrain_training.cli import main
from terrain_training.recipe.load import recipe_from, recipe_of


@pytest.mark.parametrize("name", ["mars_navcam", "mars_navcam_int8", "worlds_small"])
def test_the_recipe_of_every_shipped_card_can_be_used(name):
    card = load_card(name)
    recipe = recipe_of(card, None)
    assert (recipe.data.height_px, recipe.data.channels) == (card.height_px, card.channels)


def test_the_first_form_is_read_and_said(caplog):
    card = load_card("mars_navcam")
    with caplog.at_level(logging.INFO):
        recipe = recipe_of(card, None)
    assert "the card of mars_navcam keeps a recipe of the first form" in caplog.text
    assert recipe.data.source == "ai4mars"
    assert recipe.network.options["arguments"] == {"decoder_channels": [96, 64, 48, 32, 16]}
    assert recipe.training.losses == {"cross_entropy": 1.0, "dice": 0.5}
    assert recipe.training.class_weights == [1.0, 1.0, 1.5, 3.0]
    assert recipe.training.epochs == 18


def test_keys_that_came_later_take_their_usual_values_and_are_named(recipe, caplog):
    kept = dataclasses.asdict(recipe)
    assert recipe_from(kept, source="it") == recipe
    del kept["sharpening"], kept["data"]["workers"]
    with caplog.at_level(logging.INFO):
        given = recipe_from(kept, source="the card of one")
    assert given == recipe
    assert "data.workers, sharpening take their usual values" in caplog.text


@pytest.mark.parametrize("kept", [3, [], "x", {}, {"name": 3}])
def test_what_is_no_recipe_is_still_refused(kept):
    with pytest.raises(ConfigError, match="keeps no recipe that can be used"):
        recipe_from(kept, source="the card of one")


def test_the_published_command_scores_the_shipped_model(data, capsys):
    assert main(["evaluate", "mars_navcam", "--data", str(data), "--resamples", "10"]) == 0
    assert "mars_navcam 1.0.0, onnxruntime fp32, 22 images" in capsys.readouterr().out
