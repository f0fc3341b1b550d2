"""Two processes train together, started by torchrun or as Slurm starts them."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.learning.run import Machine, TrainingRequest, train
from terrain_training.learning.run_folder import RunFolder
from terrain_training.processes import is_first_process, launched
from terrain_training.recipe.load import load_recipe

SCRIPT = str(Path(__file__).with_name("train_together.py"))
LIMIT_S = 280
QUICK = """
extends: {base}
network:
  kind: unet
  options:
    {{channels: [8, 16], convolutions: [1, 1], dropout: [0.1, 0.1], norm: each,
      upsampling: nearest}}
training: {{example_images: 1, ema_decay: 0.0}}
"""
OF_LAUNCHERS = ("TORCHELASTIC", "SLURM", "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER")


@pytest.fixture(scope="module")
def small(recipe_file, tmp_path_factory):
    path = tmp_path_factory.mktemp("small") / "small.yaml"
    path.write_text(QUICK.format(base=recipe_file), encoding="utf-8")
    return path


def environment(**values):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(OF_LAUNCHERS)}
    paths = os.pathsep.join(path for path in sys.path if path)
    return {
        **kept,
        "PYTHONPATH": paths,
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        **values,
    }


def told(folder):
    return [json.loads((folder / f"rank_{rank}.json").read_text()) for rank in (0, 1)]


@pytest.fixture(scope="module")
def by_torchrun(small, data, tmp_path_factory):
    """Return what two processes of torchrun left: a whole run, and one that was resumed."""
    out = tmp_path_factory.mktemp("torchrun")
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    runs = ["whole:2", "parted:1", "parted:1"]
    words = [sys.executable, *launcher, SCRIPT, str(small), str(data), str(out), *runs]
    subprocess.run(words, check=True, timeout=LIMIT_S, env=environment())
    return out


def test_both_processes_have_the_same_weights_and_half_of_the_samples_each(by_torchrun):
    first, second = told(by_torchrun)
    assert first["weights"] == second["weights"]
    for one, other in zip(first["places"], second["places"]):
        assert len(one) == len(other)
        assert len({*one, *other}) == len(one) + len(other)  # the count is even: none twice
    assert first["places"][0] != first["places"][1]


def test_resumed_run_of_two_processes_equals_uninterrupted(by_torchrun):
    whole, _half, resumed = told(by_torchrun)[0]["weights"]
    assert resumed == whole
    history = RunFolder(by_torchrun / "parted").read_history()
    assert [row["epoch"] for row in history] == [1, 2]


def test_one_process_alone_writes(by_torchrun):
    folder = RunFolder(by_torchrun / "whole")
    assert len(list((folder.path / "tensorboard").glob("events*"))) == 1
    assert len(folder.read_history()) == 2
    assert folder.read_summary()["processes"] == 2
    assert sorted(path.name for path in folder.examples.iterdir()) == [
        "epoch_001.png",
        "epoch_002.png",
    ]


def test_another_number_of_processes_does_not_resume_a_run(by_torchrun, small, data):
    wanted = TrainingRequest(data=data, out=by_torchrun / "parted", machine=Machine("cpu", 1))
    with pytest.raises(ConfigError, match="was trained by 2 processes, and 1 would give other"):
        train(load_recipe(small), wanted)


def test_processes_of_slurm_train_as_those_of_torchrun(by_torchrun, small, data, tmp_path):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    words = [sys.executable, SCRIPT, str(small), str(data), str(tmp_path), "whole:2"]
    started = [
        subprocess.Popen(words, env=environment(**slurm(rank), MASTER_PORT=port)) for rank in (0, 1)
    ]
    try:
        assert [process.wait(timeout=LIMIT_S) for process in started] == [0, 0]
    finally:
        for process in started:
            process.kill()
    assert [item["weights"] for item in told(tmp_path)] == [told(by_torchrun)[0]["weights"][:1]] * 2


def slurm(rank, **values):
    """Return what srun tells each of two processes on one node."""
    return {
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NAME": "terrain",
        "SLURM_STEP_ID": "0",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "1",
        "SLURM_NODELIST": "127.0.0.1",
        "SLURM_NODEID": "0",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        **values,
    }


class TestLaunch:
    @pytest.fixture(autouse=True)
    def alone(self, monkeypatch):
        for name in list(os.environ):
            if name.startswith(OF_LAUNCHERS):
                monkeypatch.delenv(name)

    def given(self, monkeypatch, **values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    def test_a_job_of_slurm_without_srun_is_one_process(self, monkeypatch):
        values = slurm(1)
        del values["SLURM_STEP_ID"]
        self.given(monkeypatch, **values)
        assert launched() is None
        assert is_first_process()

    def test_the_first_of_all_nodes_writes(self, monkeypatch):
        self.given(monkeypatch, **slurm(2, SLURM_NTASKS="4", SLURM_NNODES="2", SLURM_LOCALID="0"))
        assert (launched().devices, launched().nodes) == (2, 2)
        assert not is_first_process()

    def test_srun_must_say_how_many_processes_a_node_has(self, monkeypatch):
        values = slurm(0)
        del values["SLURM_NTASKS_PER_NODE"]
        self.given(monkeypatch, **values)
        with pytest.raises(ConfigError, match="--ntasks-per-node"):
            launched()

    def test_another_number_of_devices_than_was_started_is_refused(self, monkeypatch):
        self.given(monkeypatch, **slurm(0))
        assert Machine("cpu", 1).placed() == Machine("cpu", 2)
        with pytest.raises(ConfigError, match="--devices is 3, but Slurm started 2 processes"):
            Machine("cpu", 3).placed()
