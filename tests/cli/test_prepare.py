"""`terrain-seg prepare`: engines ahead of the drive, and a check for CI."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from support.tiny_model import write_tiny_model
from terrain_seg_ros.cli import prepare as command
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.core.errors import ModelError

DEADLINE_S = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=32)


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "engines"


@pytest.fixture
def run(folder, cache, capsys):
    def call(*arguments, backend="openvino"):
        capsys.readouterr()
        code = main(
            ["prepare", f"--backend={backend}", f"--model={folder}", f"--cache-dir={cache}"]
            + list(arguments)
        )
        return code, *capsys.readouterr()

    return call


def test_it_builds_keeps_and_tells_the_key(run, cache):
    code, out, err = run()
    (engine,) = cache.glob("*.engine")
    assert code == 0
    assert f"key {engine.stem}: model " in out
    assert f"{engine}: built in " in out
    assert "passes the self-test" in out
    assert "compiled loops: ready in " in out
    assert err == ""


def test_what_is_there_is_not_built_again(run, cache):
    run()
    (engine,) = cache.glob("*.engine")
    before = engine.stat().st_ino
    assert "was there" in run()[1]
    assert engine.stat().st_ino == before


def test_force_builds_it_again(run, cache):
    run()
    (engine,) = cache.glob("*.engine")
    before = engine.stat().st_ino
    code, out, _ = run("--force")
    assert code == 0
    assert "built in" in out
    assert engine.stat().st_ino != before


def test_check_is_for_ci(run, cache):
    code, out, _ = run("--check")
    assert (code, "not ready: " in out, "no engine was built" in out) == (1, True, True)
    assert not cache.exists()
    run()
    code, out, _ = run("--check")
    assert code == 0
    assert out.startswith("ready: ")
    (engine,) = cache.glob("*.engine")
    engine.write_bytes(b"damaged")
    code, out, _ = run("--check")
    assert (code, "the engine is corrupt" in out) == (1, True)


def test_a_damaged_engine_is_built_again_loudly(run, cache):
    run()
    (engine,) = cache.glob("*.engine")
    engine.write_bytes(b"damaged")
    code, out, err = run()
    assert code == 0
    assert "the engine is corrupt" in err
    assert "built in" in out


def test_options_are_part_of_the_key(run):
    run()
    assert run("--check", "--threads=1")[0] == 1
    assert run("--check", "--threads=0")[0] == 0


def test_a_parameter_file_serves(run, cache, tmp_path):
    run()
    file = tmp_path / "mine.yaml"
    file.write_text(f"/**:\n  ros__parameters:\n    engine_cache_dir: {cache}\n    threads: 1\n")
    assert run("--check", f"--params={file}")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--precision=int8"], "cannot be made to compute in int8"),
        (["--device=99"], "tensorrt_device"),
        (["--dla-core=-2"], "tensorrt_dla_core"),
        (["--model=no_such_model"], "no_such_model"),
        (["--model=synthetic"], "no ONNX file"),
    ],
)
def test_wrong_input_is_one_line(run, arguments, text):
    code, out, err = run(*arguments)
    assert code == 2
    assert text in err
    assert (out, err.count("\n")) == ("", 1)


def test_check_and_force_exclude_each_other(run):
    with pytest.raises(SystemExit, match="2"):
        run("--check", "--force")


@pytest.mark.parametrize("arguments", [[], ["--check"], ["--force"]])
def test_without_tensorrt_or_a_gpu_it_says_so(run, monkeypatch, arguments):
    for name in ("tensorrt", "cuda", "cuda.bindings", "cuda.bindings.runtime", "cuda.cudart"):
        monkeypatch.setitem(sys.modules, name, None)
    code, out, err = run(*arguments, backend="tensorrt")
    assert code == 2
    assert "pip install 'tensorrt" in err
    assert (out, err.count("\n")) == ("", 1)


def test_a_folder_that_cannot_be_written_is_one_line(folder, tmp_path, capsys):
    (tmp_path / "file").touch()
    words = ["prepare", "--backend=openvino", f"--model={folder}", "--precision=fp32"]
    assert main([*words, f"--cache-dir={tmp_path / 'file' / 'engines'}"]) == 2
    assert "cannot be stored in" in capsys.readouterr().err


def test_an_engine_that_fails_the_self_test_is_removed(folder, cache, run, monkeypatch):
    def refuse(*_):
        raise ModelError("gives the golden mask on 3.00% of its pixels")

    monkeypatch.setattr("terrain_seg_ros.inference.registry.self_test", refuse)
    code, _, err = run()
    assert code == 2
    assert "3.00%" in err
    assert list(cache.glob("*.engine")) == []
    monkeypatch.undo()
    assert run("--check")[0] == 1


def test_progress_is_told_while_it_lasts(monkeypatch, capsys):
    monkeypatch.setattr(command, "TICK_S", 0.01)
    with command._Ticker("tensorrt fp16") as ticker:
        ticker.note("Building: 3 of 10")
        end_s = time.monotonic() + DEADLINE_S
        seen = ""
        while "3 of 10" not in seen:
            assert time.monotonic() < end_s
            time.sleep(0.01)
            seen += capsys.readouterr().err
    assert "terrain-seg: preparing tensorrt fp16, 0 s; Building: 3 of 10" in seen


def test_killed_it_leaves_nothing_that_loads(folder, cache, run):
    """The real command dies in the middle of a build."""
    script = (
        "import os, sys\n"
        "from terrain_seg_ros.inference.backends import openvino_backend\n"
        "openvino_backend.build = lambda *_: os.kill(os.getpid(), 9)\n"
        "from terrain_seg_ros.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )
    words = ["prepare", "--backend=openvino", f"--model={folder}", f"--cache-dir={cache}"]
    done = subprocess.run(
        [sys.executable, "-c", script, *words], capture_output=True, check=False, env=os.environ
    )
    assert done.returncode == -signal.SIGKILL
    assert run("--check")[0] == 1
    assert run()[0] == 0
    assert run("--check")[0] == 0
