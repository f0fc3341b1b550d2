from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.learning.checkpoint import load_network, without_encoder_weights
from terrain_training.learning.weights_hdf5 import read_hdf5, write_hdf5
from terrain_training.networks.registry import build_network
from terrain_training.recipe.load import load_recipe
from terrain_training.settings.recipe import Recipe

CONFIGS = Path(__file__).parents[1] / "configs"
CLASSES = 4


@pytest.fixture(scope="module")
def lunar() -> Recipe:
    return load_recipe(CONFIGS / "lunar_gwu.yaml")


@pytest.fixture(scope="module")
def network(lunar):
    torch.manual_seed(4)
    made = build_network(lunar.network, in_channels=3, classes=CLASSES)
    made(torch.rand(2, 3, 32, 32))
    return made.eval()


@pytest.fixture
def stored(network, tmp_path) -> Path:
    path = tmp_path / "weights.h5"
    write_hdf5(network, path)
    return path


def save(network, path):
    save_file({k: v.contiguous() for k, v in network.state_dict().items()}, path)
    return path


def same(first, second):
    return set(first) == set(second) and all(
        first[name].dtype == second[name].dtype and torch.equal(first[name], second[name])
        for name in first
    )


def test_hdf5_gives_back_every_tensor(network, stored):
    assert same(read_hdf5(stored), network.state_dict())


def test_hdf5_has_a_data_set_per_tensor_in_groups(network, stored):
    with h5py.File(stored, "r") as file:
        weight = file["head/weight"]
        np.testing.assert_array_equal(weight[()], network.head.weight.detach().numpy())
        assert file["encoder/0/1/num_batches_tracked"].shape == ()


class Planted:
    """Leave a trace where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["weights.h5", "weights.safetensors", "weights.ckpt"])
def test_pickles_are_refused_and_not_run(lunar, tmp_path, name):
    trace = tmp_path / "trace"
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"state_dict": Planted(trace)}))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_network(path, lunar, classes=CLASSES)
    torch.save({"state_dict": Planted(trace)}, path)
    with pytest.raises(ConfigError, match="cannot be read"):
        load_network(path, lunar, classes=CLASSES)
    assert not trace.exists()


@pytest.mark.parametrize("kept", [0, 8, 100, 2000])
@pytest.mark.parametrize("suffix", ["h5", "safetensors"])
def test_files_that_are_cut_off_are_refused(network, lunar, tmp_path, suffix, kept):
    path = tmp_path / f"weights.{suffix}"
    if suffix == "h5":
        write_hdf5(network, path)
    else:
        save(network, path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ConfigError, match=rf"weights\.{suffix} cannot be read"):
        load_network(path, lunar, classes=CLASSES)


def test_hdf5_of_text_or_objects_is_refused(stored):
    with h5py.File(stored, "a") as file:
        file["note"] = "run me"
    with pytest.raises(ConfigError, match=r"note holds .*expected numbers"):
        read_hdf5(stored)


def test_hdf5_of_an_opaque_type_is_refused(stored):
    with h5py.File(stored, "a") as file:
        file["blob"] = np.void(pickle.dumps([1, 2]))
    with pytest.raises(ConfigError, match=r"blob holds .*expected numbers"):
        read_hdf5(stored)


@pytest.mark.parametrize("kind", ["soft", "external"])
def test_links_are_not_followed(stored, tmp_path, kind):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.arange(3)
    with h5py.File(stored, "a") as file:
        link = h5py.SoftLink("/head") if kind == "soft" else h5py.ExternalLink("other.h5", "secret")
        file["linked"] = link
    with pytest.raises(ConfigError, match="linked is a link, expected numbers"):
        read_hdf5(stored)


def test_data_outside_of_the_file_are_not_read(stored, tmp_path):
    (tmp_path / "outside.bin").write_bytes(bytes(12))
    with h5py.File(stored, "a") as file:
        outside = [(str(tmp_path / "outside.bin"), 0, 12)]
        file.create_dataset("away", (3,), dtype="f4", external=outside)
    with pytest.raises(ConfigError, match=r"away holds .*expected numbers"):
        read_hdf5(stored)


def test_virtual_data_sets_are_not_read(stored, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["secret"] = np.arange(3)
    layout = h5py.VirtualLayout(shape=(3,), dtype="i8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", shape=(3,))
    with h5py.File(stored, "a") as file:
        file.create_virtual_dataset("away", layout)
    with pytest.raises(ConfigError, match=r"away holds .*expected numbers"):
        read_hdf5(stored)


def test_groups_that_hold_themselves_are_refused(stored):
    with h5py.File(stored, "a") as file:
        file["head/again"] = file["head"]
    with pytest.raises(ConfigError, match="nested too deep"):
        read_hdf5(stored)


def test_a_missing_hdf5_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.h5 cannot be read"):
        read_hdf5(tmp_path / "none.h5")


@pytest.mark.parametrize("suffix", ["safetensors", "h5", "hdf5"])
def test_a_network_is_what_it_was(network, lunar, tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    if suffix == "safetensors":
        save(network, path)
    else:
        write_hdf5(network, path)
    again = load_network(path, lunar, classes=CLASSES)
    assert not again.training
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(again(image), network(image))


def test_a_run_keeps_safetensors(trained, recipe):
    tensors = load_file(trained / "best.safetensors")
    network = load_network(trained / "best.safetensors", recipe, classes=CLASSES)
    assert same(tensors, network.state_dict())


def test_missing_weights_are_named(lunar, tmp_path):
    with pytest.raises(ConfigError, match=r"none\.safetensors do not exist; train first"):
        load_network(tmp_path / "none.safetensors", lunar, classes=CLASSES)


@pytest.mark.parametrize("suffix", ["safetensors", "h5"])
def test_weights_of_another_class_count_are_refused(network, lunar, tmp_path, suffix):
    path = tmp_path / f"weights.{suffix}"
    save(network, path) if suffix == "safetensors" else write_hdf5(network, path)
    with pytest.raises(ConfigError, match="are not of recipe 'lunar_gwu'; give the recipe"):
        load_network(path, lunar, classes=5)


def test_weights_of_another_network_are_refused(network, tmp_path):
    path = save(network, tmp_path / "weights.safetensors")
    other = load_recipe(CONFIGS / "mars_nine_level.yaml")
    with pytest.raises(ConfigError, match="are not of recipe 'mars_nine_level'"):
        load_network(path, other, classes=CLASSES)


def test_tensors_that_lack_or_are_too_many_are_refused(network, lunar, tmp_path):
    values = {k: v.contiguous() for k, v in network.state_dict().items()}
    save_file({**values, "extra": torch.zeros(1)}, tmp_path / "more.safetensors")
    del values["head.bias"]
    save_file(values, tmp_path / "less.safetensors")
    for name in ("more", "less"):
        with pytest.raises(ConfigError, match="are not of recipe"):
            load_network(tmp_path / f"{name}.safetensors", lunar, classes=CLASSES)


def test_a_trained_network_needs_no_encoder_weights():
    recipe = load_recipe(
        CONFIGS / "mars_navcam.yaml",
        overrides=[
            "network.options={architecture: Unet, encoder: resnet18, encoder_weights: imagenet, "
            "dropout: 0.0, arguments: {}}"
        ],
    )
    assert without_encoder_weights(recipe).network.options["encoder_weights"] is None
    assert recipe.network.options["encoder_weights"] == "imagenet"
