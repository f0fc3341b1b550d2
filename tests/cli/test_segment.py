"""Tests of `terrain-seg segment`."""

import json

import cv2
import numpy as np
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.cli.main import main

GREY = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (30, 1))


@pytest.fixture
def model(tmp_path):
    return str(write_tiny_model(tmp_path / "tiny", size=32))


def segment(model, out, *images):
    words = ["segment", *map(str, images), "--out", str(out), "--model", model]
    return main([*words, "--backend", "onnxruntime"])


def test_writes_mask_overlay_and_json(model, tmp_path, capsys):
    image = tmp_path / "rover.png"
    cv2.imwrite(str(image), GREY)
    out = tmp_path / "new" / "out"
    assert segment(model, out, image) == 0
    assert sorted(path.name for path in out.iterdir()) == [
        "rover.json",
        "rover_mask.png",
        "rover_overlay.png",
    ]
    mask = cv2.imread(str(out / "rover_mask.png"), cv2.IMREAD_UNCHANGED)
    assert mask.shape == GREY.shape
    assert mask.dtype == np.uint8
    assert np.abs(mask.astype(int) - GREY // 64).max() <= 1
    assert cv2.imread(str(out / "rover_overlay.png"), cv2.IMREAD_UNCHANGED).shape == (30, 40, 3)
    about = json.loads((out / "rover.json").read_text())
    assert about["model"] == "tiny"
    assert (about["backend"], about["precision"]) == ("onnxruntime", "fp32")
    assert (about["width_px"], about["height_px"]) == (40, 30)
    assert sum(about["shares"].values()) == pytest.approx(1.0, abs=1e-4)
    assert 0.5 < about["mean_confidence"] <= 1.0
    assert about["ms"] > 0
    assert "1 of 1 images done" in capsys.readouterr().out


def test_the_overlay_has_the_colours_of_the_classes(model, tmp_path):
    image = tmp_path / "white.png"
    cv2.imwrite(str(image), np.full((20, 20), 255, dtype=np.uint8))
    assert segment(model, tmp_path, image) == 0
    blue, green, red = cv2.imread(str(tmp_path / "white_overlay.png"))[10, 10].tolist()
    assert red > max(blue, green) + 50


def test_a_bad_image_does_not_stop_the_others(model, tmp_path, capsys):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    cv2.imwrite(str(good), GREY)
    bad.write_bytes(good.read_bytes()[:-30])
    assert segment(model, tmp_path / "out", bad, tmp_path / "absent.png", good) == 2
    said = capsys.readouterr()
    assert "bad.png: the image is truncated" in said.err
    assert "absent.png: cannot be read" in said.err
    assert "1 of 3 images done" in said.out
    assert (tmp_path / "out" / "good_mask.png").exists()
    assert not (tmp_path / "out" / "bad_mask.png").exists()


def test_a_folder_stands_for_its_images_without_earlier_results(model, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "b.JPG"):
        cv2.imwrite(str(photos / name), GREY)
    (photos / "notes.txt").write_text("rocks", encoding="utf-8")
    assert segment(model, photos, photos) == 0
    assert segment(model, photos, photos) == 0
    assert capsys.readouterr().out.count("2 of 2 images done") == 2
    assert (photos / "b_overlay.png").is_file()


def test_a_folder_without_images_is_refused(model, tmp_path, capsys):
    assert segment(model, tmp_path / "out", tmp_path / "tiny") == 2
    assert "tiny' has no images (.jpeg" in capsys.readouterr().err


def test_images_of_one_name_are_refused(model, tmp_path, capsys):
    assert segment(model, tmp_path, "a/x.png", "b/x.jpg") == 2
    assert "called 'x'" in capsys.readouterr().err


def test_an_output_folder_that_is_a_file_is_one_line(model, tmp_path, capsys):
    (tmp_path / "out").write_text("")
    assert segment(model, tmp_path / "out", "x.png") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_unknown_model_is_one_line(tmp_path, capsys):
    assert segment("nothing", tmp_path / "out", "x.png") == 2
    assert "there is no model 'nothing'" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["rover.json", "rover_mask.png", "rover_overlay.png"])
def test_a_file_of_the_same_name_that_is_no_result_stays(model, tmp_path, capsys, name):
    image, out = tmp_path / "rover.png", tmp_path / "labels"
    cv2.imwrite(str(image), GREY)
    out.mkdir()
    (out / name).write_bytes(b'{"shapes": []}')
    assert segment(model, out, image) == 2
    error = capsys.readouterr().err
    assert "labels" in error
    assert name in error
    assert error.count("\n") == 1
    assert [path.name for path in out.iterdir()] == [name]
    assert (out / name).read_bytes() == b'{"shapes": []}'


def test_earlier_results_are_replaced(model, tmp_path):
    image, out = tmp_path / "rover.png", tmp_path / "out"
    for level in (40, 200):
        cv2.imwrite(str(image), np.full((30, 40), level, np.uint8))
        assert segment(model, out, image) == 0
    mask = cv2.imread(str(out / "rover_mask.png"), cv2.IMREAD_UNCHANGED)
    assert np.abs(mask.astype(int) - 200 // 64).max() <= 1


def test_an_input_is_not_overwritten_by_its_result(model, tmp_path, capsys):
    for name in ("rover.png", "rover_mask.png"):
        cv2.imwrite(str(tmp_path / name), GREY)
    before = (tmp_path / "rover_mask.png").read_bytes()
    assert segment(model, tmp_path, tmp_path / "rover.png", tmp_path / "rover_mask.png") == 2
    assert "rover_mask.png" in capsys.readouterr().err
    assert (tmp_path / "rover_mask.png").read_bytes() == before
