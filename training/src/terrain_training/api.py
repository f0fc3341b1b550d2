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
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import yaml
from matplotlib.figure import Figure

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.model_card import ModelCard, Precision
from terrain_seg_ros.core.types import F64, U8
from terrain_training.charts import write_png
from terrain_training.evaluation.evaluation_report import (
    check_report_place,
    write_evaluation_report,
)
from terrain_training.evaluation.run import Evaluation, EvaluationRequest, evaluate
from terrain_training.evaluation.subject import Subject, open_subject
from terrain_training.evaluation.tiling import WHOLE_IMAGES, Tiling, tiled
from terrain_training.export.export_model import ExportRequest, export_model
from terrain_training.learning import run as learning
from terrain_training.learning.curves import class_colours, draw_curves
from terrain_training.learning.history import flat_row
from terrain_training.learning.live_curves import LiveCurves
from terrain_training.learning.new_run import run_folder
from terrain_training.learning.run_folder import RunFolder
from terrain_training.notebook import in_notebook
from terrain_training.prediction.predict import (
    PredictedImage,
    Sharpening,
    is_one_image,
    pixels_of,
    predict_image,
    sharpening_of,
)
from terrain_training.preparation.prepare import BASE, Prepared, default_recipe, prepare
from terrain_training.processes import is_first_process
from terrain_training.progress import PLAIN
from terrain_training.recipe.load import load_recipe
from terrain_training.settings.recipe import Recipe

__all__ = ["Model", "PredictedImage", "Run", "Tiling", "init", "load", "train"]

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
    start: Place | None = None,
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
        start: fine-tune from a run's folder, or from an exported model: its folder, or the name of
            a shipped one such as "mars_navcam"; the classes may be others.
        pretrained: ImageNet weights of the encoder, as `--pretrained` of the command takes.
        skip_bad: leave unusable samples out, instead of stopping at the first.
        stop_after: epochs to train now; a further call with `out` resumes.
        accelerator: "auto", "cpu" or "gpu".
        devices: number of GPUs, or of processes on the CPU.
        threads: number of CPU threads; by default as many as help.
        verbose: show a row for each epoch, unless the log is shown anyway, and curves in a
            notebook.

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
            start=None if start is None else Path(start),
            epochs_now=stop_after,
            callbacks=(LiveCurves(RunFolder(folder)),) if verbose and in_notebook() else (),
        )
        learning.train(loaded, request)
    return Run(folder, data=Path(data))


def init(
    data: Place, *, out: Place | None = None, sheet: bool = True, base: str = BASE
) -> Prepared:
    """Look at a folder of images and labels, and write a commented recipe and a sheet for it.

    Args:
        data: folder of images and masks, Pascal VOC, Cityscapes, COCO or labelme; only read.
        out: the recipe to write, by default named as the folder, in the working folder. A layout
            that must be converted becomes a labelled folder beside it.
        sheet: write a PNG file beside the recipe: images, labels and the shares of the classes.
        base: shipped recipe whose network and training the new one takes.

    Returns:
        What was found and assumed; its `recipe` and `data` are what `train` takes.

    Raises:
        ConfigError: the folder is not a data set, or something is in the way.
    """
    path = Path(data)
    recipe = default_recipe(path) if out is None else Path(out)
    return prepare(path, out=recipe, sheet=sheet, base=base)


def load(model: Place, *, data: Place | None = None) -> Run | Model:
    """Return a run that was trained before, or another model that predicts and is scored.

    Args:
        model: folder of a run, which becomes a `Run`; weights in one, the folder of an exported
            model, or the name of a shipped one, which become a `Model`.
        data: the data set that `evaluate` and `export` use.

    Raises:
        ConfigError: it is none of these.
        ModelError: the exported model cannot be used.
    """
    path, known = Path(model), None if data is None else Path(data)
    if RunFolder(path).snapshot.is_file():
        RunFolder(path).recipe()
        return Run(path, data=known)
    loaded = Model(path, data=known)
    loaded.recipe  # noqa: B018  (opens it, so that what is wrong is said here)
    return loaded


class Model:
    """A network that predicts and is scored: that of a run, or an exported model."""

    def __init__(self, place: Path, *, data: Path | None) -> None:
        """Take a run, its weights or an exported model, and the data set for `evaluate`."""
        self.data = data
        self._place = place

    def __repr__(self) -> str:
        """Return name, backend and classes."""
        subject = self._subject
        return f"Model('{subject.name}', {subject.backend}: {', '.join(self.classes)})"

    @property
    def recipe(self) -> Recipe:
        """Return the whole recipe that it was trained with."""
        return self._subject.recipe

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, in the order of the ids in masks."""
        return self._subject.taxonomy.names

    def predict(
        self,
        images: Place | U8 | Sequence[Place | U8],
        *,
        sharpen: Sharpening = False,
        tiling: Tiling = WHOLE_IMAGES,
    ) -> list[PredictedImage]:
        """Run the network on images; of a run, that of the best epoch.

        Args:
            images: one or several, each a file or an array (H, W) or (H, W, 3) of uint8, RGB.
            sharpen: True sharpens borders and removes specks as the recipe says;
                `{"amount": 1.5, "min_area_px": 30}` replaces values of the recipe.
            tiling: mirrored images and windows, such as `tt.Tiling(flips=True)`.

        Returns:
            A prediction for each image, in order.

        Raises:
            ConfigError: a file cannot be read, an array has another shape or type, or a value of
                `sharpen` cannot be used.
        """
        sharpening = sharpening_of(self._subject, sharpen)
        several: Sequence[Any] = [images] if is_one_image(images) else list(cast(Any, images))
        subject = tiled(self._subject, tiling)
        return [predict_image(subject, pixels_of(one), sharpening=sharpening) for one in several]

    def evaluate(
        self,
        *,
        split: str = "validation",
        data: Place | None = None,
        report: Place | None = None,
        sharpen: bool = False,
        skip_bad: bool = False,
        hazard_threshold: float = 0.5,
        resamples: int = 1000,
        tiling: Tiling = WHOLE_IMAGES,
    ) -> Evaluation:
        """Score the network at the size of the labels; of a run, that of the best epoch.

        Args:
            split: of the data set; "all" is every sample.
            data: another data set with the same classes.
            report: folder for an HTML page with tables, charts, worst and typical images.
            sharpen: also score what the recipe's sharpening makes of the output.
            skip_bad: leave unusable samples out, instead of stopping at the first.
            hazard_threshold: P(hazard) from which a pixel is a hazard, above 0, at most 1.
            resamples: of the bootstrap that gives the intervals.
            tiling: mirrored images and windows, as for `predict`.

        Returns:
            The scores as `figures`, and the samples that were left out as `bad`.

        Raises:
            ConfigError: the data cannot be used, their classes are not those of the model, or
                `report` holds something else.
        """
        request = EvaluationRequest(
            data=self._data(data),
            split=split,
            skip_bad=skip_bad,
            sharpened=sharpen,
            hazard_threshold=hazard_threshold,
            resamples=resamples,
        )
        if report is not None:
            check_report_place(Path(report), option="report")
        subject = tiled(self._subject, tiling)
        evaluation = evaluate(subject, request)
        if report is not None:
            write_evaluation_report(Path(report), subject, request, evaluation)
        return evaluation

    @cached_property
    def _subject(self) -> Subject:
        threads = torch.get_num_threads()
        return open_subject(
            self._place, recipe=None, backend="onnxruntime", precision="fp32", threads=threads
        )

    def _data(self, given: Place | None) -> Path:
        if given is not None:
            return Path(given)
        if self.data is None:
            raise ConfigError(f"no data set is known for {self._place}; give data=")
        return self.data


class Run(Model):
    """A training run: its history, and the network of its best epoch."""

    def __init__(self, folder: Path, *, data: Path | None) -> None:
        """Take the folder of a run, and the data set for `evaluate` and `export`."""
        super().__init__(folder, data=data)
        self.folder = folder

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
        figure = draw_curves(history, colours=class_colours(self._files.taxonomy()))
        if path is not None:
            write_png(figure, Path(path))
        return figure

    def export(
        self,
        out: Place,
        *,
        data: Place | None = None,
        name: str | None = None,
        version: str | None = None,
        precision: Precision = "fp32",
        skip_bad: bool = False,
        force: bool = False,
    ) -> ModelCard:
        """Write the model folder that the vehicle loads: model.onnx, card.json and golden.npz.

        Args:
            out: new or empty folder, or that of an earlier model of the same name.
            data: another data set than that of the run.
            name: of the model, by default the recipe's; where a model of that name ships, the
                folder of the run is added.
            version: of the model, by default the recipe's.
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
            name=name,
            version=version,
        )
        return export_model(request)

    @property
    def _files(self) -> RunFolder:
        return RunFolder(self.folder)


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
