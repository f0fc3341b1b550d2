"""Mirrored images and sliding windows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.cli import main
from terrain_training.evaluation.subject import open_subject
from terrain_training.evaluation.tiling import Tiling, tiled, windows


@pytest.fixture(scope="module")
def subject(trained):
    return open_subject(trained, recipe=None, backend="onnxruntime", precision="fp32", threads=1)


@pytest.fixture
def image():
    levels = np.array([40, 100, 160, 220], np.uint8)
    return np.kron(
        np.random.default_rng(5).permutation(levels).reshape(2, 2), np.ones((32, 32), int)
    ).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "window", "overlap"),
    [
        ((64, 64), (64, 64), 0.25),
        ((100, 250), (64, 48), 0.25),
        ((65, 64), (64, 64), 0.0),
        ((30, 90), (64, 64), 0.5),
    ],
)
def test_windows_cover_every_pixel_and_stay_inside(size, window, overlap):
    seen = np.zeros(size, int)
    for rows, columns in windows(*size, Tiling(window_px=window, overlap=overlap)):
        assert rows.stop <= size[0]
        assert columns.stop <= size[1]
        assert rows.stop - rows.start == min(window[1], size[0])
        assert columns.stop - columns.start == min(window[0], size[1])
        seen[rows, columns] += 1
    assert seen.min() >= 1


def test_neighbours_overlap_at_least_as_asked():
    spans = [columns for _, columns in windows(64, 1000, Tiling(window_px=(128, 64), overlap=0.25))]
    assert all(one.stop - two.start >= 32 for one, two in itertools.pairwise(spans))


def test_a_window_of_the_image_changes_nothing(subject, image):
    plain = subject.predict(image)
    one = tiled(subject, Tiling(window_px=(64, 64))).predict(image)
    np.testing.assert_array_equal(one.mask, plain.mask)
    np.testing.assert_array_equal(one.probabilities, plain.probabilities)
    assert tiled(subject, Tiling()) is subject


def test_mirrored_images_give_mirrored_masks(subject, image):
    both = tiled(subject, Tiling(flips=True))
    given, turned = both.predict(image), both.predict(np.ascontiguousarray(image[:, ::-1]))
    np.testing.assert_array_equal(given.probabilities, turned.probabilities[:, :, ::-1])
    alone = subject.predict(np.ascontiguousarray(image[:, ::-1]))
    assert (alone.probabilities[:, :, ::-1] != subject.predict(image).probabilities).any()


def test_a_large_image_is_seen_at_the_size_of_the_training(subject, image):
    large = np.tile(image, (2, 3))
    given = tiled(subject, Tiling(window_px=(64, 64), overlap=0.0)).predict(large)
    alone = subject.predict(image)
    np.testing.assert_array_equal(given.probabilities, np.tile(alone.probabilities, (1, 2, 3)))
    first, second = np.sort(alone.probabilities.astype(int), axis=0)[:-3:-1]
    clear = np.tile(first - second > 0, (2, 3))  # bytes leave some classes equally likely
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(given.mask[clear], np.tile(alone.mask, (2, 3))[clear])
    sums = given.probabilities.astype(int).sum(axis=0)
    assert np.abs(sums - 255).max() <= 4


def test_evaluate_takes_windows_and_flips(trained, data, capsys, tmp_path):
    words = ["evaluate", str(trained), "--data", str(data), "--resamples", "5"]
    words += [
        "--flips",
        "--window",
        "48x64",
        "--overlap",
        "0.5",
        "--json",
        str(tmp_path / "a.json"),
    ]
    assert main(words) == 0
    assert "mean IoU" in capsys.readouterr().out
    text = (tmp_path / "a.json").read_text()
    assert "mirrored too, windows of 48 x 64 px, overlap 0.5" in text


@pytest.mark.parametrize("wrong", [{"overlap": 1.0}, {"window_px": (0, 8)}])
def test_wrong_windows_are_refused(wrong):
    with pytest.raises(ConfigError, match="expected"):
        Tiling(**wrong)


def test_windows_that_would_take_hours_are_refused():
    with pytest.raises(
        ConfigError, match=r"overlap 0.99 make \d+ of an image of 640 x 480 px, more"
    ):
        list(windows(480, 640, Tiling(window_px=(64, 64), overlap=0.99)))
