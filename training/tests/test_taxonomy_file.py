import numpy as np
import pytest
import yaml

import data_sets
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.sources.lunar_landscape import LunarLandscape
from terrain_training.data.taxonomy_file import MappedSource, parse_taxonomy_file

ROCKS = """
classes:
  - {name: ground, color: [0, 0, 0], hazard: 0.0}
  - {name: rock, color: [255, 0, 0], hazard: 1.0}
map: {ground: ground, small_rock: rock, large_rock: rock, sky: ignore}
"""


def load(text=ROCKS):
    return parse_taxonomy_file(yaml.safe_load(text), source="data.taxonomy")


def test_classes_are_joined_renamed_and_ignored(tmp_path):
    lunar = LunarLandscape(data_sets.lunar(tmp_path / "data"), masks="clean")
    source = MappedSource(lunar, load())
    assert source.taxonomy.names == ("ground", "rock")
    assert source.splits() == lunar.splits()
    name = source.names("train")[0]
    before, after = lunar.load(name).mask, source.load(name).mask
    expected = np.array([0, 1, 1, 255], dtype=np.uint8)[before]
    np.testing.assert_array_equal(after, expected)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("map: {ground: ground,", "map: {", "ground"),
        ("sky: ignore", "sky: ignore, sea: rock", "sea"),
    ],
)
def test_a_map_must_name_every_class_and_no_other(tmp_path, old, new, named):
    lunar = LunarLandscape(data_sets.lunar(tmp_path / "data"))
    with pytest.raises(ConfigError, match=named):
        MappedSource(lunar, load(ROCKS.replace(old, new)))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("small_rock: rock", "small_rock: boulder", "boulder"),
        ("hazard: 1.0", "hazard: 2.0", "hazard"),
        ("hazard: 1.0", "hazard: high", "high"),
        ("color: [255, 0, 0]", "color: red", "red"),
        ("color: [255, 0, 0]", "color: [255, 0]", "color"),
        ("name: rock", "name: ground", "unique"),
        ("classes:", "class:", "classes"),
        (ROCKS[ROCKS.index("map:") :], "map: [ground]", "map"),
    ],
)
def test_what_is_wrong_is_named(old, new, named):
    with pytest.raises(ConfigError, match=named):
        load(ROCKS.replace(old, new))
