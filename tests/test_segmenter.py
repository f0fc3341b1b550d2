"""Tests of the Python API and of reading image files."""

import struct

import cv2
import numpy as np
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.segmenter import Segmenter

GREY = np.tile(np.linspace(0, 255, 40).astype(np.uint8), (30, 1))
RGB = np.stack([GREY, GREY[:, ::-1], GREY // 2], axis=2)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    folder = write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=(32, 64))
    with Segmenter(folder, backend="onnxruntime") as made:
        yield made


def test_a_file_and_its_pixels_give_the_same(segmenter, tmp_path):
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), GREY)
    by_path, by_text, by_pixels = segmenter(path), segmenter(str(path)), segmenter(GREY)
    assert by_path.mask.shape == (30, 40)
    assert np.array_equal(by_path.mask, by_pixels.mask)
    assert np.array_equal(by_path.mask, by_text.mask)
    assert np.array_equal(np.unique(by_path.mask), [0, 1, 2, 3])


def test_results_are_not_overwritten_by_the_next_image(tmp_path):
    folder = write_tiny_model(tmp_path / "tiny", size=(30, 40))
    with Segmenter(folder, backend="openvino") as segmenter:
        first = segmenter(GREY)
        kept = first.segmentation.probabilities_khw.copy()
        segmenter(255 - GREY)
        assert np.array_equal(first.segmentation.probabilities_khw, kept)


def test_shares_sum_to_one(segmenter):
    result = segmenter(GREY)
    shares = result.shares()
    assert list(shares) == ["soil", "bedrock", "sand", "big_rock", "unlabelled"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["soil"] == pytest.approx(0.25, abs=0.02)
    assert shares["unlabelled"] == 0.0
    assert result.mean_confidence() == pytest.approx(result.confidence.mean() / 255)


def test_what_a_crop_leaves_out_is_unlabelled(tmp_path):
    folder = write_tiny_model(tmp_path / "tiny", size=30, resize="crop")
    with Segmenter(folder, backend="onnxruntime") as segmenter:
        result = segmenter(GREY)
    assert result.shares()["unlabelled"] == pytest.approx(0.25)
    assert np.array_equal(result.overlay()[:, :5, 0], GREY[:, :5])


def test_pictures_are_rgb_in_image_size(segmenter):
    result = segmenter(RGB)
    assert result.overlay().shape == (30, 40, 3)
    assert np.array_equal(result.overlay(0.0), RGB)
    assert np.array_equal(result.overlay(1.0), result.color_mask())


def test_says_what_runs(segmenter):
    assert (segmenter.card.name, segmenter.backend, segmenter.precision) == (
        "tiny",
        "onnxruntime",
        "fp32",
    )


def test_an_array_that_is_no_image_is_refused(segmenter):
    with pytest.raises(MessageError, match="expected"):
        segmenter(np.zeros((4, 4, 4), dtype=np.uint8))


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp"])
def test_grey_and_colour_are_read_exactly(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    cv2.imwrite(str(path), GREY)
    assert np.array_equal(read_image(path), GREY)
    cv2.imwrite(str(path), RGB[..., ::-1])
    assert np.array_equal(read_image(path), RGB)


def test_twelve_bits_are_scaled_alike_over_all_images_and_told_once(tmp_path, caplog):
    model = write_tiny_model(tmp_path / "tiny")
    dark = (GREY // 8).astype(np.uint16) << 4
    with Segmenter(model, backend="onnxruntime") as own:
        assert np.array_equal(own(GREY.astype(np.uint16) << 4).pixels, GREY)
        result = own(dark)
        assert np.array_equal(result.pixels, GREY // 8)
    assert "use 12 bits" in result.notes[0]
    assert sum("use 12 bits" in line for line in caplog.messages) == 1


@pytest.mark.parametrize("image", [None, b"bytes", [[1, 2], [3, 4]], 7, {"a": 1}])
def test_what_is_no_image_is_one_clear_error(segmenter, image):
    with pytest.raises(MessageError, match=f"{type(image).__name__}, expected a path, a PIL image"):
        segmenter(image)


def test_arrays_of_other_types_are_refused(segmenter):
    for dtype in (np.float32, np.int64, bool):
        with pytest.raises(MessageError, match="expected"):
            segmenter(np.zeros((4, 4), dtype))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1", "I;16"])
def test_images_of_pillow_are_taken(segmenter, mode):
    pil = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    source = pil.fromarray(RGB)
    if mode == "I;16":
        image = pil.fromarray(GREY.astype(np.uint16) * 256)
        assert np.array_equal(segmenter(image).pixels, GREY)
    else:
        image = source.convert(mode)
        shape = (30, 40) if mode in {"L", "1"} else (30, 40, 3)
        assert segmenter(image).pixels.shape == shape


def test_an_orientation_in_exif_is_ignored_and_told_or_applied(tmp_path, caplog):
    data = cv2.imencode(".jpg", GREY)[1].tobytes()
    tiff = b"II*\0\x08\0\0\0\x01\0" + struct.pack("<HHIHHI", 274, 3, 1, 6, 0, 0)
    segment = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    path = tmp_path / "turned.jpg"
    path.write_bytes(data[:2] + segment + data[2:])
    model = write_tiny_model(tmp_path / "tiny")
    with Segmenter(model, backend="onnxruntime") as own:
        stored = own(path)
    assert stored.mask.shape == GREY.shape
    assert "EXIF orientation 6" in stored.notes[0]
    assert "EXIF orientation 6" in caplog.text
    with Segmenter(model, backend="onnxruntime", exif="upright") as own:
        turned = own(path)
    assert np.array_equal(turned.pixels, cv2.rotate(stored.pixels, cv2.ROTATE_90_CLOCKWISE))
    assert turned.notes == ()


def test_transparency_is_dropped(tmp_path):
    path = tmp_path / "image.png"
    alpha = np.full((30, 40, 1), 3, dtype=np.uint8)
    cv2.imwrite(str(path), np.concatenate([RGB[..., ::-1], alpha], axis=2))
    assert np.array_equal(read_image(path), RGB)


def test_sixteen_bits_become_the_high_eight(tmp_path):
    path = tmp_path / "image.png"
    cv2.imwrite(str(path), GREY.astype(np.uint16) * 256 + 200)
    assert np.array_equal(read_image(path), GREY)
    cv2.imwrite(str(path), RGB[..., ::-1].astype(np.uint16) * 257)
    assert np.array_equal(read_image(path), RGB)


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tiff"])
def test_what_is_cut_off_or_empty_is_refused(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    cv2.imwrite(str(path), noise)
    whole = path.read_bytes()
    for size in (0, 3, 20, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:size])
        with pytest.raises(ConfigError, match=str(path)):
            read_image(path)


def test_a_thumbnail_does_not_hide_a_cut(tmp_path):
    path = tmp_path / "image.jpg"
    thumbnail = cv2.imencode(".jpg", GREY)[1].tobytes()
    whole = cv2.imencode(".jpg", np.tile(GREY, (3, 3)))[1].tobytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = whole[:2] + segment + whole[2:]
    path.write_bytes(whole + b"trailing bytes of a camera")
    assert read_image(path).shape == (90, 120)
    path.write_bytes(whole[:-30])
    with pytest.raises(ConfigError, match="truncated"):
        read_image(path)


def test_other_kinds_are_refused(tmp_path):
    path = tmp_path / "image.tiff"
    cv2.imwrite(str(path), GREY.astype(np.float32))
    with pytest.raises(ConfigError, match="float32"):
        read_image(path)
    path.write_text("this is no image")
    with pytest.raises(ConfigError, match="unknown image format"):
        read_image(path)
    for missing, text in ((tmp_path, "is a folder"), (tmp_path / "no.png", "cannot be read")):
        with pytest.raises(ConfigError, match=text):
            read_image(missing)
