from __future__ import annotations

import cv2
import numpy as np
import pytest

from evaluation_cases import GROUND, TWO, certain, counted, figures_of, ids
from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_training.evaluation.sharpening import sharpen, sharpening_effect

SIDE_PX = 64


def disc(radius_px=9.0):
    rows, columns = np.mgrid[:SIDE_PX, :SIDE_PX] - SIDE_PX / 2
    return (np.hypot(rows, columns) <= radius_px).astype(np.uint8)


def blurred(mask, sigma_px=6.0):
    shares = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma_px)
    return np.rint(255.0 * shares).astype(np.uint8)


def yes_no(probability):
    """Return the probabilities of two classes, of those of the second."""
    return np.stack([255 - probability, probability])


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


def noise(seed=2, classes=3):
    """Return probabilities whose sum is 255 on each pixel."""
    random = np.random.default_rng(seed)
    first = random.integers(0, 120, (classes - 1, 20, 30))
    return np.concatenate([first, 255 - first.sum(axis=0, keepdims=True)]).astype(np.uint8)


def patches(*squares):
    """Return certain probabilities of class 0 with squares (row, column, side) of class 1."""
    mask = np.zeros((20, 30), np.uint8)
    for row, column, side in squares:
        mask[row : row + side, column : column + side] = 1
    return mask, certain(mask).probabilities


def test_a_blurred_disc_comes_back():
    probability = blurred(disc())
    before = sharpen(yes_no(probability), amount=0.0, sigma_px=6.0, min_area_px=0).mask
    after = sharpen(yes_no(probability), amount=3.0, sigma_px=6.0, min_area_px=0).mask
    assert iou(before, disc()) < 0.7
    assert iou(after, disc()) > iou(before, disc()) + 0.1


def test_borders_get_steeper_and_the_middle_stays():
    probability = blurred(disc(20.0), sigma_px=3.0)
    sharp = sharpen(yes_no(probability), amount=2.0, sigma_px=3.0, min_area_px=0).probabilities[1]
    middle = SIDE_PX // 2

    def steepest(values):
        return np.abs(np.diff(values[middle].astype(int))).max()

    assert steepest(sharp) > 1.3 * steepest(probability)
    assert sharp[middle, middle] == probability[middle, middle] == 255
    assert sharp[0, 0] == probability[0, 0] == 0


def test_neither_amount_nor_area_change_nothing():
    probabilities = noise()
    found = sharpen(probabilities, amount=0.0, sigma_px=2.0, min_area_px=0)
    np.testing.assert_array_equal(found.probabilities, probabilities)
    np.testing.assert_array_equal(found.mask, probabilities.argmax(axis=0))
    alone = sharpen(probabilities, amount=0.0, sigma_px=2.0, min_area_px=1)
    np.testing.assert_array_equal(alone.mask, found.mask)


def test_the_sum_over_the_classes_stays():
    probabilities = noise()
    sharp = sharpen(probabilities, amount=1.5, sigma_px=2.0, min_area_px=0).probabilities
    assert (sharp != probabilities).mean() > 0.5
    assert np.abs(sharp.sum(axis=0, dtype=int) - 255).max() <= 1


def test_flat_probabilities_stay():
    flat = np.array([200, 50, 5], np.uint8)[:, None, None] * np.ones((1, 9, 9), np.uint8)
    found = sharpen(flat, amount=4.0, sigma_px=3.0, min_area_px=5)
    np.testing.assert_array_equal(found.probabilities, flat)
    assert (found.mask == 0).all()


def test_specks_take_what_is_beside_them():
    _, probabilities = patches((3, 4, 2), (10, 12, 5))
    expected, _ = patches((10, 12, 5))
    found = sharpen(probabilities, amount=0.0, sigma_px=1.0, min_area_px=5)
    np.testing.assert_array_equal(found.mask, expected)
    np.testing.assert_array_equal(found.probabilities, certain(expected).probabilities)
    kept = sharpen(probabilities, amount=0.0, sigma_px=1.0, min_area_px=4)
    assert (kept.mask == 1).sum() == 4 + 25


def test_pieces_that_touch_at_a_corner_are_one():
    mask, probabilities = patches((3, 4, 2), (5, 6, 2))
    found = sharpen(probabilities, amount=0.0, sigma_px=1.0, min_area_px=8)
    np.testing.assert_array_equal(found.mask, mask)
    assert (sharpen(probabilities, amount=0.0, sigma_px=1.0, min_area_px=9).mask == 0).all()


def test_a_speck_takes_the_nearest_large_piece():
    mask = np.zeros((20, 30), np.uint8)
    mask[:, 15:] = 1
    mask[8, 2], mask[8, 27] = 2, 2
    found = sharpen(certain(mask).probabilities, amount=0.0, sigma_px=1.0, min_area_px=3)
    assert (found.mask[8, 2], found.mask[8, 27]) == (0, 1)
    assert found.probabilities[:, 8, 27].tolist() == [0, 255, 0]


def test_specks_stay_where_no_piece_is_large_enough():
    mask, probabilities = patches((3, 4, 2))
    found = sharpen(probabilities, amount=0.0, sigma_px=1.0, min_area_px=10_000)
    np.testing.assert_array_equal(found.mask, mask)


def test_unseen_pixels_stay_unlabelled_and_blur_into_nothing():
    mask, probabilities = patches((3, 4, 2), (10, 12, 5))
    hidden = np.zeros(mask.shape, bool)
    hidden[:, 20:] = hidden[3, 3] = True
    probabilities[:, hidden] = 0
    found = sharpen(probabilities, amount=2.0, sigma_px=3.0, min_area_px=5)
    np.testing.assert_array_equal(found.mask == 255, hidden)
    assert (found.probabilities[:, hidden] == 0).all()
    assert found.mask[3, 4] == 0
    flat = np.full((2, 20, 30), 100, np.uint8)
    flat[:, hidden] = 0
    again = sharpen(flat, amount=2.0, sigma_px=3.0, min_area_px=0)
    np.testing.assert_array_equal(again.probabilities, flat)


def test_a_speck_among_unseen_pixels_takes_a_class_and_not_their_lack():
    mask, probabilities = patches((10, 12, 2))
    hidden = np.zeros(mask.shape, bool)
    hidden[8:14, 10:16] = True
    hidden &= mask == 0
    probabilities[:, hidden] = 0
    found = sharpen(probabilities, amount=0.0, sigma_px=1.0, min_area_px=5)
    np.testing.assert_array_equal(found.mask, np.where(hidden, 255, 0))


def test_unseen_pixels_do_not_darken_their_surroundings():
    column = np.array([[255, 230, 180, 90, 60, 150, 210, 250, 240, 100]], np.uint8)
    plain = np.stack([column.T.repeat(30, axis=1), 255 - column.T.repeat(30, axis=1)])
    expected = sharpen(plain, amount=1.0, sigma_px=2.0, min_area_px=0).probabilities
    hidden = plain.copy()
    hidden[:, :, 20:] = 0
    found = sharpen(hidden, amount=1.0, sigma_px=2.0, min_area_px=0).probabilities
    assert np.abs(found[:, :, :20].astype(int) - expected[:, :, :20]).max() <= 1
    assert np.abs(expected.astype(int) - plain).max() > 20


def test_a_dim_pixel_beside_bright_ones_keeps_its_class():
    probabilities = np.zeros((2, 9, 9), np.uint8)
    probabilities[0, :, :5], probabilities[1, :, 5:] = 255, 255
    probabilities[:, 4, 4] = 2, 9
    found = sharpen(probabilities, amount=3.0, sigma_px=2.0, min_area_px=0)
    assert found.mask[4, 4] == 1
    assert int(found.probabilities[:, 4, 4].sum()) == 11


def test_input_is_left_alone():
    probabilities = noise()
    before = probabilities.copy()
    sharpen(probabilities, amount=2.0, sigma_px=1.0, min_area_px=4)
    np.testing.assert_array_equal(probabilities, before)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"amount": -0.1}, "amount is -0.1"),
        ({"amount": float("inf")}, "amount is inf"),
        ({"amount": float("nan")}, "amount is nan"),
        ({"sigma_px": 0.0}, "sigma_px is 0.0"),
        ({"sigma_px": float("nan")}, "sigma_px is nan"),
        ({"min_area_px": -1}, "min_area_px is -1"),
    ],
)
def test_settings_out_of_range_are_refused(changed, message):
    options = {"amount": 1.0, "sigma_px": 1.0, "min_area_px": 0, **changed}
    with pytest.raises(ConfigError, match=message):
        sharpen(noise(), **options)


@pytest.mark.parametrize(
    "probabilities",
    [np.zeros((4, 5), np.uint8), np.zeros((3, 4, 5)), np.zeros((3, 0, 5), np.uint8)],
)
def test_what_is_no_probability_is_refused(probabilities):
    with pytest.raises(ModelError, match="probabilities have shape"):
        sharpen(probabilities, amount=1.0, sigma_px=1.0, min_area_px=0)


def test_the_effect_is_what_the_figures_say():
    truth = disc()
    pair = [
        sharpen(yes_no(blurred(truth)), amount=amount, sigma_px=6.0, min_area_px=0)
        for amount in (0.0, 3.0)
    ]
    before, after = (figures_of([(truth, item)], TWO) for item in pair)
    table = sharpening_effect(before, after)
    assert table.title == "Sharpening"
    assert table.columns == ("before", "after", "difference")
    assert list(table.rows) == [
        "IoU safe",
        "IoU danger",
        "mean IoU",
        "mean boundary F1",
        "false-safe rate",
        "missed share of hazards",
    ]
    for name, one, two in (
        ("IoU danger", before.iou["danger"], after.iou["danger"]),
        ("mean boundary F1", before.mean_boundary_f1, after.mean_boundary_f1),
        ("false-safe rate", before.false_safe_rate, after.false_safe_rate),
        ("missed share of hazards", before.missed_hazard_share, after.missed_hazard_share),
    ):
        assert table.rows[name] == (one, two, two - one)
    assert table.rows["mean IoU"][2] > 0.05
    assert table.rows["missed share of hazards"][2] < -0.1


def test_the_effect_on_an_absent_class_is_none():
    figures = figures_of([(ids([[0, 1]]), certain(ids([[0, 1]])))])
    assert sharpening_effect(figures, figures).rows["IoU rock"] == (None, None, None)
    assert sharpening_effect(figures, figures).rows["IoU soil"] == (1.0, 1.0, 0.0)


def test_figures_of_other_images_or_classes_are_not_compared():
    one = figures_of([(ids([[0, 1]]), certain(ids([[0, 1]])))])
    other = figures_of([(ids([[0, 0]]), certain(ids([[0, 1]])))])
    with pytest.raises(ModelError, match="evaluate both on the same images"):
        sharpening_effect(one, other)
    two = counted([(ids([[0, 1]]), certain(ids([[0, 1]]), 2))], TWO)[0].figures(seed=1, resamples=2)
    assert GROUND.names != TWO.names
    with pytest.raises(ModelError, match="evaluate both on the same images"):
        sharpening_effect(one, two)
