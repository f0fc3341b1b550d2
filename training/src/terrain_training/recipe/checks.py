"""Whether the values of a recipe make sense together, before hours are spent on them."""

from __future__ import annotations

from terrain_seg_ros.core.errors import ConfigError
from terrain_training import parts
from terrain_training.augmentation.registry import AUGMENTATIONS, check_augmentation
from terrain_training.data.factory import SOURCES, check_source, source_kinds
from terrain_training.losses import LOSSES
from terrain_training.networks.registry import NETWORKS, check_network
from terrain_training.settings.recipe import DataSettings, Recipe, TrainingSettings
from terrain_training.settings.validation import checked, unknown_key


def check_recipe(recipe: Recipe) -> None:
    """Check names of registries, their options, and combinations of values.

    The type and range of each value alone are checked by its declaration in `settings.recipe`.

    Raises:
        ConfigError: one cannot be used; names the key and what is expected.
    """
    parts.check_own_names(
        {
            "networks": NETWORKS,
            "losses": LOSSES,
            "augmentations": AUGMENTATIONS,
            "sources": SOURCES,
        }
    )
    _check_levels(recipe.data)
    check_source(recipe.data)
    for name, kind in source_kinds(recipe.data.source).items():
        if name in recipe.data.options:
            checked(kind, recipe.data.options[name], f"data.options.{name}")
    check_network(recipe.network, height_px=recipe.data.height_px, width_px=recipe.data.width_px)
    _check_losses(recipe.training)
    check_augmentation(recipe.augmentation)


def _check_levels(data: DataSettings) -> None:
    for name, values in (("mean", data.mean), ("std", data.std)):
        if len(values) not in {1, data.channel_count}:
            raise ConfigError(
                f"recipe key data.{name} is {values}, expected 1 or {data.channel_count} numbers"
            )


def _check_losses(training: TrainingSettings) -> None:
    for name in training.losses:
        if name not in LOSSES:
            raise ConfigError(
                f"recipe key training.losses.{name} {unknown_key(name, list(LOSSES))}"
            )
