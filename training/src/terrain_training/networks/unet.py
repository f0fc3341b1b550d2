"""U-Nets from scratch (Ronneberger et al., 2015), in the variants of published terrain work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError

Norm = Literal["none", "first", "each"]
Upsampling = Literal["transposed", "nearest"]
KERNEL = 3


class UNet(nn.Module):
    """Encode by max pooling 2 x 2, decode with skips, and classify with a 1 x 1 convolution.

    Takes (N, C, H, W), gives logits (N, K, H, W); H and W are multiples of
    2 ** (len(channels) - 1).
    """

    def __init__(
        self,
        *,
        in_channels: int,
        classes: int,
        channels: Sequence[int],
        convolutions: Sequence[int],
        dropout: Sequence[float],
        norm: Norm,
        upsampling: Upsampling,
    ) -> None:
        """Build the levels.

        Args:
            in_channels: of the image.
            classes: outputs.
            channels: per level, finest first.
            convolutions: per level, how many 3 x 3 'same' ones a block has.
            dropout: per level, behind the first convolution of its blocks.
            norm: batch norm behind no convolution, the first of each block, or each one.
            upsampling: a transposed convolution 2 x 2, or nearest neighbour and a convolution.
        """
        super().__init__()
        self.encoder = nn.ModuleList()
        before = in_channels
        for width, count, share in zip(channels, convolutions, dropout):
            self.encoder.append(_block(before, width, count=count, dropout=share, norm=norm))
            before = width
        self.pool = nn.MaxPool2d(2)
        self.upward = nn.ModuleList()
        self.decoder = nn.ModuleList()
        levels = list(zip(channels, convolutions, dropout))[:-1]
        for width, count, share in reversed(levels):
            self.upward.append(_upward(before, width, upsampling))
            self.decoder.append(_block(2 * width, width, count=count, dropout=share, norm=norm))
            before = width
        self.head = nn.Conv2d(before, classes, 1)
        self.apply(_he_initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits."""
        skips = []
        values = image
        for level, block in enumerate(self.encoder):
            if level > 0:
                values = self.pool(values)
            values = block(values)
            skips.append(values)
        skips.pop()
        for upward, block in zip(self.upward, self.decoder):
            values = block(torch.cat([upward(values), skips.pop()], dim=1))
        logits: Tensor = self.head(values)
        return logits


def build_unet(
    *,
    in_channels: int,
    classes: int,
    channels: list[int],
    convolutions: list[int],
    dropout: list[float],
    norm: str,
    upsampling: str,
) -> nn.Module:
    """Return a U-Net from scratch, of any depth and width, with norms and dropout by level.

    Raises:
        ConfigError: the lists differ in length, or a value is out of range.
    """
    if not len(channels) == len(convolutions) == len(dropout) or len(channels) < 2:
        raise ConfigError(
            f"recipe keys network.options.channels {channels}, convolutions {convolutions} and "
            f"dropout {dropout} need one value per level, and two levels or more"
        )
    if min(channels) < 1 or min(convolutions) < 1:
        raise ConfigError(
            f"recipe keys network.options.channels {channels} and convolutions {convolutions}: "
            "expected 1 or more"
        )
    if not all(0.0 <= share < 1.0 for share in dropout):
        raise ConfigError(f"recipe key network.options.dropout is {dropout}, expected 0 to below 1")
    if norm not in ("none", "first", "each"):
        raise ConfigError(
            f"recipe key network.options.norm is {norm!r}, expected none, first or each"
        )
    if upsampling not in ("transposed", "nearest"):
        raise ConfigError(
            f"recipe key network.options.upsampling is {upsampling!r}, expected transposed or "
            "nearest"
        )
    return UNet(
        in_channels=in_channels,
        classes=classes,
        channels=channels,
        convolutions=convolutions,
        dropout=dropout,
        norm="none" if norm == "none" else "first" if norm == "first" else "each",
        upsampling="transposed" if upsampling == "transposed" else "nearest",
    )


def _block(before: int, width: int, *, count: int, dropout: float, norm: Norm) -> nn.Sequential:
    layers: list[nn.Module] = []
    for place in range(count):
        layers.append(
            nn.Conv2d(before if place == 0 else width, width, KERNEL, padding=KERNEL // 2)
        )
        if norm == "each" or (norm == "first" and place == 0):
            layers.append(nn.BatchNorm2d(width))
        layers.append(nn.ReLU())
        if place == 0 and dropout > 0.0:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _upward(before: int, width: int, upsampling: Upsampling) -> nn.Module:
    if upsampling == "transposed":
        return nn.ConvTranspose2d(before, width, 2, stride=2)
    return nn.Sequential(
        nn.Upsample(scale_factor=2.0, mode="nearest"),
        nn.Conv2d(before, width, KERNEL, padding=KERNEL // 2),
    )


def _he_initialise(module: nn.Module) -> None:
    """Draw weights as He et al. (2015) for layers behind a ReLU."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
