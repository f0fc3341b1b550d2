"""Where true masks come from, and which mask each belongs to."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from support.bags import COMPRESSED, HEIGHT_PX, IMAGE, WIDTH_PX, Entry, header, stamp, write_bag
from terrain_seg_ros.bag.cameras import BagCamera
from terrain_seg_ros.bag.scores import WAITING_LIMIT, score_masks
from terrain_seg_ros.bag.truth import Truth, decode_truth, find_truth
from terrain_seg_ros.core.errors import ConfigError, MessageError
from terrain_seg_ros.core.scores.segmentation_metrics import ConfusionMatrix
from terrain_seg_ros.messages.cdr import message_class
from terrain_seg_ros.messages.image_message import encode_image

NAMES = ["soil", "rock"]
TABLE = np.full(256, 254, dtype=np.uint8)
TABLE[[0, 1, 255]] = [0, 1, 255]
CAMERA = BagCamera("navcam", "/navcam/image_raw", None)
TOPICS = {"/truth/labels", "/navcam/image_raw"}


def mask(index, share, *, topic="/terrain/mask", late_ns=0, size=(HEIGHT_PX, WIDTH_PX)):
    """Return a mask whose first columns, so large a share, are rock."""
    values = np.zeros(size, dtype=np.uint8)
    values[:, : round(share * size[1])] = 1
    message = encode_image(message_class, values, "mono8", header(stamp(index)))
    return Entry(topic, IMAGE, stamp(index) + late_ns, message)


def truth(index, share, **place):
    return mask(index, share, topic="/truth/labels", **place)


def score(path, entries, where=None):
    matrix = ConfusionMatrix(NAMES)
    source = where or Truth("navcam", "/truth/labels", {})
    bag = write_bag(path / "bag", entries)
    counts = score_masks(bag, [(source, "/terrain/mask")], table=TABLE, matrix=matrix)
    return counts, matrix


def test_masks_meet_the_truth_of_their_stamp_whichever_comes_first(tmp_path):
    second = 10**9
    entries = [mask(index, 0.5) for index in range(6)]
    entries += [truth(index, 0.5, late_ns=second * (index % 2)) for index in range(6)]
    counts, matrix = score(tmp_path, entries)
    assert (counts.matched, counts.truth_without_mask, counts.masks_without_truth) == (6, 0, 0)
    assert matrix.scores().mean_iou == 1.0
    assert matrix.scores().images == 6


def test_the_score_is_the_one_worked_out_by_hand(tmp_path):
    _, matrix = score(tmp_path, [mask(0, 0.25), truth(0, 0.5), mask(1, 0.5), truth(1, 0.5)])
    pixels = HEIGHT_PX * WIDTH_PX
    assert matrix.scores().confusion == [[pixels, 0], [pixels // 4, 3 * pixels // 4]]
    assert matrix.missed_share([False, True]) == pytest.approx(0.25)
    assert matrix.missed_share([False, False]) is None


def test_unlabelled_pixels_are_not_called_safe(tmp_path):
    entry = mask(0, 0.5)
    entry.message.data[:] = 255
    _, matrix = score(tmp_path, [entry, truth(0, 0.5)])
    assert matrix.missed_share([False, True]) == 0.0
    assert matrix.scores().recall["rock"] == 0.0


def test_truth_of_another_size_scores_the_mask_at_its_size(tmp_path):
    _, matrix = score(tmp_path, [mask(0, 0.5), truth(0, 0.5, size=(32, 48))])
    assert sum(map(sum, matrix.scores().confusion)) == 32 * 48
    assert matrix.scores().mean_iou == 1.0


def test_truth_of_another_shape_is_refused_with_both_sizes(tmp_path):
    with pytest.raises(ConfigError, match=r"truth is 32 x 32 px, but the mask .* 96 x 64 px"):
        score(tmp_path, [mask(0, 0.5), truth(0, 0.5, size=(32, 32))])


def test_what_stays_alone_is_counted_and_memory_is_bounded(tmp_path):
    count = WAITING_LIMIT + 10
    entries = [mask(index, 0.5) for index in range(count)]
    entries += [truth(count + 1, 0.5), mask(count + 2, 0.5), truth(count + 2, 0.5)]
    # Its mask was given up before this truth came.
    entries.append(truth(0, 0.5, late_ns=10**11))
    counts, _ = score(tmp_path, entries)
    assert counts.matched == 1
    assert (counts.masks_without_truth, counts.truth_without_mask) == (count, 2)


def test_damaged_truth_is_counted_and_the_rest_counts(tmp_path):
    bad = truth(0, 0.5)
    bad.message.encoding = "rgb8"
    counts, _ = score(tmp_path, [mask(0, 0.5), bad, mask(1, 0.5), truth(1, 0.5)])
    assert (counts.matched, counts.damaged, counts.masks_without_truth) == (1, 1, 1)
    assert "rgb8" in counts.last_damage


def test_nothing_in_common_shows_stamps_of_both(tmp_path):
    with pytest.raises(ConfigError) as caught:
        score(tmp_path, [mask(0, 0.5), truth(1, 0.5)])
    assert str(stamp(0)) in str(caught.value)
    assert str(stamp(1)) in str(caught.value)


def test_a_value_without_a_meaning_is_an_error(tmp_path):
    entry = truth(0, 0.5)
    entry.message.data[0] = 7
    with pytest.raises(ConfigError, match=r"\[7\]"):
        score(tmp_path, [mask(0, 0.5), entry])


def test_a_folder_s_files_are_named_by_stamp(tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    values = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.uint8)
    values[:, : WIDTH_PX // 2] = 1
    whole, parted = stamp(0), divmod(stamp(1), 10**9)
    cv2.imwrite(str(folder / f"{whole}.png"), values)
    cv2.imwrite(str(folder / f"{parted[0]}_{parted[1]:09d}.png"), values)
    cv2.imwrite(str(folder / f"{stamp(7)}.png"), values)
    (folder / f"{stamp(2)}.png").write_bytes(b"no picture")
    (folder / "notes.txt").touch()
    (where,) = find_truth([str(folder)], [CAMERA], TOPICS)
    counts, matrix = score(tmp_path, [mask(index, 0.5) for index in range(4)], where)
    assert (counts.matched, counts.damaged) == (2, 1)
    assert (counts.truth_without_mask, counts.masks_without_truth) == (1, 1)
    assert matrix.scores().mean_iou == 1.0


def test_several_cameras_name_theirs(tmp_path):
    cameras = [BagCamera(side, f"/{side}/image_raw", None) for side in ("left", "right")]
    topics = {"/truth/left", "/truth/right"}
    found = find_truth(["right=/truth/right", "left=/truth/left"], cameras, topics)
    assert {item.camera: item.topic for item in found} == {
        "left": "/truth/left",
        "right": "/truth/right",
    }
    with pytest.raises(ConfigError, match="CAMERA=TOPIC"):
        find_truth(["/truth/left"], cameras, topics)
    with pytest.raises(ConfigError, match="twice"):
        find_truth(["left=/truth/left", "left=/truth/right"], cameras, topics)


def test_what_is_no_truth_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"/none.*/truth/labels"):
        find_truth(["/none"], [CAMERA], TOPICS)
    (tmp_path / "one.png").touch()
    with pytest.raises(ConfigError, match="named by its stamp"):
        find_truth([str(tmp_path)], [CAMERA], TOPICS)
    for name in ("1700000000000000001.png", "1700000000_000000001.png"):
        (tmp_path / name).touch()
    with pytest.raises(ConfigError, match="same stamp"):
        find_truth([str(tmp_path)], [CAMERA], TOPICS)


def compressed_truth(suffix, shape=(8, 8)):
    data = cv2.imencode(suffix, np.zeros(shape, dtype=np.uint8))[1].reshape(-1)
    return message_class(COMPRESSED)(header=header(stamp(0)), format=suffix[1:], data=data)


def test_png_is_read_and_jpeg_and_colours_are_refused():
    assert decode_truth(compressed_truth(".png")).shape == (8, 8)
    with pytest.raises(MessageError, match="JPEG"):
        decode_truth(compressed_truth(".jpg"))
    with pytest.raises(MessageError, match="3 channels"):
        decode_truth(compressed_truth(".png", (8, 8, 3)))
    labels = mask(0, 0.5).message
    labels.encoding = "8UC1"
    assert decode_truth(labels).max() == 1
