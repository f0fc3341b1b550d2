"""`terrain-train tune`."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import optuna

from terrain_seg_ros.fleet.arguments import add_cluster_argument
from terrain_seg_ros.report.output_place import check_output_folder
from terrain_training.commands.common import (
    add_data,
    add_machine,
    add_overrides,
    add_recipe,
    add_short_overrides,
    add_threads,
    machine_of,
    positive,
    print_table,
    use_threads,
)
from terrain_training.learning.run import TrainingRequest, train
from terrain_training.learning.run_folder import RunFolder
from terrain_training.recipe.load import load_recipe
from terrain_training.tuning.best import finished_trials, write_best, write_charts
from terrain_training.tuning.space import load_space
from terrain_training.tuning.study import JOURNAL_SUFFIX, TuneRequest, tune

HELP = "search learning rate, batch size, dropout, loss, encoder or any key of a recipe"
EXAMPLES = (
    "terrain-train tune mars_navcam_small --data data/ai4mars --space space.yaml --out out/tune",
    "terrain-train tune my_terrain.yaml --data data/mine --space space.yaml --out out/tune "
    "--journal out/tune/study.journal --trials 50 --epochs 5 --train-best 40",
)
INTERRUPTED = "the same command continues with a new trial"
SHOWN_TRIALS = 10
_OWN = re.compile(r"study\.db|.*\.journal|trial_[0-9]{4,}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    add_recipe(parser)
    add_data(parser)
    parser.add_argument(
        "--space",
        type=Path,
        required=True,
        metavar="YAML",
        help="search space: keys and their possible values, see training/configs/spaces",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the runs"
    )
    parser.add_argument(
        "--trials", type=positive, default=20, metavar="N", help="number of trials in this call"
    )
    storage = parser.add_mutually_exclusive_group()
    storage.add_argument(
        "--journal",
        type=Path,
        metavar="FILE",
        help="file in a shared folder, from which several workers on one or many machines take "
        "trials: start the same command on each",
    )
    storage.add_argument(
        "--storage",
        metavar="URL",
        help="database or .journal file (default OUT/study.db, with --cluster OUT/study.journal)",
    )
    parser.add_argument(
        "--train-best",
        type=positive,
        nargs="?",
        const=0,
        metavar="EPOCHS",
        help="then train the best recipe, for this many epochs (default: those of the trials)",
    )
    parser.add_argument("--seed", type=int, default=42, metavar="N", help="seed of the search")
    add_overrides(parser)
    add_short_overrides(parser)
    add_machine(parser)
    add_threads(parser)
    add_cluster_argument(parser, "trials")


def run(options: argparse.Namespace) -> int:
    """Search, print the best trials, write the best recipe and perhaps train it.

    Raises:
        ConfigError: recipe, space, data or storage cannot be used.
    """
    use_threads(options)
    check_output_folder(options.out, option="--out", is_own=_is_own)
    space = load_space(options.space)
    study = tune(
        TuneRequest(
            recipe=options.recipe,
            overrides=tuple(options.overrides),
            space=space,
            data=options.data,
            out=options.out,
            storage=options.journal or options.storage or _own_storage(options),
            trials=options.trials,
            seed=options.seed,
            machine=machine_of(options),
            skip_bad=options.skip_bad,
            cluster=options.cluster,
            threads=options.threads,
        )
    )
    best = _report(study, options)
    if options.train_best is not None:
        _train_best(best, finished_trials(study)[0].number, options)
    else:
        words = shlex.join([str(best), "--data", str(options.data)])
        print(f"next         terrain-train train {words}")
    return 0


def _own_storage(options: argparse.Namespace) -> str:
    """Return the file of the study in OUT; workers of a cluster share a journal."""
    if options.cluster is not None:
        return str(options.out / f"study{JOURNAL_SUFFIX}")
    return f"sqlite:///{options.out / 'study.db'}"


def _is_own(folder: Path) -> bool:
    """Return whether an earlier search wrote into a folder."""
    return any(_OWN.fullmatch(path.name) for path in folder.iterdir())


def _report(study: optuna.Study, options: argparse.Namespace) -> Path:
    """Print the best trials; write the best recipe and charts, and return the recipe's file."""
    done = finished_trials(study)
    trials = study.get_trials(deepcopy=False)
    pruned = sum(trial.state is optuna.trial.TrialState.PRUNED for trial in trials)
    keys = list(done[0].params)
    print_table(
        ("trial", "mean IoU (network size)", *keys),
        [
            (str(t.number), f"{t.value:.4f}", *(_short(t.params.get(key, "-")) for key in keys))
            for t in done[:SHOWN_TRIALS]
        ],
    )
    print(f"{len(done)} finished, {pruned} cut short")
    best = write_best(done[0], options.recipe, options.overrides, options.out)
    print(f"charts       {', '.join(str(path) for path in write_charts(study, options.out))}")
    print(f"best recipe  {best}")
    return best


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _train_best(best: Path, trial: int, options: argparse.Namespace) -> None:
    """Train the best recipe, in a folder of that trial, so that the same call resumes."""
    overrides = [f"training.epochs={options.train_best}"] if options.train_best else []
    out = options.out / f"best_trial_{trial:04d}"
    print(f"run folder   {out}", flush=True)
    request = TrainingRequest(
        data=options.data, out=out, machine=machine_of(options), skip_bad=options.skip_bad
    )
    summary = train(load_recipe(best, overrides=overrides), request)
    print(f"best weights {RunFolder(out).weights}, mean IoU {summary['best_mean_iou']:.4f}")
