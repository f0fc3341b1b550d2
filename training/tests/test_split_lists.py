"""Lists of images beside a folder: what they may be called, how lines look, what is drawn."""

from __future__ import annotations

import logging

import pytest

import data_sets
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY
from terrain_training.data.sources.labelled_folder import LabelledFolder

STEMS = [f"{number:03d}" for number in range(12)]


@pytest.fixture
def root(tmp_path):
    return data_sets.folder(tmp_path, WORLD_TAXONOMY, by_colour=False, channels=1)


def opened(root):
    return LabelledFolder(root, WORLD_TAXONOMY, by_colour=False)


def write(root, **lists):
    for name, lines in lists.items():
        text = lines if isinstance(lines, str) else "".join(f"{line}\n" for line in lines)
        (root / f"{name}.txt").write_text(text, encoding="utf-8", newline="")


@pytest.mark.parametrize("name", ["val", "valid", "validation", "dev", "VAL", "Validation"])
def test_every_usual_name_means_validation(root, name):
    write(root, train=STEMS[:8], test=STEMS[10:], **{name: STEMS[8:10]})
    source = opened(root)
    assert source.splits() == ("train", "validation", "test")
    assert source.names("validation") == STEMS[8:10]


@pytest.mark.parametrize(
    "text",
    [
        "000\r\n001\r\n",
        "\ufeff000.png\n\n001.PNG\n",
        "# drawn by hand\nimages/000.png\n/data/set/images/001.jpg  # a comment\n",
        "images\\000.png\nimages\\001.png",
        "images/000.png masks/000.png\nimages/001.png,masks/001.png\n",
        "000 001\n",
        "'000.png'\n\"001.png\"\n",
    ],
)
def test_lines_may_look_as_tools_write_them(root, text):
    write(root, train=text, val=STEMS[2:])
    assert opened(root).names("train") == ["000", "001"]


def test_a_name_may_have_dots_and_spaces(tmp_path):
    root = data_sets.folder(tmp_path, WORLD_TAXONOMY, count=2, by_colour=False, channels=1)
    for folder in ("images", "masks"):
        (root / folder / "000.png").rename(root / folder / "sol 12.v2.png")
    write(root, train="sol 12.v2\n", val="001\n")
    assert opened(root).names("train") == ["sol 12.v2"]
    write(root, train="images/sol 12.v2.png\n")
    assert opened(root).names("train") == ["sol 12.v2"]


@pytest.mark.parametrize(
    ("lists", "named"),
    [
        ({"train": "000\nnothing\n"}, r"train\.txt, line 2: 'nothing' is not an image"),
        ({"train": "000 nothing"}, "'000 nothing' is not an image"),
        ({"train": "000\n001\n", "val": "001\n"}, r"val\.txt: '001' is in train\.txt already"),
        ({"train": "000\n000.png\n", "val": "001\n"}, r"'000' is in train\.txt already"),
        ({"train": "000\n", "val": "001\n", "test": "images/001.png\n"}, "'001' is in"),
        ({"train": "000\n", "val": "001\n", "validation": "002\n"}, "both mean validation"),
        ({"train": "000\n", "val": "\n# none yet\n"}, r"val\.txt names no image"),
        ({"val": STEMS}, "names every image; there is none to learn from"),
    ],
)
def test_lists_that_are_wrong_are_named(root, lists, named):
    write(root, **lists)
    with pytest.raises(ConfigError, match=named):
        opened(root)


def test_a_list_that_is_no_text_is_named(root):
    (root / "train.txt").write_bytes(b"\xff\xfe0\x000\x000\x00")
    with pytest.raises(ConfigError, match=r"train\.txt cannot be read .*UTF-8"):
        opened(root)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("README", "Images of a quarry.\nTaken in 2024.\n"),
        ("classes", "soil\nrock\n"),
        ("removed", "000\n001\n"),
        ("suspects", "000.png\n"),
        ("notes", ""),
        ("all", "\n".join(STEMS)),
    ],
)
def test_other_text_files_are_no_splits_and_that_is_said(root, caplog, name, text):
    write(root, train=STEMS[:9], val=STEMS[9:], **{name: text})
    with caplog.at_level(logging.WARNING):
        source = opened(root)
    assert source.splits() == ("train", "validation")
    assert f"{name}.txt is taken for no list of a split" in caplog.text


def test_a_list_of_another_name_is_a_split_of_its_own(root):
    write(root, train=STEMS[:8], val=STEMS[8:10], moon=STEMS[10:])
    assert opened(root).names("moon") == STEMS[10:]
    write(root, moon=["010", "011", "gone"])
    with pytest.raises(ConfigError, match="'gone' is not an image"):
        opened(root)


def test_a_missing_validation_split_is_drawn_by_seed_and_said(root, caplog):
    write(root, train=STEMS[:10], test=STEMS[10:])
    with caplog.at_level(logging.WARNING):
        source = opened(root)
    train, validation = source.names("train"), source.names("validation")
    assert sorted(train + validation) == STEMS[:10]
    assert len(validation) == 2
    assert source.names("test") == STEMS[10:]
    assert "no list of validation images; of train.txt, 8 are drawn to train and 2" in caplog.text
    assert "seed 42" in caplog.text
    assert opened(root).names("validation") == validation
    other = LabelledFolder(root, WORLD_TAXONOMY, by_colour=False, seed=7)
    assert other.names("validation") != validation


def test_what_no_list_names_is_said(root, caplog):
    write(root, train=STEMS[:3], val=STEMS[3:6])
    with caplog.at_level(logging.WARNING):
        opened(root)
    assert "006, 007, 008 and 3 more are in no list and are not used" in caplog.text


def test_images_in_no_list_are_learned_from_where_only_others_are_listed(root, caplog):
    write(root, val=STEMS[:3], test=STEMS[3:5])
    with caplog.at_level(logging.WARNING):
        source = opened(root)
    assert source.names("train") == STEMS[5:]
    assert "no list of training images" in caplog.text
    (root / "val.txt").unlink()
    source = opened(root)
    assert sorted(source.names("train") + source.names("validation")) == [*STEMS[:3], *STEMS[5:]]


def test_a_joint_list_is_parted(root):
    write(root, trainval=STEMS[:10], test=STEMS[10:])
    source = opened(root)
    assert source.splits() == ("train", "validation", "test")
    assert sorted(source.names("train") + source.names("validation")) == STEMS[:10]
