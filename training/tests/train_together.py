"""One of several processes that train together; started by test_several_processes.py.

Arguments: recipe, data, folder. Each process writes what it saw into the folder.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from lightning.pytorch.callbacks import Callback

from terrain_training.learning.run import Machine, TrainingRequest, train
from terrain_training.processes import launched
from terrain_training.recipe.load import load_recipe


class Watch(Callback):
    """Note the samples of each epoch and the weights behind it."""

    def __init__(self):
        self.places, self.weights = [], []

    def on_train_epoch_start(self, trainer, module):
        self.places.append([place for _, place in trainer.train_dataloader.sampler])

    def on_fit_end(self, trainer, module):
        digest = hashlib.sha256()
        for value in module.network.state_dict().values():
            digest.update(value.numpy().tobytes())
        self.weights.append(digest.hexdigest())


def main(recipe_file, data, out, *runs):
    recipe = load_recipe(recipe_file)
    watch = Watch()
    for run, epochs in (item.split(":") for item in runs):
        train(
            recipe,
            TrainingRequest(
                data=Path(data),
                out=Path(out) / run,
                machine=Machine("cpu", 1),
                epochs_now=int(epochs),
                callbacks=(watch,),
            ),
        )
    content = {"places": watch.places, "weights": watch.weights}
    (Path(out) / f"rank_{launched().rank}.json").write_text(json.dumps(content))


if __name__ == "__main__":
    main(*sys.argv[1:])
