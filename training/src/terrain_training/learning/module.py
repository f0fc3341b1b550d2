"""What is trained: a network with normalisation, losses and optimiser, as Lightning wants it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.classification import MulticlassConfusionMatrix

from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_training.learning.averaging import moving_average_of
from terrain_training.learning.finite import FiniteGuard, Place, check_validation_loss
from terrain_training.learning.merged_labels import decide_label_sets, merge_label_sets
from terrain_training.losses import LossContext, SegmentationLoss
from terrain_training.networks.registry import is_encoder
from terrain_training.settings.recipe import DataSettings, Recipe, TrainingSettings

TRAIN_LOSS = "train/loss"
VALIDATION_LOSS = "validation/loss"
VALIDATION_IOU = "validation/mean_iou"
STEP_AT = 2.0 / 3.0
STEP_FACTOR = 0.1


class Normaliser(nn.Module):
    """Bring bytes (N, C, H, W) to what the network sees: (byte - mean) / std."""

    def __init__(self, data: DataSettings) -> None:
        """Take the recipe's mean and std, in grey levels."""
        super().__init__()
        self.mean: Tensor
        self.std: Tensor
        shape = (1, -1, 1, 1)
        self.register_buffer("mean", torch.tensor(data.mean).reshape(shape), persistent=False)
        self.register_buffer("std", torch.tensor(data.std).reshape(shape), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return float32 in channels-last memory."""
        values = (image.float() - self.mean) / self.std
        return values.to(memory_format=torch.channels_last)


class SegmentationModule(pl.LightningModule):
    """Train a network on bytes (N, C, H, W) and class ids (N, H, W)."""

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        *,
        taxonomy: Taxonomy,
        class_weights: list[float],
        steps_per_epoch: int,
        label_sets: Sequence[Sequence[int]] = (),
    ) -> None:
        """Take an untrained network, or one with pretrained parts.

        `label_sets` are the classes that the ids from the number of classes on may mean.
        """
        super().__init__()
        self._label_sets = tuple(tuple(ids) for ids in label_sets)
        self.recipe = recipe
        self.network = network
        self.normalise = Normaliser(recipe.data)
        self.confusion = MulticlassConfusionMatrix(len(taxonomy), ignore_index=IGNORE)
        self.steps_per_epoch = max(1, steps_per_epoch)
        context = LossContext.of(recipe.training, class_weights=class_weights, taxonomy=taxonomy)
        self.loss = SegmentationLoss(recipe.training, context)
        self._guard = FiniteGuard(scaled=recipe.training.precision == "fp16")

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, K, H, W) of bytes (N, C, H, W)."""
        logits: Tensor = self.network(self.normalise(image))
        return logits

    def on_train_batch_start(self, _batch: Any, batch_idx: int) -> None:
        """Seed what a network draws (dropout) from where it is: a resumed run draws the same."""
        place = (self.recipe.training.seed, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))

    def training_step(self, batch: tuple[Tensor, Tensor], place: int) -> Tensor:
        """Return the loss of a batch."""
        images, masks = batch
        target = self._taught(images, masks.long())
        loss = self.loss(*self.merged(self(images).float(), target))
        if self.check_losses({"training loss": loss}, place):
            self.log(TRAIN_LOSS, loss, on_step=False, on_epoch=True, batch_size=len(images))
        return loss

    def merged(self, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and class ids where every label that leaves a choice is one class."""
        return merge_label_sets(logits, target, self._label_sets)

    def _taught(self, images: Tensor, target: Tensor) -> Tensor:
        """Return class ids in which the moving average decided what it is sure of."""
        confidence = self.recipe.training.pseudo_label_confidence
        teacher = moving_average_of(self.trainer) if confidence > 0 else None
        # What the first epoch averages knows little: its choices would be learned as truth.
        if teacher is None or self.current_epoch == 0:
            return target
        said = teacher.logits(images)
        return decide_label_sets(target, said, self._label_sets, confidence=confidence)

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Check the gradients."""
        own = [item for group in optimizer.param_groups for item in group["params"]]
        place = self._place(self.trainer.fit_loop.batch_idx)
        self._guard.check_gradients(f"optimiser {id(optimizer)}", own, place)

    def check_losses(self, losses: dict[str, Tensor], batch_idx: int) -> bool:
        """Return whether losses are numbers; where a scaler leaves the step out, none need be.

        Raises:
            TrainingError: they are not.
        """
        return self._guard.check_losses(losses, self._place(batch_idx))

    def _place(self, batch_idx: int) -> Place:
        optimisers = self.trainer.optimizers
        rate = max(float(g["lr"]) for item in optimisers for g in item.param_groups)
        return Place(self.current_epoch + 1, batch_idx + 1, rate)

    def validation_step(self, batch: tuple[Tensor, Tensor], place: int) -> None:
        """Count a batch."""
        images, masks = batch
        logits, target = self.merged(self(images).float(), masks.long())
        self.confusion.update(logits.argmax(dim=1), target)
        loss = self.loss(logits, target)
        check_validation_loss(loss, self._place(place))
        self.log(VALIDATION_LOSS, loss, batch_size=len(images), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """Return the optimiser, and its schedule per step."""
        training = self.recipe.training
        optimiser = make_optimiser(parameter_groups(self.network, training), training)
        schedule = make_schedule(optimiser, training, steps_per_epoch=self.steps_per_epoch)
        return {
            "optimizer": optimiser,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def make_optimiser(
    groups: Iterator[dict[str, Any]], training: TrainingSettings
) -> torch.optim.Optimizer:
    """Return the recipe's optimiser over groups of parameters."""
    rows = list(groups)
    rate = training.learning_rate
    if training.optimiser == "sgd":
        return torch.optim.SGD(rows, lr=rate, momentum=training.momentum)
    if training.optimiser == "adam":
        return torch.optim.Adam(rows, lr=rate)
    return torch.optim.AdamW(rows, lr=rate)


def make_schedule(
    optimiser: torch.optim.Optimizer, training: TrainingSettings, *, steps_per_epoch: int
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return the learning rate per step: linear warm-up, then the recipe's course."""
    steps = training.epochs * steps_per_epoch
    warmup = max(1, round(training.warmup_share * steps))

    def course(step: int) -> float:
        rising = min(1.0, (step + 1) / warmup)
        if training.schedule == "cosine":
            return min(rising, 0.5 + 0.5 * math.cos(math.pi * min(step, steps) / steps))
        if training.schedule == "step" and step >= STEP_AT * steps:
            return STEP_FACTOR
        return rising

    return torch.optim.lr_scheduler.LambdaLR(optimiser, course)


def parameter_groups(network: nn.Module, training: TrainingSettings) -> Iterator[dict[str, Any]]:
    """Yield the encoder and the rest, each with and without weight decay (norms and biases)."""
    encoder_rate = training.encoder_learning_rate or training.learning_rate
    for encoder, rate in ((True, encoder_rate), (False, training.learning_rate)):
        chosen = [p for name, p in network.named_parameters() if is_encoder(name) == encoder]
        for parameters, decay in (
            ([p for p in chosen if p.ndim > 1], training.weight_decay),
            ([p for p in chosen if p.ndim <= 1], 0.0),
        ):
            if parameters:
                yield {"params": parameters, "lr": rate, "weight_decay": decay}
