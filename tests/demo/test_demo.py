"""Tests of `terrain-seg demo`: a short run of all three processes, and all that it makes."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from support.demo_runs import Demo, running
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.mask_to_picture import overlay
from terrain_seg_ros.demo.frames import APART_M, HOLD, first_frames
from terrain_seg_ros.demo.report import write_report
from terrain_seg_ros.messages.grid_message import decode_grid
from terrain_seg_ros.messages.header_message import stamp_ns
from terrain_seg_ros.messages.image_message import decode_image
from terrain_seg_ros.model_store.model_store import load_card
from terrain_seg_ros.report.pictures import FREE_RGB, REASON_RGB, brightened

MODEL = "mars_navcam"
PICTURES = 2
FRAMES = PICTURES * HOLD
RECORDED = ("image", "mask", "confidence", "overlay", "hazard_grid", "hazard_reason")


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """Run the demo once with the shipped model, into a folder that is there already."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "mine.txt").write_text("kept")
    (folder / "node.json").write_text("left over from an earlier run")
    demo = Demo(folder, "--backend", "onnxruntime", "--pictures", str(PICTURES), "--no-sim")
    demo.code, demo.output, demo.errors = demo.end()
    assert demo.code == 0, demo.errors
    demo.left = running(demo.domain)
    (demo.bag,) = folder.glob("bag_*")
    demo.summary = json.loads((folder / "node.json").read_text())
    with AnyReader([demo.bag]) as reader:
        demo.messages = {}
        for connection, _, data in reader.messages():
            message = reader.deserialize(data, connection.msgtype)
            demo.messages.setdefault(connection.topic, []).append(message)
    return demo


def by_stamp(demo, name):
    return {stamp_ns(item.header): item for item in demo.messages[f"/terrain/{name}"]}


def picture_index(message):
    """Return which picture a camera image shows."""
    pixels = decode_image(message).pixels
    (index,) = [f.index for f in first_frames(PICTURES) if np.array_equal(f.pixels(), pixels)]
    return index


def test_all_processes_have_ended_and_other_files_are_kept(shown):
    assert shown.left == {}
    assert (shown.folder / "mine.txt").read_text() == "kept"


def test_summary_and_bag_agree_on_every_count(shown):
    summary = shown.summary
    assert summary["images_in"] == FRAMES
    assert summary["images_out"] + sum(summary["dropped"].values()) == FRAMES
    assert summary["refused"] == {}
    counts = {name: len(shown.messages[f"/terrain/{name}"]) for name in RECORDED}
    assert counts.pop("image") == FRAMES
    for name in ("hazard_grid", "hazard_reason"):
        counts[name] -= 1
    assert set(counts.values()) == {summary["images_out"]}
    assert len(shown.messages["/terrain/label_info"]) >= 1
    assert len(shown.messages["/terrain/camera_info"]) == len(shown.messages["/tf"]) == FRAMES


def test_every_answer_has_the_stamp_of_its_image_and_its_place(shown):
    images = by_stamp(shown, "image")
    assert [picture_index(images[s]) for s in sorted(images)] == sorted([*range(PICTURES)] * HOLD)
    grids = by_stamp(shown, "hazard_grid")
    taken_back = grids.pop(max(grids))
    assert set(np.unique(taken_back.data)) <= {-1, 100}, "the node took its grid back at its end"
    for stamp, message in grids.items():
        grid = decode_grid(message)
        centre_m = grid.origin_x_m + grid.values.shape[1] * grid.resolution_m / 2
        assert round(centre_m / APART_M) == picture_index(images[stamp])
        assert (grid.values >= 0).sum() > 1000, "the ground ahead is known"


def test_printed_tables_show_counts_stages_backend_and_shares(shown):
    lines = [line.split() for line in shown.output.splitlines()]
    assert ["frames", "in", str(FRAMES)] in lines
    assert ["frames", "out", str(shown.summary["images_out"])] in lines
    assert ["dropped", str(sum(shown.summary["dropped"].values()))] in lines
    assert ["backend", "onnxruntime", "in", "fp32"] in lines
    (total,) = [line for line in lines if line[:1] == ["total"]]
    assert float(total[1]) <= float(total[2]) <= float(total[3])
    names = load_card(MODEL).taxonomy.names
    shares = [float(line[1].rstrip("%")) for line in lines if line and line[0] in names]
    assert len(shares) == len(names)
    assert sum(shares) == pytest.approx(100.0, abs=0.3)
    for name in (shown.bag.name, "index.html", "overlays", "grids.png"):
        assert any(name in line[-1] for line in lines if line)
    assert f"played {FRAMES} of {FRAMES} frames" in shown.errors


def test_overlays_show_the_mask_of_the_bag_over_its_own_picture(shown):
    images, masks = by_stamp(shown, "image"), by_stamp(shown, "mask")
    files = sorted((shown.folder / "overlays").glob("*.png"))
    assert [path.name[:2] for path in files] == [f"{index:02d}" for index in range(PICTURES)]
    card = load_card(MODEL)
    for index, path in enumerate(files):
        last = max(stamp for stamp in masks if picture_index(images[stamp]) == index)
        mask = decode_image(masks[last]).pixels
        pixels = brightened(decode_image(images[last]).pixels)
        drawn = cv2.imread(str(path))[..., ::-1]
        assert np.array_equal(drawn, overlay(pixels, mask, card.taxonomy, alpha=0.45))


def test_the_picture_of_the_grids_shows_ground_straight_ahead(shown):
    picture = cv2.imread(str(shown.folder / "grids.png"))[..., ::-1].astype(int)
    side = (picture.shape[1] - 6 * (PICTURES - 1)) // PICTURES
    unseen = np.array(list(REASON_RGB.values()))
    for index in range(PICTURES):
        left = index * (side + 6)
        strip = picture[side // 4 : side // 2, left + side // 2 - 4 : left + side // 2]
        holes = (np.abs(strip[:, :, None] - unseen).sum(axis=-1) == 0).any(axis=-1)
        assert holes.mean() < 0.05
    swatch = picture[side + 8 :, :40].reshape(-1, 3)
    assert (swatch == FREE_RGB).all(axis=1).any(), "the legend is below"


class Reading(HTMLParser):
    """Collect texts, tags and images."""

    def __init__(self, path):
        super().__init__()
        self.texts, self.tags, self.images = [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_lists_every_picture_with_its_views_side_by_side(shown):
    page = Reading(shown.folder / "index.html")
    captions = [text for text in page.texts if "assumed pitch" in text]
    assert [caption.split(" · ")[1] for caption in captions] == [
        frame.name for frame in first_frames(PICTURES)
    ]
    views = ["image", "overlay", "label (AI4Mars)", "confidence", "grid"]
    assert [image["alt"] for image in page.images] == views * PICTURES
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.images)
    text = " ".join(page.texts)
    assert "onnxruntime fp32" in text
    assert "NASA/JPL-Caltech" in text
    assert "assumed" in text
    assert f"{FRAMES} / {shown.summary['images_out']}" in text


def test_a_hostile_model_name_stays_text(shown, tmp_path):
    hostile = "<script>alert(1)</script>"
    summary = {**shown.summary, "model": hostile, "backend": hostile}
    write_report(shown.bag, summary, first_frames(PICTURES), model=MODEL, out=tmp_path)
    page = Reading(tmp_path / "index.html")
    assert "script" not in page.tags
    assert hostile in page.texts


def test_a_bag_without_answers_names_the_first_picture_that_lacks_one(shown, tmp_path):
    frames = first_frames(PICTURES + 1)
    with pytest.raises(ConfigError, match=f"1 of {PICTURES + 1} pictures") as caught:
        write_report(shown.bag, shown.summary, frames, model=MODEL, out=tmp_path)
    assert frames[-1].name in str(caught.value)


def test_grids_of_other_vehicles_on_the_bus_are_passed_over(shown, tmp_path):
    made = write_report(shown.bag, shown.summary, first_frames(1), model=MODEL, out=tmp_path)
    assert len(list(made.paths["overlays"].iterdir())) == 1
