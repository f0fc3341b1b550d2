"""Every recipe from raw data to an exported model, on small data in the published layouts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import data_sets
from conftest import CPU, STEMS, stem_at, write_pair
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.segmenter import Segmenter
from terrain_seg_ros.worlds.world import WORLD_TAXONOMY
from terrain_training.data.dataset import LabelledImages
from terrain_training.data.factory import open_source
from terrain_training.evaluation.run import EvaluationRequest, evaluate
from terrain_training.evaluation.subject import open_subject
from terrain_training.export.export_model import ExportRequest, export_model
from terrain_training.learning.checkpoint import load_network
from terrain_training.learning.module import Normaliser
from terrain_training.learning.run import TrainingRequest, train
from terrain_training.learning.run_folder import RunFolder
from terrain_training.recipe.load import load_recipe
from terrain_training.rendering.cycles.labels import (
    LANDER_TAXONOMY,
    MARS_TAXONOMY,
    ROVER_TAXONOMY,
)

CONFIGS = Path(__file__).parents[1] / "configs"
PALETTE = np.array([(128, 64, 128), (70, 70, 70), (107, 142, 35)], dtype=np.uint8)
SMALL = ("data.height_px=32", "data.width_px=64", "training.batch_size=4")
EPOCHS = (2, 8, 32)
"""Tried in turn until the network has learned something."""
LEARN_FAST = ("training.optimiser=adam", "training.learning_rate=0.02")


@dataclass(frozen=True)
class Case:
    """Hold how a recipe is shrunk."""

    data: str
    overrides: tuple[str, ...] = SMALL
    split: str = "validation"


SMP = (*SMALL, "data.height_px=64")
CASES = {
    "lunar_gwu": Case("lunar", split="real"),
    "lunar_vgg11": Case(
        "lunar", (*SMP, "network.options.arguments={decoder_channels: [16, 8, 8, 8, 8]}")
    ),
    "lunar_resnet18": Case("lunar", SMP),
    "lunar_mobilenet_v3_large": Case("lunar", (*SMP, "training.learning_rate=0.003")),
    "lunar_rock": Case("lunar", split="test"),
    "lunar_rock_resnet": Case("lunar", SMP),
    "mars_nine_level": Case("mars", (*SMALL, "data.height_px=64", "data.width_px=128")),
    "lunar_pix2pix": Case("lunar", (*SMALL, "network.options={width: 8, depth: 5, dropout: 0.5}")),
    "city_map": Case("pairs", (*SMALL, "data.options={classes: 3, seed: 42}")),
    "satellite_land": Case("land"),
    "mars_navcam": Case("ai4mars", (*SMP, "training.precision=fp32")),
    "mars_navcam_small": Case("ai4mars", (*SMP, "training.precision=fp32")),
    "mars_rover": Case("mars_joined", (*SMP, "training.precision=fp32")),
    "moon_lander": Case("descent", (*SMP, "training.precision=fp32")),
    "moon_rover": Case("moon", (*SMP, "training.precision=fp32")),
    "moon_rover_small": Case("moon", (*SMP, "training.precision=fp32")),
    "worlds_small": Case("worlds", (*SMALL, "training.precision=fp32")),
}


@pytest.fixture(scope="module")
def roots(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("sets")
    data_sets.lunar(root / "lunar", count=24)
    data_sets.pairs(root / "pairs", PALETTE, count=12)
    data_sets.earth(root / "land", count=24, binary=True)
    data_sets.mars_npz(root / "mars.npz", count=24)
    data_sets.folder(root / "worlds", WORLD_TAXONOMY, count=30, by_colour=False, channels=1)
    data_sets.folder(root / "moon", ROVER_TAXONOMY, count=30, by_colour=False)
    data_sets.folder(root / "descent", LANDER_TAXONOMY, count=30, by_colour=False)
    for folder in ("images", "masks"):
        (root / "ai4mars" / folder).mkdir(parents=True)
    stems = [stem_at(400_000_000 + 7200 * index) for index in range(STEMS + 8)]
    for seed, stem in enumerate(stems):
        write_pair(root / "ai4mars", stem, seed=seed)
    (root / "ai4mars" / "train.txt").write_text("\n".join(stems[:STEMS]), encoding="utf-8")
    (root / "ai4mars" / "val.txt").write_text("\n".join(stems[STEMS:]), encoding="utf-8")
    joined = root / "mars_joined"
    joined.mkdir()
    (joined / "ai4mars").symlink_to(root / "ai4mars")
    data_sets.folder(joined / "renders", MARS_TAXONOMY, count=30, by_colour=False)
    return {
        "mars_joined": joined,
        "lunar": root / "lunar",
        "pairs": root / "pairs",
        "land": root / "land",
        "mars": root / "mars.npz",
        "ai4mars": root / "ai4mars",
        "worlds": root / "worlds",
        "moon": root / "moon",
        "descent": root / "descent",
    }


def test_every_recipe_has_a_case():
    assert {path.stem for path in CONFIGS.glob("*.yaml")} == set(CASES)


@pytest.mark.parametrize(
    ("name", "rendered"),
    [
        ("mars_rover", MARS_TAXONOMY),
        ("moon_rover", ROVER_TAXONOMY),
        ("moon_rover_small", ROVER_TAXONOMY),
        ("moon_lander", LANDER_TAXONOMY),
    ],
)
def test_a_recipe_has_the_renderers_classes_and_tells_hazards_from_what_is_not_ground(
    name, rendered, roots
):
    recipe = load_recipe(CONFIGS / f"{name}.yaml")
    taxonomy = open_source(recipe.data, roots[CASES[name].data]).taxonomy
    assert taxonomy == rendered
    settings = load_parameters().pipeline
    not_ground = settings.observability.not_ground_classes
    for item in taxonomy:
        is_ground = item.name in {"ground", "safe_ground", "soil", "bedrock", "sand"}
        assert item.hazard < settings.cost.hazard_threshold or item.name not in not_ground
        assert (item.hazard >= settings.cost.hazard_threshold) == (
            not is_ground and item.name not in {"sky", "vehicle"}
        )
    assert {"sky", "vehicle"} <= set(not_ground)


def train_in_parts(recipe, data, run):
    """Train one epoch, then the others; return the summary."""
    train(recipe, TrainingRequest(data=data, out=run, machine=CPU, epochs_now=1))
    assert [row["epoch"] for row in RunFolder(run).read_history()] == [1]
    return train(recipe, TrainingRequest(data=data, out=run, machine=CPU))


def tells_classes_apart(run, recipe, data):
    """Return whether the network gives more than one class on some validation image."""
    source = open_source(recipe.data, data, run=run)
    images = LabelledImages(source, source.names("validation"), recipe.data)
    network = load_network(RunFolder(run).weights, recipe, classes=len(source.taxonomy))
    normalise = Normaliser(recipe.data)
    for place in range(len(images)):
        with torch.inference_mode():
            mask = network(normalise(images[place][0][None])).argmax(dim=1)
        counts = torch.bincount(mask.flatten())
        if (counts > 0.02 * counts.sum()).sum() > 1:
            return True
    return False


def train_long_enough(name, case, data, tmp_path):
    """Return a run whose network has learned something, in as many epochs as that takes here.

    How many it takes depends on how the host rounds.
    """
    for epochs in EPOCHS:
        run = tmp_path / f"run_{epochs}"
        more = (*LEARN_FAST, *case.overrides, f"training.epochs={epochs}")
        recipe = load_recipe(CONFIGS / f"{name}.yaml", overrides=more)
        summary = train_in_parts(recipe, data, run)
        if tells_classes_apart(run, recipe, data):
            break
    return recipe, run, summary


@pytest.mark.parametrize("name", CASES)
def test_recipe_trains_resumes_evaluates_and_exports(name, roots, tmp_path):
    case = CASES[name]
    data = roots[case.data]
    recipe, run, summary = train_long_enough(name, case, data, tmp_path)
    history = RunFolder(run).read_history()
    assert [row["epoch"] for row in history] == list(range(1, recipe.training.epochs + 1))
    assert summary["best_mean_iou"] == max(row["mean_iou"] for row in history)

    card = export_model(ExportRequest(run=run, data=data, out=tmp_path / name, hdf5=True))
    exact = next(row for row in card.metrics["parity"] if row["precision"] == "fp32")
    assert exact["mask_agreement"] >= 0.999
    request = EvaluationRequest(data=data, split=case.split, resamples=10)
    scores = [
        evaluate(open_subject(path, **HOW), request).figures.mean_iou
        for path in (run, tmp_path / name)
    ]
    tolerance = 0.02 if recipe.export.round_to_bfloat16 else 2e-3
    assert scores[0] == pytest.approx(scores[1], abs=tolerance)

    content = json.loads((tmp_path / name / "card.json").read_text())
    assert content["training"]["recipe"]["name"] == name
    assert content["metrics"]["out_of_distribution"]["images"] > 0
    assert (tmp_path / name / "palette.json").is_file() == (case.data == "pairs")
    picture = np.full((48, 80), 90, dtype=np.uint8)
    with Segmenter(tmp_path / name, backend="onnxruntime") as segmenter:
        assert segmenter(picture).mask.shape == (48, 80)


HOW = {"recipe": None, "backend": "openvino", "precision": "fp32", "threads": 1}
