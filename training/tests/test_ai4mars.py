from __future__ import annotations

import cv2
import numpy as np
import pytest

from conftest import SIZE_PX, stem_at, write_pair
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.datasets import ai4mars

STEM = stem_at(400_000_000)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    write_pair(tmp_path, STEM, seed=1)
    return tmp_path


def read(root):
    return ai4mars.read_pairs(root, [STEM], size_px=SIZE_PX)


def test_pair_is_grey_and_of_class_ids(root):
    ((image, mask),) = read(root)
    assert image.shape == mask.shape == (SIZE_PX, SIZE_PX)
    assert image.dtype == mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 1, 2, 3, 255}


@pytest.mark.parametrize("name", [f"images/{STEM}.jpg", f"masks/{STEM}.png"])
def test_missing_file_is_named(root, name):
    (root / name).unlink()
    with pytest.raises(ConfigError, match=name):
        read(root)


def test_truncated_image_is_named(root):
    path = root / "images" / f"{STEM}.jpg"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ConfigError, match=STEM):
        read(root)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((32, 32), np.uint8), "same size"),
        (np.zeros((SIZE_PX, SIZE_PX, 3), np.uint8), "one channel"),
        (np.zeros((SIZE_PX, SIZE_PX), np.uint16), "8-bit"),
        (np.full((SIZE_PX, SIZE_PX), 7, np.uint8), "class id 7"),
    ],
)
def test_bad_mask_is_refused(root, mask, message):
    cv2.imwrite(str(root / "masks" / f"{STEM}.png"), mask)
    with pytest.raises(ConfigError, match=message):
        read(root)


def test_size_that_contradicts_the_recipe_is_refused(root):
    with pytest.raises(ConfigError, match="input_size_px is 96"):
        ai4mars.read_pairs(root, [STEM], size_px=96)


def test_missing_list_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"train\.txt is missing"):
        ai4mars.read_split(tmp_path, seed=1)
