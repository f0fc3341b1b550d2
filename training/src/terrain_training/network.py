"""The U-Net of the shipped models, and ImageNet weights with batch norm folded in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import segmentation_models_pytorch as smp
import torch
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError


def build_unet(*, classes: int, decoder_channels: Sequence[int], dropout: float) -> nn.Module:
    """Return a U-Net with a MobileNetV2 encoder for one grey channel scaled to [-1, 1].

    Args:
        classes: number of output channels (logits).
        decoder_channels: of the five decoder blocks, coarse to fine.
        dropout: before the classification head.
    """
    network: nn.Module = smp.Unet(
        "mobilenet_v2",
        encoder_weights=None,
        in_channels=1,
        classes=classes,
        decoder_channels=tuple(decoder_channels),
    )
    if dropout > 0:
        head: nn.Sequential = network.segmentation_head
        network.segmentation_head = nn.Sequential(nn.Dropout2d(dropout), *head)
    return network.to(memory_format=torch.channels_last)


@torch.no_grad()
def load_folded_mobilenet_v2(network: nn.Module, weights: Path, images: Tensor) -> None:
    """Start the encoder from ImageNet weights whose batch norm was folded into the convolutions.

    Each norm layer is given the mean and variance of its convolution's output on `images`, and
    the scale and shift that undo them, so that the restored encoder computes what the folded one
    did and can be trained on. Colour weights are summed into the grey input channel.

    Args:
        network: from `build_unet`.
        weights: .npz with arrays `NN.weight` (OIHW) and `NN.bias` in execution order.
        images: (N, 1, H, W) typical images, scaled to [-1, 1].

    Raises:
        ConfigError: the file does not fit the encoder.
    """
    with np.load(weights, allow_pickle=False) as stored:
        count = sum(name.endswith(".weight") for name in stored.files)
        arrays = [(stored[f"{i:02d}.weight"], stored[f"{i:02d}.bias"]) for i in range(count)]
        json.loads(str(stored["meta"]))
    encoder: nn.Module = network.encoder
    pairs = _convolution_norm_pairs(encoder)
    if len(arrays) < len(pairs):
        raise ConfigError(f"{weights} has {len(arrays)} layers, the encoder needs {len(pairs)}")
    hooks = []
    for (convolution, norm), (weight, bias) in zip(pairs, arrays):
        tensor = torch.from_numpy(weight.astype(np.float32))
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


def _convolution_norm_pairs(encoder: nn.Module) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    layers = [m for m in encoder.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
    return [
        (first, second)
        for first, second in zip(layers[::2], layers[1::2])
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d)
    ]


def _restore_norm(bias: Tensor):  # type: ignore[no-untyped-def]
    def hook(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0]
        mean = values.mean(dim=(0, 2, 3))
        variance = values.var(dim=(0, 2, 3), unbiased=False).clamp_min(1e-4)
        assert norm.running_mean is not None and norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean + bias)

    return hook
