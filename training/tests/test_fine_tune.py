"""Training starts from a run or a shipped model, and the network then gives what that one gives."""

from __future__ import annotations

import dataclasses
import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import foreign_sets as sets
import terrain_training as tt
from conftest import CPU
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy, TerrainClass
from terrain_seg_ros.inference.backend_options import BackendOptions
from terrain_seg_ros.inference.registry import create_backend
from terrain_seg_ros.model_store.model_store import load_model
from terrain_training.cli import main
from terrain_training.export.export_model import ExportRequest, model_name
from terrain_training.learning.module import Normaliser
from terrain_training.learning.run import TrainingRequest, train
from terrain_training.learning.run_folder import RunFolder
from terrain_training.learning.starting_weights import open_weights, start_from
from terrain_training.networks.registry import build_network
from terrain_training.recipe.load import load_recipe

OTHER = Taxonomy(
    (
        TerrainClass(0, "sand", (232, 200, 108), 0.4),
        TerrainClass(1, "ice", (240, 240, 255), 1.0),
        TerrainClass(2, "soil", (176, 132, 92), 0.02),
    )
)


def pictures(channels: int, count: int = 4) -> torch.Tensor:
    """Return (N, C, 256, 256) bytes of soft noise, as ground looks."""
    random = np.random.default_rng(7)
    rows = [cv2.resize(random.normal(120, 60, (24, 24)), (256, 256)) for _ in range(count)]
    grey = torch.from_numpy(np.clip(np.stack(rows), 0, 255).astype(np.uint8))
    return grey[:, None].repeat(1, channels, 1, 1)


def started(recipe, taxonomy, weights, images):
    torch.manual_seed(3)
    network = build_network(
        recipe.network, in_channels=recipe.data.channel_count, classes=len(taxonomy)
    )
    start_from(network, recipe, taxonomy, weights, Normaliser(recipe.data)(images))
    return network


def exported_probabilities(name: str, images: torch.Tensor):
    model = load_model(name)
    backend = create_backend("onnxruntime", model, BackendOptions(1, "fp32"))
    rows = [backend(image.permute(1, 2, 0).numpy()[None]) for image in images]
    return model.card, np.stack([row.probabilities[0] for row in rows])


@pytest.mark.parametrize("name", ["mars_navcam", "worlds_small"])
def test_the_network_gives_what_the_shipped_model_gives(name):
    weights, images = open_weights(Path(name)), pictures(1)
    recipe = load_recipe(name)
    network = started(recipe, weights.taxonomy, weights, images).eval()
    card, expected = exported_probabilities(name, images)
    with torch.no_grad():
        logits = network(Normaliser(recipe.data)(images)) / card.temperature
        given = (logits.softmax(dim=1) * 255).round().numpy()
    assert np.abs(given - expected.astype(np.float64)).max() <= 2
    assert (given.argmax(1) == expected.argmax(1)).mean() > 0.999


def test_norms_stay_of_use_while_training():
    weights, images = open_weights(Path("worlds_small")), pictures(1, count=8)
    recipe = load_recipe("worlds_small")
    network = started(recipe, weights.taxonomy, weights, images)
    for module in network.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms
    assert all(bool((norm.weight > 0).all()) for norm in norms)
    seen = Normaliser(recipe.data)(images)
    with torch.no_grad():
        still = network.eval()(seen)
        moving = network.train()(seen)  # with the statistics of the batch
    assert float((still - moving).abs().mean()) < 0.05 * float(still.abs().mean())


def test_a_colour_network_gives_the_same_on_grey_pictures():
    weights = open_weights(Path("mars_navcam"))
    recipe = load_recipe("mars_navcam", overrides=["data.channels=rgb"])
    network = started(recipe, weights.taxonomy, weights, pictures(3)).eval()
    card, expected = exported_probabilities("mars_navcam", pictures(1))
    with torch.no_grad():
        logits = network(Normaliser(recipe.data)(pictures(3))) / card.temperature
        given = (logits.softmax(dim=1) * 255).round().numpy()
    assert np.abs(given - expected.astype(np.float64)).max() <= 2


def test_classes_of_the_same_name_are_kept_and_the_others_are_new(caplog):
    weights, images = open_weights(Path("mars_navcam")), pictures(1)
    recipe = load_recipe("mars_navcam")
    with caplog.at_level(logging.INFO, logger="terrain_training"):
        network = started(recipe, OTHER, weights, images).eval()
    assert "keeps the classes sand, soil, and learns anew ice" in caplog.text
    same = started(recipe, weights.taxonomy, weights, images).eval()
    with torch.no_grad():
        seen = Normaliser(recipe.data)(images)
        given, before = network(seen), same(seen)
    torch.testing.assert_close(given[:, 0], before[:, 2])
    torch.testing.assert_close(given[:, 2], before[:, 0])


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (
            ["network.options.dropout=0.0"],
            "network.options.dropout 0.2, that of the recipe 0.0; le",
        ),
        (["data.mean=[100.0]"], "trained with data.mean .127.5., the recipe has .100.0.; set"),
    ],
)
def test_weights_of_another_network_are_refused(overrides, reason):
    weights = open_weights(Path("mars_navcam"))
    recipe = load_recipe("mars_navcam", overrides=overrides)
    with pytest.raises(ConfigError, match=reason):
        started(recipe, weights.taxonomy, weights, pictures(1))


def test_a_model_in_lower_precision_is_refused():
    with pytest.raises(ConfigError, match="mars_navcam_int8 is int8; start from its float32 model"):
        open_weights(Path("mars_navcam_int8"))


def test_what_is_neither_run_nor_model_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="neither a run's folder nor a model's folder or name"):
        open_weights(Path("mars_navcom"))
    with pytest.raises(ConfigError, match="neither a run"):
        open_weights(tmp_path)


def test_a_run_continues_what_another_one_learned(trained, recipe, data, tmp_path):
    weights = open_weights(trained)
    first = load_recipe(trained / "recipe.yaml")
    request = TrainingRequest(data=data, out=tmp_path / "run", machine=CPU, start=trained)
    summary = train(dataclasses.replace(recipe, name="continued"), request)
    assert summary["started_from"]["name"] == f"{trained} (tiny)"
    assert summary["started_from"]["credits"] == ["Generated squares."]
    before = [row["train_loss"] for row in RunFolder(trained).read_history()]
    after = [row["train_loss"] for row in RunFolder(tmp_path / "run").read_history()]
    assert after[0] < before[0]
    network = started(first, weights.taxonomy, weights, pictures(1)).state_dict()
    for name, value in weights.values.items():
        torch.testing.assert_close(network[name], value, rtol=0, atol=0)


def test_two_starts_are_refused(data, recipe, tmp_path):
    file = tmp_path / "weights.npz"
    file.write_bytes(b"")
    request = TrainingRequest(
        data=data, out=tmp_path / "run", machine=CPU, start=Path("mars_navcam"), pretrained=file
    )
    with pytest.raises(ConfigError, match="--from gives every weight, --pretrained the encoder's"):
        train(recipe, request)


def test_fine_tuning_a_shipped_model_leads_to_a_model_of_another_name(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    sets.split_folders(tmp_path / "mine")
    (tmp_path / "mine" / "classes.txt").write_text("soil\nsand\nrock\nsky\n", encoding="utf-8")
    assert main(["init", "mine", "--no-sheet"]) == 0
    command = next(
        line for line in capsys.readouterr().out.splitlines() if line.startswith("next")
    ).split()
    assert command[-2:] == ["--from", "mars_navcam"]
    small = ["--epochs", "2", "--set", "training.precision=fp32", "--accelerator", "cpu"]
    assert main([*command[2:], *small]) == 0
    run = tt.load("runs/mine-1", data="mine_data")
    assert run.summary["started_from"]["name"] == "mars_navcam 1.0.0"
    card = run.export("out/mine", version="2.1.0")
    assert (card.name, card.version) == ("mine", "2.1.0")
    content = json.loads(Path("out/mine/card.json").read_text("utf-8"))
    assert content["training"]["started_from"]["name"] == "mars_navcam 1.0.0"
    assert any("AI4Mars" in line for line in content["training"]["credits"])
    assert card.taxonomy.names == ("soil", "sand", "rock", "sky")


@pytest.mark.parametrize(
    ("run", "name", "wanted"),
    [
        ("runs/mars_navcam-3", None, "mars_navcam-3"),
        ("out/my run", None, "mars_navcam_my_run"),
        ("out/mars_navcam", None, "mars_navcam_own"),
        ("out/run", "mars_navcam", "mars_navcam"),
    ],
)
def test_the_name_of_a_shipped_model_is_taken_only_where_it_is_asked_for(run, name, wanted):
    request = ExportRequest(run=Path(run), data=Path("d"), out=Path("o"), name=name)
    assert model_name(load_recipe("mars_navcam"), request) == wanted
    assert model_name(load_recipe("lunar_rock"), dataclasses.replace(request, name=None)) == (
        "lunar_rock"
    )


def test_a_name_is_one_word():
    with pytest.raises(ConfigError, match="--name is 'my model', expected letters"):
        ExportRequest(run=Path("r"), data=Path("d"), out=Path("o"), name="my model")
