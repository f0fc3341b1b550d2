"""The cache of engines: never a wrong one, never two builds, whatever happens to the disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.engine_builds import ENGINE, Builds, files
from support.engine_keys import KEY, key
from terrain_seg_ros.core.errors import InferenceError
from terrain_seg_ros.inference.engines import engine_cache, engine_files
from terrain_seg_ros.inference.engines.engine_cache import (
    LOCK_FILE,
    EngineCache,
    default_cache_folder,
)

TESTS = Path(__file__).parents[2]
NOBODY = 65534
DEADLINE_S = 60.0

BUILDER = """
import sys, time
from pathlib import Path
from support.engine_keys import KEY
from terrain_seg_ros.inference.engines.engine_cache import EngineCache
folder, counter, wait_s = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
def build():
    with counter.open("a") as file:
        file.write("built\\n")
    time.sleep(wait_s)
    return bytes(range(256)) * 64
cache = EngineCache(folder, report=lambda text: print(text, file=sys.stderr))
print(len(cache.load_or_build(KEY, build)))
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "engines"


@pytest.fixture
def builds(folder):
    return Builds(folder)


def start(folder, counter, *, wait_s):
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(folder), str(counter), str(wait_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=TESTS,
    )


def wait_for(condition):
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, "what was waited for never came"
        time.sleep(0.01)


def test_an_engine_is_built_once(builds, folder):
    assert builds.load() == ENGINE
    assert builds.load() == ENGINE
    assert (builds.count, builds.reports) == (1, [])
    assert files(folder) == sorted([f"{KEY.digest}.engine", f"{KEY.digest}.json", LOCK_FILE])
    assert builds.cache.path(KEY).read_bytes() == ENGINE
    assert builds.cache.refusal(KEY) == ""


def test_the_sidecar_says_what_the_engine_is(builds, folder):
    builds.load()
    content = json.loads((folder / f"{KEY.digest}.json").read_text())
    assert content["key"] == KEY.content()
    assert content["text"] == KEY.text()
    assert content["engine_bytes"] == len(ENGINE)
    assert content["build_s"] >= 0.0
    assert content["software"].startswith("terrain_seg_ros ")


def test_engines_are_for_the_user_alone(builds, folder):
    builds.load()
    modes = {path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())}
    assert modes == {0}


def test_another_key_is_another_engine(builds):
    builds.load()
    builds.load(key(precision="fp32"))
    assert builds.count == 2
    assert builds.load() == ENGINE
    assert builds.count == 2


def test_nothing_cached_is_no_engine(builds, folder):
    assert builds.cache.load(KEY) is None
    assert builds.cache.refusal(KEY) == "no engine was built"
    assert not folder.exists()


def damage_engine(engine, sidecar):
    data = bytearray(engine.read_bytes())
    data[100] ^= 1
    engine.write_bytes(data)


def truncate_engine(engine, sidecar):
    engine.write_bytes(engine.read_bytes()[:-1])


def swap_key(engine, sidecar):
    content = json.loads(sidecar.read_text())
    content["key"]["runtime_version"] = "8.5.3"
    sidecar.write_text(json.dumps(content))


def add_to_key(engine, sidecar):
    content = json.loads(sidecar.read_text())
    content["key"]["mood"] = "good"
    sidecar.write_text(json.dumps(content))


DAMAGES = {
    "flipped bit": (damage_engine, "the engine is corrupt"),
    "truncated": (truncate_engine, "the engine is corrupt"),
    "emptied": (lambda engine, sidecar: engine.write_bytes(b""), "the engine is corrupt"),
    "engine gone": (lambda engine, sidecar: engine.unlink(), "cannot be read"),
    "sidecar gone": (lambda engine, sidecar: sidecar.unlink(), "cannot be read"),
    "sidecar no JSON": (lambda engine, sidecar: sidecar.write_text("{"), "sidecar is corrupt"),
    "sidecar binary": (lambda e, sidecar: sidecar.write_bytes(b"\xff\xfe"), "sidecar is corrupt"),
    "sidecar a list": (lambda engine, sidecar: sidecar.write_text("[1]"), "it holds no key"),
    "sidecar deep": (lambda e, sidecar: sidecar.write_text("[" * 60_000), "sidecar is corrupt"),
    "sidecar huge": (lambda e, sidecar: sidecar.write_text(" " * 70_000), "at most"),
    "stale": (swap_key, "stale: built for another runtime_version"),
    "stale kind": (add_to_key, "stale: built for another its parts"),
}


@pytest.mark.requirement("TSR-NET-004")
@pytest.mark.parametrize("name", list(DAMAGES))
def test_what_is_damaged_or_stale_is_refused_loudly_and_built_again(builds, folder, name):
    builds.load()
    damage, reason = DAMAGES[name]
    damage(folder / f"{KEY.digest}.engine", folder / f"{KEY.digest}.json")
    assert builds.cache.load(KEY) is None
    assert reason in builds.cache.refusal(KEY)
    assert builds.load() == ENGINE
    assert builds.count == 2
    assert len(builds.reports) == 2
    assert all(reason in text for text in builds.reports)
    assert "built again" in builds.reports[1]
    assert builds.cache.refusal(KEY) == ""


def test_an_engine_that_the_runtime_refuses_is_removed(builds):
    builds.load()
    builds.cache.discard(KEY, "of another library")
    assert builds.cache.load(KEY) is None
    assert "of another library" in builds.reports[0]


def test_the_default_report_is_a_warning_in_the_log(folder, caplog):
    builds = Builds(folder)
    builds.load()
    (folder / f"{KEY.digest}.engine").write_bytes(b"x")
    EngineCache(folder).load_or_build(KEY, builds)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "corrupt" in caplog.text


def test_a_failed_build_leaves_nothing(builds, folder):
    def fail():
        raise InferenceError("no memory")

    with pytest.raises(InferenceError, match="no memory"):
        builds.cache.load_or_build(KEY, fail)
    assert files(folder) == [LOCK_FILE]
    assert builds.load() == ENGINE


@pytest.mark.parametrize("size", [0, 101])
def test_an_engine_of_absurd_size_is_an_error(builds, folder, monkeypatch, size):
    monkeypatch.setattr(engine_cache, "MAX_ENGINE_BYTES", 100)
    with pytest.raises(InferenceError, match=f"{size} bytes"):
        builds.cache.load_or_build(KEY, lambda: b"x" * size)
    assert files(folder) == [LOCK_FILE]


def test_two_processes_build_once(folder, tmp_path):
    counter = tmp_path / "count"
    first = start(folder, counter, wait_s=1.5)
    wait_for(counter.exists)
    second = start(folder, counter, wait_s=0.0)
    answers = [process.communicate(timeout=DEADLINE_S) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0]
    assert [out.strip() for out, _ in answers] == [str(len(ENGINE))] * 2
    assert "waiting" in answers[1][1]
    assert counter.read_text().count("built") == 1


def test_many_processes_at_once_build_once(folder, tmp_path):
    counter = tmp_path / "count"
    processes = [start(folder, counter, wait_s=0.2) for _ in range(4)]
    assert {process.communicate(timeout=DEADLINE_S)[0].strip() for process in processes} == {
        str(len(ENGINE))
    }
    assert counter.read_text().count("built") == 1


def test_a_killed_build_leaves_nothing_that_loads_and_frees_the_lock(builds, folder, tmp_path):
    counter = tmp_path / "count"
    process = start(folder, counter, wait_s=600.0)
    wait_for(counter.exists)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=DEADLINE_S)
    assert builds.cache.load(KEY) is None
    assert builds.load() == ENGINE
    assert (builds.count, builds.reports) == (1, [])


@pytest.mark.parametrize("replaces", [0, 1])
def test_killed_while_writing(builds, folder, replaces):
    """The process dies at the first or second rename: before the engine, or before the sidecar."""
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from support.engine_keys import KEY\n"
        "from terrain_seg_ros.inference.engines.engine_cache import EngineCache\n"
        "done, replace = [], Path.replace\n"
        "def dying(path, target):\n"
        f"    if len(done) == {replaces}: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    done.append(target); return replace(path, target)\n"
        "Path.replace = dying\n"
        "EngineCache(Path(sys.argv[1])).load_or_build(KEY, lambda: b'half' * 1000)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(folder)], check=False, cwd=TESTS)
    assert done.returncode == -signal.SIGKILL
    assert any(name.startswith(".build-") for name in files(folder))
    assert builds.cache.refusal(KEY)
    assert builds.load() == ENGINE
    assert builds.count == 1
    assert len(builds.reports) == replaces
    assert not any(name.startswith(".build-") for name in files(folder))


def test_the_engines_unused_for_longest_make_room(builds, folder, monkeypatch):
    monkeypatch.setattr(engine_files, "MAX_ENGINES", 3)
    keys = [key(opt_batch=count) for count in (1, 2, 3, 4)]
    for age, item in enumerate(keys[:3]):
        builds.load(item)
        os.utime(builds.cache.path(item), (1000 + age, 1000 + age))
    builds.load(keys[0])
    builds.load(keys[3])
    kept = [item for item in keys if builds.cache.load(item) is not None]
    assert kept == [keys[0], keys[2], keys[3]]
    assert len(files(folder)) == 7


def test_a_lock_that_is_held_for_ever_is_one_clear_error(folder, tmp_path, monkeypatch):
    counter = tmp_path / "count"
    process = start(folder, counter, wait_s=600.0)
    wait_for(counter.exists)
    monkeypatch.setattr(engine_cache, "MAX_WAIT_S", 0.0)
    builds = Builds(folder)
    try:
        with pytest.raises(InferenceError, match="end it"):
            builds.load()
    finally:
        process.kill()
        process.communicate(timeout=DEADLINE_S)
    assert builds.count == 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("/somewhere", "/somewhere"),
        ("relative", "/home/rover/.cache"),
        (None, "/home/rover/.cache"),
    ],
)
def test_the_default_folder_follows_the_xdg_rules(monkeypatch, value, expected):
    monkeypatch.setenv("HOME", "/home/rover")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert default_cache_folder() == Path(expected) / "terrain_seg_ros" / "engines"
