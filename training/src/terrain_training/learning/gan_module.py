"""Pix2Pix training: the generator against a discriminator that sees image and mask together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from terrain_seg_ros.core.scores.segmentation_metrics import IGNORE
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_training.learning.module import (
    TRAIN_LOSS,
    SegmentationModule,
    make_optimiser,
    make_schedule,
    parameter_groups,
)
from terrain_training.networks.pix2pix import PatchDiscriminator
from terrain_training.settings.recipe import Recipe

BETAS = (0.5, 0.999)
"""Of Adam, as published (Isola et al., 2017)."""


class GanModule(SegmentationModule):
    """Add an adversarial loss to the recipe's losses.

    Logs D (the discriminator's loss, true and made masks added), Adv (how well it is fooled),
    Seg (the segmentation loss before its weight) and G (Adv and Seg, weighted).
    """

    def __init__(
        self,
        recipe: Recipe,
        network: nn.Module,
        *,
        taxonomy: Taxonomy,
        class_weights: list[float],
        steps_per_epoch: int,
    ) -> None:
        """Take the generator; make the discriminator."""
        super().__init__(
            recipe,
            network,
            taxonomy=taxonomy,
            class_weights=class_weights,
            steps_per_epoch=steps_per_epoch,
        )
        self.automatic_optimization = False
        self.classes = len(taxonomy)
        self.discriminator = PatchDiscriminator(
            in_channels=recipe.data.channel_count,
            classes=self.classes,
            width=int(recipe.network.options["width"]),
        )

    def training_step(self, batch: tuple[Tensor, Tensor], place: int) -> None:  # type: ignore[override]
        """Take one step of the discriminator and one of the generator."""
        images, masks = batch
        target = masks.long()
        seen = self.normalise(images)
        generator, discriminator = self.optimizers()  # type: ignore[attr-defined]  # two: a list
        logits = self.network(seen).float()
        made = logits.softmax(dim=1)
        truth = self._truth(target, made)
        true_loss = _discrimination_loss(self.discriminator(seen, truth), true=True)
        made_loss = _discrimination_loss(self.discriminator(seen, made.detach()), true=False)
        both = true_loss + made_loss
        numbers = self.check_losses({"discriminator's loss": both}, place)
        self._step(discriminator, both * 0.5, self.discriminator)
        fooled = _discrimination_loss(self.discriminator(seen, made), true=True)
        segmented = self.loss(logits, target)
        total = segmented + fooled * self.recipe.training.adversarial_weight
        numbers &= self.check_losses({"generator's loss": total}, place)
        self._step(generator, total, self.network)
        for schedule in self.lr_schedulers():  # type: ignore[union-attr]
            schedule.step()
        if not numbers:
            return
        share = sum(self.recipe.training.losses.values())
        figures = {
            TRAIN_LOSS: total,
            "train/D": both,
            "train/G": total,
            "train/Seg": segmented / share,
            "train/Adv": fooled,
        }
        kept = {name: value.detach() for name, value in figures.items()}
        self.log_dict(kept, on_step=False, on_epoch=True, batch_size=len(images))

    def configure_optimizers(self) -> Any:
        """Return an optimiser and a schedule each for generator and discriminator."""
        training = self.recipe.training
        optimisers = [
            make_optimiser(parameter_groups(part, training), training)
            for part in (self.network, self.discriminator)
        ]
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                if "betas" in group:
                    group["betas"] = BETAS
        schedules = [
            make_schedule(optimiser, training, steps_per_epoch=self.steps_per_epoch)
            for optimiser in optimisers
        ]
        return optimisers, schedules

    def _step(self, optimiser: Any, loss: Tensor, part: nn.Module) -> None:
        optimiser.zero_grad()
        self.manual_backward(loss)
        if self.recipe.training.gradient_clip > 0:
            nn.utils.clip_grad_norm_(part.parameters(), self.recipe.training.gradient_clip)
        optimiser.step()

    def _truth(self, target: Tensor, made: Tensor) -> Tensor:
        """Return the truth as probabilities; where it is not known, what was made."""
        labelled = (target != IGNORE).unsqueeze(1)
        one_hot = functional.one_hot(target.clamp(max=self.classes - 1), self.classes)
        return torch.where(labelled, one_hot.permute(0, 3, 1, 2).to(made), made.detach())


def _discrimination_loss(logits: Tensor, *, true: bool) -> Tensor:
    wanted = torch.full_like(logits, float(true))
    return functional.binary_cross_entropy_with_logits(logits, wanted)
