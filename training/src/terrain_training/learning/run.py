"""Train a recipe: one call, resumable after every epoch."""

from __future__ import annotations

import dataclasses
import logging
import os
import pickle
import signal
import time
import traceback
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from terrain_seg_ros.core.errors import ConfigError
from terrain_training import parts
from terrain_training.cpu import helpful_threads
from terrain_training.errors import TrainingError
from terrain_training.interrupt import current_signals
from terrain_training.learning.averaging import MovingAverage
from terrain_training.learning.begin import check_run_place, check_same_images, start_folder
from terrain_training.learning.board import Board, check_loggers, open_boards
from terrain_training.learning.checkpoint_file import WholeCheckpoints
from terrain_training.learning.epoch_table import EpochTable
from terrain_training.learning.gan_module import GanModule
from terrain_training.learning.loaders import OpenData, RunData, open_data
from terrain_training.learning.module import VALIDATION_IOU, SegmentationModule
from terrain_training.learning.one_at_a_time import alone_in
from terrain_training.learning.precision import AUTO, choose_precision
from terrain_training.learning.progress import EpochProgress, KeepSignals, StopAfter
from terrain_training.learning.quiet import quiet_lightning
from terrain_training.learning.recorder import Recorder
from terrain_training.learning.run_folder import RunFolder
from terrain_training.learning.run_page import RunPage
from terrain_training.learning.start import class_weights, start_network
from terrain_training.learning.starting_weights import StartingWeights, open_weights
from terrain_training.processes import TORCHRUN, launched
from terrain_training.settings.recipe import Recipe

log = logging.getLogger(__name__)

SIGNAL_WAIT_S = 0.5
PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    "fp32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


@dataclass(frozen=True)
class Machine:
    """Where to train; `devices` counts GPUs, or processes on the CPU, of each of `nodes` machines.

    `choose_threads` gives torch as many CPU threads as help with the recipe's batches; else it
    keeps those that it has.
    """

    accelerator: str
    devices: int
    choose_threads: bool = False
    nodes: int = 1

    @property
    def processes(self) -> int:
        """Return how many train together."""
        return self.devices * self.nodes

    def placed(self) -> Machine:
        """Return the machine with the processes that torchrun or Slurm started, if one did.

        Raises:
            ConfigError: another number of devices was asked for.
        """
        launch = launched()
        if launch is None:
            return self
        if self.devices not in (1, launch.devices):
            raise ConfigError(
                f"--devices is {self.devices}, but {launch.launcher} started {launch.devices} "
                "processes on this machine; leave --devices out"
            )
        return dataclasses.replace(self, devices=launch.devices, nodes=launch.nodes)


@dataclass(frozen=True)
class TrainingRequest:
    """What is trained beside the recipe.

    `start` is a run or a model to start from: a folder, or the name of a model.
    `epochs_now` ends this call early, to be continued later; `callbacks` are further ones;
    with `shown` false, neither bars, rows nor the page of the run are shown.
    """

    data: Path
    out: Path
    machine: Machine
    skip_bad: bool = False
    pretrained: Path | None = None
    start: Path | None = None
    epochs_now: int | None = None
    callbacks: tuple[Callback, ...] = ()
    shown: bool = True


def train(recipe: Recipe, request: TrainingRequest) -> dict[str, Any]:
    """Train to the recipe's last epoch, going on where `out` holds a checkpoint.

    Returns:
        The summary of the run; its keys `best_mean_iou` and `best_epoch` are of the validation.

    Raises:
        ConfigError: data, checkpoint, weights, machine or `out` cannot be used.
        TrainingError: the loss or a gradient is no number any more.
        KeyboardInterrupt: a signal ended it; the same call goes on.
    """
    with quiet_lightning():
        placed = dataclasses.replace(request, machine=request.machine.placed())
        return _train(recipe, placed)


def _train(recipe: Recipe, request: TrainingRequest) -> dict[str, Any]:
    torch.set_float32_matmul_precision("high")
    folder = RunFolder(request.out)
    check_run_place(folder, recipe, processes=request.machine.processes)
    with ExitStack() as stack:
        if folder.is_own():
            stack.enter_context(alone_in(folder.path))
        return _train_alone(recipe, request, folder, stack)


def _train_alone(
    recipe: Recipe, request: TrainingRequest, folder: RunFolder, stack: ExitStack
) -> dict[str, Any]:
    """Train in a folder that is the run's own; one that is new is held as soon as it is there."""
    new = not folder.is_own()
    parts.activate(recipe.parts)
    check_loggers(recipe)
    trained = len(folder.read_history())
    if request.pretrained is not None and not request.pretrained.is_file():
        raise ConfigError(f"weights {request.pretrained} do not exist; check --pretrained")
    weights = _starting_weights(request, folder)
    if request.machine.choose_threads:
        _choose_threads(recipe, request.machine)
    pl.seed_everything(recipe.training.seed, verbose=False)
    opened = open_data(recipe, request.data, skip_bad=request.skip_bad, run=request.out)
    check_same_images(folder, opened, request.data)
    data = RunData(recipe, opened)
    module = _make_module(recipe, request, opened, data, weights=weights)
    precision = _precision(recipe, request, folder, module=module, data=data)
    how: dict[str, Any] = {"processes": request.machine.processes, "precision": precision}
    if weights is not None:
        how["started_from"] = dict(weights.origin)
    start_folder(folder, recipe, opened, module.network, how=how)
    if new:
        stack.enter_context(alone_in(folder.path))
    with open_boards(recipe, folder) as boards:
        trainer = _make_trainer(
            recipe, request, folder, data=data, boards=boards, precision=precision
        )
        _fit(trainer, module, data, folder)
    _log_end(folder, trainer, recipe.training.epochs, trained=trained)
    return folder.read_summary()


def _log_end(folder: RunFolder, trainer: pl.Trainer, epochs: int, *, trained: int) -> None:
    """Log that a call ended before the last epoch, or that there was nothing to train.

    Args:
        folder: of the run.
        trainer: that ran.
        epochs: of the recipe.
        trained: epochs of earlier calls.
    """
    if not trainer.is_global_zero:
        return
    done, best = trainer.current_epoch, folder.read_summary().get("best_epoch")
    if done < epochs:
        log.info("stopped after epoch %d of %d; the best is epoch %s", done, epochs, best)
    elif trained >= epochs:
        log.info("all %d epochs were trained before; the best is epoch %s", epochs, best)


def _choose_threads(recipe: Recipe, machine: Machine) -> None:
    pixels = recipe.training.batch_size * recipe.data.height_px * recipe.data.width_px
    torch.set_num_threads(helpful_threads(pixels, processes=machine.devices))
    log.info("CPU threads: %d", torch.get_num_threads())


def _starting_weights(request: TrainingRequest, folder: RunFolder) -> StartingWeights | None:
    """Return the weights to start from; none where the run is resumed from its own.

    Raises:
        ConfigError: they cannot be used, or two starts were given.
    """
    if folder.checkpoint.is_file():
        _check_same_start(request, folder)
        if request.pretrained is not None:
            log.info("--pretrained is not read: the run in %s goes on from its own", folder.path)
        return None
    if request.start is None:
        return None
    if request.pretrained is not None:
        raise ConfigError("--from gives every weight, --pretrained the encoder's; give one of them")
    return open_weights(request.start)


def _check_same_start(request: TrainingRequest, folder: RunFolder) -> None:
    """Check that a run that is resumed is not asked to start from other weights.

    Raises:
        ConfigError: it is; the run keeps its own weights, so that the option would do nothing.
    """
    if request.start is None or not folder.summary.is_file():
        return
    before = folder.read_summary().get("started_from")
    name = before.get("name") if isinstance(before, dict) else None
    if name is None:
        raise ConfigError(
            f"--from {request.start}: the run in {folder.path} did not start from other weights, "
            "and goes on from its own; leave --from out, or give another --out"
        )
    if str(name).startswith(f"{request.start} "):
        return
    now = open_weights(request.start).origin["name"]
    if now != name:
        raise ConfigError(
            f"--from {request.start} is {now}, but the run in {folder.path} started from {name}; "
            "leave --from out, or give another --out"
        )


def _make_module(
    recipe: Recipe,
    request: TrainingRequest,
    opened: OpenData,
    data: RunData,
    *,
    weights: StartingWeights | None,
) -> SegmentationModule:
    network = start_network(
        recipe, opened, data.validation_images, pretrained=request.pretrained, weights=weights
    )
    adversarial = recipe.training.adversarial_weight > 0
    if adversarial and recipe.network.kind != "pix2pix":
        raise ConfigError(
            "recipe key training.adversarial_weight needs network.kind pix2pix, but it is "
            f"{recipe.network.kind!r}; set it to 0"
        )
    _check_pseudo_labels(recipe, data)
    if adversarial and data.label_sets is not None:
        raise ConfigError(
            "recipe key training.adversarial_weight is above 0, but labels of these data leave a "
            "choice of classes, which a discriminator cannot judge; set it to 0"
        )
    weights_of_classes = class_weights(recipe, opened)
    steps = data.steps_per_epoch(request.machine.processes)
    if adversarial:
        return GanModule(
            recipe,
            network,
            taxonomy=opened.source.taxonomy,
            class_weights=weights_of_classes,
            steps_per_epoch=steps,
        )
    return SegmentationModule(
        recipe,
        network,
        taxonomy=opened.source.taxonomy,
        class_weights=weights_of_classes,
        steps_per_epoch=steps,
        label_sets=() if data.label_sets is None else data.label_sets.sets,
    )


def _check_pseudo_labels(recipe: Recipe, data: RunData) -> None:
    """Check that there is something to label, and who labels it.

    Raises:
        ConfigError: there is not.
    """
    if recipe.training.pseudo_label_confidence == 0.0:
        return
    key = "recipe key training.pseudo_label_confidence is above 0, but"
    if recipe.training.ema_decay == 0.0:
        raise ConfigError(f"{key} training.ema_decay is 0: the average labels; set it, as to 0.998")
    if data.label_sets is None:
        raise ConfigError(
            f"{key} no label of these data leaves a choice; set it to 0, or give a member of a "
            "joined source `unlabelled` or a list in its `map`"
        )


def _make_trainer(
    recipe: Recipe,
    request: TrainingRequest,
    folder: RunFolder,
    *,
    data: RunData,
    boards: list[Board],
    precision: str,
) -> pl.Trainer:
    training, machine = recipe.training, request.machine
    callbacks = _make_callbacks(recipe, request, folder, data)
    clip = training.gradient_clip if training.gradient_clip > 0 else None
    try:
        return pl.Trainer(
            accelerator=machine.accelerator,
            devices=machine.devices,
            num_nodes=machine.nodes,
            strategy="ddp" if machine.processes > 1 else "auto",
            max_epochs=training.epochs,
            precision=PRECISIONS[precision],
            gradient_clip_val=None if training.adversarial_weight > 0 else clip,
            callbacks=callbacks,
            plugins=[WholeCheckpoints(), *_environment()],
            logger=boards,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            log_every_n_steps=1,
            use_distributed_sampler=False,
            deterministic="warn",
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"cannot train with {machine} in {precision}: {reason}") from error


def _precision(
    recipe: Recipe,
    request: TrainingRequest,
    folder: RunFolder,
    *,
    module: SegmentationModule,
    data: RunData,
) -> str:
    """Return the precision of a run; one that is resumed keeps what was chosen for it."""
    if recipe.training.precision == AUTO and folder.checkpoint.is_file():
        kept = folder.read_summary().get("precision")
        if kept in PRECISIONS:
            log.info("precision %s, as this run began", kept)
            return str(kept)
    gpu = request.machine.accelerator != "cpu" and torch.cuda.is_available()
    example = module.normalise(data.validation_images[0][0].unsqueeze(0))
    processes = request.machine.processes
    return choose_precision(recipe, module.network, example, processes=processes, gpu=gpu)


def _environment() -> list[ClusterEnvironment]:
    """Return who started the processes, where Lightning would guess otherwise."""
    launch = launched()
    if launch is not None:
        return [TorchElasticEnvironment() if launch.launcher == TORCHRUN else _Slurm()]
    return [LightningEnvironment()] if "SLURM_NTASKS" in os.environ else []


class _Slurm(SLURMEnvironment):
    """Processes of srun, which signals end as elsewhere: no job is queued again."""

    def __init__(self) -> None:
        super().__init__(auto_requeue=False)


def _make_callbacks(
    recipe: Recipe,
    request: TrainingRequest,
    folder: RunFolder,
    data: RunData,
) -> list[Callback]:
    training, taxonomy = recipe.training, data.taxonomy
    table = EpochTable(
        epochs=training.epochs, classes=taxonomy.names, epochs_now=request.epochs_now
    )
    recorder = Recorder(
        folder,
        taxonomy=taxonomy,
        examples=data.validation_images,
        count=training.example_images,
        table=table if request.shown else None,
    )
    callbacks: list[Callback] = [recorder, KeepSignals()]
    if request.shown:
        page = RunPage(folder, taxonomy=taxonomy, epochs=training.epochs)
        callbacks = [EpochProgress(), recorder, page, KeepSignals()]
    if training.ema_decay > 0:
        callbacks.append(MovingAverage(training.ema_decay))
    callbacks += request.callbacks
    if training.early_stop_epochs > 0:
        patience = training.early_stop_epochs
        callbacks.append(EarlyStopping(VALIDATION_IOU, mode="max", patience=patience))
    if request.epochs_now is not None:
        callbacks.append(StopAfter(request.epochs_now))
    callbacks.append(_checkpoints(folder))
    return callbacks


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
    except (pickle.UnpicklingError, EOFError, KeyError, RuntimeError) as error:
        if isinstance(error, RuntimeError):
            _check_signal(error)
        if not _in_restoring(error):
            raise
        raise _bad_checkpoint(folder, error) from error
    except TrainingError as error:
        raise TrainingError(f"{error}; {_kept(folder)}") from error
    except SystemExit:  # how Lightning ends a fit that was interrupted
        _check_signal(None)
        raise KeyboardInterrupt from None


def _in_restoring(error: Exception) -> bool:
    """Return whether an error arose where Lightning reads a checkpoint."""
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).stem == "checkpoint_connector" for frame in frames)


def _check_signal(error: RuntimeError | None) -> None:
    """Raise what a signal asked for, where an error is only what came of it.

    A signal to all processes may end one that loads images before it reaches this one.
    """
    signals = current_signals()
    if signals is None:
        return
    if error is not None and "killed by signal" in str(error):
        # Torch's handler raises for every further process that ends.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        time.sleep(SIGNAL_WAIT_S)
    signals.check()


def _kept(folder: RunFolder) -> str:
    if not folder.history.is_file() or not folder.weights.is_file():
        return "no epoch was finished"
    best = folder.read_summary().get("best_epoch")
    return f"the best weights so far, of epoch {best}, stay in {folder.weights}"


def _bad_checkpoint(folder: RunFolder, error: Exception) -> ConfigError:
    reason = " ".join(str(error).split())[:200]
    return ConfigError(
        f"checkpoint {folder.checkpoint} cannot be read ({reason}); delete it or restore it"
    )
