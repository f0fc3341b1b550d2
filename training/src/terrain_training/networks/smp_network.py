"""Networks of segmentation-models-pytorch."""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import segmentation_models_pytorch as smp
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.networks.efficientnet_lite0 import drop_unused
from terrain_training.settings.validation import nearest, unknown_value

ARCHITECTURES = ("Unet", "UnetPlusPlus", "FPN", "Linknet", "DeepLabV3Plus", "PAN")
STRIDE = 32


def build_smp(
    *,
    in_channels: int,
    classes: int,
    architecture: str,
    encoder: str,
    encoder_weights: str | None,
    dropout: float,
    arguments: dict[str, Any],
) -> nn.Module:
    """Return a network of segmentation-models-pytorch.

    Its decoders start from He's uniform initialisation, its encoders from the library's own: it
    offers no choice.

    Args:
        in_channels: of the image.
        classes: outputs.
        architecture: one of `ARCHITECTURES`.
        encoder: one of the library's names, such as `resnet18` or `tu-mobilenetv3_large_100`.
        encoder_weights: nothing (from scratch), a name that the library downloads, such as
            `imagenet`, or the path of a .safetensors file of the encoder.
        dropout: of whole channels, before the classification.
        arguments: further ones of the library, such as `decoder_channels`.

    Raises:
        ConfigError: the library does not know one of them, or weights cannot be fetched or fit.
    """
    if not 0.0 <= dropout < 1.0:
        raise ConfigError(f"recipe key network.options.dropout is {dropout}, expected 0 to below 1")
    _check_arguments(architecture, encoder, arguments)
    file = encoder_weights is not None and encoder_weights.endswith(".safetensors")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            network: nn.Module = getattr(smp, architecture)(
                encoder,
                encoder_weights=None if file else encoder_weights,
                in_channels=in_channels,
                classes=classes,
                **arguments,
            )
    except (KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise ConfigError(
            f"segmentation-models-pytorch cannot build {architecture} with encoder {encoder!r}, "
            f"weights {encoder_weights!r} and {arguments}: {_first_line(error)}; correct "
            "network.options (weights need a network to be fetched; null starts from scratch)"
        ) from error
    drop_unused(cast(nn.Module, network.encoder))
    if file:
        _load_encoder(network, Path(str(encoder_weights)))
    if dropout > 0:
        head = cast(nn.Sequential, network.segmentation_head)
        network.segmentation_head = nn.Sequential(nn.Dropout2d(dropout), *head)
    return network


def check_smp(options: Mapping[str, Any]) -> None:
    """Check that the library has the architecture and the encoder of a recipe.

    Raises:
        ConfigError: it does not; names the nearest that it has.
    """
    architecture, encoder = str(options["architecture"]), str(options["encoder"])
    if architecture not in ARCHITECTURES:
        raise ConfigError(
            f"recipe key network.options.architecture {unknown_value(architecture, ARCHITECTURES)}"
        )
    if encoder.startswith(("tu-", "timm-")) or encoder in encoder_names():
        return  # what timm has, it says itself when the network is built
    near = nearest(encoder, encoder_names())
    raise ConfigError(
        f"recipe key network.options.encoder is {encoder!r}, which is unknown; "
        f"{f'did you mean {near}? ' if near else ''}see `terrain-train list encoders`"
    )


def encoder_names() -> list[str]:
    """Return the encoders of the library; `tu-NAME` is any convolutional one of timm besides."""
    names: list[str] = smp.encoders.get_encoder_names()
    return names


def fetchable_weights(name: str) -> list[str]:
    """Return the names of the weights that the library can fetch for an encoder."""
    return list(smp.encoders.encoders[name]["pretrained_settings"])


def _check_arguments(architecture: str, encoder: str, arguments: dict[str, Any]) -> None:
    """Check names that the library itself passes over; encoders of timm (`tu-`) take more."""
    known = sorted(set(inspect.signature(getattr(smp, architecture)).parameters) - {"kwargs"})
    unknown = sorted(set(arguments) - set(known))
    if unknown and not encoder.startswith("tu-"):
        raise ConfigError(
            f"recipe key network.options.arguments.{unknown[0]} is unknown; {architecture} takes "
            f"{known}"
        )


def _load_encoder(network: nn.Module, path: Path) -> None:
    try:
        cast(nn.Module, network.encoder).load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise ConfigError(
            f"encoder weights {path} cannot be used: {_first_line(error)}; give a .safetensors "
            "file of this encoder"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else repr(error)
