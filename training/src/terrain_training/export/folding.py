"""Prepare a trained network for every precision: norms folded, weights exact in bfloat16."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from terrain_seg_ros.core.errors import ModelError
from terrain_training.networks.convolution_order import trace_convolutions

MAX_CHANGE = 1e-3
"""What folding may change of a logit, as a share of the largest one."""

Convolution = nn.Conv2d | nn.ConvTranspose2d


@torch.no_grad()
def fold_network(
    network: nn.Module, images: Tensor, *, mean: Sequence[float], std: Sequence[float]
) -> nn.Module:
    """Return a copy that takes grey levels minus `mean`, without batch norm.

    Each convolution takes up the norm behind it, the first one also the scale of the input. Which
    norm stands behind which convolution is seen by running the network.

    Args:
        network: of (levels - mean) / std.
        images: (N, C, H, W) a few images, as grey levels.
        mean: one or one per channel.
        std: likewise.

    Raises:
        ModelError: a norm stands behind no convolution, the image enters through anything but
            one convolution, or the copy does not compute the same.
    """
    centred = images.float() - _row(mean)
    scale = _row(std)
    expected = network.eval()(centred / scale)
    folded = copy.deepcopy(network).eval()
    order = trace_convolutions(folded, centred / scale)
    if order.left:
        raise ModelError(
            f"batch norms {list(order.left)} stand behind no convolution and cannot be folded"
        )
    for convolution, norm in order.pairs:
        fused = _fused(folded.get_submodule(convolution), folded.get_submodule(norm))
        _replace(folded, convolution, fused)
        _replace(folded, norm, _behind_norm(folded.get_submodule(norm)))
    for _, module in _convolutions(folded):
        if module.bias is None:
            module.bias = nn.Parameter(torch.zeros(module.out_channels))
    weight: Tensor = folded.get_submodule(order.first).weight  # type: ignore[assignment]
    weight.div_(scale)
    _check_same(expected, folded(centred))
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
        images: (N, C, H, W) typical images, grey levels minus the mean.
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


def _fused(convolution: nn.Module, norm: nn.Module) -> nn.Module:
    if not isinstance(convolution, (nn.Conv2d, nn.ConvTranspose2d)) or not isinstance(
        norm, nn.BatchNorm2d
    ):
        raise ModelError(
            f"cannot fold {norm} into {convolution}; expected a batch norm behind a convolution"
        )
    transposed = isinstance(convolution, nn.ConvTranspose2d)
    result: nn.Module = fuse_conv_bn_eval(convolution, norm, transpose=transposed)
    return result


def _behind_norm(norm: nn.Module) -> nn.Module:
    """Return what is left of a norm: nothing, or the activation that timm keeps inside."""
    inner = getattr(norm, "act", None)
    return inner if isinstance(inner, nn.Module) else nn.Identity()


def _replace(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def _check_same(expected: Tensor, given: Tensor) -> None:
    change = float((expected - given).abs().max())
    limit = MAX_CHANGE * max(1.0, float(expected.abs().max()))
    if not change <= limit:
        raise ModelError(
            f"folding changes a logit by {change:.2g}, expected at most {limit:.2g}; this network "
            "uses a convolution in a way that cannot be folded"
        )


def _row(values: Sequence[float]) -> Tensor:
    return torch.tensor(list(values)).reshape(1, -1, 1, 1)


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


def _convolutions(network: nn.Module) -> Iterator[tuple[str, Convolution]]:
    for name, module in network.named_modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            yield name, module
