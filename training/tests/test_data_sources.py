"""Every source on files in its real layout, and on the real ones where they are here."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import data_sets
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_training.data.contract import BadSampleError, find_usable
from terrain_training.data.palette import Palette
from terrain_training.data.rover_clock import spacecraft_clock_s
from terrain_training.data.sources.ai4mars import Ai4Mars
from terrain_training.data.sources.earth_terrain import EarthTerrain
from terrain_training.data.sources.labelled_folder import LabelledFolder
from terrain_training.data.sources.lunar_landscape import LunarLandscape
from terrain_training.data.sources.mars_terrain import MarsTerrain
from terrain_training.data.sources.side_by_side import SideBySide

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
SYNMARS = Taxonomy(
    tuple(
        TerrainClass(number, name, colour, 0.5)
        for number, (name, colour) in enumerate(
            [
                ("big_rock", (255, 255, 0)),
                ("small_rock", (255, 150, 0)),
                ("gravel", (255, 0, 0)),
                ("bedrock", (0, 255, 0)),
                ("ridge", (255, 190, 255)),
                ("sand", (0, 255, 255)),
                ("soil", (0, 0, 255)),
                ("sky", (102, 102, 102)),
            ]
        )
    )
)


def everything(source):
    """Read every sample of every split; no name is in two splits."""
    names = [name for split in source.splits() for name in source.names(split)]
    assert len(set(names)) == len(names)
    samples = {name: source.load(name) for name in names}
    for sample in samples.values():
        ids = set(np.unique(sample.mask)) - {255}
        assert ids <= set(range(len(source.taxonomy)))
    return samples


def test_lunar_renders_are_split_as_published_and_real_images_are_their_own_test(tmp_path):
    source = LunarLandscape(data_sets.lunar(tmp_path, count=100))
    sizes = {split: len(source.names(split)) for split in source.splits()}
    assert sizes == {"train": 49, "validation": 21, "test": 30, "real": 3}
    samples = everything(source)
    np.testing.assert_array_equal(samples["PCAM1"].mask, data_sets.labels(101, 4))
    assert "TCAM9" not in samples  # it has no mask
    assert LunarLandscape(tmp_path).names("train") == source.names("train")
    assert LunarLandscape(tmp_path, seed=1).names("train") != source.names("train")


def test_clean_masks_label_what_ground_masks_leave_dark(tmp_path):
    data_sets.lunar(tmp_path)
    clean, ground = LunarLandscape(tmp_path, masks="clean"), LunarLandscape(tmp_path)
    name = clean.names("train")[0]
    index = int(name.removeprefix("render"))
    np.testing.assert_array_equal(clean.load(name).mask, data_sets.labels(index, 4))
    assert not (ground.load(name).mask == 1).any()
    with pytest.raises(ConfigError, match="clean"):
        LunarLandscape(tmp_path, masks="dirty")


def test_mars_terrain_reads_the_archive(tmp_path):
    samples = everything(MarsTerrain(data_sets.mars_npz(tmp_path / "mars.npz")))
    assert len(samples) == 20
    assert samples["mars_0003"].image.shape == (64, 128)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"training_set": np.zeros((4, 3, 8, 8), np.uint8)}, "shape"),
        ({"training_set": np.full((4, 2, 8, 8), 0.5)}, "whole numbers"),
        ({"training_set": np.array([None, {}], dtype=object)}, "expected numbers"),
    ],
)
def test_an_archive_of_another_kind_is_refused(tmp_path, change, named):
    with pytest.raises(ConfigError, match=named):
        MarsTerrain(data_sets.mars_npz(tmp_path / "mars.npz", **change))


def test_an_archive_that_is_none_is_refused(tmp_path):
    (tmp_path / "mars.npz").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(ConfigError, match=r"mars\.npz"):
        MarsTerrain(tmp_path / "mars.npz")
    np.savez(tmp_path / "other.npz", images=np.zeros(3))
    with pytest.raises(ConfigError, match="training_set"):
        MarsTerrain(tmp_path / "other.npz")


def test_pairs_become_classes_by_k_means_and_survive_jpeg(tmp_path):
    palette = np.array([[0, 0, 200], [200, 200, 0], [0, 160, 0], [220, 0, 0]], dtype=np.uint8)
    source = SideBySide(data_sets.pairs(tmp_path, palette), classes=4)
    everything(source)
    assert source.splits() == ("train", "validation")
    found = source.palette.colours.astype(int)
    for colour in palette.astype(int):
        assert np.abs(found - colour).sum(axis=1).min() < 40
    given = SideBySide(tmp_path, palette=Palette(palette))
    sample = given.load("train/1")
    truth = data_sets.labels(0, 4, height=64, width=64)
    assert (sample.mask == truth).mean() > 0.97
    assert sample.image.shape == (64, 64, 3)


def test_earth_maps_have_seven_classes_or_two_and_a_height(tmp_path):
    source = EarthTerrain(data_sets.earth(tmp_path / "seven"))
    samples = everything(source)
    np.testing.assert_array_equal(samples["0002"].mask, data_sets.labels(2, 7))
    height = source.height("0002")
    assert height.shape == samples["0002"].mask.shape
    assert 0.0 <= height.min() < height.max() <= 1.0
    binary = EarthTerrain(data_sets.earth(tmp_path / "two", binary=True), binary=True)
    np.testing.assert_array_equal(everything(binary)["0001"].mask, data_sets.labels(1, 2))
    with pytest.raises(BadSampleError, match="colours"):
        EarthTerrain(tmp_path / "two").load("0001")


def test_a_folder_takes_colours_or_ids_and_its_own_lists(tmp_path):
    source = LabelledFolder(
        data_sets.folder(tmp_path / "colours", SYNMARS), SYNMARS, by_colour=True
    )
    np.testing.assert_array_equal(everything(source)["004"].mask, data_sets.labels(4, 8))
    root = data_sets.folder(tmp_path / "ids", SYNMARS, by_colour=False, channels=1)
    (root / "train.txt").write_text("000\n001\n")
    (root / "validation.txt").write_text("002\n")
    listed = LabelledFolder(root, SYNMARS, by_colour=False)
    assert (listed.names("train"), listed.names("validation")) == (["000", "001"], ["002"])
    assert listed.load("000").image.ndim == 2
    with pytest.raises(ConfigError, match="holdout"):
        listed.names("holdout")


def test_ai4mars_as_published_is_split_by_the_rover_s_clock(tmp_path):
    source = Ai4Mars(data_sets.ai4mars_published(tmp_path, sessions=40))
    samples = everything(source)
    assert source.splits() == ("train", "validation", "gold")
    assert len(source.names("gold")) == 3
    clocks = {
        split: np.array([spacecraft_clock_s(name) for name in source.names(split)])
        for split in ("train", "validation")
    }
    apart = np.abs(clocks["train"][:, None] - clocks["validation"][None])
    assert apart.min() > 3600
    sample = samples[source.names("gold")[0]]
    assert sample.image.ndim == 2
    assert (sample.mask[:4] == 255).all()  # the rover itself
    assert (sample.mask[4:] != 255).all()


def bad(path, kind):
    """Spoil one file in a way that happens."""
    values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if kind == "missing":
        path.unlink()
    elif kind == "cut off":
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == "16 bits":
        cv2.imwrite(str(path), values.astype(np.uint16) << 8)
    elif kind == "transparent":
        alpha = np.full((*values.shape[:2], 1), 255, dtype=np.uint8)
        alpha[0, 0] = 0
        cv2.imwrite(str(path), np.concatenate([values, alpha], axis=2))
    elif kind == "sizes differ":
        cv2.imwrite(str(path), values[:-1])
    elif kind == "unknown colour":
        values[:2, :2] = (1, 2, 3)
        cv2.imwrite(str(path), values)
    elif kind == "no image":
        path.write_text("this is text")


KINDS = [
    "missing",
    "cut off",
    "16 bits",
    "transparent",
    "sizes differ",
    "unknown colour",
    "no image",
]


@pytest.mark.parametrize("kind", KINDS)
def test_bad_masks_are_named_or_left_out(tmp_path, kind):
    root = data_sets.folder(tmp_path, SYNMARS)
    bad(root / "masks" / "003.png", kind)
    source = LabelledFolder(root, SYNMARS, by_colour=True)
    names = [name for split in source.splits() for name in source.names(split)]
    with pytest.raises(BadSampleError, match="003"):
        find_usable(source, names, skip_bad=False)
    usable = find_usable(source, names, skip_bad=True)
    assert list(usable.bad) == ["003"]
    assert len(usable.names) == len(names) - 1


@pytest.mark.parametrize("kind", ["cut off", "16 bits", "transparent", "sizes differ", "no image"])
def test_bad_images_are_named(tmp_path, kind):
    root = data_sets.folder(tmp_path, SYNMARS)
    bad(root / "images" / "003.png", kind)
    source = LabelledFolder(root, SYNMARS, by_colour=True)
    with pytest.raises(BadSampleError, match="003"):
        source.load("003")


def test_ids_that_are_no_class_are_named(tmp_path):
    root = data_sets.folder(tmp_path, SYNMARS, by_colour=False)
    data_sets.save(root / "masks" / "005.png", np.full((24, 32), 77, np.uint8))
    source = LabelledFolder(root, SYNMARS, by_colour=False)
    names = [name for split in source.splits() for name in source.names(split)]
    with pytest.raises(BadSampleError, match="77"):
        find_usable(source, names, skip_bad=False)


def test_nothing_usable_is_an_error(tmp_path):
    root = data_sets.folder(tmp_path, SYNMARS, count=3)
    for path in (root / "masks").iterdir():
        bad(path, "unknown colour")
    source = LabelledFolder(root, SYNMARS, by_colour=True, shares={"train": 0.5, "validation": 0.5})
    with pytest.raises(ConfigError, match="none of 2"):
        find_usable(source, source.names("train"), skip_bad=True)


@pytest.mark.parametrize("missing", ["images", "masks"])
def test_folders_that_are_not_there_are_named(tmp_path, missing):
    root = data_sets.folder(tmp_path / "set", SYNMARS)
    for path in (root / missing).iterdir():
        path.unlink()
    with pytest.raises(ConfigError, match=missing):
        LabelledFolder(root, SYNMARS, by_colour=True)


@pytest.mark.skipif(not SHARED.is_dir(), reason="no reference data beside the repository")
def test_the_real_sets_are_read():
    synmars = LabelledFolder(SHARED / "synmars_tw", SYNMARS, by_colour=True)
    assert len(everything(synmars)) > 10
    pairs = SideBySide(SHARED / "cityscapes_pairs" / "pairs")
    assert len(pairs.names("train")) == 200
    assert pairs.load(pairs.names("validation")[0]).mask.max() < 10
    mars = Ai4Mars(SHARED / "ai4mars_msl256")
    assert len(mars.names("train")) == 3965
    assert mars.load(mars.names("validation")[0]).image.shape == (256, 256)
