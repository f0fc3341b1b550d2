"""Train a recipe: one call, resumable after every epoch."""

from __future__ import annotations

import dataclasses
import json
import logging
import pickle
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_training.data.factory import keep_palette
from terrain_training.learning.averaging import moving_average
from terrain_training.learning.gan_module import GanModule
from terrain_training.learning.loaders import OpenData, RunData, open_data
from terrain_training.learning.module import VALIDATION_IOU, SegmentationModule
from terrain_training.learning.progress import Progress, ThisTime
from terrain_training.learning.recorder import Recorder
from terrain_training.learning.run_folder import RunFolder
from terrain_training.learning.start import class_weights, start_network
from terrain_training.networks.registry import parameter_count
from terrain_training.recipe.load import write_recipe
from terrain_training.recipe.settings import Recipe

log = logging.getLogger(__name__)

_WORDS = ("name", "version", "description", "credits", "limits", "export", "sharpening")
"""Recipe keys that do not change what is learned."""
PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


@dataclass(frozen=True)
class Machine:
    """Say where to train; `devices` counts GPUs, or processes on the CPU."""

    accelerator: str
    devices: int


@dataclass(frozen=True)
class TrainingRequest:
    """Hold what is trained beside the recipe.

    `epochs_now` ends this call early, to be gone on with later; `callbacks` are further ones.
    """

    data: Path
    out: Path
    machine: Machine
    skip_bad: bool = False
    pretrained: Path | None = None
    epochs_now: int | None = None
    callbacks: tuple[Callback, ...] = ()


def train(recipe: Recipe, request: TrainingRequest) -> dict[str, Any]:
    """Train to the recipe's last epoch, going on where `out` holds a checkpoint.

    Returns:
        The summary of the run; its keys `best_mean_iou` and `best_epoch` are of the validation.

    Raises:
        ConfigError: data, checkpoint, weights or machine cannot be used.
    """
    _quieten()
    folder = RunFolder(request.out)
    _check_same_recipe(folder, recipe)
    if request.pretrained is not None and not request.pretrained.is_file():
        raise ConfigError(f"weights {request.pretrained} do not exist; check --pretrained")
    request.out.mkdir(parents=True, exist_ok=True)
    pl.seed_everything(recipe.training.seed, verbose=False)
    opened = open_data(recipe, request.data, skip_bad=request.skip_bad, run=request.out)
    data = RunData(recipe, opened)
    module = _make_module(recipe, request, opened, data)
    _start_folder(folder, recipe, opened, module)
    taxonomy = opened.source.taxonomy
    trainer = _make_trainer(recipe, request, folder, taxonomy=taxonomy, data=data)
    _fit(trainer, module, data, folder)
    return folder.read_summary()


def _make_module(
    recipe: Recipe, request: TrainingRequest, opened: OpenData, data: RunData
) -> SegmentationModule:
    network = start_network(recipe, opened, data.validation_images, pretrained=request.pretrained)
    adversarial = recipe.training.adversarial_weight > 0
    if adversarial and recipe.network.kind != "pix2pix":
        raise ConfigError(
            "recipe key training.adversarial_weight needs network.kind pix2pix, but it is "
            f"{recipe.network.kind!r}; set it to 0"
        )
    kind = GanModule if adversarial else SegmentationModule
    return kind(
        recipe,
        network,
        taxonomy=opened.source.taxonomy,
        class_weights=class_weights(recipe, opened),
        steps_per_epoch=data.steps_per_epoch(request.machine.devices),
    )


def _make_trainer(
    recipe: Recipe,
    request: TrainingRequest,
    folder: RunFolder,
    *,
    taxonomy: Taxonomy,
    data: RunData,
) -> pl.Trainer:
    training, machine = recipe.training, request.machine
    recorder = Recorder(
        folder,
        taxonomy=taxonomy,
        examples=data.validation_images,
        count=training.example_images,
    )
    callbacks: list[Callback] = [recorder]
    if training.ema_decay > 0:
        callbacks.append(moving_average(training.ema_decay))
    callbacks += request.callbacks
    if training.early_stop_epochs > 0:
        patience = training.early_stop_epochs
        callbacks.append(EarlyStopping(VALIDATION_IOU, mode="max", patience=patience))
    if request.epochs_now is not None:
        callbacks.append(ThisTime(request.epochs_now))
    bar = sys.stderr.isatty()
    if not bar:
        callbacks.append(Progress())
    callbacks.append(_checkpoints(folder))
    clip = training.gradient_clip if training.gradient_clip > 0 else None
    try:
        return pl.Trainer(
            accelerator=machine.accelerator,
            devices=machine.devices,
            strategy="ddp" if machine.devices > 1 else "auto",
            max_epochs=training.epochs,
            precision=PRECISIONS[training.precision],
            gradient_clip_val=None if training.adversarial_weight > 0 else clip,
            callbacks=callbacks,
            logger=TensorBoardLogger(folder.path, name="tensorboard", version=""),
            enable_progress_bar=bar,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
            deterministic="warn",
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"cannot train with {machine} in {training.precision}: {reason}"
        ) from error


def _checkpoints(folder: RunFolder) -> ModelCheckpoint:
    return ModelCheckpoint(
        dirpath=folder.path,
        filename="last",
        monitor=None,
        save_top_k=1,
        every_n_epochs=1,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )


def _fit(trainer: pl.Trainer, module: SegmentationModule, data: RunData, folder: RunFolder) -> None:
    checkpoint = folder.checkpoint if folder.checkpoint.is_file() else None
    try:
        trainer.fit(module, datamodule=data, ckpt_path=checkpoint, weights_only=True)
    except (pickle.UnpicklingError, EOFError, KeyError) as error:
        raise _bad_checkpoint(folder, error) from error
    except RuntimeError as error:
        if checkpoint is None or "PytorchStreamReader" not in str(error):
            raise
        raise _bad_checkpoint(folder, error) from error
    if trainer.interrupted:
        raise KeyboardInterrupt


def _bad_checkpoint(folder: RunFolder, error: Exception) -> ConfigError:
    reason = " ".join(str(error).split())[:200]
    return ConfigError(
        f"checkpoint {folder.checkpoint} cannot be read ({reason}); delete it or restore it"
    )


def _check_same_recipe(folder: RunFolder, recipe: Recipe) -> None:
    if not folder.checkpoint.is_file() or not folder.snapshot.is_file():
        return
    old, new = _computing_part(folder.recipe()), _computing_part(recipe)
    changed = sorted(key for key in new if old.get(key) != new[key])
    if recipe.training.schedule == "constant" and recipe.training.warmup_share == 0.0:
        changed = [key for key in changed if key != "training.epochs"]
    if changed:
        raise ConfigError(
            f"checkpoint {folder.checkpoint} was made with other values of {changed}; restore the "
            "recipe or give another --out"
        )


def _computing_part(recipe: Recipe) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in dataclasses.asdict(recipe).items():
        if name in _WORDS:
            continue
        if isinstance(value, dict):
            result.update({f"{name}.{key}": item for key, item in value.items()})
        else:
            result[name] = value
    for name in ("data.cache_mib", "data.workers", "training.example_images"):
        del result[name]
    return result


def _start_folder(
    folder: RunFolder, recipe: Recipe, opened: OpenData, module: SegmentationModule
) -> None:
    """Write snapshot, classes and sizes; the scores follow after each epoch."""
    write_recipe(recipe, folder.snapshot)
    keep_palette(opened.source, folder.path)
    old = folder.read_summary() if folder.summary.is_file() else {}
    content = {
        **old,
        "name": recipe.name,
        "classes": [
            {"name": c.name, "color_rgb": list(c.color_rgb), "hazard": c.hazard}
            for c in opened.source.taxonomy
        ],
        "training_images": len(opened.train),
        "validation_images": len(opened.validation),
        "bad_samples": opened.bad,
        "parameters": parameter_count(module.network),
    }
    folder.summary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _quieten() -> None:
    """Leave Lightning's advertisements and hints out of the log."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for text in ("does not have many workers", "Checkpoint directory", "isinstance.*LeafSpec"):
        warnings.filterwarnings("ignore", message=f".*{text}.*")
    warnings.filterwarnings("ignore", category=UserWarning, module="torch.optim.lr_scheduler")
    torch.set_float32_matmul_precision("high")
