"""What holds for every augmentation."""

from __future__ import annotations

import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.augmentation.registry import (
    AUGMENTATIONS,
    build_augmentation,
    check_augmentation,
)

HEIGHT, WIDTH = 40, 56
OPTIONS = {
    "flip_horizontal": {},
    "flip_vertical": {},
    "camera_affine": {
        "rotation_deg": 20.0,
        "scale_min": 0.7,
        "scale_max": 1.4,
        "aspect_min": 0.8,
        "aspect_max": 1.25,
    },
    "brightness": {"strength": 0.5},
    "contrast": {"strength": 0.5},
    "saturation": {"strength": 0.5},
    "hue": {"strength": 0.3},
    "light": {"gamma": 0.3, "gain_min": 0.7, "gain_max": 1.3, "offset": 0.1},
    "exposure": {"stops": 1.0},
    "vignette": {"strength": 0.3},
    "low_sun": {"strength": 0.8},
    "shadows": {"count": 3, "darkness": 0.7},
    "noise": {"read": 0.05, "shot": 0.05},
    "blur": {"sigma_px": 2.0, "motion_px": 4.0},
    "jpeg": {"quality_min": 30, "quality_max": 80},
    "dust": {"haze": 0.4, "specks": 5},
    "bayer": {},
    "mono": {},
}
MOVING = ("flip_horizontal", "flip_vertical", "camera_affine")
COLOUR_ONLY = ("saturation", "hue", "bayer", "mono")


def row(name, *, probability=1.0):
    return {"name": name, "probability": probability, **OPTIONS[name]}


def scene(channels=3, seed=0):
    """Return a textured image (h, w, C) and a mask of vertical stripes (h, w)."""
    random = np.random.default_rng(seed)
    image = random.integers(20, 236, (HEIGHT, WIDTH, channels), dtype=np.uint8)
    mask = np.tile(np.arange(WIDTH, dtype=np.uint8) // 14, (HEIGHT, 1))
    return image, mask


def test_every_augmentation_is_tested_here():
    assert set(OPTIONS) == set(AUGMENTATIONS)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shapes_types_and_arguments_are_kept(name, channels):
    image, mask = scene(channels)
    before = image.copy(), mask.copy()
    augment = build_augmentation([row(name)])
    for seed in range(5):
        changed, ids = augment(image, mask, np.random.default_rng(seed))
        assert changed.dtype == ids.dtype == np.uint8
        assert changed.shape == image.shape
        assert ids.shape == mask.shape
        assert changed.flags.c_contiguous
        assert ids.flags.c_contiguous
        assert set(np.unique(ids)) <= {0, 1, 2, 3, 255}
    np.testing.assert_array_equal(image, before[0])
    np.testing.assert_array_equal(mask, before[1])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - set(MOVING)))
def test_what_moves_no_pixels_leaves_the_mask(name, channels):
    image, mask = scene(channels)
    augment = build_augmentation([row(name)])
    for seed in range(5):
        _, ids = augment(image, mask, np.random.default_rng(seed))
        np.testing.assert_array_equal(ids, mask)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_each_changes_the_image(name):
    image, mask = scene()
    augment = build_augmentation([row(name)])
    changed = [augment(image, mask, np.random.default_rng(seed))[0] for seed in range(3)]
    assert any(not np.array_equal(image, other) for other in changed)


@pytest.mark.parametrize("name", COLOUR_ONLY)
def test_colour_is_left_alone_where_there_is_none(name):
    image, mask = scene(channels=1)
    changed, _ = build_augmentation([row(name)])(image, mask, np.random.default_rng(1))
    np.testing.assert_array_equal(changed, image)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_same_generator_gives_the_same_result(name):
    image, mask = scene()
    augment = build_augmentation([row(name, probability=0.7)])
    first = augment(image, mask, np.random.default_rng(7))
    again = augment(image, mask, np.random.default_rng(7))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - {"bayer", "mono"}))
def test_other_generators_give_other_results(name):
    image, mask = scene()
    augment = build_augmentation([row(name, probability=0.5)])
    results = {augment(image, mask, np.random.default_rng(s))[0].tobytes() for s in range(12)}
    assert len(results) > 1


def test_probability_zero_changes_nothing_and_one_half_about_half():
    image, mask = scene()
    never = build_augmentation([row(name, probability=0.0) for name in AUGMENTATIONS])
    half = build_augmentation([row("flip_horizontal", probability=0.5)])
    flipped = 0
    for seed in range(200):
        changed, ids = never(image, mask, np.random.default_rng(seed))
        np.testing.assert_array_equal(changed, image)
        np.testing.assert_array_equal(ids, mask)
        flipped += not np.array_equal(half(image, mask, np.random.default_rng(seed))[1], mask)
    assert 70 < flipped < 130


def test_steps_follow_each_other_in_order():
    image, mask = scene()
    both = build_augmentation([row("flip_horizontal"), row("flip_vertical")])
    changed, ids = both(image, mask, np.random.default_rng(1))
    np.testing.assert_array_equal(changed, image[::-1, ::-1])
    np.testing.assert_array_equal(ids, mask[::-1, ::-1])


def test_all_of_them_together_keep_shapes():
    augment = build_augmentation([row(name) for name in AUGMENTATIONS])
    for channels in (1, 3):
        image, mask = scene(channels)
        changed, ids = augment(image, mask, np.random.default_rng(1))
        assert (changed.shape, ids.shape) == (image.shape, mask.shape)


def test_no_rows_are_no_augmentation():
    assert build_augmentation([]) is None


@pytest.mark.parametrize(
    ("bad", "named", "remedy"),
    [
        ({"name": "zoom"}, r"augmentation\[1\]\.name is 'zoom'", "camera_affine"),
        ({"probability": 0.5}, r"augmentation\[1\]\.name is null", "expected one of"),
        ({"name": ["mono"]}, r"augmentation\[1\]\.name is \[mono\]", "expected one of"),
        ({"name": "mono"}, r"augmentation\[1\]\.probability is None", "0 to 1"),
        ({"name": "mono", "probability": 1.5}, "probability is 1.5", "0 to 1"),
        ({"name": "mono", "probability": -0.1}, "probability is -0.1", "0 to 1"),
        ({"name": "mono", "probability": True}, "probability is True", "0 to 1"),
        ({"name": "mono", "probability": float("nan")}, "probability is nan", "0 to 1"),
        ({"name": "hue", "probability": 1}, r"\[1\]\.strength is missing", "hue takes"),
        (
            {"name": "hue", "probability": 1, "strength": 0.1, "angle": 2},
            r"\[1\]\.angle is unknown",
            r"hue takes strength",
        ),
        (
            {"name": "hue", "probability": 1, "strength": "much"},
            r"\[1\]\.strength is 'much'",
            "a number",
        ),
        (
            {"name": "hue", "probability": 1, "strength": -0.1},
            r"\[1\]\.strength is -0.1",
            "0 or more",
        ),
        (
            {"name": "hue", "probability": 1, "strength": 0.6},
            r"\[1\]\.strength is 0.6",
            "0.5",
        ),
        (
            {"name": "dust", "probability": 1, "haze": 1.5, "specks": 0},
            r"\[1\]\.haze is 1.5",
            r"at most 1\.0",
        ),
        (
            {"name": "shadows", "probability": 1, "count": 1.5, "darkness": 0.5},
            r"\[1\]\.count is 1.5",
            "a whole number",
        ),
        (
            {"name": "shadows", "probability": 1, "count": 0, "darkness": 0.5},
            r"\[1\]\.count is 0",
            "more than 0",
        ),
        (
            {"name": "camera_affine", "probability": 1, **OPTIONS["camera_affine"], "scale_min": 0},
            r"\[1\]\.scale_min is 0",
            "more than 0",
        ),
        (
            {"name": "camera_affine", "probability": 1, **OPTIONS["camera_affine"], "scale_min": 2},
            r"\[1\]\.scale_min is 2",
            "at most scale_max",
        ),
        (
            {"name": "jpeg", "probability": 1, "quality_min": 50, "quality_max": 101},
            r"\[1\]\.quality_max is 101",
            "at most 100",
        ),
        (
            {"name": "light", "probability": 1, **OPTIONS["light"], "gain_min": 2},
            r"\[1\]\.gain_min is 2",
            "at most gain_max",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(bad, named, remedy):
    with pytest.raises(ConfigError, match=named) as caught:
        check_augmentation([row("mono"), bad])
    assert caught.match(remedy)
