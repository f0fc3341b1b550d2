"""Without --out a run gets a folder of its own, in every process of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.learning import new_run
from terrain_training.learning.new_run import run_folder


@pytest.fixture(autouse=True)
def _working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LOCAL_RANK", raising=False)


def test_what_was_asked_for_is_given_untouched():
    with run_folder(Path("mine"), "tiny") as folder:
        assert folder == Path("mine")
    assert list(Path().iterdir()) == []


def test_new_folders_are_counted_from_one_after_the_highest():
    for number in (1, 2):
        with run_folder(None, "tiny") as folder:
            assert folder == Path(f"runs/tiny-{number}")
            (folder / "x").touch()
    Path("runs/tiny-9").mkdir()
    Path("runs/tiny-small-30").mkdir()
    with run_folder(None, "tiny") as folder:
        assert folder == Path("runs/tiny-10")


def test_two_runs_at_a_time_do_not_share_a_folder():
    with run_folder(None, "tiny") as one, run_folder(None, "tiny") as two:
        assert one.is_dir()
        assert (one, two) == (Path("runs/tiny-1"), Path("runs/tiny-2"))


def test_a_folder_into_which_nothing_was_written_is_taken_back():
    with pytest.raises(ConfigError), run_folder(None, "tiny") as folder:
        raise ConfigError("no data")
    assert not folder.exists()
    assert list(Path().iterdir()) == []


def test_a_name_that_is_no_folder_s_is_made_one():
    with run_folder(None, "a/b: c") as folder:
        assert folder == Path("runs/a_b_c-1")


def test_other_processes_take_the_folder_of_the_first(monkeypatch):
    with run_folder(None, "tiny") as first:
        monkeypatch.setenv("LOCAL_RANK", "1")
        with run_folder(None, "tiny") as other:
            assert other == first
        assert first.is_dir()
        monkeypatch.delenv("LOCAL_RANK")
    assert new_run._HANDED_ON not in os.environ


def test_processes_of_another_launcher_need_a_common_folder(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(ConfigError, match="give --out"), run_folder(None, "tiny"):
        pass
