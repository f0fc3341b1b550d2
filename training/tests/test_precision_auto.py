"""`training.precision: auto` chooses once, by what the machine can do, and keeps it."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from conftest import CPU
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.benchmarks.throughput import measure_throughput
from terrain_training.learning import precision
from terrain_training.learning.run import TrainingRequest, train
from terrain_training.learning.run_folder import RunFolder
from terrain_training.networks.registry import build_network
from terrain_training.recipe.load import load_recipe


@pytest.fixture
def auto(recipe_file):
    overrides = ["training.precision=auto", "training.example_images=0"]
    return load_recipe(recipe_file, overrides=overrides)


@pytest.fixture
def network(recipe):
    return build_network(recipe.network, in_channels=1, classes=4)


EXAMPLE = torch.zeros(1, 1, 64, 64)


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("fpu avx512f avx512_bf16", True), ("fpu amx_bf16", True), ("fpu avx512f avx2", False)],
)
def test_bfloat16_is_known_by_the_flags_of_the_cpu(tmp_path, flags, expected):
    path = tmp_path / "cpuinfo"
    path.write_text(f"flags\t\t: {flags}\n", encoding="ascii")
    assert precision.has_bfloat16(gpu=False, cpuinfo=path) is expected


def test_a_machine_that_says_nothing_has_none(tmp_path):
    assert not precision.has_bfloat16(gpu=False, cpuinfo=tmp_path / "none")


def choose(recipe, network, *, processes=1):
    return precision.choose_precision(recipe, network, EXAMPLE, processes=processes, gpu=False)


@pytest.mark.parametrize(("half_s", "expected"), [(0.5, "bf16"), (0.98, "fp32"), (3.0, "fp32")])
def test_the_faster_one_is_chosen(auto, network, monkeypatch, caplog, half_s, expected):
    monkeypatch.setattr(precision, "has_bfloat16", lambda gpu: True)
    monkeypatch.setattr(precision, "step_seconds", lambda *_, bfloat16: half_s if bfloat16 else 1.0)
    with caplog.at_level("INFO"):
        assert choose(auto, network) == expected
    assert f"precision {expected}: a step takes 1.000 s in fp32, {half_s:.3f} s" in caplog.text
    assert choose(auto, network, processes=2) == "bf16"


def test_a_machine_without_bfloat16_measures_nothing(auto, network, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda gpu: False)
    monkeypatch.delattr(precision, "step_seconds")
    assert choose(auto, network) == "fp32"


def test_measuring_changes_neither_network_nor_random_numbers(network):
    before = {name: value.clone() for name, value in network.state_dict().items()}
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    images = EXAMPLE.expand(4, -1, -1, -1)
    seconds = precision.step_seconds(network, images, torch.device("cpu"), bfloat16=True)
    assert seconds > 0
    assert torch.equal(torch.rand(2), expected)
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_throughput_compares_at_one_precision(auto, data):
    with pytest.raises(ConfigError, match="measured at one precision"):
        measure_throughput(auto, data, batches=1, rounds=1, skip_bad=False)


def test_a_resumed_run_keeps_what_was_chosen(auto, data, tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda gpu: True)
    times = {True: 0.1, False: 1.0}
    monkeypatch.setattr(precision, "step_seconds", lambda *_, bfloat16: times[bfloat16])
    request = TrainingRequest(data=data, out=tmp_path / "whole", machine=CPU)
    train(auto, request)
    parted = dataclasses.replace(request, out=tmp_path / "parted")
    train(auto, dataclasses.replace(parted, epochs_now=1))
    times[True] = 10.0  # another machine would choose otherwise
    train(auto, parted)
    kept = json.loads(RunFolder(parted.out).summary.read_text())
    assert kept["precision"] == "bf16"
    one, other = (load_file(tmp_path / name / "best.safetensors") for name in ("whole", "parted"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert RunFolder(parted.out).recipe().training.precision == "auto"
