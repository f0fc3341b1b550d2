"""Read a trained network back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_training import parts
from terrain_training.learning.finite import not_finite
from terrain_training.learning.weights_hdf5 import HDF5_SUFFIXES, read_hdf5
from terrain_training.networks.registry import build_network
from terrain_training.settings.recipe import Recipe


def load_network(weights: Path, recipe: Recipe, *, classes: int) -> nn.Module:
    """Return the recipe's network with the weights of a file, in eval mode.

    Args:
        weights: .safetensors, or .h5 as `write_hdf5` writes it.
        recipe: that it was trained with.
        classes: how many.

    Raises:
        ConfigError: the file is missing, unreadable or of another network.
    """
    if not weights.is_file():
        raise ConfigError(f"weights {weights} do not exist; train first")
    parts.activate(recipe.parts)
    network = build_network(
        without_encoder_weights(recipe).network,
        in_channels=recipe.data.channel_count,
        classes=classes,
    )
    try:
        values = read_hdf5(weights) if weights.suffix in HDF5_SUFFIXES else load_file(weights)
        wrong = not_finite(values)
        if wrong is not None:
            raise ConfigError(
                f"weights {weights} hold values in {wrong!r} that are no numbers; train again with "
                "a lower training.learning_rate"
            )
        network.load_state_dict(values)
    except SafetensorError as error:
        raise ConfigError(f"weights {weights} cannot be read ({error}); train again") from error
    except RuntimeError as error:
        raise ConfigError(
            f"weights {weights} are not of recipe {recipe.name!r}; give the recipe they were "
            "trained with"
        ) from error
    return network.eval()


def without_encoder_weights(recipe: Recipe) -> Recipe:
    """Return the recipe so that building its network fetches nothing."""
    options = recipe.network.options
    if options.get("encoder_weights") is None:
        return recipe
    network = dataclasses.replace(recipe.network, options={**options, "encoder_weights": None})
    return dataclasses.replace(recipe, network=network)
