"""Prepare a trained network for every precision: norms folded, weights exact in bfloat16."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from terrain_seg_ros.core.errors import ModelError

MIDDLE = 127.5
"""Grey level that the network sees as 0; a byte minus this is exact in bfloat16."""


@torch.no_grad()
def fold_network(network: nn.Module) -> nn.Module:
    """Return a copy that takes grey levels minus `MIDDLE`, without batch norm.

    Each convolution takes up the norm behind it, the first one also the scale of the input.

    Args:
        network: of images in [-1, 1], each norm directly behind its convolution.

    Raises:
        ModelError: a batch norm is left.
    """
    folded = copy.deepcopy(network).eval()
    for parent, first, second in list(_convolutions_before_norms(folded)):
        convolution, norm = getattr(parent, first), getattr(parent, second)
        setattr(parent, first, fuse_conv_bn_eval(convolution, norm))
        setattr(parent, second, nn.Identity())
    left = [name for name, m in folded.named_modules() if isinstance(m, nn.BatchNorm2d)]
    if left:
        raise ModelError(f"batch norms {left} stand behind no convolution and cannot be folded")
    next(_convolutions(folded))[1].weight.div_(MIDDLE)
    return folded


@torch.no_grad()
def round_to_bfloat16(folded: nn.Module, images: Tensor) -> nn.Module:
    """Return a copy whose weights and biases are all bfloat16 numbers, still stored as float32.

    A runtime that computes in bfloat16 then uses the very numbers that float32 uses. Without
    this, channels that hardly vary, blown up by their norm, turn the rounding of their weights
    into a shift of whole regions. Layer by layer, the bias makes up for what rounding does to
    the mean of each channel on the images given (bias correction; Nagel et al., 2019).

    Args:
        folded: from `fold_network`.
        images: (N, C, H, W) typical images, grey levels minus `MIDDLE`.
    """
    means: dict[str, Tensor] = {}
    rounded = copy.deepcopy(folded)
    hooks = [m.register_forward_hook(_keep_mean(means, name)) for name, m in _convolutions(folded)]
    folded(images)
    hooks += [
        m.register_forward_pre_hook(_round(means[name])) for name, m in _convolutions(rounded)
    ]
    rounded(images)
    for hook in hooks:
        hook.remove()
    return rounded


def _keep_mean(
    means: dict[str, Tensor], name: str
) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def hook(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        means[name] = output.mean(dim=(0, 2, 3))

    return hook


def _round(wanted_mean: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        state = module.state_dict()
        state["weight"].copy_(state["weight"].bfloat16())
        state["bias"].zero_()
        # `forward` itself runs no hooks.
        given_mean = module.forward(inputs[0]).mean(dim=(0, 2, 3))
        state["bias"].copy_((wanted_mean - given_mean).bfloat16())

    return hook


def _convolutions(network: nn.Module) -> Iterator[tuple[str, nn.Conv2d]]:
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            yield name, module


def _convolutions_before_norms(network: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    for parent in network.modules():
        children = list(parent.named_children())
        for (first, a), (second, b) in itertools.pairwise(children):
            if isinstance(a, nn.Conv2d) and isinstance(b, nn.BatchNorm2d):
                yield parent, first, second
