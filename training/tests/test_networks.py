from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.networks.pix2pix import PatchDiscriminator
from terrain_training.networks.registry import (
    NETWORKS,
    SigmoidLogits,
    build_network,
    check_network,
    is_encoder,
    parameter_count,
)
from terrain_training.recipe.load import load_recipe
from terrain_training.settings.recipe import NetworkSettings

CONFIGS = Path(__file__).parents[1] / "configs"
HEIGHT, WIDTH = 32, 64
OPTIONS = {
    "unet": {
        "channels": [4, 6, 8],
        "convolutions": [1, 2, 1],
        "dropout": [0.0, 0.1, 0.2],
        "norm": "each",
        "upsampling": "transposed",
    },
    "pix2pix": {"width": 4, "depth": 4, "dropout": 0.5},
    "smp": {
        "architecture": "Unet",
        "encoder": "resnet18",
        "encoder_weights": None,
        "dropout": 0.1,
        "arguments": {"decoder_channels": [8, 8, 8, 8, 8]},
    },
}


def settings(kind="unet", *, activation="softmax", **changes):
    return NetworkSettings(kind=kind, activation=activation, options=OPTIONS[kind] | changes)


def build(kind="unet", *, in_channels=3, classes=4, **changes):
    torch.manual_seed(1)
    return build_network(settings(kind, **changes), in_channels=in_channels, classes=classes)


def images(channels=3, count=2, height=HEIGHT, width=WIDTH):
    generator = torch.Generator().manual_seed(2)
    return torch.rand(count, channels, height, width, generator=generator) * 2 - 1


def logits(network, batch):
    with torch.no_grad():
        return network.eval()(batch)


def shipped(name, *, classes):
    recipe = load_recipe(CONFIGS / f"{name}.yaml")
    return build_network(recipe.network, in_channels=recipe.data.channel_count, classes=classes)


def test_every_kind_is_tested_here():
    assert set(OPTIONS) == set(NETWORKS)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", NETWORKS)
def test_logits_have_the_size_of_the_image_and_all_weights_learn(kind, channels):
    network = build(kind, in_channels=channels).train()
    given = network(images(channels))
    assert given.shape == (2, 4, HEIGHT, WIDTH)
    given.square().mean().backward()
    unused = [name for name, p in network.named_parameters() if p.grad is None]
    assert unused == []
    assert parameter_count(network) == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("kind", NETWORKS)
def test_the_seed_decides_the_weights(kind):
    first, again = build(kind).state_dict(), build(kind).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("norm", ["none", "first", "each"])
@pytest.mark.parametrize("upsampling", ["transposed", "nearest"])
def test_variants_of_the_u_net_are_what_they_say(norm, upsampling):
    network = build(norm=norm, upsampling=upsampling)
    assert logits(network, images()).shape == (2, 4, HEIGHT, WIDTH)
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    # Blocks: three down (1, 2, 1 convolutions) and two up (2, 1).
    assert norms == {"none": 0, "first": 5, "each": 7}[norm]
    transposed = sum(isinstance(m, nn.ConvTranspose2d) for m in network.modules())
    assert transposed == (2 if upsampling == "transposed" else 0)


def test_the_lunar_u_net_has_its_published_size():
    network = shipped("lunar_gwu", classes=4)
    assert parameter_count(network) == pytest.approx(122_000, rel=0.01)
    assert logits(network, images(count=1)).shape == (1, 4, HEIGHT, WIDTH)


def test_the_mars_u_net_has_nine_blocks_and_staged_dropout():
    network = shipped("mars_nine_level", classes=5)
    assert len(network.encoder) + len(network.decoder) == 9
    shares = [m.p for m in network.encoder.modules() if isinstance(m, nn.Dropout)]
    assert shares == [0.1, 0.1, 0.2, 0.2, 0.3]
    assert logits(network, images(1, height=64, width=128)).shape == (2, 5, 64, 128)


def test_weights_start_as_he_et_al():
    layer = build(channels=[64, 64], convolutions=[2, 2], dropout=[0.0, 0.0]).encoder[1][0]
    assert float(layer.weight.detach().std()) == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)
    assert torch.count_nonzero(layer.bias) == 0


def test_the_pix2pix_generator_is_the_published_one():
    network = shipped("lunar_pix2pix", classes=3)
    # A generator of 256 x 256 pixels and 3 channels in and out has 54.4 M parameters.
    assert parameter_count(network) == pytest.approx(54.4e6, rel=0.01)
    with torch.device("meta"):
        given = network.to("meta")(torch.empty(1, 3, 256, 256))
    assert given.shape == (1, 3, 256, 256)


@pytest.mark.parametrize(("channels", "classes"), [(3, 4), (1, 2)])
def test_the_discriminator_judges_patches_of_70_pixels(channels, classes):
    judge = PatchDiscriminator(in_channels=channels, classes=classes, width=8).eval()
    image, mask = torch.rand(1, channels, 256, 256), torch.rand(1, classes, 256, 256)
    image.requires_grad_()
    verdict = judge(image, mask)
    assert verdict.shape == (1, 1, 30, 30)
    # In eval mode a verdict depends on its own patch alone.
    verdict[0, 0, 15, 15].backward()
    rows = torch.nonzero(image.grad.abs().sum(dim=(0, 1, 3))).flatten()
    assert int(rows.max() - rows.min()) + 1 == 70


def test_the_discriminator_has_its_published_size():
    judge = PatchDiscriminator(in_channels=3, classes=3, width=64)
    # The published one of 70 x 70 pixels has 2.77 M.
    assert parameter_count(judge) == pytest.approx(2.77e6, rel=0.01)


def test_a_sigmoid_head_is_two_classes_of_one_output():
    network = build(activation="sigmoid", classes=2)
    assert isinstance(network, SigmoidLogits)
    batch = images()
    pair = logits(network, batch)
    assert pair.shape == (2, 2, HEIGHT, WIDTH)
    alone = logits(network.network, batch)
    assert alone.shape == (2, 1, HEIGHT, WIDTH)
    torch.testing.assert_close(pair.softmax(dim=1)[:, 1:], alone.sigmoid())


def test_a_sigmoid_head_tells_no_more_than_two_classes():
    with pytest.raises(ConfigError, match=r"there are 4 classes; join them .* or take softmax"):
        build(activation="sigmoid", classes=4)


@pytest.mark.parametrize(
    ("kind", "height", "width", "multiple"),
    [("unet", 34, 64, 4), ("unet", 32, 50, 4), ("pix2pix", 40, 64, 16), ("smp", 48, 64, 32)],
)
def test_sizes_that_do_not_halve_are_refused(kind, height, width, multiple):
    message = f"are {height} and {width}, but this network needs multiples of {multiple}"
    with pytest.raises(ConfigError, match=message):
        check_network(settings(kind), height_px=height, width_px=width)


def test_an_encoder_is_known_by_its_name():
    plain, sigmoid = build("smp"), build("smp", activation="sigmoid", classes=2)
    for network in (plain, sigmoid):
        encoders = {name for name, _ in network.named_parameters() if is_encoder(name)}
        assert 0 < len(encoders) < len(list(network.named_parameters()))
        assert all("decoder" not in name and "head" not in name for name in encoders)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("unet", {"depth": 3}, r"network\.options\.depth is unknown; unet takes channels"),
        ("unet", {"norm": 1}, r"network\.options\.norm is 1, expected text"),
        ("unet", {"channels": [4, "x", 6]}, r"network\.options\.channels\[1\] is 'x'"),
        ("pix2pix", {"dropout": "much"}, r"network\.options\.dropout is 'much'"),
        ("smp", {"encoder": None}, r"network\.options\.encoder is null"),
        ("smp", {"arguments": 3}, r"network\.options\.arguments is 3, expected a mapping"),
    ],
)
def test_options_of_the_wrong_kind_are_named(kind, changes, message):
    with pytest.raises(ConfigError, match=message):
        check_network(settings(kind, **changes), height_px=64, width_px=64)


def test_a_missing_option_and_an_unknown_kind_are_named():
    short = NetworkSettings(kind="pix2pix", activation="softmax", options={"width": 4})
    with pytest.raises(ConfigError, match=r"options\.depth is missing; pix2pix takes"):
        check_network(short, height_px=64, width_px=64)
    other = NetworkSettings(kind="transformer", activation="softmax", options={})
    with pytest.raises(ConfigError, match=r"kind is 'transformer'; expected one of unet"):
        check_network(other, height_px=64, width_px=64)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("unet", {"channels": [4, 6]}, "one value per level"),
        ("unet", {"channels": [4], "convolutions": [1], "dropout": [0.0]}, "two levels or more"),
        ("unet", {"channels": [0, 4, 4]}, "expected 1 or more"),
        ("unet", {"convolutions": [0, 1, 1]}, "expected 1 or more"),
        ("unet", {"dropout": [0.0, 0.0, 1.0]}, r"options\.dropout is .*0 to below 1"),
        ("unet", {"norm": "layer"}, r"options\.norm is 'layer', expected none, first or each"),
        ("unet", {"upsampling": "cubic"}, r"options\.upsampling is 'cubic', expected transposed"),
        ("pix2pix", {"width": 0}, "expected 1 or more"),
        ("pix2pix", {"depth": 1}, "2 to 10"),
        ("pix2pix", {"depth": 11}, "2 to 10"),
        ("pix2pix", {"dropout": 1.0}, "0 to below 1"),
        ("smp", {"dropout": 1.0}, r"options\.dropout is 1.0, expected 0 to below 1"),
        ("smp", {"encoder": "resnet1"}, "cannot build Unet with encoder 'resnet1'"),
        ("smp", {"arguments": {"decoder_channels": [8]}}, r"correct network\.options"),
        ("smp", {"arguments": {"colour": 1}}, r"arguments\.colour is unknown; Unet takes"),
        (
            "smp",
            {"encoder": "tu-mobilenetv3_small_050", "arguments": {"colour": 1}},
            r"correct network\.options",
        ),
        ("smp", {"encoder_weights": "none.safetensors"}, r"none\.safetensors cannot be used"),
    ],
)
def test_options_out_of_range_are_named(kind, changes, message):
    with pytest.raises(ConfigError, match=message):
        build(kind, **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "Vnet"}, "architecture is 'Vnet'; did you mean Unet"),
        ({"encoder": "mobilenet_v3"}, "encoder is 'mobilenet_v3', .*did you mean mobilenet_v2"),
        ({"encoder": "?"}, "encoder is '[?]', which is unknown; see `terrain-train list encoders`"),
    ],
)
def test_what_the_library_lacks_is_answered_with_the_nearest_it_has(changes, message):
    with pytest.raises(ConfigError, match=message):
        check_network(settings("smp", **changes), height_px=64, width_px=64)


def test_an_encoder_starts_from_a_file(tmp_path):
    torch.manual_seed(9)
    other = build_network(settings("smp"), in_channels=3, classes=2)
    with torch.no_grad():
        other.encoder.conv1.weight.mul_(3.0)
    file = tmp_path / "encoder.safetensors"
    save_file({k: v.contiguous() for k, v in other.encoder.state_dict().items()}, file)
    network = build("smp", encoder_weights=str(file))
    torch.testing.assert_close(network.encoder.conv1.weight, other.encoder.conv1.weight)
    with pytest.raises(ConfigError, match=r"give a \.safetensors file of this encoder"):
        build("smp", encoder="resnet34", encoder_weights=str(file))
    file.write_bytes(b"no weights")
    with pytest.raises(ConfigError, match=r"encoder\.safetensors cannot be used"):
        build("smp", encoder_weights=str(file))
