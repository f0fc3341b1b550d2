"""Start a run from the weights of another run, or of an exported model such as a shipped one.

An exported graph keeps the names of the modules, with batch norms folded into the convolutions and
the scale of the input into the first one. Each norm is restored with the statistics of its
convolution's output on typical images, so that it undoes itself and can be trained on.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError, ModelError
from terrain_seg_ros.core.model_card import ModelCard
from terrain_seg_ros.core.taxonomy import Taxonomy
from terrain_seg_ros.model_store.model_store import load_card, load_model
from terrain_training.learning.checkpoint import load_network
from terrain_training.learning.run_folder import RunFolder, check_is_model
from terrain_training.networks.convolution_order import ConvolutionOrder, trace_convolutions
from terrain_training.recipe.load import recipe_of
from terrain_training.settings.recipe import Recipe

log = logging.getLogger(__name__)

_PREFIX = "_network."
"""What `export.onnx_graph.DeployedNetwork` puts before the names of the network's modules."""
_MIN_VARIANCE = 1e-4
_NOT_COMPARED = ("encoder_weights",)


@dataclass(frozen=True)
class StartingWeights:
    """Weights to start from, and the recipe and the classes of the network that they are of.

    `folded` weights have no batch norms; those of the first convolution are for grey levels.
    `origin` is kept with the run and the model: name and credits.
    """

    values: Mapping[str, Tensor]
    folded: bool
    recipe: Recipe
    taxonomy: Taxonomy
    origin: Mapping[str, Any]


def open_weights(given: Path) -> StartingWeights:
    """Return the weights of a run's folder, a .safetensors file in one, or an exported model.

    Raises:
        ConfigError: it is none of them, or a model in lower precision.
    """
    folder = RunFolder(given.parent if given.suffix == ".safetensors" else given)
    if folder.snapshot.is_file():
        return _of_run(folder, given if given.suffix == ".safetensors" else folder.weights)
    check_is_model(given)
    try:
        card = load_card(given)
    except ModelError as error:
        raise ConfigError(
            f"--from '{given}' is neither a run's folder nor a model's folder or name ({error}); "
            "see `terrain-seg models`"
        ) from error
    if card.precision != "fp32":
        raise ConfigError(
            f"--from {given}: {card.name} is {card.precision}; start from its float32 model"
        )
    return _of_model(given, card)


@torch.no_grad()
def start_from(
    network: nn.Module, recipe: Recipe, taxonomy: Taxonomy, weights: StartingWeights, images: Tensor
) -> None:
    """Load weights into a new network; classes that they do not know start anew, which is logged.

    Args:
        network: of the recipe, just built.
        recipe: that is trained.
        taxonomy: its classes.
        weights: to start from.
        images: (N, C, H, W) typical images, as the network sees them.

    Raises:
        ConfigError: the weights are of another network, or of other grey levels.
    """
    _check_same_network(recipe, weights)
    order = trace_convolutions(network.eval(), images[:1])
    values = {name: value.clone() for name, value in weights.values.items()}
    first, last = f"{order.first}.weight", order.last
    values[first] = _fitted_input(values[first], recipe, weights)
    _fit_head(network, last, values, taxonomy, weights)
    state = network.state_dict()
    if weights.folded:
        _load_folded(network, order, values, images, name=str(weights.origin["name"]))
    else:
        wrong = sorted(n for n in state if n not in values or state[n].shape != values[n].shape)
        if wrong:
            raise ConfigError(f"--from: the weights do not fit {wrong[:3]} of the network")
        network.load_state_dict({name: values[name] for name in state})
    network.train()


def _of_run(folder: RunFolder, path: Path) -> StartingWeights:
    recipe, taxonomy = folder.recipe(), folder.taxonomy()
    network = load_network(path, recipe, classes=len(taxonomy))
    before = folder.read_summary().get("started_from") or {}
    theirs = before.get("credits", []) if isinstance(before, Mapping) else []
    origin = {"name": f"{folder.path} ({recipe.name})", "credits": [*recipe.credits, *theirs]}
    return StartingWeights(network.state_dict(), False, recipe, taxonomy, origin)


def _of_model(given: Path, card: ModelCard) -> StartingWeights:
    loaded = load_model(given)
    if loaded.onnx_bytes is None:
        raise ConfigError(f"--from {given} has no network file; give a run or an exported model")
    graph = onnx.load_model_from_string(loaded.onnx_bytes).graph
    values = {
        item.name.removeprefix(_PREFIX): torch.from_numpy(numpy_helper.to_array(item).copy())
        for item in graph.initializer
        if item.name.startswith(_PREFIX)
    }
    if not values:
        raise ConfigError(
            f"--from {given}: {card.name} was not exported by `terrain-train export`, so that its "
            "weights have no names; start from the run that it was exported from"
        )
    origin = {
        "name": f"{card.name} {card.version}",
        "sha256": card.sha256,
        "credits": [str(text) for text in card.training.get("credits", [])],
    }
    return StartingWeights(values, True, recipe_of(card, None, tell=False), card.taxonomy, origin)


def _check_same_network(recipe: Recipe, weights: StartingWeights) -> None:
    """Check that the recipe builds the network that the weights are of.

    Raises:
        ConfigError: a setting differs; names it and what to do.
    """
    ours, theirs = _settings(recipe), _settings(weights.recipe)
    for key in sorted({*ours, *theirs}):
        if ours.get(key) != theirs.get(key):
            raise ConfigError(
                f"--from {weights.origin['name']}: its network has {key} {theirs.get(key)!r}, that "
                f"of the recipe {ours.get(key)!r}; let the recipe extend {weights.recipe.name}, or "
                "take its network settings"
            )


def _settings(recipe: Recipe) -> dict[str, Any]:
    values = dataclasses.asdict(recipe.network)
    options = {k: v for k, v in values.pop("options").items() if k not in _NOT_COMPARED}
    return {
        **{f"network.{key}": value for key, value in values.items()},
        **{f"network.options.{key}": value for key, value in options.items()},
    }


def _fitted_input(weight: Tensor, recipe: Recipe, weights: StartingWeights) -> Tensor:
    """Return the first convolution's weights for the channels and the scale of the recipe.

    Raises:
        ConfigError: the recipe subtracts other grey levels.
    """
    ours, theirs = recipe.data, weights.recipe.data
    same_order = list(ours.mean) == list(theirs.mean) or len(set(theirs.mean)) == 1
    if set(ours.mean) != set(theirs.mean) or not same_order:
        raise ConfigError(
            f"--from {weights.origin['name']}: it was trained with data.mean {theirs.mean}, the "
            f"recipe has {ours.mean}; set data.mean to {theirs.mean}"
        )
    if ours.channels == theirs.channels and ours.std == theirs.std and not weights.folded:
        return weight
    if not weights.folded:
        weight = weight / torch.tensor(theirs.std).reshape(1, -1, 1, 1)
    if ours.channel_count > weight.shape[1]:
        weight = weight.repeat(1, ours.channel_count, 1, 1) / ours.channel_count
    elif ours.channel_count < weight.shape[1]:
        weight = weight.sum(dim=1, keepdim=True)
    if ours.channels != theirs.channels:
        log.info("first layer: weights for %s made from %s", ours.channels, theirs.channels)
    return weight * torch.tensor(ours.std).reshape(1, -1, 1, 1)


def _fit_head(
    network: nn.Module,
    last: str,
    values: dict[str, Tensor],
    taxonomy: Taxonomy,
    weights: StartingWeights,
) -> None:
    """Put into `values` the layer that gives the classes: known ones kept, the others as drawn."""
    theirs, ours = weights.taxonomy.names, taxonomy.names
    if theirs == ours:
        log.info("started from %s, with the same classes", weights.origin["name"])
        return
    head = network.get_submodule(last)
    kept = [name for name in ours if name in theirs]
    one_each = isinstance(head, nn.Conv2d) and head.out_channels == len(ours)
    if not one_each or len(values[f"{last}.weight"]) != len(theirs):
        kept = []
    for part in ("weight", "bias"):
        drawn = getattr(head, part, None)
        if drawn is None:
            values.pop(f"{last}.{part}", None)
            continue
        fitted = drawn.detach().clone()
        before = values.get(f"{last}.{part}")
        for name in kept if before is not None else ():
            fitted[ours.index(name)] = cast(Tensor, before)[theirs.index(name)]
        values[f"{last}.{part}"] = fitted
    new = [name for name in ours if name not in kept]
    log.info(
        "started from %s; the last layer keeps %s, and learns anew %s",
        weights.origin["name"],
        f"the classes {', '.join(kept)}" if kept else "no class",
        ", ".join(new) or "none",
    )


def _load_folded(
    network: nn.Module,
    order: ConvolutionOrder,
    values: Mapping[str, Tensor],
    images: Tensor,
    *,
    name: str,
) -> None:
    """Load convolutions without norms; the norms are set to undo themselves on `images`.

    Raises:
        ConfigError: a layer lacks, or has another shape.
    """
    behind = dict(order.pairs)
    hooks = []
    for place, module in network.named_modules():
        if not isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            continue
        weight, bias = values.get(f"{place}.weight"), values.get(f"{place}.bias")
        if weight is None or weight.shape != module.weight.shape:
            found = "nothing" if weight is None else f"a shape of {tuple(weight.shape)}"
            raise ConfigError(
                f"--from {name}: it has {found} for layer {place} of shape "
                f"{tuple(module.weight.shape)}; start from the run that it was exported from"
            )
        module.weight.copy_(weight)
        if module.bias is not None:
            module.bias.zero_()
        if place in behind:
            norm = network.get_submodule(behind[place])
            hooks.append(norm.register_forward_pre_hook(_undone(bias)))
        elif module.bias is not None and bias is not None:
            module.bias.copy_(bias)
    network(images)
    for hook in hooks:
        hook.remove()


def _undone(bias: Tensor | None) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    """Return a hook that gives a norm the statistics of its input, and what undoes them."""

    def hook(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        mean = inputs[0].mean(dim=(0, 2, 3))
        variance = inputs[0].var(dim=(0, 2, 3), unbiased=False).clamp_min(_MIN_VARIANCE)
        state = norm.state_dict()
        state["running_mean"].copy_(mean)
        state["running_var"].copy_(variance)
        state["weight"].copy_((variance + cast(nn.BatchNorm2d, norm).eps).sqrt())
        state["bias"].copy_(mean + (0.0 if bias is None else bias))

    return hook
