"""Annotations and masks that would be learned wrongly are refused or named by `init`."""

from __future__ import annotations

import json

import numpy as np
import pytest

import foreign_sets as sets
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.factory import open_source
from terrain_training.preparation.prepare import prepare
from terrain_training.recipe.load import load_recipe


def edited(root, edit, file="instances_train2017.json", into=None):
    """Return a COCO set of which one file is changed, or written again with a change."""
    sets.coco(root)
    folder = root / "annotations"
    content = json.loads((folder / file).read_text("utf-8"))
    edit(content)
    (folder / (into or file)).write_text(json.dumps(content), encoding="utf-8")
    return root


def prepared(root, tmp_path):
    return prepare(root, out=tmp_path / "mine.yaml", sheet=False)


def source_of(made):
    return open_source(load_recipe(made.recipe).data, made.data)


def rock_only(content):
    content["annotations"] = [row for row in content["annotations"] if row["category_id"] == 2]


def other_folder(content):
    for row in content["images"]:
        row["file_name"] = f"camera7/{row['file_name']}"


def of_double_size(content):
    for row in content["images"][:5]:
        row["height"], row["width"] = 2 * sets.HEIGHT, 2 * sets.WIDTH


def in_chinese(content):
    for row, name in zip(content["categories"], ("砂", "岩石", "天空")):
        row["name"] = name


@pytest.mark.parametrize(
    ("edit", "into", "reason"),
    [
        (
            rock_only,
            "person_keypoints_train2017.json",
            r"000\.jpg is in .*instances_train2017.json",
        ),
        (
            lambda c: c["images"].append({"id": 99, "file_name": "000.jpg"}),
            None,
            r"000\.jpg is in .* leave one of the files, or one of its entries, out",
        ),
        (
            lambda c: c["images"].append({"id": 1, "file_name": "012.jpg"}),
            None,
            "two images have the id 1",
        ),
        (
            lambda c: c["categories"].append({"id": 1, "name": "lava"}),
            None,
            "the categories 'sand' and 'lava' both have the id 1",
        ),
    ],
    ids=["keypoints", "image twice", "image id twice", "category id twice"],
)
def test_what_a_coco_file_says_twice_is_refused(tmp_path, edit, into, reason):
    root = edited(tmp_path / "set", edit, into=into)
    with pytest.raises(ConfigError, match=reason):
        prepared(root, tmp_path)


@pytest.mark.parametrize(
    ("edit", "into", "said"),
    [
        (
            lambda c: c["annotations"].append(
                {
                    "id": 900,
                    "image_id": 12345,
                    "category_id": 1,
                    "segmentation": [[1, 1, 9, 1, 9, 9]],
                }
            ),
            None,
            "1 annotations are of images that their COCO file does not list",
        ),
        (other_folder, None, "12 images are in another folder than their COCO file says, such as"),
        (of_double_size, None, "000.jpg is 64 x 48 px, but its annotations are for 128 x 96 px"),
        (
            lambda c: c.pop("categories"),
            "captions_train2017.json",
            "captions_train2017.json have no categories and are passed over",
        ),
    ],
    ids=["orphans", "other folder", "other size", "captions"],
)
def test_what_a_coco_file_loses_is_named(tmp_path, edit, into, said):
    made = prepared(edited(tmp_path / "set", edit, into=into), tmp_path)
    assert said in "\n".join(made.assumed)


def test_an_image_that_may_be_one_of_two_is_refused(tmp_path):
    root = sets.coco(tmp_path / "set")
    for folder in ("a", "b"):
        sets.save(root / folder / "700.jpg", sets.photo(0))
    path = root / "annotations" / "instances_train2017.json"
    content = json.loads(path.read_text("utf-8"))
    content["images"].append({"id": 700, "file_name": "700.jpg"})
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"'700.jpg' may be .*a/700.jpg or .*b/700.jpg"):
        prepared(root, tmp_path)


def test_labels_in_other_scripts_stay_classes_of_their_own(tmp_path):
    root = edited(tmp_path / "set", in_chinese)
    path = root / "annotations" / "instances_val2017.json"
    content = json.loads(path.read_text("utf-8"))
    in_chinese(content)
    path.write_text(json.dumps(content), encoding="utf-8")
    made = prepared(root, tmp_path)
    assert made.taxonomy.names == ("background", "u7802", "u5ca9_u77f3", "u5929_u7a7a")
    mask = source_of(made).load("000").mask
    assert (mask[sets.truth(0) == sets.SKY] == 3).all()


def test_labels_that_become_one_class_are_named(tmp_path):
    root = edited(
        tmp_path / "set",
        lambda c: c["categories"].__setitem__(0, {"id": 1, "name": "rock?"}),
    )
    made = prepared(root, tmp_path)
    assert "the labels 'rock?', 'rock' are taken for one class, rock" in "\n".join(made.assumed)


def test_more_classes_than_ids_are_refused(tmp_path):
    def many(content):
        for number in range(300):
            row = {"id": 1000 + number, "category_id": 1000 + number, "image_id": 0}
            content["annotations"].append(row | {"segmentation": [[1, 1, 9, 1, 9, 9]]})
            content["categories"].append({"id": 1000 + number, "name": f"c{number}"})

    with pytest.raises(ConfigError, match="304 classes, but a mask holds at most 255"):
        prepared(edited(tmp_path / "set", many), tmp_path)


def test_a_damaged_annotation_file_is_not_passed_over(tmp_path):
    root = sets.labelme(tmp_path / "set")
    (root / "003.json").write_text('{"shapes": [', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"003\.json is damaged or not JSON .*restore it"):
        prepared(root, tmp_path)
    (root / "003.json").unlink()
    made = prepared(root, tmp_path)
    assert "1 images have no labelme file, such as 003.png; they are left out" in made.assumed


def test_a_folder_that_cannot_be_trained_on_says_why_and_is_not_left_behind(tmp_path):
    def wrong_size(content):
        for row in content["images"]:
            row["height"], row["width"] = 1, 1

    root = edited(tmp_path / "set", wrong_size)
    with pytest.raises(ConfigError, match=r"none to learn from; 12 images cannot be used"):
        prepared(root, tmp_path)
    assert not (tmp_path / "mine_data").exists()


def blocks(seed, classes):
    random = np.random.default_rng(seed)
    return np.kron(random.integers(0, classes, (6, 8)), np.ones((8, 8))).astype(np.uint8)


def masked(root, mask_of, count=12):
    for seed in range(count):
        sets.save(root / "images" / f"{seed:03d}.jpg", sets.photo(seed))
        sets.save(root / "masks" / f"{seed:03d}.png", mask_of(seed))
    return root


@pytest.mark.parametrize(
    ("mask_of", "reason"),
    [
        (lambda seed: blocks(seed, 150), "the masks hold areas of 1[0-9][0-9] values, and classes"),
        (lambda seed: sets.photo(seed)[..., 0], r"hold no areas of one value .* as photographs do"),
    ],
    ids=["150 ids", "grey photographs"],
)
def test_many_values_are_not_taken_for_a_few_smoothed_classes(tmp_path, mask_of, reason):
    with pytest.raises(ConfigError, match=reason):
        prepared(masked(tmp_path / "set", mask_of), tmp_path)


@pytest.mark.parametrize(
    ("start", "count", "names", "said"),
    [
        (0, 3, ("soil", "rock", "sand"), ""),
        (1, 3, ("soil", "rock", "sand"), "its 3 names are of the values 1 to 3"),
        (0, 4, ("class_0", "class_1", "class_2", "class_3"), "which is whose is not known"),
    ],
)
def test_names_without_numbers_go_to_the_values_they_mean(tmp_path, start, count, names, said):
    root = masked(tmp_path / "set", lambda seed: blocks(seed, count) + start)
    (root / "classes.txt").write_text("soil\nrock\nsand\n", encoding="utf-8")
    made = prepared(root, tmp_path)
    assert made.taxonomy.names == names
    assert said in "\n".join(made.assumed)


def listed(root, name_of, lists):
    for seed in range(12):
        sets.save(root / "img" / f"{name_of(seed)}.png", sets.photo(seed))
        sets.save(root / "ann" / f"{name_of(seed)}.png", blocks(seed, 3))
    for name, seeds in lists.items():
        text = "\n".join(name_of(seed) for seed in seeds)
        (root / f"{name}.txt").write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("name", ["frame.{:04d}", "site 4, sol {:d}"])
def test_lists_of_names_with_dots_and_spaces_give_the_splits(tmp_path, name):
    lists = {"train": range(8), "val": range(8, 12)}
    root = listed(tmp_path / "set", name.format, lists)
    made = prepared(root, tmp_path)
    assert sorted(source_of(made).names("validation")) == sorted(map(name.format, range(8, 12)))


def test_lists_that_overlap_or_name_nothing_are_named(tmp_path):
    root = listed(tmp_path / "set", "{:03d}".format, {"train": range(10), "val": range(8, 12)})
    made = prepared(root, tmp_path)
    assert "2 images are in several lists; 008 is taken to train" in made.assumed
    for path in root.glob("*.txt"):
        path.write_text("nothing\n", encoding="utf-8")
    again = prepare(root, out=tmp_path / "again.yaml", sheet=False)
    assert "train.txt, val.txt name none of the images; the splits are drawn" in again.assumed


def test_names_that_a_list_cannot_hold_are_changed(tmp_path):
    root = tmp_path / "set"
    for split, seeds in (("train", range(8)), ("val", range(8, 12))):
        for seed in seeds:
            for folder, values in (("images", sets.photo(seed)), ("labels", blocks(seed, 3))):
                sets.save(root / split / folder / "x.png", values)
                place = root / split / folder
                (place / "x.png").rename(place / f'#{seed}\n"quoted".png')
    made = prepared(root, tmp_path)
    assert dict(made.images) == {"train": 8, "validation": 4}
    assert source_of(made).names("validation")[0] == "_10__quoted_"


def test_two_images_with_one_mask_and_masks_without_an_image_are_named(tmp_path):
    root = masked(tmp_path / "set", lambda seed: blocks(seed, 3))
    (root / "images" / "003.jpg").unlink()
    assert "1 mask has no image, such as 003.png; left out" in "\n".join(
        prepared(root, tmp_path).assumed
    )
    sets.save(root / "images" / "004.png", sets.photo(4))
    with pytest.raises(ConfigError, match=r"004.jpg and .*004.png would both have the mask"):
        prepare(root, out=tmp_path / "again.yaml", sheet=False)
