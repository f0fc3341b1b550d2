"""One recipe trained several times, with other seeds or on other folds: mean and spread."""

from __future__ import annotations

import dataclasses
import logging
import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrain_seg_ros.report.output_place import (
    check_output_folder,
    has_own_file,
    holds_json,
    write_whole,
)
from terrain_training.learning.run import TrainingRequest, train
from terrain_training.learning.run_folder import RunFolder, strict_json
from terrain_training.processes import is_first_process
from terrain_training.settings.recipe import FoldSettings, Recipe

log = logging.getLogger(__name__)

FILE = "repeats.json"
_OWN = has_own_file(FILE, holds_json("recipe", "runs", "mean_iou"))


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of runs; None where there are too few values."""

    mean: float | None
    std: float | None

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread:
        """Return those of the values that are there."""
        given = [value for value in values if value is not None]
        return cls(
            mean=statistics.fmean(given) if given else None,
            std=statistics.stdev(given) if len(given) > 1 else None,
        )

    def __str__(self) -> str:
        """Return it as text."""
        if self.mean is None:
            return "-"
        return f"{self.mean:.4f}" + ("" if self.std is None else f" ± {self.std:.4f}")


@dataclass(frozen=True)
class Repeat:
    """One of the runs: its best epoch, and the scores of that."""

    name: str
    seed: int
    fold: int | None
    best_epoch: int
    mean_iou: float
    iou: Mapping[str, float | None]


@dataclass(frozen=True)
class Repeats:
    """Every run, in the order of training."""

    recipe: str
    runs: tuple[Repeat, ...]

    @property
    def mean_iou(self) -> Spread:
        """Return the spread of the mean IoU."""
        return Spread.of([run.mean_iou for run in self.runs])

    @property
    def iou(self) -> dict[str, Spread]:
        """Return the spread of the IoU of each class."""
        return {
            name: Spread.of([run.iou.get(name) for run in self.runs]) for name in self.runs[0].iou
        }

    def table(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        """Return head and rows of a table, mean and spread last."""
        names = list(self.runs[0].iou)
        rows = [
            (
                run.name,
                str(run.best_epoch),
                f"{run.mean_iou:.4f}",
                *(_cell(run.iou.get(name)) for name in names),
            )
            for run in self.runs
        ]
        spreads = self.iou
        rows.append(("mean ± std", "", str(self.mean_iou), *(str(spreads[name]) for name in names)))
        return ("run", "best epoch", "mean IoU", *names), rows

    def to_json(self) -> dict[str, Any]:
        """Return everything."""
        return {
            "recipe": self.recipe,
            "runs": [dataclasses.asdict(run) for run in self.runs],
            "mean_iou": dataclasses.asdict(self.mean_iou),
            "iou": {name: dataclasses.asdict(spread) for name, spread in self.iou.items()},
        }


def train_repeatedly(
    recipe: Recipe, request: TrainingRequest, *, seeds: int, folds: int | None
) -> Repeats:
    """Train a recipe with several seeds, on several folds or both; each run can be resumed.

    Seeds count up from the recipe's. The runs are folders of `request.out`, beside `repeats.json`.
    Of several processes that train together, the first alone returns the runs.

    Args:
        recipe: to train.
        request: of each run; `out` is the folder of all of them.
        seeds: how many.
        folds: how many, at least 2; None trains on the splits of the data.

    Raises:
        ConfigError: as `train`.
        TrainingError: as `train`.
    """
    if is_first_process():
        check_output_folder(request.out, option="--out", is_own=_is_own)
    runs = []
    variants = list(_variants(recipe, seeds, folds))
    for number, (name, variant) in enumerate(variants, start=1):
        if is_first_process():
            log.info("run %d of %d: %s", number, len(variants), name)
        folder = RunFolder(request.out / name)
        train(variant, dataclasses.replace(request, out=folder.path))
        if is_first_process():
            runs.append(_repeat(folder, name, variant))
    repeats = Repeats(recipe.name, tuple(runs))
    if is_first_process():
        write_whole(request.out / FILE, strict_json(repeats.to_json(), indent=2) + "\n")
    return repeats


def _variants(recipe: Recipe, seeds: int, folds: int | None) -> Iterator[tuple[str, Recipe]]:
    for seed in range(recipe.training.seed, recipe.training.seed + seeds):
        seeded = dataclasses.replace(
            recipe, training=dataclasses.replace(recipe.training, seed=seed)
        )
        if folds is None:
            yield f"seed_{seed}", seeded
            continue
        for number in range(1, folds + 1):
            fold = FoldSettings(number=number, count=folds)
            data = dataclasses.replace(recipe.data, fold=fold)
            name = f"fold_{number}_of_{folds}"
            yield (
                name if seeds == 1 else f"seed_{seed}_{name}",
                dataclasses.replace(seeded, data=data),
            )


def _repeat(folder: RunFolder, name: str, variant: Recipe) -> Repeat:
    summary = folder.read_summary()
    best = next(row for row in folder.read_history() if row["epoch"] == summary["best_epoch"])
    fold = variant.data.fold
    return Repeat(
        name=name,
        seed=variant.training.seed,
        fold=None if fold is None else fold.number,
        best_epoch=int(summary["best_epoch"]),
        mean_iou=float(summary["best_mean_iou"]),
        iou=best["iou"],
    )


def _is_own(out: Path) -> bool:
    """Return whether a folder holds repeated runs."""
    return _OWN(out) or any(RunFolder(path).is_own() for path in out.iterdir())


def _cell(value: float | None) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.4f}"
