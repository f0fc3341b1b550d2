"""How fast the trainer is, against a bare loop over the same network."""

from __future__ import annotations

import dataclasses
import resource
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.dataset import LabelledImages
from terrain_training.learning.loaders import OpenData, open_data
from terrain_training.learning.module import Normaliser, make_optimiser, parameter_groups
from terrain_training.learning.precision import AUTO
from terrain_training.learning.run import Machine, TrainingRequest, train
from terrain_training.learning.start import class_weights
from terrain_training.losses import LossContext, SegmentationLoss
from terrain_training.networks.registry import build_network
from terrain_training.progress import Progress
from terrain_training.settings.recipe import Recipe

WARMUP_BATCHES = 3
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Throughput:
    """Images per second, forward, backward and step; loading included in the trainer's.

    `memory_mb` is the most that this process held, and the largest of its loading processes.
    """

    recipe: str
    device: str
    threads: int
    batch_size: int
    batches: int
    rounds: int
    trainer_per_s: float
    bare_per_s: float
    memory_mb: tuple[float, float]

    @property
    def ratio(self) -> float:
        """Return the trainer's share of the bare loop's speed."""
        return self.trainer_per_s / self.bare_per_s

    def to_json(self) -> dict[str, Any]:
        """Return everything as what JSON can hold."""
        return {**asdict(self), "ratio": self.ratio}


class _EnoughError(Exception):
    """The trainer has done the batches that were to be timed."""


def measure_throughput(
    recipe: Recipe, data: Path, *, batches: int, rounds: int, skip_bad: bool
) -> Throughput:
    """Time the trainer, with everything that the recipe asks for, and a bare loop in turn.

    The bare loop is the recipe's network, loss and optimiser in plain PyTorch, at its precision, on
    batches that lie in memory: no loading, augmentation, average, clipping or log.

    Args:
        recipe: what is trained.
        data: the data set.
        batches: timed per round.
        rounds: of each; the fastest counts, since others use the machine as well.
        skip_bad: leave bad samples out.

    Raises:
        ConfigError: the precision is `auto`, or the data cannot be used or are fewer than one
            batch.
    """
    if recipe.training.precision == AUTO:
        raise ConfigError(
            "throughput is measured at one precision, but recipe key training.precision is auto; "
            "give --set training.precision=fp32 or bf16"
        )
    opened = open_data(recipe, data, skip_bad=skip_bad, run=None)
    size = recipe.training.batch_size
    if len(opened.train) < 2 * size:
        raise ConfigError(
            f"{len(opened.train)} training images are too few to time batches of {size}; give at "
            "least two batches"
        )
    gpu = torch.cuda.is_available()
    bare, trainer = [], []
    with Progress("measure", total=2 * rounds, unit="round") as progress:
        for _ in range(rounds):
            bare.append(_bare_s(recipe, opened, batches, "cuda" if gpu else "cpu"))
            progress.add()
            trainer.append(_trainer_s(recipe, data, batches, skip_bad=skip_bad))
            progress.add()
    images = batches * size
    return Throughput(
        recipe=recipe.name,
        device=torch.cuda.get_device_name() if gpu else "CPU",
        threads=torch.get_num_threads(),
        batch_size=size,
        batches=batches,
        rounds=rounds,
        trainer_per_s=images / min(trainer),
        bare_per_s=images / min(bare),
        memory_mb=(_peak_mb(resource.RUSAGE_SELF), _peak_mb(resource.RUSAGE_CHILDREN)),
    )


def _peak_mb(whose: int) -> float:
    return resource.getrusage(whose).ru_maxrss * 1024 / 1e6  # Linux counts in KiB


def _bare_s(recipe: Recipe, opened: OpenData, batches: int, device: str) -> float:
    """Return the seconds that the bare loop takes for some batches."""
    network = build_network(
        recipe.network,
        in_channels=recipe.data.channel_count,
        classes=len(opened.source.taxonomy),
    )
    network = network.to(device).train()
    normalise = Normaliser(recipe.data).to(device)
    loss_of = _loss(recipe, opened)
    optimiser = make_optimiser(parameter_groups(network, recipe.training), recipe.training)
    ready = [tuple(part.to(device) for part in batch) for batch in _in_memory(recipe, opened)]
    kind = _AUTOCAST.get(recipe.training.precision)
    started_s = time.perf_counter()
    for step in range(WARMUP_BATCHES + batches):
        if step == WARMUP_BATCHES:
            _wait(device)
            started_s = time.perf_counter()
        images, masks = ready[step % len(ready)]
        optimiser.zero_grad()
        with torch.autocast(device, dtype=kind, enabled=kind is not None):
            logits = network(normalise(images))
        torch.autograd.backward(loss_of(logits.float(), masks.long()))
        optimiser.step()
    _wait(device)
    return time.perf_counter() - started_s


def _loss(recipe: Recipe, opened: OpenData) -> SegmentationLoss:
    context = LossContext.of(
        recipe.training,
        class_weights=class_weights(recipe, opened),
        taxonomy=opened.source.taxonomy,
    )
    return SegmentationLoss(recipe.training, context)


def _in_memory(recipe: Recipe, opened: OpenData) -> list[tuple[Tensor, Tensor]]:
    size = recipe.training.batch_size
    images = LabelledImages(opened.source, opened.train[: 2 * size], recipe.data)
    pairs = [images[place] for place in range(2 * size)]
    return [
        (torch.stack([p[0] for p in part]), torch.stack([p[1] for p in part]))
        for part in (pairs[:size], pairs[size:])
    ]


def _trainer_s(recipe: Recipe, data: Path, batches: int, *, skip_bad: bool) -> float:
    """Return the seconds that the trainer takes for some batches."""
    clock = _Clock(batches)
    training = dataclasses.replace(recipe.training, epochs=1_000_000, schedule="constant")
    with tempfile.TemporaryDirectory() as folder:
        request = TrainingRequest(
            data=data,
            out=Path(folder),
            machine=Machine(accelerator="auto", devices=1),
            skip_bad=skip_bad,
            callbacks=(clock,),
            shown=False,  # its epochs have no end
        )
        try:
            train(dataclasses.replace(recipe, training=training), request)
        except _EnoughError:
            return clock.seconds
    raise ConfigError("the trainer ended before the batches were timed; give more images")


class _Clock(Callback):
    """Add up the time from one batch's end to the next one's within epochs, then stop."""

    def __init__(self, batches: int) -> None:
        self.seconds = 0.0
        self._left = batches
        self._warmup = WARMUP_BATCHES
        self._last_s: float | None = None

    def on_train_epoch_start(self, _trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        self._last_s = None if self._warmup > 0 else time.perf_counter()

    def on_train_batch_end(
        self,
        _trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        _outputs: Any,
        _batch: Any,
        _place: int,
    ) -> None:
        _wait(pl_module.device.type)
        now_s = time.perf_counter()
        if self._warmup > 0:
            self._warmup -= 1
            self._last_s = now_s
            return
        if self._last_s is not None:
            self.seconds += now_s - self._last_s
            self._left -= 1
        self._last_s = now_s
        if self._left <= 0:
            raise _EnoughError


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()
