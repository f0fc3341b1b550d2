"""Loggers of a run beside its folder: TensorBoard, Weights & Biases and MLflow."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import logging
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.output_place import write_whole
from terrain_training.extra import install_extra
from terrain_training.learning.run_folder import RunFolder
from terrain_training.processes import is_first_process
from terrain_training.settings.recipe import Recipe

log = logging.getLogger(__name__)

PROJECT = "terrain_training"
"""Of the runs in Weights & Biases and MLflow, unless their environment variables name another."""
PACKAGES = {"wandb": "wandb>=0.19,<1", "mlflow": "mlflow-skinny>=2.20,<4"}
IDS_FILE = "loggers.json"
"""In the run's folder: its names at the loggers, so that a resumed run goes on there."""
_RETRIES = ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")


def _from_one(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Return metrics with the epoch counted from 1, as everywhere; Lightning counts from 0."""
    return {name: value + (name == "epoch") for name, value in metrics.items()}


class TensorBoardLog(TensorBoardLogger):
    """TensorBoard events in the run's folder."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Write metrics of a step."""
        super().log_metrics(_from_one(metrics), step)

    def show_picture(self, path: Path, picture: Any, epoch: int) -> None:
        """Write a picture (H, W, 3) of an epoch."""
        del path
        self.experiment.add_image("examples", picture, epoch, dataformats="HWC")


class WandbLog(WandbLogger):
    """A run in Weights & Biases, or offline in the run's folder."""

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log metrics of a step."""
        pictures = any(isinstance(value, list) for value in metrics.values())
        super().log_metrics(metrics if pictures else _from_one(metrics), step)

    def show_picture(self, path: Path, picture: Any, epoch: int) -> None:
        """Log a picture of an epoch."""
        del picture
        self.log_image("examples", [str(path)], caption=[f"epoch {epoch}"])


class MlflowLog(MLFlowLogger):
    """A run of an MLflow server, or of a database beside the run's folder."""

    def __init__(self, folder: Path, **rest: Any) -> None:
        """Take the folder of the run, and what Lightning's logger takes."""
        super().__init__(**rest)
        self.folder = folder

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics of a step."""
        super().log_metrics(_from_one(metrics), step)

    def show_picture(self, path: Path, picture: Any, epoch: int) -> None:
        """Keep a picture of an epoch as an artifact of the run."""
        del picture, epoch
        self.experiment.log_artifact(self.run_id, str(path), "examples")


Board = TensorBoardLog | WandbLog | MlflowLog


def check_loggers(recipe: Recipe) -> None:
    """Check that the packages of a recipe's loggers are installed.

    Raises:
        ConfigError: one is not; names the command that installs it.
    """
    for name in recipe.training.loggers:
        if name in PACKAGES and importlib.util.find_spec(name) is None:
            command = install_extra(name, package=PACKAGES[name])
            raise ConfigError(f"--log {name} needs the package {name}, which is missing: {command}")


@contextmanager
def open_boards(recipe: Recipe, folder: RunFolder) -> Iterator[list[Board]]:
    """Give the loggers of a run, and end their runs behind it.

    Raises:
        ConfigError: a service cannot be reached or knows no user; names the remedy.
    """
    check_loggers(recipe)
    boards: list[Board] = []
    try:
        boards += [_MAKERS[name](folder) for name in recipe.training.loggers]
        for board in boards if is_first_process() else ():
            _begin(board, recipe)
        yield boards
    finally:
        library = sys.modules.get("wandb")
        if library is not None and any(isinstance(board, WandbLog) for board in boards):
            library.finish(exit_code=int(sys.exc_info()[0] is not None))


def show_picture(boards: Sequence[Logger], path: Path, picture: Any, epoch: int) -> None:
    """Show a picture (H, W, 3) RGB, which is also in a file, on every board."""
    for board in boards:
        if isinstance(board, (TensorBoardLog, WandbLog, MlflowLog)):
            board.show_picture(path, picture, epoch)


def _begin(board: Board, recipe: Recipe) -> None:
    """Open the run of a service, and log the settings there."""
    if isinstance(board, TensorBoardLog):
        return
    try:
        board.log_hyperparams(dataclasses.asdict(recipe))
        _log_place(board)
    except Exception as error:
        problem = _problem(board, error)
        if problem is None:
            raise
        raise ConfigError(problem) from error


def _problem(board: WandbLog | MlflowLog, error: Exception) -> str | None:
    """Return what to tell of an error of a service, None where it is none of theirs."""
    library = type(error).__module__.partition(".")[0]
    reason = " ".join(str(error).split())[:200]
    if isinstance(board, WandbLog) and library == "wandb":
        return (
            f"--log wandb cannot log in ({reason}): run `wandb login` once, or set "
            "WANDB_MODE=offline to log into the run's folder"
        )
    if isinstance(board, MlflowLog) and library in ("mlflow", "requests"):
        return (
            f"--log mlflow cannot use {_tracking_uri(board.folder)} ({reason}): start it with "
            "`mlflow server`, or unset MLFLOW_TRACKING_URI to log into a file"
        )
    return None


def _log_place(board: WandbLog | MlflowLog) -> None:
    if isinstance(board, WandbLog):
        run: Any = board.experiment
        offline = run.settings.mode in ("offline", "dryrun") or os.environ.get("WANDB_MODE") in (
            "offline",
            "dryrun",
        )
        log.info("wandb: %s", f"wandb sync {Path(run.dir).parent}" if offline else run.url)
        return
    log.info("mlflow: run %s in %s", board.run_id, _tracking_uri(board.folder))
    _keep_id(board.folder, "mlflow", str(board.run_id))


def _tensorboard(folder: RunFolder) -> TensorBoardLog:
    return TensorBoardLog(folder.path, name="tensorboard", version="")


def _wandb(folder: RunFolder) -> WandbLog:
    import wandb  # noqa: PLC0415  (optional)

    own = _ids(folder.path).get("wandb")
    if own is None and is_first_process():
        own = secrets.token_hex(4)
        _keep_id(folder.path, "wandb", own)
    return WandbLog(
        name=folder.path.resolve().name,
        save_dir=folder.path,
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=own,
        settings=wandb.Settings(silent=True, console="off"),
    )


def _mlflow(folder: RunFolder) -> MlflowLog:
    os.environ.setdefault(*_RETRIES)
    logging.getLogger("mlflow.store.db").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return MlflowLog(
        folder.path,
        experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT),
        run_name=folder.path.resolve().name,
        tracking_uri=_tracking_uri(folder.path),
        run_id=_ids(folder.path).get("mlflow"),
    )


_MAKERS: dict[str, Callable[[RunFolder], Board]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "mlflow": _mlflow,
}


def _tracking_uri(folder: Path) -> str:
    given = os.environ.get("MLFLOW_TRACKING_URI")
    return given or f"sqlite:///{folder.resolve().parent / 'mlflow.db'}"


def _ids(folder: Path) -> dict[str, str]:
    path = folder / IDS_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}); delete it") from error
    return {str(name): str(value) for name, value in content.items()}


def _keep_id(folder: Path, name: str, value: str) -> None:
    write_whole(folder / IDS_FILE, json.dumps({**_ids(folder), name: value}) + "\n")
