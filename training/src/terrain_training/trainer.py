"""The training loop: one readable function, resumable after every epoch."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.segmentation_metrics import ConfusionMatrix, SegmentationScores
from terrain_training.checkpoint import load_network
from terrain_training.datasets import ai4mars
from terrain_training.network import build_unet, load_folded_mobilenet_v2
from terrain_training.pair_dataset import PairDataset
from terrain_training.recipe import Recipe
from terrain_training.training_run import TrainingRun

log = logging.getLogger(__name__)


def train(recipe: Recipe, *, data: Path, out: Path, pretrained: Path | None) -> SegmentationScores:
    """Train until the recipe's last epoch, resuming from `out` where it holds a checkpoint.

    Writes last.pt after every epoch, best.safetensors (averaged weights) whenever validation
    mean IoU improves, and log.jsonl.

    Returns:
        The scores of the best epoch on the rover-clock validation split.

    Raises:
        ConfigError: data, checkpoint or pretrained weights cannot be used.
    """
    torch.manual_seed(recipe.seed)
    training, validation = _read_data(recipe, data)
    network = _start_network(recipe, validation, pretrained)
    out.mkdir(parents=True, exist_ok=True)
    run = TrainingRun(recipe, network, steps_per_epoch=len(training) // recipe.batch_size)
    run.resume(out / "last.pt")
    while run.epoch < recipe.epochs:
        started_s = time.monotonic()
        loss = run.train_epoch(training)
        scores = evaluate_network(run.averaged, validation, precision=recipe.precision)
        seconds = time.monotonic() - started_s
        _log_epoch(out / "log.jsonl", run.epoch, loss=loss, scores=scores, seconds=seconds)
        if scores.mean_iou > run.best_mean_iou:
            run.best_mean_iou = scores.mean_iou
            weights = {name: v.contiguous() for name, v in run.averaged.state_dict().items()}
            save_file(weights, out / "best.safetensors")
        run.save(out / "last.pt")
    best = load_network(out / "best.safetensors", recipe)
    return evaluate_network(best, validation, precision=recipe.precision)


def evaluate_network(
    network: nn.Module, dataset: PairDataset, *, precision: str
) -> SegmentationScores:
    """Return the pooled scores of a network over a dataset."""
    confusion = ConfusionMatrix(ai4mars.CLASSES)
    network.eval()
    with torch.inference_mode():
        for images, masks in DataLoader(dataset, batch_size=16):
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                logits = network(images.to(memory_format=torch.channels_last))
            confusion.add(
                masks.numpy().astype(np.uint8),
                logits.argmax(dim=1).numpy().astype(np.uint8),
                images=len(images),
            )
    return confusion.scores()


def _read_data(recipe: Recipe, data: Path) -> tuple[PairDataset, PairDataset]:
    split = ai4mars.read_split(data, seed=recipe.seed)
    if not split.train or not split.validation:
        raise ConfigError(
            f"{data} gives {len(split.train)} training and {len(split.validation)} validation "
            "images, expected some of each; check train.txt and val.txt"
        )
    log.info("%d training images, %d validation images", len(split.train), len(split.validation))
    size_px = recipe.input_size_px
    return (
        PairDataset(data, split.train, size_px=size_px, seed=recipe.seed),
        PairDataset(data, split.validation, size_px=size_px, seed=None),
    )


def _start_network(recipe: Recipe, validation: PairDataset, pretrained: Path | None) -> nn.Module:
    network = build_unet(
        classes=len(ai4mars.CLASSES),
        decoder_channels=recipe.decoder_channels,
        dropout=recipe.dropout,
    )
    if pretrained is not None:
        typical = torch.stack([validation[i][0] for i in range(0, len(validation), 8)][:48])
        load_folded_mobilenet_v2(network, pretrained, typical)
    return network


def _log_epoch(
    path: Path, epoch: int, *, loss: float, scores: SegmentationScores, seconds: float
) -> None:
    entry = {
        "epoch": epoch,
        "loss": loss,
        "mean_iou": scores.mean_iou,
        "iou": scores.iou,
        "recall": scores.recall,
        "pixel_accuracy": scores.pixel_accuracy,
        "seconds": round(seconds, 1),
    }
    log.info("%s", json.dumps(entry))
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(entry) + "\n")
