"""`terrain-train tune`."""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import optuna

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.report.output_place import check_output_folder, write_whole
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
from terrain_training.tuning.space import load_space
from terrain_training.tuning.study import TuneRequest, tune

HELP = "search learning rate, batch size, dropout, loss, encoder or any key of a recipe"
EXAMPLES = (
    "terrain-train tune mars_navcam_small --data data/ai4mars --space space.yaml --out out/tune",
    "terrain-train tune my_terrain.yaml --data data/mine --space space.yaml --out out/tune "
    "--trials 50 --epochs 5",
)
INTERRUPTED = "the same command continues with a new trial"
BEST_FILE = "best.json"
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
    parser.add_argument(
        "--storage",
        metavar="URL",
        help="database, or a .journal file shared by several machines (default OUT/study.db)",
    )
    parser.add_argument("--seed", type=int, default=42, metavar="N", help="seed of the search")
    add_overrides(parser)
    add_short_overrides(parser)
    add_machine(parser)
    add_threads(parser)


def run(options: argparse.Namespace) -> int:
    """Search, print the best trials and write the best one's values.

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
            storage=options.storage or f"sqlite:///{options.out / 'study.db'}",
            trials=options.trials,
            seed=options.seed,
            machine=machine_of(options),
            skip_bad=options.skip_bad,
        )
    )
    return _report(study, options.out)


def _is_own(folder: Path) -> bool:
    """Return whether an earlier search wrote into a folder."""
    return any(_OWN.fullmatch(path.name) for path in folder.iterdir())


def _report(study: optuna.Study, out: Path) -> int:
    trials = study.get_trials(deepcopy=False)
    done = [trial for trial in trials if trial.state is optuna.trial.TrialState.COMPLETE]
    pruned = sum(trial.state is optuna.trial.TrialState.PRUNED for trial in trials)
    if not done:
        raise ConfigError(f"none of {len(trials)} trials was finished; see their messages")
    done.sort(key=lambda trial: -float(trial.value or 0.0))
    keys = list(done[0].params)
    print_table(
        ("trial", "mean IoU (network size)", *keys),
        [
            (str(t.number), f"{t.value:.4f}", *(str(t.params.get(key, "-")) for key in keys))
            for t in done[:SHOWN_TRIALS]
        ],
    )
    print(f"{len(done)} finished, {pruned} cut short")
    best = done[0]
    content = {
        "trial": best.number,
        "mean_iou": best.value,
        "set": [f"{key}={value}" for key, value in best.params.items()],
    }
    path = out / BEST_FILE
    write_whole(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
    print(f"best values in {path}; train them with --set KEY=VALUE")
    return 0
