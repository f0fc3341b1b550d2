from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from terrain_seg_ros.core.errors import ModelError
from terrain_training.export.folding import fold_network, round_to_bfloat16
from terrain_training.networks.registry import NETWORKS, build_network
from terrain_training.settings.recipe import NetworkSettings

MIDDLE = 127.5
SIZE_PX = 64
SMP = {
    "architecture": "Unet",
    "encoder": "mobilenet_v2",
    "encoder_weights": None,
    "dropout": 0.1,
    "arguments": {"decoder_channels": [16, 16, 8, 8, 8]},
}
UNET = {
    "channels": [4, 8],
    "convolutions": [2, 2],
    "dropout": [0.1, 0.1],
    "norm": "each",
    "upsampling": "transposed",
}
KINDS = {
    "unet": ("unet", UNET),
    "pix2pix": ("pix2pix", {"width": 4, "depth": 4, "dropout": 0.5}),
    "mobilenet_v2": ("smp", SMP),
    "resnet18": ("smp", {**SMP, "encoder": "resnet18"}),
    "vgg11": ("smp", {**SMP, "encoder": "vgg11"}),
    "timm": ("smp", {**SMP, "encoder": "tu-mobilenetv3_small_050"}),
    "separable": ("smp", {**SMP, "architecture": "DeepLabV3Plus", "arguments": {}}),
    "linknet": ("smp", {**SMP, "architecture": "Linknet", "arguments": {}}),
    "plus": ("smp", {**SMP, "architecture": "UnetPlusPlus"}),
}


def levels(count, *, seed, channels=1):
    """Return grey levels, smooth as in an image."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 8, 8, generator=random) * 255
    return nn.functional.interpolate(coarse, size=(SIZE_PX, SIZE_PX), mode="bilinear").round()


def make(kind, options, *, channels=1, activation="softmax"):
    torch.manual_seed(7)
    settings = NetworkSettings(kind, activation, options)
    classes = 2 if activation == "sigmoid" else 4
    network = build_network(settings, in_channels=channels, classes=classes)
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, std=0.3)
    network.train()
    with torch.no_grad():
        for _ in range(3):
            network((levels(8, seed=1, channels=channels) - MIDDLE) / MIDDLE)
    return network.eval()


@pytest.fixture
def network():
    return make("smp", SMP)


def fold(network, images):
    return fold_network(network, images, mean=[MIDDLE], std=[MIDDLE])


def test_every_kind_is_folded_here():
    assert {kind for kind, _ in KINDS.values()} == set(NETWORKS)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("channels", "activation"), [(1, "softmax"), (3, "sigmoid")])
def test_folded_network_computes_the_same(name, channels, activation):
    network = make(*KINDS[name], channels=channels, activation=activation)
    mean, std = [100.0, 110.0, 120.0][:channels], [50.0, 60.0, 70.0][:channels]
    images = levels(3, seed=2, channels=channels)
    folded = fold_network(network, images[:1], mean=mean, std=std)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    shape = (1, channels, 1, 1)
    centred = images - torch.tensor(mean).reshape(shape)
    with torch.no_grad():
        expected = network(centred / torch.tensor(std).reshape(shape))
        given = folded(centred)
    np.testing.assert_allclose(given.numpy(), expected.numpy(), atol=2e-4, rtol=1e-4)
    assert expected.std() > 0.001


def test_convolution_used_twice_is_refused():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(1, 4, 3, padding=1)
            self.shared = nn.Conv2d(4, 4, 3, padding=1)
            self.norm = nn.BatchNorm2d(4)

        def forward(self, image):
            values = self.shared(self.first(image))
            return self.norm(values) + values

    module = Twice().eval()
    nn.init.constant_(module.norm.weight, 3.0)
    with pytest.raises(ModelError, match="folding changes a logit"):
        fold(module, levels(1, seed=2))


def test_image_that_enters_through_something_else_is_refused():
    module = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 4, 3))
    with pytest.raises(ModelError, match="enters convolutions"):
        fold(module, levels(1, seed=2))


def test_folding_leaves_the_original_alone(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    images = levels(2, seed=3)
    round_to_bfloat16(fold(network, images), images - MIDDLE)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_norm_that_cannot_be_folded_is_refused():
    with pytest.raises(ModelError, match="batch norms"):
        fold(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), levels(1, seed=2))


def test_rounding_keeps_the_mean_of_each_class(network):
    images = levels(8, seed=4)
    folded, plain = fold(network, images), fold(network, images)
    images -= MIDDLE
    rounded = round_to_bfloat16(folded, images)
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
