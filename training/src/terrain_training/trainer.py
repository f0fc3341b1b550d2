"""The training loop: one readable function, resumable after every epoch."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from terrain_seg_ros.core.segmentation_metrics import ConfusionMatrix, SegmentationScores
from terrain_training.augment import augment_pair
from terrain_training.datasets import ai4mars
from terrain_training.losses import segmentation_loss
from terrain_training.network import build_unet, load_folded_mobilenet_v2
from terrain_training.recipe import Recipe

log = logging.getLogger(__name__)

Pair = tuple[Tensor, Tensor]


class PairDataset(Dataset[Pair]):
    """Serve grey images (1, H, W) in [-1, 1] and masks (H, W) of class ids."""

    def __init__(self, root: Path, stems: tuple[str, ...], *, seed: int | None) -> None:
        """Read the listed pairs into memory; augment them when a seed is given."""
        self._pairs = [ai4mars.read_pair(root, stem) for stem in stems]
        self._seed = seed
        self.epoch = 0

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._pairs)

    def __getitem__(self, index: int) -> Pair:
        """Return one pair; the augmentation depends on seed, epoch and index alone."""
        image, mask = self._pairs[index]
        if self._seed is not None:
            random = np.random.default_rng([self._seed, self.epoch, index])
            image, mask = augment_pair(image, mask, random)
        return scale_to_network(image), torch.from_numpy(mask.astype(np.int64))


def scale_to_network(image: NDArray[np.uint8]) -> Tensor:
    """Return a grey image (H, W) as (1, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(image.astype(np.float32) / 127.5 - 1.0).unsqueeze(0)


def train(recipe: Recipe, *, data: Path, out: Path, pretrained: Path | None) -> SegmentationScores:
    """Train until the recipe's last epoch, resuming from `out` where it holds a checkpoint.

    Writes last.pt after every epoch, best.safetensors (averaged weights) whenever validation
    mean IoU improves, and log.jsonl.

    Returns:
        The scores of the best epoch on the rover-clock validation split.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    split = ai4mars.read_split(data, seed=recipe.seed)
    log.info("%d training images, %d validation images", len(split.train), len(split.validation))
    training = PairDataset(data, split.train, seed=recipe.seed)
    validation = PairDataset(data, split.validation, seed=None)
    network = build_unet(
        classes=len(ai4mars.CLASSES),
        decoder_channels=recipe.decoder_channels,
        dropout=recipe.dropout,
    )
    if pretrained is not None:
        typical = torch.stack([validation[i][0] for i in range(0, len(validation), 8)][:48])
        load_folded_mobilenet_v2(network, pretrained, typical)
    run = _Run(recipe, network, steps_per_epoch=len(training) // recipe.batch_size)
    run.resume(out / "last.pt")
    best: SegmentationScores | None = None
    for epoch in range(run.epoch, recipe.epochs):
        training.epoch = epoch
        started_s = time.monotonic()
        loss = run.train_epoch(training)
        scores = evaluate_network(run.averaged, validation, precision=recipe.precision)
        entry = {
            "epoch": epoch + 1,
            "loss": loss,
            "mean_iou": scores.mean_iou,
            "iou": scores.iou,
            "recall": scores.recall,
            "pixel_accuracy": scores.pixel_accuracy,
            "seconds": round(time.monotonic() - started_s, 1),
        }
        log.info("%s", json.dumps(entry))
        with (out / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(entry) + "\n")
        if scores.mean_iou > run.best_mean_iou:
            run.best_mean_iou = scores.mean_iou
            best = scores
            save_file(_contiguous(run.averaged), out / "best.safetensors")
        run.save(out / "last.pt")
    if best is None:
        run.averaged.load_state_dict(load_file(out / "best.safetensors"))
        best = evaluate_network(run.averaged, validation, precision=recipe.precision)
    return best


def evaluate_network(
    network: nn.Module, dataset: Dataset[Pair], *, precision: str
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


class _Run:
    """Hold what changes while training: weights, their average, optimiser and position."""

    def __init__(self, recipe: Recipe, network: nn.Module, *, steps_per_epoch: int) -> None:
        self.recipe = recipe
        self.network = network
        self.averaged = build_unet(
            classes=len(ai4mars.CLASSES),
            decoder_channels=recipe.decoder_channels,
            dropout=recipe.dropout,
        )
        self.averaged.load_state_dict(network.state_dict())
        self.optimiser = torch.optim.AdamW(_parameter_groups(network, recipe))
        steps = recipe.epochs * max(steps_per_epoch, 1)
        warmup = max(1, round(recipe.warmup_share * steps))
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser,
            lambda step: min((step + 1) / warmup, 0.5 + 0.5 * math.cos(math.pi * step / steps)),
        )
        self.class_weights = torch.tensor(recipe.class_weights)
        self.epoch = 0
        self.best_mean_iou = -1.0

    def train_epoch(self, dataset: PairDataset) -> float:
        """Return the mean loss of one pass over the data."""
        self.network.train()
        losses = [self._step(images, masks) for images, masks in self._batches(dataset)]
        self.epoch += 1
        return float(np.mean(losses))

    def _batches(self, dataset: PairDataset) -> Iterator[Pair]:
        order = torch.Generator().manual_seed(self.recipe.seed * 1000 + self.epoch)
        return iter(
            DataLoader(
                dataset,
                batch_size=self.recipe.batch_size,
                shuffle=True,
                drop_last=len(dataset) >= self.recipe.batch_size,
                generator=order,
            )
        )

    def _step(self, images: Tensor, masks: Tensor) -> float:
        bf16 = self.recipe.precision == "bf16"
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logits = self.network(images.to(memory_format=torch.channels_last))
        loss = segmentation_loss(
            logits.float(),
            masks,
            class_weights=self.class_weights,
            dice_weight=self.recipe.dice_weight,
        )
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.gradient_clip)
        self.optimiser.step()
        self.schedule.step()
        self._average()
        return float(loss.detach())

    @torch.no_grad()
    def _average(self) -> None:
        step = self.schedule.last_epoch
        decay = min(self.recipe.ema_decay, (1 + step) / (10 + step))
        current = self.network.state_dict()
        for name, value in self.averaged.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(current[name], 1 - decay)
            else:
                value.copy_(current[name])

    def save(self, path: Path) -> None:
        """Write everything needed to go on, through a temporary file."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": {"last_epoch": self.schedule.last_epoch},
            "epoch": self.epoch,
            "best_mean_iou": self.best_mean_iou,
            "random": torch.get_rng_state(),
        }
        temporary = path.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one."""
        if not path.is_file():
            return
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.last_epoch = state["schedule"]["last_epoch"]
        self.epoch = state["epoch"]
        self.best_mean_iou = state["best_mean_iou"]
        torch.set_rng_state(state["random"])
        log.info("resumed after epoch %d", self.epoch)


def _parameter_groups(network: nn.Module, recipe: Recipe) -> list[dict[str, object]]:
    groups: list[dict[str, object]] = []
    for part, rate in (("encoder", recipe.encoder_learning_rate), ("", recipe.learning_rate)):
        chosen = [
            (name, parameter)
            for name, parameter in network.named_parameters()
            if name.startswith("encoder.") == bool(part)
        ]
        decayed = [p for _, p in chosen if p.ndim > 1]
        kept = [p for _, p in chosen if p.ndim <= 1]
        groups.append({"params": decayed, "lr": rate, "weight_decay": recipe.weight_decay})
        groups.append({"params": kept, "lr": rate, "weight_decay": 0.0})
    return groups


def _contiguous(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.contiguous() for name, value in network.state_dict().items()}
