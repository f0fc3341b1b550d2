from __future__ import annotations

import numpy as np

from terrain_training.augment import augment_pair


def striped():
    mask = np.tile(np.repeat(np.arange(4, dtype=np.uint8), 16), (64, 1))
    return np.array([30, 90, 150, 210], np.uint8)[mask], mask


def test_same_seed_gives_the_same_pair_and_another_seed_another():
    image, mask = striped()
    first = augment_pair(image, mask, np.random.default_rng(1))
    again = augment_pair(image, mask, np.random.default_rng(1))
    other = augment_pair(image, mask, np.random.default_rng(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])


def test_mask_keeps_its_ids_and_moves_with_the_image():
    image, mask = striped()
    for seed in range(30):
        changed, ids = augment_pair(image, mask, np.random.default_rng(seed))
        assert changed.dtype == ids.dtype == np.uint8
        assert changed.shape == ids.shape == (64, 64)
        assert set(np.unique(ids)) <= {0, 1, 2, 3, 255}
        means = [changed[ids == k].mean() for k in range(4) if np.sum(ids == k) > 100]
        assert means == sorted(means)
