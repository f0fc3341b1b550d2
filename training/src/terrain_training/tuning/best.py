"""What a search leaves behind: the best recipe, and charts of its trials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import optuna
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.output_place import write_whole
from terrain_training.charts import plain_figure, write_png
from terrain_training.recipe.load import load_recipe, write_recipe

RECIPE_FILE, JSON_FILE = "best.yaml", "best.json"
HISTORY_FILE, IMPORTANCE_FILE = "history.png", "importance.png"
FEW_TRIALS = 4
"""Of fewer finished trials no importance is drawn."""


def finished_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the finished trials, best first.

    Raises:
        ConfigError: none was finished.
    """
    trials = study.get_trials(deepcopy=False)
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if not done:
        raise ConfigError(f"none of {len(trials)} trials was finished; see their messages")
    return sorted(done, key=lambda trial: (-float(trial.value or 0.0), trial.number))


def write_best(best: FrozenTrial, recipe: Path, overrides: Sequence[str], out: Path) -> Path:
    """Write the recipe of a trial, whole, and its values as JSON.

    Args:
        best: the trial.
        recipe: that was searched.
        overrides: of every trial.
        out: folder of the search.

    Returns:
        The file of the recipe.
    """
    values = [f"{key}={value}" for key, value in best.params.items()]
    content = {"trial": best.number, "mean_iou": best.value, "set": values}
    write_whole(out / JSON_FILE, json.dumps(content, indent=2, allow_nan=False) + "\n")
    path = out / RECIPE_FILE
    write_recipe(load_recipe(recipe, overrides=[*overrides, *values]), path)
    head = f"# Trial {best.number}: validation mean IoU {best.value:.4f} with {', '.join(values)}\n"
    write_whole(path, head + path.read_text(encoding="utf-8"))
    return path


def write_charts(study: optuna.Study, out: Path) -> list[Path]:
    """Write the trials over time and, of enough of them, what each key matters.

    Returns:
        The files that were written.
    """
    write_png(draw_history(study), out / HISTORY_FILE)
    if len(finished_trials(study)) < FEW_TRIALS:
        return [out / HISTORY_FILE]
    write_png(draw_importance(study), out / IMPORTANCE_FILE)
    return [out / HISTORY_FILE, out / IMPORTANCE_FILE]


def draw_history(study: optuna.Study) -> Figure:
    """Draw the mean IoU of each trial by its number, those cut short apart, and the best so far."""
    figure = plain_figure(width=7.0, height=4.2)
    axes = figure.subplots()
    trials = sorted(study.get_trials(deepcopy=False), key=lambda trial: trial.number)
    done = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    cut = [t for t in trials if t.state is TrialState.PRUNED and t.intermediate_values]
    numbers = [trial.number for trial in done]
    values = [float(trial.value or 0.0) for trial in done]
    so_far = [max(values[: place + 1]) for place in range(len(values))]
    axes.step(numbers, so_far, where="post", color="C0", label="best so far")
    axes.plot(numbers, values, "o", color="C0", label="finished")
    last = [trial.intermediate_values[max(trial.intermediate_values)] for trial in cut]
    if cut:
        axes.plot([trial.number for trial in cut], last, "x", color="C1", label="cut short")
    axes.set_title(f"{study.study_name}: {len(done)} finished trials, {len(cut)} cut short")
    axes.set_xlabel("trial")
    axes.set_ylabel("validation mean IoU, network size")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def draw_importance(study: optuna.Study) -> Figure:
    """Draw which share of the differences between good and other trials each key explains."""
    shares = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    figure = plain_figure(width=7.0, height=1.4 + 0.4 * len(shares))
    axes = figure.subplots()
    names = list(shares)[::-1]
    axes.barh(names, [shares[name] for name in names], color="C0")
    for place, name in enumerate(names):
        axes.text(shares[name], place, f" {shares[name]:.2f}", va="center", fontsize=8)
    axes.set_xlim(0.0, 1.15)
    axes.set_xlabel("importance (PED-ANOVA), all together 1")
    axes.set_title(f"{study.study_name}: importance of the keys")
    return figure
