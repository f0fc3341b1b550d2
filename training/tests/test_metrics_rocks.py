"""Rocks are counted by their apparent size, and ground that is called rock."""

import numpy as np
import pytest

from evaluation_cases import TWO
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.evaluation.report_tables import rock_table
from terrain_training.metrics.rocks import RockCounts, rock_ids

NAMES = ("ground", "bedrock", "small_rock", "large_rock", "sky", "vehicle")
GROUND, BEDROCK, SMALL, LARGE, SKY, VEHICLE = range(6)
MOON = Taxonomy(tuple(TerrainClass(k, name, (k, 0, 0), 0.0) for k, name in enumerate(NAMES)))


def scene():
    """Return 200 x 200 pixels of ground below sky, with a rock of 4 x 4 and one of 20 x 20."""
    truth = np.zeros((200, 200), dtype=np.uint8)
    truth[:20] = SKY
    truth[60:64, 60:64] = SMALL
    truth[100:120, 100:120] = LARGE
    truth[180:] = 255
    return truth


def figures_of(truth, mask):
    counts = RockCounts(MOON)
    counts.add(truth, mask)
    return counts.figures()


def test_bedrock_is_ground():
    assert rock_ids(MOON) == (SMALL, LARGE)


def test_without_a_class_of_rocks_there_are_no_figures():
    counts = RockCounts(TWO)
    counts.add(np.zeros((4, 4), np.uint8), np.ones((4, 4), np.uint8))
    assert counts.figures() is None


def test_a_perfect_mask_finds_every_rock_in_its_bin():
    truth = scene()
    found = figures_of(truth, np.where(truth == 255, 0, truth).astype(np.uint8))
    by_size = {(item.from_size, item.to_size): (item.rocks, item.found) for item in found.bins}
    assert by_size[0.02, 0.028] == (1, 1)
    assert by_size[0.07, 1.0] == (1, 1)
    assert (found.rocks, found.found, found.false_rock_share) == (2, 2, 0.0)
    assert found.classes == ("small_rock", "large_rock")


def test_the_other_size_of_rock_counts_as_found():
    truth = scene()
    mask = truth.copy()
    mask[truth == LARGE] = SMALL
    assert figures_of(truth, mask).found == 2


@pytest.mark.parametrize(("rows", "found"), [(9, 1), (10, 2)])
def test_a_rock_is_found_by_half_of_its_pixels(rows, found):
    truth = scene()
    mask = truth.copy()
    mask[100 + rows : 120, 100:120] = GROUND
    figures = figures_of(truth, mask)
    assert figures.found == found
    assert figures.bins[-1].recall == pytest.approx(rows / 20)


def test_touching_rocks_of_two_classes_are_two():
    truth = scene()
    truth[64:68, 60:64] = LARGE
    assert figures_of(truth, truth).rocks == 3


def test_false_rock_is_a_share_of_the_ground_alone():
    truth = scene()
    mask = truth.copy()
    mask[30:40] = SMALL
    mask[:20] = LARGE
    mask[180:] = LARGE
    truth[50:52], mask[50:52] = BEDROCK, LARGE
    truth[53:55], mask[53:55] = VEHICLE, LARGE
    found = figures_of(truth, mask)
    ground_px = 160 * 200 - 16 - 400 - 400
    assert found.ground_px == ground_px
    assert found.false_rock_px == 10 * 200 + 2 * 200
    assert found.false_rock_share == pytest.approx(2400 / ground_px)


def test_images_add_up():
    counts = RockCounts(MOON)
    for mask in (scene(), np.zeros((200, 200), np.uint8)):
        counts.add(scene(), mask)
    found = counts.figures()
    assert (found.rocks, found.found) == (4, 2)
    head, rows = rock_table(found)
    assert [len(row) for row in rows] == [len(head)] * len(rows)
    assert ("all rocks", "4", "2", "50.00%", "-") in rows
