"""What a run starts from: an untrained network or pretrained parts, and weights per class."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.data.class_balance import measure_balance
from terrain_training.data.dataset import LabelledImages
from terrain_training.learning.checkpoint import without_encoder_weights
from terrain_training.learning.loaders import OpenData
from terrain_training.learning.module import Normaliser
from terrain_training.learning.starting_weights import StartingWeights, start_from
from terrain_training.networks import efficientnet_lite0
from terrain_training.networks.folded_weights import load_folded_mobilenet_v2
from terrain_training.networks.registry import NETWORKS, build_network, check_output
from terrain_training.settings.recipe import Recipe

log = logging.getLogger(__name__)

PRETRAINED = ("mobilenet_v2", efficientnet_lite0.ENCODER)
"""Encoders that `--pretrained` has weights for."""
TYPICAL_IMAGES = 48


def start_network(
    recipe: Recipe,
    opened: OpenData,
    images: LabelledImages,
    *,
    pretrained: Path | None,
    weights: StartingWeights | None = None,
) -> nn.Module:
    """Return the recipe's network, its weights drawn by the recipe's seed, or those of another.

    Args:
        recipe: names network and input.
        opened: names the classes.
        images: give typical inputs (their labels are not used).
        pretrained: weights of the encoder, one of `PRETRAINED`.
        weights: of the whole network, from a run or a model.

    Raises:
        ConfigError: the network cannot be built, or weights do not fit it.
    """
    torch.manual_seed(recipe.training.seed)
    network = build_network(
        (recipe if weights is None else without_encoder_weights(recipe)).network,
        in_channels=recipe.data.channel_count,
        classes=len(opened.source.taxonomy),
    )
    if NETWORKS.part(recipe.network.kind) is not None:
        example = Normaliser(recipe.data)(images[0][0].unsqueeze(0))
        check_output(network, recipe.network, example, classes=len(opened.source.taxonomy))
    if pretrained is not None:
        _load_pretrained(network, recipe, images, pretrained)
    if weights is not None:
        typical = _typical(recipe, images)
        start_from(network, recipe, opened.source.taxonomy, weights, typical)
    return network


def _typical(recipe: Recipe, images: LabelledImages) -> Tensor:
    """Return some images, (N, C, H, W), as the network sees them."""
    step = max(1, len(images) // TYPICAL_IMAGES)
    places = range(0, len(images), step)[:TYPICAL_IMAGES]
    batch = torch.stack([images[place][0] for place in places])
    fitted: Tensor = Normaliser(recipe.data)(batch)
    return fitted


def _load_pretrained(
    network: nn.Module, recipe: Recipe, images: LabelledImages, path: Path
) -> None:
    encoder = recipe.network.options.get("encoder")
    if encoder not in PRETRAINED:
        raise ConfigError(
            f"--pretrained takes weights of the encoders {list(PRETRAINED)}, but "
            f"network.options.encoder is {encoder!r}; leave it out"
        )
    inner = cast(nn.Module, getattr(network, "network", network))
    if encoder == efficientnet_lite0.ENCODER:
        efficientnet_lite0.load_efficientnet_lite0(inner, path)
        return
    load_folded_mobilenet_v2(inner, path, _typical(recipe, images))


def class_weights(recipe: Recipe, opened: OpenData) -> list[float]:
    """Return the weight of each class, in the order of the ids.

    Raises:
        ConfigError: the recipe lists another number of weights than there are classes.
    """
    wanted = recipe.training.class_weights
    count = len(opened.source.taxonomy)
    if wanted == "none":
        return [1.0] * count
    if isinstance(wanted, str):
        weights = list(measure_balance(opened.source, opened.train).weights(wanted))
        named = zip(opened.source.taxonomy.names, weights)
        log.info("class weights: %s", ", ".join(f"{name} {weight:.2f}" for name, weight in named))
        return weights
    if len(wanted) != count:
        raise ConfigError(
            f"recipe key training.class_weights is {wanted}, but there are {count} classes: "
            f"{list(opened.source.taxonomy.names)}"
        )
    return list(wanted)
