"""What the path tracer is given of Mars: worlds, plates of bedrock, ripples, labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.worlds.generate import generate_world
from terrain_seg_ros.worlds.settings import MARS
from terrain_seg_ros.worlds.world import BEDROCK, SAND, SOIL, Body
from terrain_training.rendering.cycles.content import build_content, relief_of
from terrain_training.rendering.cycles.facts import (
    NO_CLASS,
    facts_of_passes,
    facts_to_bytes,
    read_facts,
)
from terrain_training.rendering.cycles.labels import (
    MARS_TAXONOMY,
    MarsRule,
    mars_labels,
)
from terrain_training.rendering.cycles.martian import MarsGround, MarsRelief, cells
from terrain_training.rendering.cycles.relief import GroundStyle
from terrain_training.rendering.cycles.rock_shapes import RockShapes
from terrain_training.rendering.cycles.views import choose_view, choose_world

PLAIN = GroundStyle(rough=0.0, crater_share=0.0, clod_share=0.0, hills=0.0, mottle=0.0, track=None)
GROUND = MarsGround(
    slab_m=0.8, slab_high_m=0.05, layer_m=0.02, gap_share=0.06, shown_share=0.8,
    ripple_m=0.3, ripple_rad=0.4,
)  # fmt: skip
SIDE_PX = 40


@pytest.fixture(scope="module")
def world():
    settings = replace(MARS, bedrock_share=0.35, sand_share=0.35, rock_abundance=0.05)
    return generate_world(Body.MARS, 8, side_m=40.0, spacing_m=0.1, settings=settings)


@pytest.fixture(scope="module")
def places():
    line = np.arange(-10.0, 10.0, 0.05)
    x, y = np.meshgrid(line, line)
    return x.ravel(), y.ravel()


def mars_facts(rocks, ground=SAND):
    """Return facts of level ground with square rocks: (row, side in pixels, diameter)."""
    label = np.zeros((SIDE_PX, SIDE_PX), np.float32)
    for number, (row, side, _) in enumerate(rocks):
        label[row : row + side, :side] = number + 1
    facts = facts_of_passes(
        label,
        np.full(label.shape, 5.0, np.float32),
        np.ones(label.shape, np.float32),
        rock_diameter_m=np.array([rock[2] for rock in rocks], np.float64),
        rock_index=np.arange(len(rocks), dtype=np.int64),
    )
    return replace(facts, ground=np.full(label.shape, ground, np.uint8))


def test_stones_are_rocks_by_their_true_size_and_else_the_ground_they_lie_on():
    rocks = [(0, 5, 0.1), (8, 5, 0.19), (16, 5, 0.25), (24, 5, 0.4), (32, 3, 0.5)]
    labels = mars_labels(mars_facts(rocks), MarsRule())
    found = [int(labels[row, 0]) for row, _, _ in rocks]
    assert found == [SAND, IGNORE, 4, 3, IGNORE]
    assert [MARS_TAXONOMY.names[value] for value in (3, 4)] == ["big_rock", "rock"]
    assert labels[0, 30] == SAND


def test_ground_of_unknown_class_is_not_asked_for():
    labels = mars_labels(mars_facts([(0, 5, 0.4)], ground=NO_CLASS), MarsRule())
    assert labels[0, 0] == 3
    assert labels[20, 20] == IGNORE


def test_facts_without_classes_of_ground_are_refused():
    with pytest.raises(ConfigError, match="no classes of ground"):
        mars_labels(replace(mars_facts([]), ground=None), MarsRule())


@pytest.mark.parametrize("values", [(0.3, 0.2, 12), (0.0, 0.3, 12), (0.2, 0.3, 0)])
def test_rules_that_do_not_rise_are_refused(values):
    with pytest.raises(ConfigError, match="does not rise"):
        MarsRule(*values)


@pytest.mark.parametrize("ground", [None, SAND])
def test_classes_of_ground_are_kept_with_the_facts(tmp_path, ground):
    facts = mars_facts([])
    facts = replace(facts, ground=None if ground is None else facts.ground)
    (tmp_path / "facts.npz").write_bytes(facts_to_bytes(facts))
    again = read_facts(tmp_path / "facts.npz").ground
    assert again is None if ground is None else np.array_equal(again, facts.ground)


def test_classes_follow_the_world_but_for_winding_borders_and_buried_bedrock(world, places):
    relief = MarsRelief(world, 3, PLAIN, GROUND)
    found, true = relief.ground_class(*places), world.class_at(*places)
    asked = found != NO_CLASS
    assert set(np.unique(found)) == {SOIL, BEDROCK, SAND, NO_CLASS}
    assert (found == true)[asked].mean() > 0.8
    assert (relief.ground_class(np.array([60.0]), np.array([0.0])) == NO_CLASS).all()


def test_bedrock_stands_out_of_the_soil_and_its_gaps_show_soil(world, places):
    x, y = places
    fine = np.full(x.shape, 0.02)
    relief = MarsRelief(world, 3, PLAIN, GROUND)
    level = MarsRelief(world, 3, PLAIN, replace(GROUND, slab_high_m=1e-6, layer_m=1e-6))
    bedrock, sand = relief.kinds(x, y, fine)
    above = relief.height_m(x, y, fine) - level.height_m(x, y, fine)
    plates = bedrock > 0.95
    assert 0.01 < above[plates].mean() < 0.2
    assert np.abs(above[bedrock + sand == 0.0]).max() < 1e-4
    covered = relief.cover(x, y)[0] == 1.0
    assert 0.1 < (bedrock[covered] == 0.0).mean() < 0.7
    assert float(sand.max()) == 1.0


def test_patches_go_on_beyond_the_world(world):
    relief = MarsRelief(world, 3, PLAIN, GROUND)
    line = np.arange(-200.0, 200.0, 0.5)
    bedrock, sand = relief.cover(*(part.ravel() for part in np.meshgrid(line, line[line > 30.0])))
    assert 0.15 < bedrock.mean() < 0.6
    assert 0.15 < sand.mean() < 0.6


def test_the_cells_of_plates_are_the_same_from_every_mesh():
    x, y = np.random.default_rng(0).uniform(-5.0, 5.0, (2, 500))
    edge, own, lean = cells(x, y, 4)
    half = cells(x[::2], y[::2], 4)
    assert all(np.array_equal(a[::2], b) for a, b in zip((edge, own, lean), half, strict=True))
    assert (edge >= 0.0).all()


def test_a_view_of_mars_has_its_ground_and_kinds_at_every_vertex():
    world = choose_world(4, "mars_rover")
    view = choose_view(world, "mars_rover", 4, 0, size_px=64)
    assert world.body is Body.MARS
    assert view.earthshine == 0.0
    content = build_content(world, view, RockShapes())
    count = len(content.ground.vertices())
    assert {name: share.shape for name, share in content.kinds.items()} == {
        "bedrock": (count,), "sand": (count,),
    }  # fmt: skip
    assert all(share.min() >= 0.0 and share.max() <= 1.0 for share in content.kinds.values())
    assert isinstance(relief_of(world, view), MarsRelief)
    moon = choose_world(4, "moon_rover")
    assert (
        build_content(moon, choose_view(moon, "moon_rover", 4, 0, size_px=64), RockShapes()).kinds
        == {}
    )
