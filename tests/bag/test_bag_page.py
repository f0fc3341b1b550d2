"""The page of a replay shows frames, the fused map, what was assumed and what was refused."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from support.bags import (
    IMAGE,
    drive,
    image,
    info,
    mounting,
    picture,
    pose,
    read_bag,
    stamp,
    write_bag,
)
from support.pages import Reading, decoded
from terrain_seg_ros.bag.drive import Names, read_drive, read_moments
from terrain_seg_ros.bag.page import MOMENTS
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.messages.grid_message import decode_grid

QUICK = ["--model", "synthetic", "--backend", "constant"]
NAMES = Names(
    {"hazard_grid": "/terrain/hazard_grid", "hazard_reason": "/terrain/hazard_reason"},
    {
        "navcam": {
            "image": "/navcam/image_raw",
            "mask": "/terrain/mask",
            "confidence": "/terrain/confidence",
        }
    },
)


def page_of(folder, source, *words, code=0):
    """Replay with a page and return what is on it."""
    given = ["replay", str(source), str(folder / "out"), *QUICK, "--page", str(folder / "page")]
    assert main([*given, *map(str, words)]) == code
    return Reading((folder / "page" / "index.html").read_text(encoding="utf-8"))


def drive_of(bag, names=NAMES):
    return read_drive(bag, names, grid_frame="odom", base_frame="base_link", cache_s=10.0)


def titles(reading):
    return [item["alt"] for item in reading.images]


def test_a_page_has_the_map_and_frames_with_all_their_pictures(tmp_path, capsys):
    reading = page_of(tmp_path, write_bag(tmp_path / "in", drive(20)))
    assert titles(reading)[:2] == ["fused map of the drive", "the grid at the end"]
    assert titles(reading)[2:] == ["image", "overlay", "mask", "confidence", "grid"] * MOMENTS
    shown = decoded(reading.images[2])
    np.testing.assert_allclose(shown[..., 0], picture(0), atol=12)
    said = " ".join(reading.texts)
    assert "6 of 20 images that reached the grid" in said
    assert "path 1.9 m" in said
    assert "inference" in said
    assert f"page: {tmp_path / 'page' / 'index.html'}" in capsys.readouterr().out


def test_the_map_is_written_as_a_picture_too(tmp_path):
    page_of(tmp_path, write_bag(tmp_path / "in", drive(3)))
    shown = cv2.imread(str(tmp_path / "page" / "map.png"))
    assert shown is not None
    assert shown.shape[1] == 900
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 5


def test_the_path_is_that_of_the_transforms_and_the_map_holds_every_grid(tmp_path):
    source = write_bag(tmp_path / "in", drive(30, transforms_late_ns=200_000_000))
    page_of(tmp_path, source)
    found = drive_of(tmp_path / "out")
    # The transform of the last image was recorded after it, so that the path ends with it.
    assert [place.x_m for place in found.places.values()] == pytest.approx(
        [0.1 * index for index in range(30)]
    )
    assert {(place.heading_x, place.heading_y) for place in found.places.values()} == {(1.0, 0.0)}
    cut = found.canvas.cut(np.zeros((1, 2)))
    for entry in read_bag(tmp_path / "out")["/terrain/hazard_grid"][-1:]:
        grid = decode_grid(entry.message)
        rows, cols = np.nonzero(grid.values >= 0)
        assert rows.size
        places_m = np.column_stack([cols + 0.5, rows + 0.5]) * grid.resolution_m
        places_m += np.array([grid.origin_x_m, grid.origin_y_m])
        at = np.floor(cut.row_col(places_m)).astype(int)
        np.testing.assert_array_equal(cut.cost[at[:, 0], at[:, 1]], grid.values[rows, cols])


def test_moments_have_the_image_mask_and_grid_of_one_stamp(tmp_path):
    page_of(tmp_path, write_bag(tmp_path / "in", drive(9)))
    bag = tmp_path / "out"
    moments = list(read_moments(bag, NAMES, drive_of(bag), "navcam", count=3))
    assert [item.stamp_ns for item in moments] == [stamp(0), stamp(4), stamp(8)]
    for index, item in zip((0, 4, 8), moments):
        np.testing.assert_array_equal(item.image.pixels, picture(index))
        assert item.mask.shape == item.confidence.shape == item.image.pixels.shape
        assert item.grid.stamp_ns == item.reason.stamp_ns == item.stamp_ns
        assert item.place.x_m == pytest.approx(0.1 * index)


def test_grids_that_are_sent_in_parts_are_put_together(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("/**:\n  ros__parameters:\n    grid: {whole_period_s: 1.0}\n")
    entries = drive(12)
    for entry in entries:
        if entry.topic == "/tf":
            entry.message.transforms[0].transform.translation.x = 0.0
    reading = page_of(tmp_path, write_bag(tmp_path / "in", entries), "--params", own)
    sent = read_bag(tmp_path / "out")
    assert len(sent["/terrain/hazard_grid"]) < 12
    assert "/terrain/hazard_grid_updates" in sent
    assert titles(reading)[:2] == ["fused map of the drive", "the grid at the end"]
    assert "image" in titles(reading)
    shared = {**NAMES.shared, "hazard_grid_updates": "/terrain/hazard_grid_updates"}
    assert len(drive_of(tmp_path / "out", NAMES._replace(shared=shared)).places) == 12


def test_what_was_refused_is_there_with_its_reason_although_no_grid_came(tmp_path):
    raw = [("/navcam/image_raw", IMAGE, stamp(1) + 1, b"\x00\x01\x00\x00\xff")]
    source = write_bag(tmp_path / "in", drive(3, with_info=False), raw=raw)
    reading = page_of(tmp_path, source, code=1)
    assert reading.images == []
    assert "refused: no camera_info" in reading.texts
    assert "refused: bad image" in reading.texts
    said = " ".join(reading.texts)
    assert "of 4 images 3 were segmented, and 0 projected onto the ground" in said
    assert any("horizontal_fov_rad" in text for text in reading.texts)


def test_what_was_assumed_and_left_out_is_there_and_in_the_summary(tmp_path, capsys):
    own = tmp_path / "own.yaml"
    values = "horizontal_fov_rad: 1.0\n    mounting: {use_tf: false, z_m: 1.5, pitch_rad: 0.5}"
    own.write_text(f"/**:\n  ros__parameters:\n    {values}\n")
    entries = [image(index) for index in range(3)]
    entries += [image(0, topic="/navcam/label_mask")]
    reading = page_of(tmp_path, write_bag(tmp_path / "in", entries), "--params", own)
    said = " ".join(reading.texts)
    assert "horizontal_fov_rad 1, without distortion (3 images)" in said
    assert "not from TF: x 0, y 0, z 1.5 m; roll 0, pitch 0.5, yaw 0 rad" in said
    assert "a plane: vehicle_plane at 0 m" in said
    assert "the vehicle is assumed to stand still" in said
    assert "topic /navcam/label_mask" in said
    lines = capsys.readouterr().out.splitlines()
    assumed = [line.split()[1] for line in lines if line.startswith("assumed: ")]
    assert assumed == ["lens", "mounting", "motion", "ground"]
    assert titles(reading)[0] == "fused map of the drive"


def test_several_cameras_have_a_section_each(tmp_path):
    entries = [mounting()]
    for index in range(4):
        entries += [pose(index), info(index), image(index)]
        entries += [info(index, topic="/rear/camera_info"), image(index, topic="/rear/image_raw")]
    reading = page_of(tmp_path, write_bag(tmp_path / "in", entries))
    assert "Frames of navcam" in reading.texts
    assert "Frames of rear" in reading.texts
    assert titles(reading).count("overlay") == 6
    # Both cameras have the same stamps; each of the images counts once.
    said = " ".join(reading.texts)
    assert said.count("3 of 4 images that reached the grid") == 2
    assert "of 8 images 8 were segmented, and 8 projected onto the ground" in said


def test_a_moment_has_the_grid_of_its_own_camera(tmp_path):
    behind = mounting(frame_id="behind")
    behind.message.transforms[0].transform.translation.x = -3.0
    entries = [mounting(), behind]
    for index in range(2):
        entries += [pose(index), info(index), image(index)]
        entries.append(info(index, topic="/rear/camera_info"))
        entries.append(image(index, topic="/rear/image_raw", frame_id="behind"))
    page_of(tmp_path, write_bag(tmp_path / "in", entries))
    rear = {
        "image": "/rear/image_raw",
        "mask": "/terrain/rear/mask",
        "confidence": "/terrain/rear/confidence",
    }
    names = NAMES._replace(cameras={"rear": rear})
    bag = tmp_path / "out"
    moments = list(read_moments(bag, names, drive_of(bag, names), "rear", count=2))
    assert [item.stamp_ns for item in moments] == [stamp(0), stamp(1)]
    grids = [decode_grid(entry.message) for entry in read_bag(bag)["/terrain/hazard_grid"]]
    for item, ours, others in zip(moments, grids[1::2], grids[::2], strict=True):
        assert (ours.values != others.values).any()
        np.testing.assert_array_equal(item.grid.values, ours.values)


def test_several_bags_have_a_page_each(tmp_path):
    sources = [str(write_bag(tmp_path / name, drive(2))) for name in ("monday", "tuesday")]
    words = ["replay", *sources, str(tmp_path / "out"), *QUICK, "--page", str(tmp_path / "pages")]
    assert main(words) == 0
    for name in ("monday", "tuesday"):
        assert (tmp_path / "pages" / name / "index.html").is_file()
        assert (tmp_path / "pages" / name / "map.png").is_file()


def test_a_page_replaces_an_earlier_one_and_nothing_else(tmp_path, capsys):
    source = write_bag(tmp_path / "in", drive(2))
    page_of(tmp_path, source)
    words = ["replay", str(source), str(tmp_path / "again"), *QUICK, "--page"]
    assert main([*words, str(tmp_path / "page")]) == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    capsys.readouterr()
    words[2] = str(tmp_path / "third")
    assert main([*words, str(tmp_path / "other")]) == 2
    assert "--page" in capsys.readouterr().err
    assert not (tmp_path / "third").exists(), "nothing was computed before"


def test_a_page_without_a_map_leaves_no_map_of_an_earlier_one(tmp_path):
    page_of(tmp_path, write_bag(tmp_path / "in", drive(2)))
    (tmp_path / "page" / "notes.txt").touch()
    blind = write_bag(tmp_path / "blind", drive(2, with_info=False))
    words = ["replay", str(blind), str(tmp_path / "again"), *QUICK, "--page"]
    assert main([*words, str(tmp_path / "page")]) == 1
    assert sorted(path.name for path in (tmp_path / "page").iterdir()) == [
        "index.html",
        "notes.txt",
    ]


def test_hostile_names_and_texts_stay_text(tmp_path):
    def odd(index):
        entry = image(index)
        entry.message.encoding = "<script>alert(1)</script>" if index else "mono8"
        return entry

    reading = page_of(tmp_path, write_bag(tmp_path / "in", drive(3, make_image=odd)))
    assert "script" not in reading.tags
    assert any("<script>" in text for text in reading.texts)
