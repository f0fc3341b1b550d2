"""The cache of engines on disks that are read-only or full."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.engine_builds import ENGINE, Builds, files
from support.engine_keys import KEY, key
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.inference.engines import engine_files
from terrain_seg_ros.inference.engines.engine_cache import LOCK_FILE

NOBODY = 65534


@contextlib.contextmanager
def as_nobody():
    """Give up root's right to write everywhere, for root alone; others have none."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def frozen():
    """Return a folder that holds an engine and that nobody may write to."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        Builds(folder).load()
        for path in (*folder.iterdir(), folder):
            path.chmod(0o555)
        yield folder
        folder.chmod(0o755)


def test_a_read_only_folder_serves_what_it_holds(frozen):
    builds = Builds(frozen)
    with as_nobody():
        assert builds.load(must_keep=True) == ENGINE
    assert (builds.count, builds.reports) == (0, [])


def test_in_a_read_only_folder_the_engine_is_built_but_not_kept(frozen):
    builds = Builds(frozen)
    other = key(precision="fp32")
    before = files(frozen)
    with as_nobody():
        assert builds.load(other) == ENGINE
        assert builds.load(other) == ENGINE
    assert files(frozen) == before
    assert builds.count == 2
    assert "engine_cache_dir" in builds.reports[0]
    assert "Permission denied" in builds.reports[0]


def test_what_must_be_kept_is_not_built_for_a_read_only_folder(frozen):
    builds = Builds(frozen)
    with as_nobody(), pytest.raises(ConfigError, match="cannot be stored in"):
        builds.load(key(precision="fp32"), must_keep=True)
    assert builds.count == 0


def test_a_lock_that_can_be_taken_in_a_read_only_folder_does_not_mislead(frozen):
    (frozen / LOCK_FILE).chmod(0o666)
    builds = Builds(frozen)
    with as_nobody(), pytest.raises(ConfigError, match="cannot be stored in"):
        builds.load(key(precision="fp32"), must_keep=True)
    assert builds.count == 0


def test_a_file_in_the_folder_s_place_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()
    builds = Builds(tmp_path / "file" / "engines")
    with pytest.raises(ConfigError, match="Not a directory"):
        builds.load(must_keep=True)
    assert builds.load() == ENGINE


@pytest.fixture
def tiny_disk(tmp_path):
    """Return a disk of 64 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_keeps_nothing_and_serves_all_the_same(tiny_disk):
    builds = Builds(tiny_disk)
    large = b"x" * 200_000
    assert builds.cache.load_or_build(KEY, lambda: large) == large
    assert "No space left" in builds.reports[0]
    assert files(tiny_disk) == [LOCK_FILE]
    with pytest.raises(ConfigError, match="make room"):
        builds.cache.load_or_build(KEY, lambda: large, must_keep=True)
    assert files(tiny_disk) == [LOCK_FILE]


@pytest.mark.parametrize("writes", [0, 1])
def test_a_disk_that_fills_up_between_the_files(tmp_path, monkeypatch, writes):
    """The engine or its sidecar meets a full disk; wherever no small disk can be mounted too."""
    folder = tmp_path / "engines"
    builds = Builds(folder)
    real, done = os.fsync, []

    def full(handle):
        if len(done) == writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done.append(handle)
        real(handle)

    monkeypatch.setattr(engine_files.os, "fsync", full)
    assert builds.load() == ENGINE
    assert "No space left" in builds.reports[0]
    monkeypatch.setattr(engine_files.os, "fsync", real)
    assert builds.cache.load(KEY) is None
    assert builds.load() == ENGINE
    assert builds.cache.refusal(KEY) == ""
    assert not any(name.startswith(".build-") for name in files(folder))
