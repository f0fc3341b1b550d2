"""Tests of `terrain-seg evaluate`."""

import json
import struct

import cv2
import numpy as np
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.cli.main import main

NAMES = ["soil", "bedrock", "sand", "big_rock"]
LEVELS = np.array([32, 96, 160, 224], dtype=np.uint8)
"""The grey level in the middle of each class."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=32))


@pytest.fixture
def folders(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    return tmp_path


def add(folders, stem, truth, image_ids=None, *, image_scale=1):
    """Write a mask, and an image in which the model sees `image_ids` (the truth by default)."""
    truth = np.kron(np.asarray(truth, dtype=np.uint8), np.ones((16, 16), dtype=np.uint8))
    ids = np.asarray(truth if image_ids is None else image_ids, dtype=np.uint8)
    if ids.shape != truth.shape:
        ids = np.kron(ids, np.ones((16, 16), dtype=np.uint8))
    image = np.kron(LEVELS[np.minimum(ids, 3)], np.ones((image_scale,) * 2, dtype=np.uint8))
    cv2.imwrite(str(folders / "images" / f"{stem}.png"), image)
    cv2.imwrite(str(folders / "masks" / f"{stem}.png"), truth)


def evaluate(model, folders, *more):
    scores = folders / "scores.json"
    words = ["evaluate", "--model", model, "--backend", "onnxruntime", "--json", str(scores)]
    words += ["--images", str(folders / "images"), "--masks", str(folders / "masks"), *more]
    code = main(words)
    return code, json.loads(scores.read_text()) if scores.exists() else None


def test_a_perfect_model(model, folders, capsys):
    add(folders, "one", [[0, 1], [2, 3]])
    code, scores = evaluate(model, folders)
    assert code == 0
    assert set(scores) == {
        "mean_iou",
        "iou",
        "precision",
        "recall",
        "pixel_accuracy",
        "confusion",
        "images",
        "merged",
        "truth_px",
        "absent_classes",
        "ignored",
        "unpredicted",
        "model",
        "backend",
        "backend_precision",
    }
    assert scores["mean_iou"] == scores["pixel_accuracy"] == 1.0
    perfect = dict.fromkeys(NAMES, 1.0)
    assert scores["iou"] == scores["recall"] == scores["precision"] == perfect
    assert scores["backend_precision"] == "fp32"
    assert scores["images"] == 1
    said = capsys.readouterr()
    assert "mean IoU 1.0000" in said.out
    assert said.err == "", "a log gets no progress bar"


def test_one_matrix_is_pooled_over_all_images(model, folders):
    add(folders, "a", [[0, 0], [0, 1]], [[0, 0], [1, 1]])
    add(folders, "b", [[1, 1], [1, 1]])
    code, scores = evaluate(model, folders)
    assert code == 0
    block = 256
    assert scores["confusion"] == [
        [2 * block, block, 0, 0],
        [0, 5 * block, 0, 0],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
    ]
    assert scores["iou"] == {
        "soil": pytest.approx(2 / 3),
        "bedrock": pytest.approx(5 / 6),
        "sand": None,
        "big_rock": None,
    }
    assert scores["mean_iou"] == pytest.approx((2 / 3 + 5 / 6) / 2)
    assert scores["recall"]["soil"] == pytest.approx(2 / 3)
    assert scores["pixel_accuracy"] == pytest.approx(7 / 8)
    assert scores["images"] == 2


def test_ignored_pixels_do_not_count(model, folders):
    add(folders, "a", [[0, 255], [0, 255]], [[0, 3], [0, 3]])
    assert evaluate(model, folders)[1]["confusion"][0] == [512, 0, 0, 0]
    add(folders, "a", [[0, 9], [0, 9]], [[0, 3], [0, 3]])
    assert evaluate(model, folders, "--ignore", "9")[1]["mean_iou"] == 1.0


@pytest.mark.parametrize("scale", [2, 3])
def test_a_mask_of_another_size_is_refused_with_both_sizes(model, folders, capsys, scale):
    add(folders, "a", [[0, 1], [2, 3]], image_scale=scale)
    assert evaluate(model, folders)[0] == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "error" in text]
    assert f"the image is {32 * scale} x {32 * scale} px" in line
    assert "mask a.png is 32 x 32 px" in line


def turn_by_exif(path, orientation):
    """Store a picture again as a JPEG that EXIF turns."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    tiff = b"MM\0*\0\0\0\x08\0\x01" + struct.pack(">HHIHHI", 274, 3, 1, orientation, 0, 0)
    body = b"Exif\0\0" + tiff
    path.unlink()
    segment = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
    path.with_suffix(".jpg").write_bytes(data[:2] + segment + data[2:])


TALL = [[0, 1], [2, 3], [0, 0]]


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
def test_an_image_that_exif_turns_is_refused_with_both_sizes(model, folders, capsys, orientation):
    add(folders, "a", TALL)
    turn_by_exif(folders / "images" / "a.png", orientation)
    assert evaluate(model, folders)[0] == 2
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "error" in text]
    upright = "48 x 32 px upright" if orientation >= 5 else "32 x 48 px"
    assert f"EXIF orientation {orientation}" in line
    assert "32 x 48 px as stored" in line
    assert upright.removesuffix(" upright") in line
    assert "mask a.png is 32 x 48 px" in line
    assert "--exif stored or --exif upright" in line


def test_masks_may_belong_to_stored_or_to_upright_pixels(model, folders, capsys):
    add(folders, "a", TALL)
    turn_by_exif(folders / "images" / "a.png", 6)
    assert evaluate(model, folders, "--exif", "upright")[0] == 2
    assert "the image is 48 x 32 px (upright" in capsys.readouterr().err
    code, stored = evaluate(model, folders, "--exif", "stored")
    assert (code, stored["mean_iou"] > 0.8) == (0, True)
    path = folders / "masks" / "a.png"
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), cv2.rotate(mask, cv2.ROTATE_90_CLOCKWISE))
    assert evaluate(model, folders, "--exif", "stored")[0] == 2
    code, upright = evaluate(model, folders, "--exif", "upright")
    assert (code, upright["mean_iou"] > 0.8) == (0, True)


def test_what_did_not_count_and_what_never_occurs_is_said(model, folders, capsys):
    add(folders, "a", [[0, 255], [0, 2]], [[0, 3], [3, 2]])
    code, scores = evaluate(model, folders)
    assert code == 0
    assert scores["iou"]["big_rock"] is None
    assert scores["precision"]["big_rock"] == 0.0
    assert scores["absent_classes"] == ["bedrock", "big_rock"]
    assert scores["ignored"] == 0.25
    assert scores["mean_iou"] == pytest.approx((0.5 + 1.0) / 2)
    said = capsys.readouterr().out
    assert "25.00% of the pixels did not count" in said
    assert "never in the truth: bedrock, big_rock" in said
    assert "0.00% of the others had no prediction" in said


def test_images_of_twelve_bits_score_as_those_of_eight(model, folders, capsys):
    add(folders, "a", [[0, 1], [2, 3]])
    path = folders / "images" / "a.png"
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    cv2.imwrite(str(path), pixels.astype(np.uint16) << 4)
    assert evaluate(model, folders)[1]["mean_iou"] == 1.0
    assert evaluate(model, folders, "--image-bits", "16")[1]["mean_iou"] < 0.5
    assert evaluate(model, folders, "--image-bits", "3")[0] == 2
    assert "image_bits is 3" in capsys.readouterr().err


def test_values_are_mapped_by_name(model, folders):
    add(folders, "a", [[10, 20], [30, 40]], [[3, 3], [1, 0]])
    mapping = "10=big_rock, 20=big_rock,30=bedrock,40=ignore"
    code, scores = evaluate(model, folders, "--map", mapping)
    assert code == 0
    assert scores["iou"] == {"soil": None, "bedrock": 1.0, "sand": None, "big_rock": 1.0}


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (["--map", "0=gravel"], "'gravel', but the model has"),
        (["--map", "soil=0"], "'soil=0', expected VALUE=name"),
        (["--map", "300=soil"], "value 300"),
        (["--map", "0=soil,0=sand"], "0 twice"),
        (["--map", "0=soil"], "values [1, 2, 3], which have no class"),
        (["--map", "255=soil"], "which --ignore excludes"),
        (["--ignore", "256"], "value 256"),
        (["--json", "absent/x.json"], "the folder 'absent' does not exist"),
        (["--images", "absent"], "no folder 'absent'"),
    ],
)
def test_wrong_arguments_are_named(model, folders, capsys, more, text):
    add(folders, "a", [[0, 1], [2, 3]])
    assert evaluate(model, folders, *more)[0] == 2
    assert text in capsys.readouterr().err


def test_files_without_a_partner_are_reported(model, folders, capsys):
    add(folders, "both", [[0, 1], [2, 3]])
    (folders / "images" / "only_image.jpg").write_bytes(b"never read")
    (folders / "masks" / "only_mask.png").write_bytes(b"never read")
    (folders / "masks" / "SOURCES.md").write_text("no mask")
    assert evaluate(model, folders)[1]["images"] == 1
    said = capsys.readouterr().err
    assert "no mask of the same stem: 1 (only_image)" in said
    assert "no image of the same stem: 1 (only_mask)" in said


def test_nothing_to_score_is_an_error(model, folders, capsys):
    assert evaluate(model, folders)[0] == 2
    assert "same file stem" in capsys.readouterr().err
    add(folders, "a", [[255]])
    assert evaluate(model, folders)[0] == 2
    assert "no labelled pixel" in capsys.readouterr().err


def test_a_coloured_mask_is_named(model, folders, capsys):
    add(folders, "a", [[0, 1], [2, 3]])
    cv2.imwrite(str(folders / "masks" / "a.png"), np.zeros((32, 32, 3), dtype=np.uint8))
    assert evaluate(model, folders)[0] == 2
    said = capsys.readouterr().err
    assert "a.png: the mask has 3 channels" in said


def test_a_class_the_model_lacks_is_named(model, folders, capsys):
    add(folders, "a", [[0, 7], [2, 3]])
    assert evaluate(model, folders)[0] == 2
    assert "a.png: the mask contains the values [7]" in capsys.readouterr().err


def test_sixteen_bit_masks_of_small_ids_are_read(model, folders):
    add(folders, "a", [[0, 1], [2, 3]])
    path = folders / "masks" / "a.png"
    ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.uint16)
    cv2.imwrite(str(path), ids)
    assert evaluate(model, folders)[1]["mean_iou"] == 1.0
    cv2.imwrite(str(path), ids + 300)
    assert evaluate(model, folders)[0] == 2


def test_two_images_of_one_stem_are_refused(model, folders, capsys):
    add(folders, "a", [[0, 1], [2, 3]])
    (folders / "images" / "a.jpg").write_bytes(b"")
    assert evaluate(model, folders)[0] == 2
    assert "same stem" in capsys.readouterr().err


def test_a_class_that_the_masks_do_not_label_counts_as_another_one(model, folders, capsys):
    add(folders, "one", [[0, 1], [2, 2]], [[0, 1], [3, 2]])
    code, scores = evaluate(model, folders, "--merge", "big_rock=sand")
    assert code == 0
    assert scores["merged"] == "big_rock=sand"
    assert scores["iou"] == {"soil": 1.0, "bedrock": 1.0, "sand": 1.0, "big_rock": None}
    assert "1 images, big_rock=sand" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("merge", "message"),
    [
        ("rock=soil", "'rock=soil', expected CLASS=CLASS with classes of ['soil'"),
        ("big_rock", "'big_rock', expected CLASS=CLASS"),
        ("big_rock=sand,sand=soil", "merges 'sand', into which it merges another class"),
    ],
)
def test_a_merge_that_cannot_be_understood_is_refused(model, folders, capsys, merge, message):
    add(folders, "one", [[0, 1], [2, 3]])
    code, scores = evaluate(model, folders, "--merge", merge)
    assert (code, scores) == (2, None)
    assert message in capsys.readouterr().err
