"""Which convolution takes the image, which gives the classes, and where batch norms stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ModelError


@dataclass(frozen=True)
class ConvolutionOrder:
    """Names of modules.

    `first` and `last` are the convolutions that run first and last, `pairs` are convolutions with
    the batch norm behind them, and `left` are the norms that stand behind none.
    """

    first: str
    last: str
    pairs: tuple[tuple[str, str], ...]
    left: tuple[str, ...]


@torch.no_grad()
def trace_convolutions(network: nn.Module, image: Tensor) -> ConvolutionOrder:
    """Run a network on images (N, C, H, W), and return what ran behind what.

    Raises:
        ModelError: the image enters through anything but one convolution.
    """
    trace = _Trace(image)
    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(trace.before_norm(name)))
        elif isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            hooks.append(module.register_forward_pre_hook(trace.before_convolution(name)))
            hooks.append(module.register_forward_hook(trace.after_convolution(name)))
    network(image)
    for hook in hooks:
        hook.remove()
    if len(trace.entered) != 1:
        raise ModelError(f"the image enters convolutions {trace.entered}, expected exactly one")
    return ConvolutionOrder(trace.entered[0], trace.last, tuple(trace.pairs), tuple(trace.left))


class _Trace:
    """Note, while a network runs, where the image enters and what stands before each norm."""

    def __init__(self, image: Tensor) -> None:
        self._image = image
        self._made_by: dict[int, str] = {}
        self._alive: list[Tensor] = []
        self.entered: list[str] = []
        self.last = ""
        self.pairs: list[tuple[str, str]] = []
        self.left: list[str] = []

    def before_norm(self, name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            source = self._made_by.get(id(inputs[0]))
            if source is None:
                self.left.append(name)
            else:
                self.pairs.append((source, name))

        return hook

    def before_convolution(self, name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs[0].data_ptr() == self._image.data_ptr():
                self.entered.append(name)

        return hook

    def after_convolution(self, name: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
        def hook(_module: nn.Module, _inputs: tuple[Any, ...], output: Tensor) -> None:
            self._made_by[id(output)] = name
            self.last = name
            self._alive.append(output)  # so that no other tensor gets its id

        return hook
