"""Run a study: each trial is a run of its own; several machines may share the storage."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import optuna
import torch
from lightning.pytorch.callbacks import Callback
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import SQLAlchemyError

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.fleet.child import PieceError
from terrain_seg_ros.fleet.pieces import Place, absolute, run_pieces
from terrain_training.errors import TrainingError
from terrain_training.learning.begin import computing_part
from terrain_training.learning.module import VALIDATION_IOU
from terrain_training.learning.run import Machine, TrainingRequest, train
from terrain_training.progress import Progress
from terrain_training.recipe.load import load_recipe
from terrain_training.settings.recipe import Recipe
from terrain_training.tuning.space import Space, suggest_overrides

log = logging.getLogger(__name__)

JOURNAL_SUFFIX = ".journal"
STARTUP_TRIALS = 5
WARMUP_EPOCHS = 1
_FIXED = "fixed"
"""Attribute of a study: what its trials have in common."""


@dataclass(frozen=True)
class TuneRequest:
    """A search; `storage` is a database URL or a journal: a path, or text ending in `.journal`.

    The file may lie in a folder that several machines share. `trials` counts those of this call.
    With the address of a Dask scheduler as `cluster`, its workers run the trials, each with
    `threads` threads and at once as many as there are workers.
    """

    recipe: Path
    overrides: tuple[str, ...]
    space: Space
    data: Path
    out: Path
    storage: str | Path
    trials: int
    seed: int
    machine: Machine
    skip_bad: bool = False
    cluster: str | None = None
    threads: int | None = None


def tune(request: TuneRequest) -> optuna.Study:
    """Run trials that maximise the validation's mean IoU; bad ones are cut short.

    Returns:
        The study, with the trials of every call that used this storage and recipe name.

    Raises:
        ConfigError: recipe, data, storage, a value of the space or the cluster cannot be used.
    """
    if request.machine.devices > 1:
        raise ConfigError(
            f"--devices is {request.machine.devices}, but a trial trains on one; start the command "
            "once per GPU with the same --journal"
        )
    if request.cluster is not None and str(request.storage).startswith("sqlite:"):
        raise ConfigError(
            f"--storage is {request.storage}, a database in a file, which workers of a cluster "
            "cannot share; give --journal FILE in a folder that all of them see"
        )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    base = load_recipe(request.recipe, overrides=request.overrides)
    request.out.mkdir(parents=True, exist_ok=True)
    storage = open_storage(request.storage)
    study = optuna.create_study(
        storage=storage,
        study_name=base.name,
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=STARTUP_TRIALS, n_warmup_steps=WARMUP_EPOCHS + 1
        ),
    )
    _check_same_recipe(study, request, base)
    if request.cluster is not None:
        _run_on_cluster(request)
    else:
        study.optimize(
            lambda trial: _run_trial(trial, request),
            n_trials=request.trials,
            catch=(TrainingError,),
        )
    return study


def _run_on_cluster(request: TuneRequest) -> None:
    """Let each worker run one trial after another of the same study; one that crashes is named.

    Raises:
        ConfigError: as `tune`.
    """
    place = Place(
        cluster=request.cluster,
        own_process=True,
        writes=request.out,
        reads=tuple(path for path in (request.recipe, request.data) if path.exists()),
    )
    storage = request.storage
    is_file = isinstance(storage, Path) or storage.endswith(JOURNAL_SUFFIX)
    everywhere = replace(
        request,
        recipe=absolute(request.recipe),
        data=request.data.absolute(),
        out=request.out.absolute(),
        storage=Path(storage).absolute() if is_file else storage,
        trials=1,
        cluster=None,
    )
    trials = [everywhere] * request.trials
    with Progress("tune", total=len(trials), unit="trial") as progress:
        for outcome in run_pieces(_tune_here, trials, place, say=log.info):
            if isinstance(outcome.error, PieceError):
                log.warning("a trial failed: %s", outcome.error)
            else:
                outcome.get()
            progress.add()


def _tune_here(request: TuneRequest) -> None:
    if request.threads is not None:
        torch.set_num_threads(request.threads)
    tune(request)


def _check_same_recipe(study: optuna.Study, request: TuneRequest, base: Recipe) -> None:
    """Check that the trials of a study that goes on can be compared with the new ones.

    Raises:
        ConfigError: they were made with other values of keys that are not searched.
    """
    values = json.loads(json.dumps(computing_part(base), default=str))
    fixed = {key: value for key, value in values.items() if key not in request.space}
    before = study.user_attrs.get(_FIXED)
    if before is None:
        study.set_user_attr(_FIXED, fixed)
        return
    changed = sorted(key for key in {*before, *fixed} if before.get(key) != fixed.get(key))
    if changed:
        raise ConfigError(
            f"the study in {request.storage} was made with other values of {changed}, so that its "
            "trials cannot be compared with new ones; restore them, or give another --journal or "
            "--storage, and --out"
        )


def open_storage(place: str | Path) -> BaseStorage:
    """Return the storage of a study.

    Raises:
        ConfigError: it cannot be opened.
    """
    try:
        if isinstance(place, Path) or place.endswith(JOURNAL_SUFFIX):
            return JournalStorage(JournalFileBackend(str(place)))
        return RDBStorage(place)
    except (SQLAlchemyError, OSError, ValueError, ImportError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ConfigError(
            f"storage {str(place)!r} cannot be opened ({reason}); give a file ending in "
            f"{JOURNAL_SUFFIX} or a URL such as sqlite:///study.db"
        ) from error


def _run_trial(trial: optuna.Trial, request: TuneRequest) -> float:
    # By its number: workers that start together draw different values, whatever else they do.
    trial.study.sampler = optuna.samplers.TPESampler(seed=request.seed + trial.number)
    try:
        overrides = suggest_overrides(request.space, trial)
    except ValueError as error:  # Optuna's, where a stored study had another space
        raise ConfigError(
            f"the study in {request.storage} was made with another search space ({error}); give "
            "another --journal or --storage, or the old space"
        ) from error
    log.info("trial %d: %s", trial.number, ", ".join(overrides))
    recipe = load_recipe(request.recipe, overrides=(*request.overrides, *overrides))
    summary = train(
        recipe,
        TrainingRequest(
            data=request.data,
            out=request.out / f"trial_{trial.number:04d}",
            machine=request.machine,
            skip_bad=request.skip_bad,
            callbacks=(_Pruning(trial),),
        ),
    )
    return float(summary["best_mean_iou"])


class _Pruning(Callback):
    """Report each epoch, and end a trial that lies below the median of the others."""

    def __init__(self, trial: optuna.Trial) -> None:
        self._trial = trial

    def on_train_epoch_end(self, trainer: pl.Trainer, _module: pl.LightningModule) -> None:
        value: Any = trainer.callback_metrics[VALIDATION_IOU]
        self._trial.report(float(value), step=trainer.current_epoch + 1)
        if self._trial.should_prune():
            raise optuna.TrialPruned(f"behind the median after {trainer.current_epoch + 1} epochs")
