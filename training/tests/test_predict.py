"""`terrain-train predict` writes masks, overlays and a sheet, of images and videos."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

import terrain_training as tt
from conftest import SIZE_PX
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.pictures import legend_strip
from terrain_training.cli import main
from terrain_training.prediction.inputs import find_inputs

FRAMES = 12


def predict(*words):
    return main(["predict", *(str(word) for word in words), "--threads", "1"])


@pytest.fixture
def photos(data, tmp_path):
    """Return a folder of three images and another file."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for path in sorted((data / "images").glob("*.jpg"))[:3]:
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "notes.txt").write_text("mine")
    return folder


@pytest.fixture
def video(data, tmp_path):
    path = tmp_path / "drive.mp4"
    code = cv2.VideoWriter.fourcc(*"mp4v")
    writer = cv2.VideoWriter(str(path), code, 10.0, (SIZE_PX, SIZE_PX))
    for image in sorted((data / "images").glob("*.jpg"))[:FRAMES]:
        writer.write(cv2.imread(str(image)))
    writer.release()
    return path


def frames_of(path):
    capture, frames = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    return frames, capture.get(cv2.CAP_PROP_FPS)


def test_a_folder_becomes_masks_overlays_and_a_sheet(trained, photos, tmp_path, capsys):
    out = tmp_path / "out"
    assert predict(trained, photos, "--out", out) == 0
    results = json.loads((out / "predictions.json").read_text())
    names = sorted(path.name for path in photos.glob("*.jpg"))
    assert sorted(results["results"]) == names
    assert results["sharpening"] is None
    for name, found in results["results"].items():
        mask = cv2.imread(str(out / name.replace(".jpg", "_mask.png")), cv2.IMREAD_UNCHANGED)
        (wanted,) = tt.load(trained).predict(photos / name)
        np.testing.assert_array_equal(mask, wanted.mask)
        overlay = cv2.imread(str(out / name.replace(".jpg", "_overlay.png")))
        np.testing.assert_array_equal(overlay[..., ::-1], wanted.overlay())
        assert sum(found["shares"].values()) == pytest.approx(1.0, abs=1e-4)
    sheet = cv2.imread(str(out / "sheet.png"))
    assert sheet.shape[1] > 4 * 300  # two images and two overlays in a row
    printed = capsys.readouterr().out
    assert all(name in printed for name in names)
    assert printed.splitlines()[-1] == f"sheet {out / 'sheet.png'}"


def test_an_exported_model_and_a_checkpoint_predict_the_same(trained, data, photos, tmp_path):
    model = tmp_path / "model"
    tt.load(trained, data=data).export(model)
    image = sorted(photos.glob("*.jpg"))[0]
    masks = []
    for number, given in enumerate((trained / "best.safetensors", model, model / "model.onnx")):
        out = tmp_path / f"out{number}"
        assert predict(given, image, "--out", out) == 0
        masks.append(cv2.imread(str(out / f"{image.stem}_mask.png"), cv2.IMREAD_UNCHANGED))
    assert (masks[0] == masks[1]).mean() > 0.99
    np.testing.assert_array_equal(masks[1], masks[2])


def test_a_shipped_model_predicts_by_name_into_a_new_folder(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert predict("mars_navcam", photos) == 0
    assert predict("mars_navcam", photos) == 0
    made = sorted(path.name for path in (tmp_path / "predictions").iterdir())
    assert made == ["mars_navcam-1", "mars_navcam-2"]


def test_a_video_becomes_a_video(trained, video, tmp_path, capsys):
    out = tmp_path / "out"
    assert predict(trained, video, "--out", out) == 0
    overlays, rate_hz = frames_of(out / "drive_overlay.mp4")
    originals, _ = frames_of(video)
    assert len(overlays) == FRAMES
    assert rate_hz == pytest.approx(10.0)
    taxonomy = tt.load(trained).predict(originals[0])[0].taxonomy
    legend = [(item.name, item.color_rgb) for item in taxonomy]
    strip = legend_strip(legend, width_px=SIZE_PX)
    assert overlays[0].shape == (SIZE_PX + strip.shape[0], SIZE_PX, 3)
    wanted = tt.load(trained).predict(np.ascontiguousarray(originals[5][..., ::-1]))[0].overlay()
    difference = np.abs(overlays[5][:SIZE_PX, :, ::-1].astype(int) - wanted)
    assert difference.mean() < 12.0  # the codec is lossy
    found = json.loads((out / "predictions.json").read_text())["results"]["drive.mp4"]
    assert (found["frames"], found["frames_in_file"]) == (FRAMES, FRAMES)
    assert f"drive.mp4: {FRAMES} frames; " in capsys.readouterr().out
    assert not list(out.glob(".*"))


def test_a_video_ends_at_the_limit_of_frames(trained, video, tmp_path):
    assert predict(trained, video, "--out", tmp_path / "out", "--max-frames", 4) == 0
    assert len(frames_of(tmp_path / "out" / "drive_overlay.mp4")[0]) == 4


def test_sharpening_is_that_of_the_recipe_or_of_the_words(trained, photos, tmp_path):
    image = sorted(photos.glob("*.jpg"))[0]
    run = tt.load(trained)
    for number, (words, wanted) in enumerate(
        [
            (["--sharpen"], True),
            (["--sharpen", "amount=0", "min_area_px=4000"], {"amount": 0.0, "min_area_px": 4000}),
        ]
    ):
        out = tmp_path / str(number)
        assert predict(trained, image, "--out", out, *words) == 0
        mask = cv2.imread(str(out / f"{image.stem}_mask.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(mask, run.predict(image, sharpen=wanted)[0].mask)


def test_windows_and_mirrored_images_are_those_of_evaluate(trained, photos, tmp_path):
    masks = {}
    for name, words in (("whole", ()), ("tiled", ("--flips", "--window", SIZE_PX // 2))):
        assert predict(trained, photos, "--out", tmp_path / name, *words) == 0
        path = sorted((tmp_path / name).glob("*_mask.png"))[0]
        masks[name] = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert masks["whole"].shape == masks["tiled"].shape
    assert 0.0 < (masks["whole"] != masks["tiled"]).mean() < 0.9


def test_an_image_that_cannot_be_read_is_named_and_the_others_follow(
    trained, photos, tmp_path, capsys
):
    (photos / "broken.png").write_bytes(b"no picture")
    (photos / "cut.mp4").write_bytes(b"no video")
    assert predict(trained, photos, "--out", tmp_path / "out") == 2
    printed = capsys.readouterr().out
    assert "left out: " in printed
    assert "broken.png" in printed
    assert "cut.mp4' cannot be read by OpenCV" in printed
    results = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert len(results["results"]) == 3
    assert sorted(results["refused"]) == ["broken.png", "cut.mp4"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["{photos}", "--sharpen", "amounts=1"],
            "sharpening.amounts is unknown; did you mean amount?",
        ),
        (["{photos}", "--sharpen", "much"], "expected KEY=VALUE"),
        (["{photos}", "--sharpen", "sigma_px=-1"], "sharpening.sigma_px is -1"),
        (["{photos}/none.png"], "none.png' does not exist"),
        (["{photos}/notes.txt"], "is neither an image (.png, .jpg"),
        (["{data}"], "no images or videos itself (it has 'images', 'masks'"),
        (["{photos}", "--out", "{photos}"], "which this command did not write"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_line(
    trained, data, photos, tmp_path, capsys, monkeypatch, words, message
):
    monkeypatch.chdir(tmp_path)
    given = [word.format(photos=photos, data=data) for word in words]
    assert predict(trained, *given) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "predictions").exists()


def test_two_images_of_one_stem_are_refused(tmp_path):
    for name in ("a.png", "a.jpg"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ConfigError, match="several images are called 'a'"):
        find_inputs([tmp_path])


def test_a_video_that_is_cut_off_says_so(trained, video, tmp_path, capsys):
    cut = tmp_path / "cut.avi"
    size = (SIZE_PX, SIZE_PX)
    writer = cv2.VideoWriter(str(cut), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, size)
    for frame in frames_of(video)[0]:
        writer.write(np.ascontiguousarray(frame))
    writer.release()
    whole = cut.read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    assert predict(trained, cut, "--out", tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / "predictions.json").read_text("utf-8"))["results"]
    assert 0 < found["cut.avi"]["frames"] < FRAMES
    said = capsys.readouterr().out
    assert f"of {FRAMES} frames (no further frame can be read: the file is cut off or" in said
