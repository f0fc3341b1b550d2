"""What changes while training: weights, their average, optimiser and position."""

from __future__ import annotations

import dataclasses
import logging
import math
import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.losses import segmentation_loss
from terrain_training.network import build_unet
from terrain_training.pair_dataset import Pair, PairDataset
from terrain_training.recipe import Recipe

log = logging.getLogger(__name__)

_LOG_EVERY_S = 30.0
_WORDS = {"name", "version", "encoder_credit"}
"""Recipe keys that do not change what is computed."""


class TrainingRun:
    """Hold one run; made from a recipe and a network, or resumed from a checkpoint."""

    def __init__(self, recipe: Recipe, network: nn.Module, *, steps_per_epoch: int) -> None:
        """Start at epoch 0 with the network's weights."""
        self.recipe = recipe
        self.network = network
        self.averaged = build_unet(
            classes=len(recipe.class_weights),
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
        """Return the mean loss of one pass over the data, saying now and then how far it is."""
        self.network.train()
        dataset.epoch = self.epoch
        loader = self._batches(dataset)
        losses: list[float] = []
        said_s = time.monotonic()
        for images, masks in loader:
            losses.append(self._step(images, masks))
            if time.monotonic() - said_s > _LOG_EVERY_S:
                said_s = time.monotonic()
                log.info("epoch %d step %d/%d", self.epoch + 1, len(losses), len(loader))
        self.epoch += 1
        return math.fsum(losses) / len(losses)

    def _batches(self, dataset: PairDataset) -> DataLoader[Pair]:
        order = torch.Generator().manual_seed(self.recipe.seed * 1000 + self.epoch)
        return DataLoader(
            dataset,
            batch_size=self.recipe.batch_size,
            shuffle=True,
            drop_last=len(dataset) >= self.recipe.batch_size,
            generator=order,
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
        torch.autograd.backward(loss)
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
            "recipe": _computing_part(self.recipe),
        }
        temporary = path.with_suffix(".part")
        torch.save(state, temporary)
        temporary.replace(path)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint, if there is one.

        Raises:
            ConfigError: the file is damaged, or of another recipe.
        """
        if not path.is_file():
            return
        try:
            state = torch.load(path, weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ConfigError(
                f"checkpoint {path} cannot be read; delete it or restore it"
            ) from error
        recipe = _computing_part(self.recipe)
        changed = [k for k, v in state.get("recipe", recipe).items() if recipe.get(k) != v]
        if changed:
            raise ConfigError(
                f"checkpoint {path} was made with other values of {changed}; restore the recipe or "
                "give another --out"
            )
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.last_epoch = state["schedule"]["last_epoch"]
        self.epoch = state["epoch"]
        self.best_mean_iou = state["best_mean_iou"]
        torch.set_rng_state(state["random"])
        log.info("resumed after epoch %d", self.epoch)


def _computing_part(recipe: Recipe) -> dict[str, Any]:
    return {k: v for k, v in dataclasses.asdict(recipe).items() if k not in _WORDS}


def _parameter_groups(network: nn.Module, recipe: Recipe) -> Iterator[dict[str, object]]:
    for part, rate in (("encoder", recipe.encoder_learning_rate), ("", recipe.learning_rate)):
        chosen = [
            parameter
            for name, parameter in network.named_parameters()
            if name.startswith("encoder.") == bool(part)
        ]
        decayed = [p for p in chosen if p.ndim > 1]
        kept = [p for p in chosen if p.ndim <= 1]
        yield {"params": decayed, "lr": rate, "weight_decay": recipe.weight_decay}
        yield {"params": kept, "lr": rate, "weight_decay": 0.0}
