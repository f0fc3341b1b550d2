"""A card's novelty is fitted to the training images, and measured on others."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.novelty import Novelty, novelty_of
from terrain_seg_ros.model_store.model_store import load_card
from terrain_training.cli import main
from terrain_training.export.export_model import ExportRequest, export_model
from terrain_training.export.model_folder import write_card
from terrain_training.export.novelty import REFUSED_SHARE, fit_novelty
from terrain_training.export.novelty_shares import made_images, share_of, share_of_split
from terrain_training.learning.loaders import OpenData, open_data


@pytest.fixture(scope="module")
def exported(trained, data, tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "tiny"
    export_model(ExportRequest(run=trained, data=data, out=out))
    return out


@pytest.fixture(scope="module")
def opened(recipe, data):
    return open_data(recipe, data, skip_bad=False, run=None)


def test_an_exported_card_describes_its_training_images(exported, opened):
    card = load_card(exported)
    assert card.novelty.images == len(opened.train)
    assert card.novelty.validation_images == len(opened.validation)
    assert "Images unlike its training" in (exported / "README.md").read_text()
    share = share_of_split(novelty_of(card), card, opened, "validation")
    assert share.share <= REFUSED_SHARE


def test_the_same_images_give_the_same_reference(exported, opened, recipe):
    card = load_card(exported)
    again = fit_novelty(opened, recipe.data, data=card.novelty.data)
    assert again == card.novelty


def test_faults_of_the_camera_are_refused(exported):
    card = load_card(exported)
    novelty = novelty_of(card)
    for name, images in made_images().items():
        assert share_of(novelty, card, name, images).refused == len(images), name


def test_one_training_image_is_too_few(opened, recipe):
    few = dataclasses.replace(opened, train=opened.train[:1])
    with pytest.raises(ConfigError, match="at least two training images"):
        fit_novelty(few, recipe.data, data="few")


def test_the_limit_leaves_one_in_a_hundred_validation_images_out(recipe):
    random = np.random.default_rng(0)
    images = {
        f"{number:03}": np.clip(
            random.normal(random.uniform(60, 180), random.uniform(5, 25), (32, 32)), 0, 255
        ).astype(np.uint8)
        for number in range(300)
    }

    class Images:
        def load(self, name):
            return type("Sample", (), {"image": images[name]})

    names = list(images)
    opened = OpenData(Images(), tuple(names[:100]), tuple(names[100:]), {})
    novelty = Novelty(
        fit_novelty(opened, recipe.data, data="made"), channels=recipe.data.channel_count
    )
    found = share_of_split(novelty, recipe.data, opened, "validation")
    assert found.refused == 2


def test_the_command_writes_a_card_without_novelty_and_measures(exported, data, tmp_path, capsys):
    folder = tmp_path / "tiny"
    folder.mkdir()
    for path in exported.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    card = load_card(exported)
    write_card(dataclasses.replace(card, novelty=None), folder)
    other = tmp_path / "other"
    other.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 40)).astype(np.uint8)
    cv2.imwrite(str(other / "noise.png"), noise)

    assert main(["novelty", str(folder), "--images", f"noise={other}"]) == 2
    assert "--write --data DATA" in capsys.readouterr().err
    told = tmp_path / "shares.json"
    words = ["novelty", str(folder), "--data", str(data), "--write", "--images", f"noise={other}"]
    assert main([*words, "--json", str(told)]) == 0
    assert load_card(folder).novelty.references == card.novelty.references
    shares = {row["name"]: row for row in json.loads(told.read_text())["shares"]}
    assert shares["noise"]["refused"] == shares["noise"]["count"] == 1
    assert shares["lens cap"]["share"] == 1.0
    assert shares["validation"]["share"] <= REFUSED_SHARE
    assert "noise" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--write"], "--write needs --data"),
        (["--images", "folder"], "expected NAME=DIR"),
        (["--images", "a=x", "--images", "a=y"], "names 'a' twice"),
    ],
)
def test_words_that_cannot_be_used_are_named(exported, words, text, capsys):
    assert main(["novelty", str(exported), *words]) == 2
    assert text in capsys.readouterr().err


def test_a_signed_model_keeps_its_card(exported, data, tmp_path, capsys):
    folder = tmp_path / "tiny"
    folder.mkdir()
    for path in exported.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "model.sig").write_bytes(b"signature")
    assert main(["novelty", str(folder), "--data", str(data), "--write"]) == 2
    assert "is signed" in capsys.readouterr().err
