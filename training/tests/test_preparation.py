"""`terrain-train init` reads the layouts of other tools, and writes a recipe that trains."""

from __future__ import annotations

import hashlib
import json
import re

import cv2
import numpy as np
import pytest

import data_sets
import foreign_sets as sets
import terrain_training as tt
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.cli import main
from terrain_training.data.detect import likely_source
from terrain_training.data.factory import open_source
from terrain_training.preparation.known import hazard_of, voc_colour
from terrain_training.preparation.prepare import prepare
from terrain_training.preparation.rle import read_text
from terrain_training.recipe.load import load_recipe
from terrain_training.recipe.shipped import FOR_SOURCES, recipe_for

LAYOUTS = {
    "ids": sets.labelled,
    "binary": lambda root: sets.labelled(root, lambda m: ((m == 2) * 255).astype(np.uint8)),
    "jpeg": lambda root: sets.labelled(root, lambda m: sets.COLOURS[m], "jpg", (1, 80)),
    "img_ann": sets.img_and_ann,
    "siblings": sets.siblings,
    "split_folders": sets.split_folders,
    "cityscapes": sets.cityscapes,
    "voc": lambda root: sets.voc(root, voc_colour),
    "labelme": sets.labelme,
    "coco": sets.coco,
}
CLASSES = {
    "ids": ("class_0", "class_1", "class_2", "class_3"),
    "binary": ("class_0", "class_1"),
    "jpeg": ("soil", "sand", "sky", "rock"),
    "img_ann": ("soil", "sky", "sand", "rock"),
    "siblings": ("class_0", "class_1", "class_2", "class_3"),
    "split_folders": ("class_0", "class_1", "class_2", "class_3"),
    "cityscapes": ("road", "terrain", "sky"),
    "voc": ("background", "bicycle", "car", "person"),
    "labelme": ("background", "sand", "big_rock", "sky"),
    "coco": ("background", "sand", "rock", "sky"),
}
ROCK = {"binary": "class_1", "jpeg": "rock", "img_ann": "rock", "cityscapes": None, "voc": "person"}
ROCK |= {"labelme": "big_rock", "coco": "rock"}
OTHER_NUMBERS = {"2007", "000019"}
"""In names of Pascal VOC and Cityscapes."""
READ_IN_PLACE = {"ids", "binary", "jpeg"}
WITH_SPLITS = {"split_folders", "cityscapes", "voc", "coco"}


def prints(root):
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module", params=LAYOUTS)
def prepared(request, tmp_path_factory):
    """Give the name of a layout, the set, what was prepared, and the set's files before."""
    folder = tmp_path_factory.mktemp(request.param)
    root = folder / "set"
    root.mkdir()
    LAYOUTS[request.param](root)
    before = prints(root)
    return request.param, root, prepare(root, out=folder / "mine.yaml"), before


def samples_of(prepared):
    recipe = load_recipe(prepared.recipe)
    source = open_source(recipe.data, prepared.data)
    return recipe, source


def test_the_set_is_only_read(prepared):
    name, root, made, before = prepared
    assert prints(root) == before
    assert (made.data == root) == (name in READ_IN_PLACE)


def test_classes_have_names_and_the_recipe_reads_every_sample(prepared):
    name, _, made, _ = prepared
    recipe, source = samples_of(made)
    assert source.taxonomy.names == CLASSES[name] == tuple(made.shares)
    assert recipe.data.channels == "rgb"
    assert recipe.data.width_px == 64
    assert sum(made.shares.values()) == pytest.approx(1.0)
    for split in source.splits():
        for sample in source.names(split):
            source.load(sample)


def test_pixels_keep_their_class(prepared):
    name, _, made, _ = prepared
    _, source = samples_of(made)
    rock = ROCK.get(name, "class_2")
    names = [n for split in source.splits() for n in source.names(split)]
    for sample in map(source.load, names):
        seed = next(int(n) for n in re.findall(r"\d+", sample.name) if n not in OTHER_NUMBERS)
        wanted = sets.truth(seed) == sets.ROCK
        if rock is None:  # Cityscapes scores no such class
            assert (sample.mask[wanted] == 255).all()
            continue
        found = sample.mask == source.taxonomy.names.index(rock)
        agree = (found & wanted).sum() / (found | wanted).sum()
        assert agree > (0.7 if name == "jpeg" else 0.97)


def test_splits_stay_those_of_the_set(prepared):
    name, _, made, _ = prepared
    if name in WITH_SPLITS:
        assert dict(made.images) == {"train": 12, "validation": 4}
    else:
        assert sum(made.images.values()) == 16
        assert set(made.images) == {"train", "validation", "test"}


def test_a_sheet_is_drawn(prepared):
    _, _, made, _ = prepared
    picture = cv2.imread(str(made.sheet))
    assert picture.shape[0] > 300
    assert picture.shape[1] > 1000


def test_hazards_follow_names_and_unknown_names_are_cautious(prepared):
    name, _, made, _ = prepared
    hazards = {item.name: item.hazard for item in made.taxonomy}
    text = made.recipe.read_text("utf-8")
    if name == "labelme":
        assert hazards == {"background": 1.0, "sand": 0.4, "big_rock": 1.0, "sky": 0.0}
    if name == "ids":
        assert set(hazards.values()) == {1.0}
        assert "unknown name: the cautious value" in text
    assert "hazard: probability that such ground ends a drive" in text


@pytest.mark.parametrize(
    ("name", "hazard"),
    [("sand", 0.4), ("loose_sand", 0.4), ("dark_soil", 0.02), ("gravel_road", 0.1), ("sky", 0.0),
     ("dune_field", 0.4), ("boulder_field", 1.0), ("crater_floor", 1.0), ("unsafe_ground", 1.0),
     ("rocky_terrain", 1.0), ("non_traversable_land", 1.0), ("night_sky", 1.0)],
)  # fmt: skip
def test_no_word_of_a_name_makes_its_class_milder_than_the_others_allow(name, hazard):
    assert hazard_of(name)[0] == hazard


def test_the_command_prints_what_it_found_assumed_and_the_next_command(
    tmp_path, capsys, monkeypatch
):
    sets.siblings(tmp_path / "my rocks")
    monkeypatch.chdir(tmp_path)
    assert main(["init", "my rocks", "--no-sheet", "--base", "mars_navcam_small"]) == 0
    said = capsys.readouterr().out
    assert "found     masks beside their images, such as 000.jpg and 000_mask.png: 16 la" in said
    assert "assumed   16 images and masks of class ids were written to my_rocks_data" in said
    assert "next      terrain-train train my_rocks.yaml --data my_rocks_data\n" in said
    assert not (tmp_path / "my_rocks.png").exists()
    assert main(["init", "my rocks"]) == 2
    assert "'my_rocks.yaml' exists; edit it" in capsys.readouterr().err


def test_names_come_from_a_file_beside_the_images(tmp_path):
    root = sets.labelled(tmp_path / "set")
    (root / "classes.txt").write_text("Soil\nLoose sand\nBig rock\nvoid\n", encoding="utf-8")
    made = prepare(root, out=tmp_path / "mine.yaml", sheet=False)
    assert made.taxonomy.names == ("soil", "loose_sand", "big_rock")
    _, source = samples_of(made)
    sample = source.load("000")
    assert (sample.mask[sets.truth(0) == sets.SKY] == 255).all()
    assert [item.hazard for item in made.taxonomy] == [0.02, 0.4, 1.0]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("class_dict.csv", "name,r,g,b\nA,176,132,92\nB,232,200,108\nC,204,52,44\nD,20,24,40\n"),
        ("labelmap.txt", "# label:color_rgb:parts:actions\nA:176,132,92::\nB:232,200,108::\n"
         "C:204,52,44::\nD:20,24,40::\n"),
        ("classes.json", '{"A": [176, 132, 92], "B": [232, 200, 108], "C": [204, 52, 44], '
         '"D": [20, 24, 40]}'),
        ("palette.json", '{"classes": [{"title": "A", "color": "#b0845c"}, {"title": "B", '
         '"color": "#e8c86c"}, {"title": "C", "color": "#cc342c"}, {"title": "D", '
         '"color": "#141828"}]}'),
    ],
)  # fmt: skip
def test_colours_get_the_names_of_a_table(tmp_path, file, text):
    root = sets.labelled(tmp_path / "set", lambda mask: sets.COLOURS[mask])
    (root / file).write_text(text, encoding="utf-8")
    made = prepare(root, out=tmp_path / "mine.yaml", sheet=False)
    assert sorted(made.taxonomy.names) == ["a", "b", "c", "d"]
    rgb = {item.name: item.color_rgb for item in made.taxonomy}
    assert rgb["c"] == (204, 52, 44)


def test_smoothed_masks_are_snapped_to_their_colours(tmp_path):
    def smooth(mask):
        return cv2.GaussianBlur(sets.COLOURS[mask], (3, 3), 0.8)

    root = sets.labelled(tmp_path / "set", smooth)
    made = prepare(root, out=tmp_path / "mine.yaml", sheet=False)
    assert sorted(made.taxonomy.names) == ["rock", "sand", "sky", "soil"]
    assert made.data != root
    mask = samples_of(made)[1].load("000").mask
    rock = made.taxonomy.names.index("rock")
    assert (mask[sets.truth(0) == sets.ROCK] == rock).mean() > 0.7


def test_shapes_out_of_range_are_named(tmp_path):
    further = [
        [[30, 20, 400, 20, 400, 40]],
        [[1, 2, 3, 4]],
        [[0, 0, 1e30, 0, 5, 5]],
    ]
    root = sets.coco(tmp_path / "set", further=further)
    made = prepare(root, out=tmp_path / "mine.yaml", sheet=False)
    said = "\n".join(made.assumed)
    assert "3 shapes were changed or left out" in said
    assert "(rock) reaches 336 px out of its image of 64 x 48 px" in said
    assert "has a polygon of 4 numbers" in said
    assert "has a corner that is not a position in a picture" in said


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ({"size": [48, 64], "counts": [10, 20]}, "RLE counts cover 30 pixels"),
        ({"size": [1_000_000, 1_000_000], "counts": [1]}, r"expected .height, width. of at most"),
        ({"size": [48, 64], "counts": [-1, 3073]}, "RLE counts are not whole numbers from 0"),
        ({"size": [48, 64], "counts": "\x01"}, "RLE text cannot be decoded"),
        ([["a", 1, 2, 3, 4, 5]], "'a' is not a number"),
        ("polygon", "segmentation is neither polygons nor RLE"),
    ],
)
def test_damaged_annotations_are_named(tmp_path, segmentation, reason):
    root = sets.coco(tmp_path / "set", further=[segmentation])
    with pytest.raises(ConfigError, match=reason) as caught:
        prepare(root, out=tmp_path / "mine.yaml")
    assert "instances_train2017.json, annotation " in str(caught.value)
    assert not (tmp_path / "mine.yaml").exists()
    assert not (tmp_path / "mine_data").exists()


def test_a_coco_file_opens_no_file_outside_of_its_folder(tmp_path):
    root = sets.coco(tmp_path / "set")
    sets.save(tmp_path / "secret.jpg", sets.photo(0))
    path = root / "annotations" / "instances_val2017.json"
    content = json.loads(path.read_text("utf-8"))
    content["images"][0]["file_name"] = "../secret.jpg"
    path.write_text(json.dumps(content), encoding="utf-8")
    made = prepare(root, out=tmp_path / "mine.yaml", sheet=False)
    assert "1 image that the COCO files name is missing and left out" in made.assumed
    assert made.images["validation"] == 3


def test_compressed_run_lengths_are_those_of_pycocotools():
    # `pycocotools.mask.encode` of a 4 x 5 mask whose third column, and one pixel beside, are 1.
    mask = np.zeros((4, 5), dtype=np.uint8)
    mask[:, 2], mask[1, 3] = 1, 1
    assert sets.run_lengths(mask > 0) == [8, 4, 1, 1, 6]
    np.testing.assert_array_equal(read_text("841M5", [4, 5], source="x").mask(), mask)


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (lambda root: None, "holds no files; it holds no labels; expected images"),
        (
            lambda root: sets.save(root / "a.jpg", sets.photo(0)),
            "holds 1 .jpg; it holds no labels",
        ),
        (
            lambda root: [
                sets.save(root / "images" / "a.jpg", sets.photo(0)),
                (root / "labels").mkdir(),
                (root / "labels" / "a.txt").write_text("0 0.1 0.2 0.3 0.4 0.5 0.6"),
            ],
            "look like YOLO's",
        ),
    ],
    ids=["empty", "no labels", "yolo"],
)
def test_a_folder_that_is_no_set_is_answered_with_what_it_holds(tmp_path, fill, said, capsys):
    root = tmp_path / "set"
    root.mkdir()
    fill(root)
    assert main(["init", str(root), "--out", str(tmp_path / "mine.yaml")]) == 2
    assert said in capsys.readouterr().err


def test_images_that_do_not_fit_their_masks_are_left_out_and_named(tmp_path):
    root = sets.siblings(tmp_path / "set")
    sets.save(root / "003_mask.png", np.zeros((5, 7), dtype=np.uint8))
    (root / "004.jpg").write_bytes(b"no picture")
    (root / "005_mask.png").unlink()
    made = prepare(root, out=tmp_path / "mine.yaml", sheet=False)
    said = "\n".join(made.assumed)
    assert "1 image has no mask, such as 005.jpg; left out" in said
    assert "2 images cannot be used and were left out" in said
    assert sum(made.images.values()) == 13


def test_a_list_of_names_counts_the_places_of_a_palette(tmp_path):
    root = sets.palette(tmp_path / "set", voc_colour)
    (root / "classes.txt").write_text("background\nsoil\nsand\nrock\nsky\n", encoding="utf-8")
    made = prepare(root, out=tmp_path / "mine.yaml", sheet=False)
    assert made.taxonomy.names == ("soil", "sand", "rock", "sky")
    _, source = samples_of(made)
    mask = source.load("000").mask
    assert (mask[14, 20:28] == 255).all()
    assert (mask[:10] == sets.truth(0)[:10]).all()


def test_classes_named_by_pascal_voc_are_pointed_out(prepared):
    name, _, made, _ = prepared
    said = any("the classes are those of Pascal VOC itself" in text for text in made.assumed)
    assert said == (name == "voc")


def test_masks_of_one_value_are_refused(tmp_path):
    root = sets.labelled(tmp_path / "set", lambda mask: mask * 0)
    with pytest.raises(
        ConfigError, match=r"single value .0, 0, 0., so that there is nothing to tel"
    ):
        prepare(root, out=tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    "fill",
    [
        lambda root: data_sets.lunar(root, count=4),
        lambda root: data_sets.pairs(root, sets.COLOURS),
        data_sets.earth,
    ],
    ids=["lunar_landscape", "side_by_side", "earth_terrain"],
)
def test_a_published_set_is_trained_with_its_own_recipe(tmp_path, fill, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "set")
    assert main(["init", "set"]) == 2
    said = capsys.readouterr().err
    assert "which has a recipe already; run `terrain-train train set`" in said
    source = likely_source(tmp_path / "set")
    assert source in said
    assert recipe_for(tmp_path / "set") == (FOR_SOURCES[source], source)


@pytest.mark.parametrize("source", FOR_SOURCES)
def test_the_recipe_chosen_for_a_source_is_of_that_source(source):
    assert load_recipe(FOR_SOURCES[source]).data.source == source


def test_training_without_a_recipe_takes_that_of_the_data(data, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = ["--epochs", "1", "--size", "64", "--batch", "4", "--accelerator", "cpu"]
    assert main(["train", str(data), *small, "--set", "training.precision=fp32"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("recipe        mars_navcam, since the data are laid out as ai4mars\n")
    assert "run folder    runs/mars_navcam-1" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["train", "mine"],
            "'mine' is a labelled folder, so its classes are yours to name; `terrain",
        ),
        (["train", "--data", "mine"], "`terrain-train init mine` looks at it and writes a recipe"),
        (["train", "--data", "none"], "'none' does not exist"),
        (
            ["train", "mars_navcam"],
            "train needs a data set; give it with --data, beside mars_navcam",
        ),
        (["train"], "train needs a data set; give a recipe and --data"),
    ],
)
def test_training_says_what_it_lacks(tmp_path, words, said, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sets.labelled(tmp_path / "mine")
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_the_api_prepares_as_the_command_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sets.labelled(tmp_path / "mine")
    made = tt.init("mine")
    assert (made.recipe.name, made.sheet.name) == ("mine.yaml", "mine.png")
    assert load_recipe(made.recipe).name == "mine"


def test_validation_images_that_were_drawn_one_by_one_are_mentioned(tmp_path):
    root = sets.labelled(tmp_path / "set", lambda mask: mask)
    (root / "classes.txt").write_text("soil\nsand\nrock\n")
    drawn = "; ".join(prepare(root, out=tmp_path / "drawn.yaml").assumed)
    assert "drawn at random, one by one" in drawn
    stems = sorted(path.stem for path in (root / "images").iterdir())
    (root / "train.txt").write_text("\n".join(stems[:-2]))
    (root / "val.txt").write_text("\n".join(stems[-2:]))
    listed = "; ".join(prepare(root, out=tmp_path / "listed.yaml").assumed)
    assert "drawn at random" not in listed
