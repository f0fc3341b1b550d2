from __future__ import annotations

import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from terrain_training.learning.run import Machine, TrainingRequest, train
from terrain_training.recipe.load import load_recipe
from terrain_training.settings.recipe import Recipe

SIZE_PX = 64
STEMS = 26
VALIDATION_IMAGES = 22
"""18 that may only validate, and the 4 that the recipe's seed holds out."""
CPU = Machine(accelerator="cpu", devices=1)
RECIPE = """
name: tiny
credits: [Generated squares.]
limits: [Made for tests.]
data:
  source: ai4mars
  options: {seed: 1}
  channels: grey
  height_px: 64
  width_px: 64
network:
  kind: smp
  options:
    architecture: Unet
    encoder: mobilenet_v2
    encoder_weights: null
    dropout: 0.2
    arguments: {decoder_channels: [16, 16, 8, 8, 8]}
training:
  epochs: 2
  batch_size: 4
  optimiser: adamw
  learning_rate: 5.0e-3
  weight_decay: 0.01
  schedule: cosine
  warmup_share: 0.1
  losses: {cross_entropy: 1.0, dice: 0.5}
  ema_decay: 0.5
  gradient_clip: 1.0
  seed: 1
augmentation:
  - {name: flip_horizontal, probability: 0.5}
  - {name: light, probability: 0.5, gamma: 0.2, gain_min: 0.9, gain_max: 1.1, offset: 0.02}
export:
  round_to_bfloat16: true
"""


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def recipe(recipe_file) -> Recipe:
    return load_recipe(recipe_file)


def stem_at(clock_s: int) -> str:
    return f"NLB_{clock_s:09d}EDR_F0540006NCAM00267M1"


def write_pair(root: Path, stem: str, *, seed: int) -> None:
    """Write four quadrants, one per class, each of its own brightness, some unlabelled."""
    random = np.random.default_rng(seed)
    mask = np.zeros((SIZE_PX, SIZE_PX), dtype=np.uint8)
    row, col = random.integers(20, 44, 2)
    order = random.permutation(4)
    mask[:row, :col], mask[:row, col:], mask[row:, :col], mask[row:, col:] = order
    image = np.array([40, 100, 160, 220], dtype=np.uint8)[mask]
    noise = random.normal(0, 4, mask.shape)
    image = np.clip(image + noise, 0, 255).astype(np.uint8)
    mask[:6] = 255
    cv2.imwrite(str(root / "images" / f"{stem}.jpg"), image)
    cv2.imwrite(str(root / "masks" / f"{stem}.png"), mask)


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("ai4mars")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    # Two hours apart: 26 images to train on, then 18 that may only validate.
    stems = [stem_at(400_000_000 + 7200 * i) for i in range(STEMS + 18)]
    for seed, stem in enumerate(stems):
        write_pair(root, stem, seed=seed)
    (root / "train.txt").write_text("\n".join(stems[:STEMS]), encoding="utf-8")
    (root / "val.txt").write_text("\n".join(stems[STEMS:]), encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def trained(tmp_path_factory, recipe, data) -> Path:
    out = tmp_path_factory.mktemp("run")
    train(recipe, TrainingRequest(data=data, out=out, machine=CPU))
    return out


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """Yield the address of a Dask scheduler with two workers, on loopback."""
    distributed = pytest.importorskip("distributed", reason="the extra `fleet` is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
        with distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            local_directory=str(tmp_path_factory.mktemp("cluster")),
            silence_logs=50,
        ) as started:
            yield started.scheduler_address
