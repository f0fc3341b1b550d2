from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from terrain_seg_ros.core.errors import ModelError
from terrain_training.folding import MIDDLE, fold_network, round_to_bfloat16
from terrain_training.network import build_unet


@pytest.fixture
def network():
    torch.manual_seed(7)
    network = build_unet(classes=4, decoder_channels=[16, 16, 8, 8, 8], dropout=0.1)
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network(levels(8, seed=1) / MIDDLE)
    return network.eval()


def levels(count, *, seed):
    """Return grey levels minus the middle, smooth as in an image."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 1, 8, 8, generator=random) * 255 - MIDDLE
    return nn.functional.interpolate(coarse, size=(64, 64), mode="bilinear").round() - 0.5


def test_folded_network_computes_the_same(network):
    folded = fold_network(network)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    with torch.no_grad():
        expected, given = network(levels(3, seed=2) / MIDDLE), folded(levels(3, seed=2))
    np.testing.assert_allclose(given.numpy(), expected.numpy(), atol=1e-4)
    assert expected.std() > 0.01


def test_folding_leaves_the_original_alone(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    round_to_bfloat16(fold_network(network), levels(2, seed=3))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_norm_that_cannot_be_folded_is_refused():
    with pytest.raises(ModelError, match="batch norms"):
        fold_network(nn.Sequential(nn.ReLU(), nn.BatchNorm2d(4)))


def test_rounding_keeps_the_mean_of_each_class(network):
    folded = fold_network(network)
    images = levels(8, seed=4)
    rounded = round_to_bfloat16(folded, images)
    plain = fold_network(network)
    for module in plain.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = module.weight.data.bfloat16().float()
            module.bias.data = module.bias.data.bfloat16().float()
    with torch.no_grad():
        wanted = folded(images).mean(dim=(0, 2, 3))
        corrected = (rounded(images).mean(dim=(0, 2, 3)) - wanted).abs().max()
        uncorrected = (plain(images).mean(dim=(0, 2, 3)) - wanted).abs().max()
    assert corrected < 2e-3
    assert corrected < uncorrected


def test_dead_channel_blown_up_by_its_norm_does_no_harm():
    # What the shipped encoder holds: a channel stuck at 6 behind ReLU6, whose depthwise kernel
    # sums to nothing and is large. Plain rounding moves its output by a whole unit.
    depthwise = nn.Conv2d(1, 1, 3, bias=True)
    kernel = torch.tensor([[185.7, -33.3, -20.1], [-50.7, 9.9, -31.3], [-40.3, -7.7, -12.2]])
    depthwise.weight.data = (kernel - kernel.mean())[None, None]
    nn.init.zeros_(depthwise.bias)
    stuck = torch.full((1, 1, 8, 8), 6.0)
    plain = depthwise.weight.data.bfloat16().float().sum() * 6.0
    rounded = round_to_bfloat16(nn.Sequential(depthwise), stuck)
    with torch.no_grad():
        moved = (rounded(stuck) - depthwise(stuck)).abs().max()
    assert abs(float(plain)) > 0.5
    assert float(moved) < 0.01
