"""Each source on a small set in its published layout."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

import data_sets
from source_contract import SourceContract
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY
from terrain_training.data.factory import SOURCES
from terrain_training.data.sources.ai4mars import Ai4Mars
from terrain_training.data.sources.earth_terrain import EarthTerrain
from terrain_training.data.sources.labelled_folder import open_labelled_folder
from terrain_training.data.sources.lunar_landscape import LunarLandscape
from terrain_training.data.sources.mars_terrain import MarsTerrain
from terrain_training.data.sources.side_by_side import SideBySide


class TestAi4Mars(SourceContract):
    name = "ai4mars"

    def open(self, root):
        data_sets.ai4mars_published(root)
        return Ai4Mars(root)


class TestLunarLandscape(SourceContract):
    name = "lunar_landscape"

    def open(self, root):
        data_sets.lunar(root)
        return LunarLandscape(root)


class TestMarsTerrain(SourceContract):
    name = "mars_terrain"

    def open(self, root):
        data_sets.mars_npz(root / "set.npz")
        return MarsTerrain(root / "set.npz")


class TestSideBySide(SourceContract):
    name = "side_by_side"

    def open(self, root):
        palette = np.array([(128, 64, 128), (70, 70, 70), (107, 142, 35)], dtype=np.uint8)
        data_sets.pairs(root, palette)
        return SideBySide(root, classes=3)


class TestEarthTerrain(SourceContract):
    name = "earth_terrain"

    def open(self, root):
        data_sets.earth(root)
        return EarthTerrain(root)


class TestLabelledFolder(SourceContract):
    name = "labelled_folder"
    options: ClassVar = {
        "by_colour": True,
        "classes": [
            {"name": item.name, "color": list(item.color_rgb), "hazard": item.hazard}
            for item in WORLD_TAXONOMY
        ],
    }

    def open(self, root):
        data_sets.folder(root, WORLD_TAXONOMY)
        return open_labelled_folder(root, **self.options)


def test_every_source_has_a_test_class():
    assert {kind.name for kind in SourceContract.__subclasses__()} == set(SOURCES)
