"""The Python API: train a recipe, look at the run, predict, evaluate and export.

    import terrain_training as tt

    run = tt.train("mars_navcam", data="data/ai4mars", epochs=5)
    run.plot("curves.png")
    print(run.evaluate(split="validation").figures.mean_iou)
    run.export("out/mars_navcam")

It calls what the commands of `terrain-train` call, so both make the same run from the same recipe.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from matplotlib.figure import Figure

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.image.image_file import read_image
from terrain_seg_ros.core.image.mask_to_picture import overlay
from terrain_seg_ros.core.model_card import ModelCard, Precision
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.core.types import F64, U8
from terrain_training.evaluation.run import Evaluation, EvaluationRequest, evaluate
from terrain_training.evaluation.subject import Subject, open_subject
from terrain_training.export.export_model import ExportRequest, export_model
from terrain_training.learning import run as learning
from terrain_training.learning.curves import draw_curves, write_curves
from terrain_training.learning.history import flat_row
from terrain_training.learning.new_run import run_folder
from terrain_training.learning.run_folder import RunFolder
from terrain_training.processes import is_first_process
from terrain_training.progress import PLAIN
from terrain_training.recipe.load import load_recipe
from terrain_training.settings.recipe import Recipe

log = logging.getLogger(__name__)

Place = str | os.PathLike[str]


def train(  # noqa: PLR0913  (what the options of `terrain-train train` are)
    recipe: Place,
    *,
    data: Place,
    out: Place | None = None,
    epochs: int | None = None,
    batch: int | None = None,
    size: int | tuple[int, int] | None = None,
    lr: float | None = None,
    settings: Mapping[str, object] | None = None,
    pretrained: Place | None = None,
    skip_bad: bool = False,
    stop_after: int | None = None,
    accelerator: str = "auto",
    devices: int = 1,
    threads: int | None = None,
    verbose: bool = True,
) -> Run:
    """Train a recipe to its last epoch, resuming the run that `out` holds.

    Args:
        recipe: name of a shipped recipe (see `terrain-train list recipes`), or a YAML file.
        data: folder or file of the data set.
        out: folder of the run; by default a new folder `runs/RECIPE-N`.
        epochs: passes over the training images, `training.epochs`.
        batch: images per step, `training.batch_size`.
        size: network input in pixels, a side of a square or (width, height).
        lr: learning rate, `training.learning_rate`.
        settings: values of further keys of the recipe, such as `{"training.seed": 7}`; they go
            before the four arguments above.
        pretrained: ImageNet weights of the encoder, as `--pretrained` of the command takes.
        skip_bad: leave unusable samples out, instead of stopping at the first.
        stop_after: epochs to train now; a further call with `out` resumes.
        accelerator: "auto", "cpu" or "gpu".
        devices: number of GPUs, or of processes on the CPU.
        threads: number of CPU threads; by default as many as help.
        verbose: show a row for each epoch, unless the log is shown anyway.

    Returns:
        The run, with the weights of the best epoch.

    Raises:
        ConfigError: recipe, data, weights, machine or `out` cannot be used.
        TrainingError: the loss or a gradient is not finite.
        KeyboardInterrupt: it was interrupted; what is finished is in the run's folder.
    """
    overrides = _overrides(settings or {}, epochs=epochs, batch=batch, size=size, lr=lr)
    loaded = load_recipe(Path(recipe), overrides=overrides)
    with (
        _shown(verbose),
        _interruptible(),
        run_folder(None if out is None else Path(out), loaded.name) as folder,
    ):
        if is_first_process():
            log.info("run folder %s", folder, extra=PLAIN)
        request = learning.TrainingRequest(
            data=Path(data),
            out=folder,
            machine=_machine(accelerator, devices, threads),
            skip_bad=skip_bad,
            pretrained=None if pretrained is None else Path(pretrained),
            epochs_now=stop_after,
        )
        learning.train(loaded, request)
    return Run(folder, data=Path(data))


def load(folder: Place, *, data: Place | None = None) -> Run:
    """Return a run that was trained before, by this API or by the command.

    Args:
        folder: of the run.
        data: the data set that `evaluate` and `export` use.

    Raises:
        ConfigError: it is not the folder of a run.
    """
    path = Path(folder)
    RunFolder(path).recipe()
    return Run(path, data=None if data is None else Path(data))


@dataclass(frozen=True)
class PredictedImage:
    """An image and what a network says of it, at the size of the image."""

    pixels: U8 = field(repr=False)
    """(H, W) grey or (H, W, 3) RGB."""
    mask: U8 = field(repr=False)
    """(H, W) class ids in the order of `Run.classes`; 255 outside the network's view."""
    probabilities: U8 = field(repr=False)
    """(K, H, W), probability of each class x 255."""
    taxonomy: Taxonomy = field(repr=False)

    def overlay(self, alpha: float = 0.5) -> U8:
        """Return the image blended with the colours of the classes, (H, W, 3) RGB."""
        return overlay(self.pixels, self.mask, self.taxonomy, alpha=alpha)


class Run:
    """A training run: its history, and the network of its best epoch."""

    def __init__(self, folder: Path, *, data: Path | None) -> None:
        """Take the folder of a run, and the data set for `evaluate` and `export`."""
        self.folder = folder
        self.data = data

    def __repr__(self) -> str:
        """Return folder, recipe and the best score."""
        done, best = len(self._files.read_history()), self.summary
        score = f", mean IoU {best['best_mean_iou']:.4f} at epoch {best['best_epoch']}"
        name, shown = self.recipe.name, score if done else ""
        return (
            f"Run('{self.folder}': {name}, {done} of {self.recipe.training.epochs} epochs{shown})"
        )

    @property
    def recipe(self) -> Recipe:
        """Return the whole recipe of the run."""
        return self._files.recipe()

    @property
    def summary(self) -> dict[str, Any]:
        """Return sizes and best scores, as `summary.json` holds them."""
        return self._files.read_summary()

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, in the order of the ids in masks."""
        return self._files.taxonomy().names

    @property
    def history(self) -> list[dict[str, Any]]:
        """Return a table with a row for each finished epoch, as `metrics.csv` holds it.

        Its columns are `epoch` (from 1), `train_loss`, `validation_loss`, `mean_iou`,
        `pixel_accuracy`, `iou_CLASS` and `recall_CLASS` for each class, `learning_rate` and
        `seconds`; None where a class has no score. `pandas.DataFrame(run.history)` takes it.
        """
        return [flat_row(row) for row in self._files.read_history()]

    def column(self, name: str) -> F64:
        """Return a column of the history, (epochs,), NaN where there is no value.

        Raises:
            ConfigError: there is no such column.
        """
        rows = self.history
        known = list(dict.fromkeys(key for row in rows for key in row))
        if name not in known:
            raise ConfigError(f"the history has no column {name!r}; it has {', '.join(known)}")
        values = [row.get(name) for row in rows]
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    def plot(self, path: Place | None = None) -> Figure:
        """Return the curves of losses and scores over the epochs.

        Args:
            path: a PNG file to write as well.

        Raises:
            ConfigError: no epoch is finished.
        """
        history = self._files.read_history()
        if not history:
            raise ConfigError(f"{self.folder} has no finished epoch to plot; train first")
        if path is not None:
            write_curves(history, Path(path))
        return draw_curves(history)

    def predict(self, images: Place | U8 | Sequence[Place | U8]) -> list[PredictedImage]:
        """Run the network of the best epoch on images.

        Args:
            images: one or several, each a file or an array (H, W) or (H, W, 3) of uint8, RGB.

        Returns:
            A prediction for each image, in order.

        Raises:
            ConfigError: a file cannot be read, or an array has another shape or type.
        """
        if isinstance(images, (str, os.PathLike)) or _is_one(images):
            return [self._predicted(images)]
        return [self._predicted(image) for image in images]

    def evaluate(
        self,
        *,
        split: str = "validation",
        data: Place | None = None,
        skip_bad: bool = False,
        hazard_threshold: float = 0.5,
        resamples: int = 1000,
    ) -> Evaluation:
        """Score the network of the best epoch at the size of the labels.

        Args:
            split: of the data set; "all" is every sample.
            data: another data set with the same classes.
            skip_bad: leave unusable samples out, instead of stopping at the first.
            hazard_threshold: P(hazard) from which a pixel is a hazard, above 0, at most 1.
            resamples: of the bootstrap that gives the intervals.

        Returns:
            The scores as `figures`, and the samples that were left out as `bad`.

        Raises:
            ConfigError: the data cannot be used, or their classes are not those of the run.
        """
        request = EvaluationRequest(
            data=self._data(data),
            split=split,
            skip_bad=skip_bad,
            hazard_threshold=hazard_threshold,
            resamples=resamples,
        )
        return evaluate(self._subject, request)

    def export(
        self,
        out: Place,
        *,
        data: Place | None = None,
        precision: Precision = "fp32",
        skip_bad: bool = False,
        force: bool = False,
    ) -> ModelCard:
        """Write the model folder that the vehicle loads: model.onnx, card.json and golden.npz.

        Args:
            out: new or empty folder, or that of an earlier model of the same name.
            data: another data set than that of the run.
            precision: number format of the file, "fp32", "fp16" or "int8".
            skip_bad: leave unusable samples out, instead of stopping at the first.
            force: replace a model of another name in `out`.

        Returns:
            The card of the model.

        Raises:
            ConfigError: run, data or `out` cannot be used.
            ModelError: the runtimes disagree, or the network gives one class only.
        """
        request = ExportRequest(
            run=self.folder,
            data=self._data(data),
            out=Path(out),
            skip_bad=skip_bad,
            force=force,
            precision=precision,
        )
        return export_model(request)

    @property
    def _files(self) -> RunFolder:
        return RunFolder(self.folder)

    @cached_property
    def _subject(self) -> Subject:
        threads = torch.get_num_threads()
        return open_subject(
            self.folder, recipe=None, backend="onnxruntime", precision="fp32", threads=threads
        )

    def _data(self, given: Place | None) -> Path:
        if given is not None:
            return Path(given)
        if self.data is None:
            raise ConfigError(f"no data set is known for {self.folder}; give data=")
        return self.data

    def _predicted(self, image: Any) -> PredictedImage:
        pixels = _pixels(image)
        given = self._subject.predict(pixels)
        return PredictedImage(pixels, given.mask, given.probabilities, self._subject.taxonomy)


def _is_one(images: object) -> bool:
    """Return whether something is the array of one image, not one of several (N, H, W, 3)."""
    return isinstance(images, np.ndarray) and images.ndim <= 3


def _pixels(image: Any) -> U8:
    if isinstance(image, (str, os.PathLike)):
        return read_image(Path(image))
    if not isinstance(image, np.ndarray):
        raise ConfigError(f"an image is a {type(image).__name__}, expected a file or an array")
    shape_fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if not shape_fits or image.dtype != np.uint8 or not image.size:
        raise ConfigError(
            f"an image has shape {image.shape} and dtype {image.dtype}, expected (H, W) or "
            "(H, W, 3) of uint8; give several images as a list"
        )
    return image


def _overrides(
    settings: Mapping[str, object],
    *,
    epochs: int | None,
    batch: int | None,
    size: int | tuple[int, int] | None,
    lr: float | None,
) -> list[str]:
    """Return what `--set` would be given."""
    width_px, height_px = size if isinstance(size, tuple) else (size, size)
    short = {
        "training.epochs": epochs,
        "training.batch_size": batch,
        "data.width_px": width_px,
        "data.height_px": height_px,
        "training.learning_rate": lr,
    }
    given = {key: value for key, value in short.items() if value is not None}
    return [f"{key}={_as_yaml(value)}" for key, value in {**settings, **given}.items()]


def _as_yaml(value: object) -> str:
    try:
        text: str = yaml.safe_dump(value, default_flow_style=True, width=1_000_000)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"a setting is {value!r}, expected numbers, texts, lists and mappings of them"
        ) from error
    return text.removesuffix("...\n").removesuffix("\n")


def _machine(accelerator: str, devices: int, threads: int | None) -> learning.Machine:
    """Return what computes, with the number of CPU threads set where it is given."""
    if threads is not None:
        if threads < 1:
            raise ConfigError(f"threads is {threads}, expected 1 or more")
        torch.set_num_threads(threads)
    own = threads is not None or "OMP_NUM_THREADS" in os.environ
    return learning.Machine(accelerator, devices, choose_threads=not own)


@contextmanager
def _shown(verbose: bool) -> Iterator[None]:
    """Print what a run logs, unless the program shows or keeps its log already."""
    logger = logging.getLogger("terrain_training")
    if not verbose or logger.isEnabledFor(logging.INFO):
        yield
        return
    handler, level = logging.StreamHandler(sys.stdout), logger.level
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Keep the handler of Ctrl-C: Lightning ignores it from the first one on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
