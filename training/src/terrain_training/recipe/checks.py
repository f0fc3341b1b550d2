"""Whether the values of a recipe make sense, before hours are spent on them."""

from __future__ import annotations

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.augmentation.registry import check_augmentation
from terrain_training.data.factory import check_source, source_kinds
from terrain_training.losses import LOSSES
from terrain_training.networks.registry import check_network
from terrain_training.settings.recipe import (
    DataSettings,
    Recipe,
    SharpeningSettings,
    TrainingSettings,
)
from terrain_training.settings.typed import checked
from terrain_training.yaml_file import as_yaml

MAX_LEARNING_RATE = 1e30
"""Optimisers multiply it, and float32 ends at 3e38."""
CLASS_WEIGHTS = ("none", "median_frequency", "inverse_sqrt")


def check_recipe(recipe: Recipe) -> None:
    """Check values and their combinations.

    Raises:
        ConfigError: one cannot be used; names the key and what is expected.
    """
    _check_data(recipe.data)
    check_source(recipe.data)
    for name, kind in source_kinds(recipe.data.source).items():
        if name in recipe.data.options:
            checked(kind, recipe.data.options[name], f"data.options.{name}")
    check_network(recipe.network, height_px=recipe.data.height_px, width_px=recipe.data.width_px)
    _check_training(recipe.training)
    check_augmentation(recipe.augmentation)
    if recipe.export.batch not in (0, 1):
        raise ConfigError(
            f"recipe key export.batch is {recipe.export.batch}, expected 0 (any) or 1 (fixed)"
        )
    _check_sharpening(recipe.sharpening)


def _check_sharpening(sharpening: SharpeningSettings) -> None:
    for name in ("amount", "min_area_px"):
        if getattr(sharpening, name) < 0:
            value = getattr(sharpening, name)
            raise ConfigError(f"recipe key sharpening.{name} is {value}, expected 0 or more")
    if sharpening.sigma_px <= 0:
        raise ConfigError(
            f"recipe key sharpening.sigma_px is {sharpening.sigma_px}, expected more than 0"
        )


def _check_data(data: DataSettings) -> None:
    for name, value in (("height_px", data.height_px), ("width_px", data.width_px)):
        if not 16 <= value <= 4096:
            raise ConfigError(f"recipe key data.{name} is {value}, expected 16 to 4096")
    for name, values in (("mean", data.mean), ("std", data.std)):
        if len(values) not in {1, data.channel_count}:
            raise ConfigError(
                f"recipe key data.{name} is {values}, expected 1 or {data.channel_count} numbers"
            )
    if min(data.std) <= 0.0:
        raise ConfigError(f"recipe key data.std is {data.std}, expected more than 0")
    for name, value in (("cache_mib", data.cache_mib), ("workers", data.workers or 0)):
        if value < 0:
            raise ConfigError(f"recipe key data.{name} is {value}, expected 0 or more")


def _check_training(training: TrainingSettings) -> None:
    for name in ("epochs", "batch_size", "learning_rate"):
        if getattr(training, name) <= 0:
            raise _out(name, training, "more than 0")
    for name in ("warmup_share", "ema_decay", "momentum"):
        if not 0.0 <= getattr(training, name) < 1.0:
            raise _out(name, training, "0 to below 1")
    for name in (
        "seed",
        "weight_decay",
        "focal_gamma",
        "hazard_miss_weight",
        "gradient_clip",
        "early_stop_epochs",
        "adversarial_weight",
        "example_images",
    ):
        if getattr(training, name) < 0:
            raise _out(name, training, "0 or more")
    _check_rates(training)
    _check_losses(training)
    weights = training.class_weights
    if isinstance(weights, str) and weights not in CLASS_WEIGHTS:
        raise _out("class_weights", training, f"a list or one of {', '.join(CLASS_WEIGHTS)}")
    if not isinstance(weights, str) and min(weights, default=0.0) <= 0.0:
        raise _out("class_weights", training, "positive numbers")


def _check_rates(training: TrainingSettings) -> None:
    rate = training.encoder_learning_rate
    if rate is not None and rate <= 0:
        raise _out("encoder_learning_rate", training, "more than 0, or nothing")
    for name in ("learning_rate", "encoder_learning_rate"):
        if (getattr(training, name) or 0.0) > MAX_LEARNING_RATE:
            raise _out(name, training, f"at most {MAX_LEARNING_RATE:g}")


def _check_losses(training: TrainingSettings) -> None:
    unknown = sorted(set(training.losses) - set(LOSSES))
    if unknown:
        raise ConfigError(
            f"recipe key training.losses.{unknown[0]} is unknown, expected of "
            f"{', '.join(sorted(LOSSES))}"
        )
    if not training.losses or any(weight <= 0 for weight in training.losses.values()):
        raise _out("losses", training, "at least one, with weights above 0")


def _out(name: str, training: TrainingSettings, expected: str) -> ConfigError:
    return ConfigError(
        f"recipe key training.{name} is {as_yaml(getattr(training, name))}, expected {expected}"
    )
