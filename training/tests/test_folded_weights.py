from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.networks.folded_weights import load_folded_mobilenet_v2
from terrain_training.networks.smp_network import build_smp


def build(dropout=0.1, in_channels=1):
    return build_smp(
        in_channels=in_channels,
        classes=4,
        architecture="Unet",
        encoder="mobilenet_v2",
        encoder_weights=None,
        dropout=dropout,
        arguments={"decoder_channels": [8] * 5},
    )


@pytest.fixture
def network():
    torch.manual_seed(3)
    return build()


@pytest.fixture
def images():
    return torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(5)) * 2 - 1


def folded_encoder(encoder: nn.Module) -> nn.Module:
    """Give convolutions lively weights and random biases, and make the norms identities."""
    for convolution in (m for m in encoder.modules() if isinstance(m, nn.Conv2d)):
        convolution.weight.data.mul_(2.0)
    for norm in (m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.ones_(norm.weight)
        nn.init.normal_(norm.bias)
        nn.init.zeros_(norm.running_mean)
        norm.running_var.fill_(1.0 - norm.eps)
    return encoder.eval()


def write_weights(encoder: nn.Module, path):
    layers = [m for m in encoder.modules() if isinstance(m, (nn.Conv2d, nn.BatchNorm2d))]
    arrays = {}
    for i, (convolution, norm) in enumerate(zip(layers[::2], layers[1::2])):
        weight = convolution.weight.detach().numpy()
        arrays[f"{i:02d}.weight"] = np.repeat(weight, 3, axis=1) / 3 if i == 0 else weight
        arrays[f"{i:02d}.bias"] = norm.bias.detach().numpy()
    np.savez(path, **arrays)


def test_restored_norm_computes_what_the_folded_encoder_did(network, images, tmp_path):
    original = build(dropout=0.0).encoder
    folded_encoder(original)
    write_weights(original, tmp_path / "weights.npz")
    load_folded_mobilenet_v2(network, tmp_path / "weights.npz", images)
    # Other images than those that gave the statistics.
    others = torch.flip(images, (0, 3)) * 0.7 + 0.1
    with torch.no_grad():
        expected = original(others)
        given = network.encoder.eval()(others)
    for a, b in zip(expected, given):
        np.testing.assert_allclose(b.numpy(), a.numpy(), atol=2e-3, rtol=1e-3)
    deepest = given[-1].numpy()
    assert np.isfinite(deepest).all()
    assert deepest.std() > 0.05


def test_restored_norm_keeps_output_in_training_mode(network, images, tmp_path):
    original = folded_encoder(build(dropout=0.0).encoder)
    write_weights(original, tmp_path / "weights.npz")
    load_folded_mobilenet_v2(network, tmp_path / "weights.npz", images)
    assert network.encoder.training
    with torch.no_grad():
        first = network.encoder(images)[1].numpy()
        expected = original(images)[1].numpy()
    # Channels that hardly vary are divided by the smallest variance allowed, so not all agree.
    assert np.mean(np.abs(first - expected) < 1e-2) > 0.99


def test_missing_weights_are_refused(network, images, tmp_path):
    with pytest.raises(ConfigError, match="do not exist"):
        load_folded_mobilenet_v2(network, tmp_path / "none.npz", images)


def test_damaged_weights_are_refused(network, images, tmp_path):
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not a zip")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_folded_mobilenet_v2(network, tmp_path / "bad.npz", images)


def test_weights_of_another_network_are_refused(network, images, tmp_path):
    arrays = {f"{i:02d}.weight": np.zeros((5, 3, 3, 3)) for i in range(60)}
    arrays |= {f"{i:02d}.bias": np.zeros(5) for i in range(60)}
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(ConfigError, match="does not fit"):
        load_folded_mobilenet_v2(network, tmp_path / "other.npz", images)
    np.savez(tmp_path / "short.npz", **{"00.weight": np.zeros(1), "00.bias": np.zeros(1)})
    with pytest.raises(ConfigError, match="has 1 layers"):
        load_folded_mobilenet_v2(network, tmp_path / "short.npz", images)
