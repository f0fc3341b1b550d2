"""What each augmentation does to an image: its name."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from terrain_training.augmentation.registry import build_augmentation
from test_augmentation_rules import HEIGHT, WIDTH, row, scene

SEEDS = range(8)


def apply(name, image, mask, seed, **options):
    augment = build_augmentation([row(name) | options])
    return augment(image, mask, np.random.default_rng(seed))


def image_after(name, image, seed=0, **options):
    return apply(name, image, np.zeros(image.shape[:2], np.uint8), seed, **options)[0]


def even(level, channels=3, size=64):
    return np.full((size, size, channels), level, dtype=np.uint8)


def ramp(size=64):
    """Return a smooth grey image (h, w, 1) from 0 to 252, left to right."""
    return np.tile(np.arange(size, dtype=np.uint8) * 4, (size, 1))[..., np.newaxis]


def hues(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 0].astype(int)


def saturations(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2HSV)[..., 1].astype(int)


@pytest.mark.parametrize("channels", [1, 3])
def test_jpeg_changes_more_at_low_quality_and_keeps_colours(channels):
    image = cv2.GaussianBlur(scene(channels)[0], (0, 0), 2.0).reshape(HEIGHT, WIDTH, channels)
    image[..., -1] //= 2
    errors = []
    for quality in (95, 30, 5):
        changed = image_after("jpeg", image, quality_min=quality, quality_max=quality)
        errors.append(np.abs(changed.astype(int) - image).mean())
    assert 0 < errors[0] < errors[1] < errors[2]
    assert errors[0] < 4


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "axis"), [("flip_horizontal", 1), ("flip_vertical", 0)])
def test_flips_move_image_and_mask_together(name, axis, channels):
    image, mask = scene(channels)
    changed, ids = apply(name, image, mask, 0)
    np.testing.assert_array_equal(changed, np.flip(image, axis))
    np.testing.assert_array_equal(ids, np.flip(mask, axis))


def test_camera_affine_moves_image_and_mask_together_and_ignores_what_it_uncovers():
    mask = np.tile(np.arange(WIDTH, dtype=np.uint8) // 14, (HEIGHT, 1))
    image = np.array([30, 90, 150, 210], np.uint8)[mask][..., np.newaxis]
    uncovered = 0
    for seed in range(30):
        changed, ids = apply("camera_affine", image, mask, seed)
        for k, level in enumerate((30, 90, 150, 210)):
            inside = cv2.erode((ids == k).astype(np.uint8), np.ones((5, 5))) > 0
            inside[[0, 1, -2, -1]], inside[:, [0, 1, -2, -1]] = False, False
            np.testing.assert_allclose(changed[inside], level, atol=1)
        uncovered += int((ids == 255).sum())
    assert uncovered > 0


def test_camera_affine_that_shrinks_uncovers_and_one_that_grows_covers_more():
    image, mask = scene()
    still = {"rotation_deg": 0.0, "aspect_min": 1.0, "aspect_max": 1.0}
    for seed in SEEDS:
        small = apply("camera_affine", image, mask, seed, scale_min=0.5, scale_max=0.5, **still)
        assert (small[1] == 255).mean() > 0.5
        large = apply("camera_affine", image, mask, seed, scale_min=2.0, scale_max=2.0, **still)
        assert (large[1] == 255).mean() < 0.2


def test_brightness_scales_every_pixel_alike():
    image = np.arange(10, 110, dtype=np.uint8).reshape(10, 10, 1)
    for seed in SEEDS:
        changed = image_after("brightness", image, seed, strength=0.5).astype(float)
        factor = changed.sum() / image.sum()
        assert 0.49 <= factor <= 1.51
        np.testing.assert_allclose(changed, image * factor, atol=1.5)


def test_contrast_stretches_about_the_mean():
    image = np.random.default_rng(1).integers(100, 156, (32, 32, 1), dtype=np.uint8)
    spreads = []
    for seed in SEEDS:
        changed = image_after("contrast", image, seed, strength=0.5).astype(float)
        assert changed.mean() == pytest.approx(image.mean(), abs=1.5)
        spreads.append(changed.std() / image.std())
    assert min(spreads) < 0.9 < 1.1 < max(spreads)


def test_saturation_changes_how_much_colour_there_is():
    image = even(0) + np.array([160, 110, 90], np.uint8)
    changed = [saturations(image_after("saturation", image, seed)).mean() for seed in SEEDS]
    assert min(changed) < saturations(image).mean() < max(changed)
    grey = even(120)
    np.testing.assert_allclose(image_after("saturation", grey, 1), grey, atol=1)


def test_hue_turns_colours_and_keeps_brightness():
    image = even(0) + np.array([200, 60, 60], np.uint8)
    turns = []
    for seed in SEEDS:
        changed = image_after("hue", image, seed, strength=0.1)
        assert changed.max() == pytest.approx(200, abs=2)
        turn = (hues(changed)[0, 0] - hues(image)[0, 0] + 90) % 180 - 90
        assert abs(turn) <= 0.1 * 180 + 1
        turns.append(turn)
    assert min(turns) < 0 < max(turns)


def test_light_keeps_the_order_of_grey_levels():
    image = ramp()
    outcomes = []
    for seed in SEEDS:
        changed = image_after("light", image, seed).astype(int)
        assert (np.diff(changed[0, :, 0]) >= 0).all()
        outcomes.append(changed.mean())
    assert np.ptp(outcomes) > 5
    same = {"gamma": 0.0, "gain_min": 1.0, "gain_max": 1.0, "offset": 0.0}
    np.testing.assert_array_equal(image_after("light", image, **same), image)


def test_exposure_multiplies_by_at_most_its_stops_and_clips():
    image = np.arange(40, 104, dtype=np.uint8).reshape(8, 8, 1)
    factors = []
    for seed in SEEDS:
        changed = image_after("exposure", image, seed, stops=1.0).astype(float)
        factor = changed.sum() / image.sum()
        np.testing.assert_allclose(changed, image * factor, atol=1.5)
        factors.append(factor)
    assert 0.49 < min(factors) < 0.9
    assert 1.1 < max(factors) < 2.01
    bright = [image_after("exposure", even(200), seed, stops=2.0).max() for seed in SEEDS]
    assert max(bright) == 255


def test_vignette_darkens_one_side_and_brightens_the_other():
    for seed in SEEDS:
        change = image_after("vignette", even(128), seed, strength=0.4).astype(int) - 128
        np.testing.assert_allclose(change + change[::-1, ::-1], 0, atol=2)
        assert change.max() <= 0.4 * 255 * np.sqrt(2) + 1
        assert change.min() < 0 < change.max()


def test_low_sun_darkens_flat_ground_and_shows_relief():
    flat = [image_after("low_sun", even(128), seed, strength=1.0) for seed in SEEDS]
    assert all(np.ptp(shaded) == 0 for shaded in flat)
    assert min(shaded.mean() for shaded in flat) < 100 < 128 >= max(s.mean() for s in flat)
    boulder = even(128, channels=1)
    cv2.circle(boulder[..., 0], (32, 32), 12, 220, -1)
    for seed in SEEDS:
        shaded = image_after("low_sun", boulder, seed, strength=1.0).astype(float)
        around = [shaded[32 + y, 32 + x, 0] for x, y in ((14, 0), (-14, 0), (0, 14), (0, -14))]
        ground = shaded[2, 2, 0]
        assert max(around) > ground > min(around)


def test_shadows_only_darken_and_only_in_places():
    kept = []
    for seed in SEEDS:
        changed = image_after("shadows", even(200), seed, count=1, darkness=1.0)
        assert changed.max() <= 200
        kept.append((changed == 200).mean())
        assert (changed == changed[..., :1]).all()
    assert 0.0 < np.mean(kept) < 1.0
    dark = [image_after("shadows", even(200), s, count=4, darkness=1.0).min() for s in SEEDS]
    assert min(dark) < 60
    faint = [image_after("shadows", even(200), s, count=4, darkness=0.1).min() for s in SEEDS]
    assert min(faint) >= 179


def test_read_noise_is_the_same_everywhere_and_shot_noise_grows_with_light():
    image = even(30, channels=1, size=128)
    image[:, 64:] = 200
    for seed in SEEDS:
        read = image_after("noise", image, seed, read=0.08, shot=0.0).astype(float)
        assert read[:, :64].std() == pytest.approx(read[:, 64:].std(), rel=0.15)
        assert read[:, :64].mean() == pytest.approx(30, abs=1.5)
        shot = image_after("noise", image, seed, read=0.0, shot=0.08).astype(float)
        expected = np.sqrt(200 / 30)
        assert shot[:, 64:].std() / shot[:, :64].std() == pytest.approx(expected, rel=0.25)


def test_noise_of_nothing_changes_nothing():
    image, _ = scene()
    np.testing.assert_array_equal(image_after("noise", image, read=0.0, shot=0.0), image)


@pytest.mark.parametrize("channels", [1, 3])
def test_blur_takes_detail_and_keeps_brightness(channels):
    image, _ = scene(channels)
    weaker = 0
    for seed in SEEDS:
        changed = image_after("blur", image, seed, sigma_px=3.0, motion_px=5.0).astype(float)
        assert changed.mean() == pytest.approx(image.mean(), abs=2.0)
        assert changed.std() <= image.std()
        weaker += changed.std() < 0.8 * image.std()
    assert weaker >= len(SEEDS) // 2


def test_dust_in_the_air_veils_contrast_and_specks_darken():
    image = ramp()
    for seed in SEEDS:
        veiled = image_after("dust", image, seed, haze=0.8, specks=0).astype(int)
        assert veiled.std() < image.std()
        assert (np.diff(veiled[0, :, 0]) >= 0).all()
    specks = [image_after("dust", even(200), seed, haze=0.0, specks=12) for seed in SEEDS]
    assert all(changed.max() == 200 for changed in specks)
    assert min(changed.min() for changed in specks) < 190


def test_bayer_keeps_even_colour_and_blurs_edges_of_it():
    colour = even(0) + np.array([200, 120, 40], np.uint8)
    np.testing.assert_array_equal(image_after("bayer", colour), colour)
    edge = colour.copy()
    edge[:, 31:] = (40, 120, 200)
    changed = image_after("bayer", edge)
    np.testing.assert_array_equal(changed[4:-4, 8], edge[4:-4, 8])
    assert not np.array_equal(changed[4:-4, 28:34], edge[4:-4, 28:34])


def test_bayer_samples_red_green_and_blue_where_the_pattern_has_them():
    image, _ = scene()
    changed = image_after("bayer", image)
    inside = slice(2, HEIGHT - 2), slice(2, WIDTH - 2)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for channel, wanted in ((0, (0, 0)), (1, (0, 1)), (1, (1, 0)), (2, (1, 1))):
        sampled = (rows % 2 == wanted[0]) & (columns % 2 == wanted[1])
        mask = np.zeros_like(sampled)
        mask[inside] = sampled[inside]
        np.testing.assert_array_equal(changed[mask, channel], image[mask, channel])


def test_mono_has_three_equal_channels_of_luma():
    image, _ = scene()
    changed = image_after("mono", image)
    assert (changed == changed[..., :1]).all()
    expected = image.astype(float) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(changed[..., 0], expected, atol=1.0)
