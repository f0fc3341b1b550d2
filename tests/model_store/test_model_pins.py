"""Tests of pins and of removing models."""

import hashlib
import json

import numpy as np
import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.core.errors import ModelError
from terrain_seg_ros.model_store import model_store
from terrain_seg_ros.model_store.model_files import read_model_files
from terrain_seg_ros.model_store.model_pins import PINS_FILE, Pin, read_pins, release_pin, set_pin
from terrain_seg_ros.model_store.model_store import load_model
from terrain_seg_ros.model_tools.model_remove import remove_model


@pytest.fixture
def models(tmp_path, monkeypatch):
    folder = tmp_path / "own"
    monkeypatch.setenv(model_store.MODELS_VARIABLE, str(folder))
    monkeypatch.setattr(model_store, "_shipped_folder", lambda: tmp_path / "shipped")
    write_tiny_model(folder / "moon")
    return folder


def pin_of(folder):
    files = read_model_files(folder / "model.onnx")
    return Pin(files.digest, hashlib.sha256(files.onnx).hexdigest())


def change_card(folder, **changes):
    path = folder / "card.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **changes}, indent=2) + "\n")


def write_old_pins(models, *names):
    pins = {name: pin_of(models / name).sha256 for name in names}
    (models / PINS_FILE).write_text(json.dumps({"format": 1, "sha256": pins}))


def test_a_pinned_name_takes_no_other_file(models, tmp_path, monkeypatch):
    set_pin(models, "moon", pin_of(models / "moon"))
    assert load_model("moon").card.name == "moon"
    write_tiny_model(models / "moon", classes=3)
    for way in ("moon", models / "moon", models / "moon" / "model.onnx"):
        with pytest.raises(ModelError, match=r"'moon' is pinned to digest .*--release"):
            load_model(way)
    link = tmp_path / "link"
    link.symlink_to(models / "moon")
    with pytest.raises(ModelError, match="pinned"):
        load_model(link)
    with pytest.raises(ModelError, match="pinned"):
        set_pin(models, "moon", pin_of(models / "moon"))
    assert release_pin(models, "moon")
    assert not release_pin(models, "moon")
    assert len(load_model("moon").card.taxonomy) == 3


@pytest.mark.parametrize("part", ["card", "golden", "no golden"])
def test_a_pin_holds_card_and_golden_image_too(models, part):
    folder = models / "moon"
    set_pin(models, "moon", pin_of(folder))
    classes = json.loads((folder / "card.json").read_text())["classes"]
    if part == "card":
        change_card(folder, classes=[{**item, "hazard": 0.0} for item in classes])
    elif part == "golden":
        golden = dict(np.load(folder / "golden.npz"))
        np.savez(folder / "golden.npz", **golden)
    else:
        (folder / "golden.npz").unlink()
    with pytest.raises(ModelError, match=r"'moon' is pinned to digest"):
        load_model("moon")


def test_a_pin_of_an_older_version_is_refused_until_it_is_renewed(models, capsys):
    write_tiny_model(models / "mars")
    write_old_pins(models, "moon", "mars")
    with pytest.raises(ModelError, match=r"older version.*terrain-seg models pin moon"):
        load_model("moon")
    assert main(["models", "pin", "moon"]) == 0
    assert pin_of(models / "moon").digest in capsys.readouterr().out
    assert load_model("moon").card.name == "moon"
    with pytest.raises(ModelError, match="older version"):
        load_model("mars")


def test_a_pin_of_an_older_version_is_not_renewed_for_another_network(models, capsys):
    write_old_pins(models, "moon")
    write_tiny_model(models / "moon", classes=3)
    assert main(["models", "pin", "moon"]) == 2
    assert "is pinned to sha256" in capsys.readouterr().err
    assert main(["models", "pin", "moon", "--release"]) == 0
    assert len(load_model("moon").card.taxonomy) == 3


def test_pinning_takes_the_files_of_lower_precision_along(models, capsys):
    lowered = {"precision": "int8", "lowered_from_sha256": pin_of(models / "moon").sha256}
    write_tiny_model(models / "moon_int8", batch=1, card_changes=lowered)
    assert main(["models", "pin", "moon"]) == 0
    assert sorted(read_pins(models)) == ["moon", "moon_int8"]
    assert len(load_model("moon").lowered) == 1
    change_card(models / "moon_int8", version="2")
    assert load_model("moon").lowered == ()


def test_another_folder_of_that_name_is_not_taken_instead(models, tmp_path, monkeypatch):
    set_pin(models, "moon", pin_of(models / "moon"))
    (models / "moon").rename(tmp_path / "away")
    write_tiny_model(tmp_path / "here" / "moon", classes=3)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ModelError, match="pinned"):
        load_model("moon")


def test_other_names_and_places_are_free(models, tmp_path):
    set_pin(models, "moon", pin_of(models / "moon"))
    write_tiny_model(models / "mars", classes=3)
    elsewhere = write_tiny_model(tmp_path / "elsewhere" / "moon", classes=3)
    assert len(load_model("mars").card.taxonomy) == 3
    assert len(load_model(elsewhere).card.taxonomy) == 3


def test_a_shipped_model_can_be_pinned(models, tmp_path):
    shipped = write_tiny_model(tmp_path / "shipped" / "tiny")
    set_pin(models, "tiny", pin_of(shipped))
    write_tiny_model(shipped, classes=3)
    with pytest.raises(ModelError, match="'tiny' is pinned"):
        load_model("tiny")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 3, "digest": {}}',
        '{"format": true, "digest": {}}',
        '{"format": 2, "digest": []}',
        '{"format": 2, "digest": {"moon": "12"}}',
        '{"format": 2, "digest": {"moon": null}}',
        '{"format": 2, "sha256": "moon"}',
        '{"format": 2}',
        '{"format": 2, "sha256": {}}',
        '{"format": 2, "digests": {}}',
        '{"format": 2, "digest": {}, "other": {}}',
        '{"format": 2, "digest": {"moon": "' + "0" * 64 + '"}, "digest": {}}',
        '{"format": 1}',
        '{"format": 1, "sha256": []}',
        '{"format": 1, "sha256": {"moon": "12"}}',
        '{"format": 1, "sha256": {"moon": 12}}',
        "[" * 100_000,
        " " * (2**20 + 1),
    ],
)
def test_damaged_pins_open_no_model(models, text):
    (models / PINS_FILE).write_text(text)
    with pytest.raises(ModelError, match=r"pins\.json.*(repair it|right file)"):
        load_model("moon")


def test_no_pins_are_no_hindrance(models):
    assert read_pins(models) == {}
    assert read_pins(models / "absent") == {}
    set_pin(models, "moon", Pin("0" * 64, ""))
    assert json.loads((models / PINS_FILE).read_text())["digest"] == {"moon": "0" * 64}
    assert [item.name for item in models.iterdir() if item.name.startswith(".")] == []


def test_an_added_model_is_removed_with_its_pin(models):
    write_tiny_model(models / "mars")
    set_pin(models, "moon", pin_of(models / "moon"))
    assert remove_model("moon", models) == models / "moon"
    assert sorted(item.name for item in models.iterdir()) == ["mars", PINS_FILE]
    assert read_pins(models) == {}


def test_nothing_else_is_removed(models, tmp_path):
    shipped = write_tiny_model(tmp_path / "shipped" / "tiny")
    outside = write_tiny_model(tmp_path / "outside")
    (models / "link").symlink_to(outside)
    (models / "notes").mkdir()
    for name, text in {
        "tiny": "is shipped",
        "synthetic": "is shipped",
        "link": "is a link",
        "notes": "no added model 'notes'",
        "absent": r"no added model 'absent'.*\['link', 'moon'\]",
        "../outside": "is not a valid name",
        "..": "is not a valid name",
        "": "is not a valid name",
        str(outside): "is not a valid name",
    }.items():
        with pytest.raises(ModelError, match=text):
            remove_model(name, models)
    assert (shipped / "model.onnx").is_file()
    assert (outside / "model.onnx").is_file()
    assert sorted(item.name for item in models.iterdir()) == ["link", "moon", "notes"]
