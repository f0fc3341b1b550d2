"""Classes that no training mask holds are told, and masks of one class alone are refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest

import data_sets
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.learning.loaders import open_data
from terrain_training.recipe.load import load_recipe

RECIPE = """
name: own
data:
  source: labelled_folder
  options:
    by_colour: false
    classes:
      - {name: ground, color: [0, 0, 0], hazard: 0.0}
      - {name: rock, color: [255, 255, 255], hazard: 1.0}
      - {name: crater, color: [9, 9, 9], hazard: 1.0}
network:
  kind: unet
  options:
    channels: [4, 8]
    convolutions: [1, 1]
    dropout: [0, 0]
    norm: each
    upsampling: nearest
"""


def opened(folder, values, *overrides):
    """Open a folder whose masks hold some values in stripes."""
    mask = np.repeat(np.array(values, dtype=np.uint8), 8)[:, np.newaxis].repeat(16, axis=1)
    for index in range(8):
        data_sets.save(folder / "images" / f"{index}.png", data_sets.scene(index, mask))
        data_sets.save(folder / "masks" / f"{index}.png", mask)
    path = folder / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    recipe = load_recipe(path, overrides=overrides)
    return open_data(recipe, folder, skip_bad=False, run=None)


def test_masks_of_0_and_255_are_refused_with_the_remedy(tmp_path):
    with pytest.raises(ConfigError, match=r"only the class 'ground'.*by_colour to true") as caught:
        opened(tmp_path, [0, 255])
    assert "255 too, which is ignored" in str(caught.value)
    assert opened(tmp_path, [0, 255], "data.options.by_colour=true").train


@pytest.mark.parametrize(
    ("values", "told"), [([1, 1], "only the class 'rock'"), ([255], "no class")]
)
def test_masks_of_fewer_than_two_classes_are_refused(tmp_path, values, told):
    with pytest.raises(ConfigError, match=told):
        opened(tmp_path, values)


def test_a_class_that_no_mask_holds_is_told(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        opened(tmp_path, [0, 1])
    assert "no training mask holds crater: the network will never give that" in caplog.text
    assert "255" not in caplog.text


def test_masks_of_every_class_need_no_word(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        opened(tmp_path, [0, 1, 2, 255])
    assert not caplog.records
