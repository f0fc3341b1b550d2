"""Pix2Pix (Isola et al., 2017) for segmentation: a U-Net generator and a PatchGAN discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from terrain_seg_ros.core.errors import ConfigError

SLOPE = 0.2
MAX_WIDTH_FACTOR = 8
DROPPED_LEVELS = 3
"""The innermost decoder levels have dropout, as published."""


class Generator(nn.Module):
    """Encode by strided convolutions 4 x 4, decode by transposed ones, with skips.

    Takes (N, C, H, W), gives logits (N, K, H, W); H and W are multiples of 2 ** depth.
    """

    def __init__(
        self, *, in_channels: int, classes: int, width: int, depth: int, dropout: float
    ) -> None:
        """Build `depth` levels, the first `width` channels wide, at most 8 times that."""
        super().__init__()
        widths = [width * min(2**level, MAX_WIDTH_FACTOR) for level in range(depth)]
        self.down = nn.ModuleList()
        before = in_channels
        for level, wide in enumerate(widths):
            layers: list[nn.Module] = [] if level == 0 else [nn.LeakyReLU(SLOPE)]
            layers.append(nn.Conv2d(before, wide, 4, stride=2, padding=1))
            if 0 < level < depth - 1:
                layers.append(nn.BatchNorm2d(wide))
            self.down.append(nn.Sequential(*layers))
            before = wide
        self.up = nn.ModuleList()
        for place, wide in enumerate(reversed(widths[:-1])):
            layers = [nn.ReLU(), nn.ConvTranspose2d(before, wide, 4, stride=2, padding=1)]
            layers.append(nn.BatchNorm2d(wide))
            if place < DROPPED_LEVELS and dropout > 0.0:
                layers.append(nn.Dropout(dropout))
            self.up.append(nn.Sequential(*layers))
            before = 2 * wide
        self.head = nn.Sequential(
            nn.ReLU(), nn.ConvTranspose2d(before, classes, 4, stride=2, padding=1)
        )
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits."""
        skips = []
        values = image
        for level in self.down:
            values = level(values)
            skips.append(values)
        skips.pop()
        for level in self.up:
            values = torch.cat([level(values), skips.pop()], dim=1)
        logits: Tensor = self.head(values)
        return logits


class PatchDiscriminator(nn.Module):
    """Judge patches of 70 x 70 pixels: whether this mask is the truth for this image.

    Takes an image (N, C, H, W) and class probabilities (N, K, H, W), gives logits (N, 1, h, w).
    """

    def __init__(self, *, in_channels: int, classes: int, width: int) -> None:
        """Build the published C64-C128-C256-C512, `width` in place of 64."""
        super().__init__()
        layers: list[nn.Module] = []
        before = in_channels + classes
        for level, stride in enumerate((2, 2, 2, 1)):
            wide = width * 2**level
            layers.append(nn.Conv2d(before, wide, 4, stride=stride, padding=1))
            if level > 0:
                layers.append(nn.BatchNorm2d(wide))
            layers.append(nn.LeakyReLU(SLOPE))
            before = wide
        layers.append(nn.Conv2d(before, 1, 4, padding=1))
        self.layers = nn.Sequential(*layers)
        self.apply(_initialise)

    def forward(self, image: Tensor, probabilities: Tensor) -> Tensor:
        """Return one logit per patch, above 0 where the mask is thought true."""
        logits: Tensor = self.layers(torch.cat([image, probabilities], dim=1))
        return logits


def build_pix2pix(
    *, in_channels: int, classes: int, width: int, depth: int, dropout: float
) -> nn.Module:
    """Return the Pix2Pix generator; the trainer makes the discriminator, which is not exported.

    Raises:
        ConfigError: a value is out of range.
    """
    if width < 1 or not 2 <= depth <= 10 or not 0.0 <= dropout < 1.0:
        raise ConfigError(
            f"recipe keys network.options.width {width}, depth {depth} and dropout {dropout}: "
            "expected 1 or more, 2 to 10, and 0 to below 1"
        )
    return Generator(
        in_channels=in_channels, classes=classes, width=width, depth=depth, dropout=dropout
    )


def _initialise(module: nn.Module) -> None:
    """Draw weights from N(0, 0.02), as published."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
        nn.init.zeros_(module.bias)
