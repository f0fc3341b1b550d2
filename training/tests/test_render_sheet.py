"""Contact sheets of renders, and how well renders are told from photographs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.cli import main
from terrain_training.rendering.contact_sheet import contact_sheet
from terrain_training.rendering.cycles.labels import ROVER_TAXONOMY
from terrain_training.rendering.cycles.realism import NAMES, compare, features, roc_area

GROUND = np.ones((256, 256), np.uint8)


def picture_of(seed, *, sigma=1.0, level=110, blue=0.8):
    random = np.random.default_rng(seed)
    grey = cv2.GaussianBlur(random.normal(0.0, 40.0, (256, 256)), (0, 0), sigma) + level
    colour = np.stack([grey, grey, blue * grey], axis=-1)
    return np.clip(colour, 0, 255).astype(np.uint8)


def folder_of(path, count, *, masks="masks", **look):
    for name in ("images", masks):
        (path / name).mkdir(parents=True)
    for number in range(count):
        cv2.imwrite(str(path / "images" / f"p{number:02d}.png"), picture_of(number, **look))
        cv2.imwrite(str(path / masks / f"p{number:02d}.png"), 0 * GROUND)
    return path


def of(count, start=0, **look):
    return np.array([features(picture_of(start + n, **look), GROUND) for n in range(count)])


def test_features_measure_brightness_colour_and_grain():
    plain, grainy, dark = (of(1)[0], of(1, sigma=0.6)[0], of(1, level=60)[0])
    at = NAMES.index
    assert plain[at("blue over green")] == pytest.approx(0.8, abs=0.02)
    assert dark[at("brightness p50")] < plain[at("brightness p50")] - 0.15
    assert grainy[at("contrast at 1 px")] > plain[at("contrast at 1 px")] + 0.3
    assert grainy[at("spectrum 0.25-0.5")] > plain[at("spectrum 0.25-0.5")] + 1.0


def test_a_picture_without_ground_cannot_be_measured():
    with pytest.raises(ConfigError, match="0 pixels of ground"):
        features(picture_of(1), np.zeros((256, 256), np.uint8))


def test_pictures_of_one_kind_cannot_be_told_and_others_always():
    same = compare(of(8), of(24, 50))
    other = compare(of(8), of(24, 50, sigma=2.0, level=80))
    assert 0.2 < same.area < 0.8
    assert other.area > 0.99
    assert other.apart[NAMES.index("brightness p50")] > 0.99
    with pytest.raises(ConfigError, match="too few to compare"):
        compare(of(1), of(5))


def test_the_area_counts_pairs_and_halves_ties():
    assert roc_area(np.array([2.0, 3.0]), np.array([1.0, 0.0])) == 1.0
    assert roc_area(np.array([1.0]), np.array([1.0, 0.0])) == 0.75


def test_a_sheet_has_a_tile_for_each_picture_and_its_labels_below(tmp_path):
    folder = folder_of(tmp_path / "set", 5)
    stems = [f"p{number:02d}" for number in range(5)]
    plain = contact_sheet(folder, stems, side_px=40, columns=3, taxonomy=None)
    assert plain.shape == (2 * 44, 3 * 44, 3)
    assert (plain[44:, 88:] == 255).all()
    both = contact_sheet(folder, stems, side_px=40, columns=3, taxonomy=ROVER_TAXONOMY)
    assert both.shape == (2 * 84, 3 * 44, 3)
    with pytest.raises(ConfigError, match=r"absent\.png' cannot be read"):
        contact_sheet(folder, ["absent"], side_px=40, columns=3, taxonomy=None)


def test_the_command_writes_a_sheet_and_prints_what_is_measured(tmp_path, capsys):
    renders = folder_of(tmp_path / "set", 12, sigma=2.0)
    photographs = folder_of(tmp_path / "real", 4, masks="masks_index")
    out = tmp_path / "sheet.jpg"
    words = ["render-sheet", str(renders), "--out", str(out), "--count", "6", "--side", "100"]
    assert main([*words, "--photographs", str(photographs)]) == 0
    said = capsys.readouterr().out
    assert "written  6 pictures" in said
    assert "4 photographs from 12 renders" in said
    assert cv2.imread(str(out)).shape[1] == 6 * 104
    assert main(words) == 2
    assert "exists and was not written by this command" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"), [(["--out", "x.gif"], "ends in .jpg or .png"), ([], "has no images")]
)
def test_wrong_folders_and_names_are_named(tmp_path, capsys, words, told):
    words = words or ["--out", str(tmp_path / "x.png")]
    assert main(["render-sheet", str(tmp_path), *words]) == 2
    assert told in capsys.readouterr().err


def test_photographs_of_ai4mars_are_compared_in_grey_and_where_they_are_labelled(tmp_path, capsys):
    renders = folder_of(tmp_path / "set", 12, sigma=2.0)
    real = folder_of(tmp_path / "real", 4, masks="masks")
    for number, path in enumerate(sorted((real / "images").iterdir())):
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        cv2.imwrite(str(path.with_suffix(".jpg")), grey)
        path.unlink()
        if number == 0:
            cv2.imwrite(str(real / "masks" / path.name), np.full(grey.shape, 255, np.uint8))
    out = tmp_path / "sheet.jpg"
    assert main(["render-sheet", str(renders), "--out", str(out), "--photographs", str(real)]) == 0
    said = capsys.readouterr().out
    assert "3 photographs from 12 renders" in said
    assert any(
        line.split() == ["red", "over", "green", "1.000", "1.000", "0.50"]
        for line in said.splitlines()
    )


def test_photographs_without_masks_are_refused(tmp_path, capsys):
    renders = folder_of(tmp_path / "set", 2)
    real = folder_of(tmp_path / "real", 2, masks="masks_index")
    for path in (real / "masks_index").iterdir():
        path.unlink()
    words = ["render-sheet", str(renders), "--out", str(tmp_path / "x.jpg")]
    assert main([*words, "--photographs", str(real)]) == 2
    assert "masks_index' has no images" in capsys.readouterr().err
