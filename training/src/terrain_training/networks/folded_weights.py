"""Start a MobileNetV2 encoder from ImageNet weights with batch norm folded in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.array_file import npz_names, read_npz
from terrain_seg_ros.core.files.regular_file import read_regular_file

FILE_LIMIT_BYTES = 512 * 2**20


@torch.no_grad()
def load_folded_mobilenet_v2(network: nn.Module, weights: Path, images: Tensor) -> None:
    """Start the encoder from ImageNet weights whose batch norm was folded into the convolutions.

    Each norm layer is given the mean and variance of its convolution's output on `images`, and
    the scale and shift that undo them, so that the restored encoder computes what the folded one
    did and can be trained on. Colour weights are summed into the grey input channel.

    Args:
        network: with a MobileNetV2 in `encoder`, of segmentation-models-pytorch.
        weights: .npz with arrays `NN.weight` (OIHW) and `NN.bias` in execution order.
        images: (N, 1, H, W) typical images, scaled to [-1, 1].

    Raises:
        ConfigError: the file does not fit the encoder.
    """
    arrays = _read_layers(weights)
    encoder = cast(nn.Module, network.encoder)
    pairs = _convolution_norm_pairs(encoder)
    if len(arrays) < len(pairs):
        raise ConfigError(f"{weights} has {len(arrays)} layers, the encoder needs {len(pairs)}")
    hooks = []
    for (convolution, norm), (weight, bias) in zip(pairs, arrays):
        tensor = torch.from_numpy(weight)
        if convolution.in_channels == 1 and tensor.shape[1] == 3:
            tensor = tensor.sum(dim=1, keepdim=True)
        if tensor.shape != convolution.weight.shape:
            raise ConfigError(
                f"{weights}: layer of shape {tuple(tensor.shape)} does not fit "
                f"{tuple(convolution.weight.shape)}; is it MobileNetV2 of width 1.0?"
            )
        convolution.weight.copy_(tensor)
        hooks.append(norm.register_forward_pre_hook(_restore_norm(torch.from_numpy(bias))))
    encoder.eval()
    encoder(images.to(memory_format=torch.channels_last))
    for hook in hooks:
        hook.remove()
    encoder.train()


def _read_layers(path: Path) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    if not path.is_file():
        raise ConfigError(
            f"pretrained weights {path} do not exist; leave --pretrained out or fix it"
        )
    data = read_regular_file(path, FILE_LIMIT_BYTES)
    try:
        count = sum(name.endswith(".weight") for name in npz_names(data))
        names = [f"{i:02d}.{kind}" for i in range(count) for kind in ("weight", "bias")]
        arrays = read_npz(data, names, limit_bytes=FILE_LIMIT_BYTES)
    except ConfigError as error:
        raise ConfigError(
            f"pretrained weights {path} cannot be read; expected .npz with NN.weight and NN.bias"
        ) from error
    return [
        (arrays[f"{i:02d}.weight"].astype(np.float32), arrays[f"{i:02d}.bias"].astype(np.float32))
        for i in range(count)
    ]


def _convolution_norm_pairs(encoder: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    layers = [m for m in encoder.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
    return [
        (first, second)
        for first, second in zip(layers[::2], layers[1::2])
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d)
    ]


def _restore_norm(bias: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0]
        mean = values.mean(dim=(0, 2, 3))
        variance = values.var(dim=(0, 2, 3), unbiased=False).clamp_min(1e-4)
        state = norm.state_dict()
        state["running_mean"].copy_(mean)
        state["running_var"].copy_(variance)
        state["weight"].copy_((variance + cast(nn.BatchNorm2d, norm).eps).sqrt())
        state["bias"].copy_(mean + bias)

    return hook
