"""Runs are logged to TensorBoard, Weights & Biases and MLflow, offline too."""

from __future__ import annotations

import importlib
import importlib.util

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from conftest import CPU
from terrain_seg_ros.core.errors import ConfigError
from terrain_training.cli import main
from terrain_training.learning.board import open_boards
from terrain_training.learning.run import TrainingRequest, train
from terrain_training.learning.run_folder import RunFolder
from terrain_training.recipe.load import load_recipe


@pytest.fixture
def one_epoch(recipe_file, data):
    """Return a function that trains one epoch more with some loggers."""

    def train_one(out, *loggers):
        names = f"training.loggers=[{', '.join(loggers)}]"
        recipe = load_recipe(recipe_file, overrides=[names, "training.example_images=1"])
        request = TrainingRequest(data=data, out=out, machine=CPU, epochs_now=1)
        return train(recipe, request)

    return train_one


def needs(package):
    return pytest.mark.skipif(
        importlib.util.find_spec(package) is None, reason=f"the extra {package} is not installed"
    )


def test_tensorboard_is_the_default_and_can_be_left_out(trained, one_epoch, tmp_path):
    assert list((trained / "tensorboard").glob("events*"))
    one_epoch(tmp_path / "run")
    assert not (tmp_path / "run/tensorboard").exists()
    assert (tmp_path / "run/examples/epoch_001.png").is_file()


def test_tensorboard_has_figures_and_examples_of_every_call(one_epoch, tmp_path):
    for _ in range(2):
        one_epoch(tmp_path / "run", "tensorboard")
    events = EventAccumulator(str(tmp_path / "run/tensorboard"))
    events.Reload()
    assert [item.step for item in events.Images("examples")] == [1, 2]
    assert {int(item.value) for item in events.Scalars("epoch")} == {1, 2}


@needs("wandb")
def test_wandb_logs_offline_into_the_run(one_epoch, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("WANDB_MODE", "offline")
    with caplog.at_level("INFO"):
        for _ in range(2):
            one_epoch(tmp_path / "run", "wandb", "tensorboard")
    found = sorted((tmp_path / "run/wandb").glob("offline-run-*/*.wandb"))
    assert len(found) == 2
    assert len({path.name for path in found}) == 1  # one run at the service
    assert b"mean_iou" in found[0].read_bytes()
    assert f"wandb sync {found[0].parent}" in caplog.text


@needs("wandb")
def test_wandb_without_a_login_names_the_command(one_epoch, tmp_path, monkeypatch):
    for name in ("WANDB_MODE", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    importlib.import_module("wandb").setup().settings.mode = "online"
    with pytest.raises(ConfigError, match=r"cannot log in \(.*\): run `wandb login` once, or set"):
        one_epoch(tmp_path / "run", "wandb")


@needs("mlflow")
def test_mlflow_keeps_runs_in_a_database_beside_them(one_epoch, tmp_path, monkeypatch):
    from mlflow.tracking import MlflowClient  # noqa: PLC0415

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        summary = one_epoch(tmp_path / "run", "mlflow")
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("terrain_training").experiment_id])
    values = [item.value for item in client.get_metric_history(run.info.run_id, "epoch")]
    assert {int(value) for value in values} == {1, 2}
    scores = client.get_metric_history(run.info.run_id, "validation/mean_iou")
    assert max(item.value for item in scores) == pytest.approx(summary["best_mean_iou"])
    assert run.data.params["training/batch_size"] == "4"
    assert run.info.run_name == "run"


@needs("mlflow")
def test_mlflow_server_that_is_not_there_is_one_error(recipe_file, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    recipe = load_recipe(recipe_file, overrides=["training.loggers=[mlflow]"])
    with (
        pytest.raises(ConfigError, match=r"cannot use http://127.0.0.1:9 .*: start it with"),
        open_boards(recipe, RunFolder(tmp_path)),
    ):
        pass


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_package_names_the_command(
    name, recipe_file, data, tmp_path, monkeypatch, capsys
):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda wanted: None if wanted == name else find(wanted)
    )
    words = ["train", recipe_file, "--data", data, "--out", tmp_path / "run", "--log", name]
    assert main([str(word) for word in words]) == 2
    error = capsys.readouterr().err
    assert f"--log {name} needs the package {name}, which is missing: pip install" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()
