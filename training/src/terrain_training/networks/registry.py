"""The networks by name, and the one that a recipe asks for."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_training import parts
from terrain_training.networks.pix2pix import build_pix2pix
from terrain_training.networks.smp_network import STRIDE, build_smp, check_smp
from terrain_training.networks.unet import build_unet
from terrain_training.settings.recipe import NetworkSettings
from terrain_training.settings.validation import check_names, checked, unknown_value


@dataclass(frozen=True)
class NetworkKind:
    """How a network is built, and what the sides of its input must be multiples of.

    `check` looks at its options before anything is built.
    """

    build: Callable[..., nn.Module]
    multiple: Callable[[dict[str, Any]], int]
    check: Callable[[dict[str, Any]], None] = lambda _options: None


NETWORKS: parts.Registry[NetworkKind] = parts.Registry(
    "networks",
    {
        "unet": NetworkKind(build_unet, lambda options: 2 ** (len(options["channels"]) - 1)),
        "pix2pix": NetworkKind(build_pix2pix, lambda options: 2 ** int(options["depth"])),
        "smp": NetworkKind(build_smp, lambda _options: STRIDE, check_smp),
    },
    lambda part: NetworkKind(part.make, lambda _options: part.multiple),
)
_GIVEN = ("in_channels", "classes")


class SigmoidLogits(nn.Module):
    """A network of one output as two logits, whose softmax is its sigmoid."""

    def __init__(self, network: nn.Module) -> None:
        """Take a network of one output: the logit of class 1."""
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (N, 2, H, W)."""
        half: Tensor = self.network(image) * 0.5
        return torch.cat([-half, half], dim=1)


def build_network(settings: NetworkSettings, *, in_channels: int, classes: int) -> nn.Module:
    """Return an untrained network that gives logits (N, K, H, W), in channels-last memory.

    Raises:
        ConfigError: an option cannot be used, or a sigmoid is to tell more than two classes.
    """
    sigmoid = settings.activation == "sigmoid"
    if sigmoid and classes != 2:
        raise ConfigError(
            f"recipe key network.activation is sigmoid, but there are {classes} classes; join "
            "them to two with data.taxonomy, or take softmax"
        )
    kind = NETWORKS[settings.kind]
    network = kind.build(
        in_channels=in_channels, classes=1 if sigmoid else classes, **settings.options
    )
    _check_is_network(network, settings)
    whole = SigmoidLogits(network) if sigmoid else network
    return whole.to(memory_format=torch.channels_last)


def _check_is_network(network: object, settings: NetworkSettings) -> None:
    """Check that an own part built something that can be trained; shipped ones do.

    Raises:
        ConfigError: it did not.
    """
    part = NETWORKS.part(settings.kind)
    if part is None:
        return
    if not isinstance(network, nn.Module):
        raise ConfigError(
            f"{part.origin}: {part.name} gives {type(network).__name__}, expected a torch.nn.Module"
        )
    if not any(parameter.requires_grad for parameter in network.parameters()):
        raise ConfigError(f"{part.origin}: {part.name} has no parameters that can be trained")


def check_network(settings: NetworkSettings, *, height_px: int, width_px: int) -> None:
    """Check kind, options and input size.

    Raises:
        ConfigError: one cannot be used.
    """
    if settings.kind not in NETWORKS:
        raise ConfigError(f"recipe key network.kind {unknown_value(settings.kind, list(NETWORKS))}")
    kind = NETWORKS[settings.kind]
    hints = parts.hints_of(kind.build)
    names = [name for name in inspect.signature(kind.build).parameters if name not in _GIVEN]
    check_names(
        settings.options,
        names,
        key="network.options",
        taker=settings.kind,
        optional=parts.defaulted(kind.build),
    )
    for name, value in settings.options.items():
        checked(hints[name], value, f"network.options.{name}")
    kind.check(settings.options)
    multiple = kind.multiple(settings.options)
    if height_px % multiple or width_px % multiple:
        raise ConfigError(
            f"recipe keys data.height_px and width_px are {height_px} and {width_px}, but this "
            f"network needs multiples of {multiple}"
        )


def check_output(
    network: nn.Module, settings: NetworkSettings, image: Tensor, *, classes: int
) -> None:
    """Check that an own network gives logits of the size of its input; shipped ones do.

    Args:
        network: to run once, in eval mode.
        settings: that it was built with.
        image: (1, C, H, W), as the network sees it.
        classes: K.

    Raises:
        ConfigError: it fails or gives something else.
    """
    part = NETWORKS.part(settings.kind)
    if part is None:
        return
    training = network.training
    try:
        with torch.no_grad():
            output = network.eval()(image)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"{part.origin}: {part.name} fails on an image {tuple(image.shape)}: {reason}"
        ) from error
    network.train(training)
    wanted = (len(image), classes, *image.shape[2:])
    if not isinstance(output, Tensor) or tuple(output.shape) != wanted:
        shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ConfigError(
            f"{part.origin}: {part.name} gives {shape} of an image {tuple(image.shape)}, "
            f"expected logits {wanted}"
        )


def parameter_count(network: nn.Module) -> int:
    """Return how many numbers are learned."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def is_encoder(name: str) -> bool:
    """Return whether a parameter belongs to an encoder with a learning rate of its own."""
    return name.removeprefix("network.").startswith("encoder.")
