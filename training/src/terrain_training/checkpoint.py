"""Read a trained network back."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.datasets import ai4mars
from terrain_training.network import build_unet
from terrain_training.recipe import Recipe


def load_network(weights: Path, recipe: Recipe) -> nn.Module:
    """Return the recipe's network with the weights of a .safetensors file, in eval mode.

    Raises:
        ConfigError: the file is missing, unreadable or of another network.
    """
    if not weights.is_file():
        raise ConfigError(f"weights {weights} do not exist; train first")
    network = build_unet(
        classes=len(ai4mars.CLASSES),
        decoder_channels=recipe.decoder_channels,
        dropout=recipe.dropout,
    )
    try:
        network.load_state_dict(load_file(weights))
    except SafetensorError as error:
        raise ConfigError(f"weights {weights} cannot be read ({error}); train again") from error
    except RuntimeError as error:
        raise ConfigError(
            f"weights {weights} are not of recipe {recipe.name!r}; give the recipe they were "
            "trained with"
        ) from error
    return network.eval()
