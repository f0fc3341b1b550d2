"""Signals end a real process in order, and the same command resumes the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from terrain_training.learning.run_folder import RunFolder

LINE = "terrain-train: interrupted; the same command with --out {out} resumes\n"
LIMIT_S = 300.0


def start(words, log: Path) -> subprocess.Popen[str]:
    """Start the command in a session of its own, as a shell does with what a terminal runs."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with log.open("w", encoding="utf-8") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "terrain_training.cli", *map(str, words)],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            text=True,
            start_new_session=True,
        )


def wait_for(process, condition, log: Path) -> None:
    """Look until something is there; a process that ends before that fails the test."""
    while not condition():
        try:
            process.wait(timeout=0.02)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"ended too early with {process.returncode}: {log.read_text()[-2000:]}")


def interrupted(words, out: Path, moment, tmp_path, number=signal.SIGINT, *, to_all=True) -> str:
    """Start, send a signal at a moment, and return what the process said."""
    log = tmp_path / "log.txt"
    process = start(words, log)
    try:
        wait_for(process, lambda: moment(out, process.pid), log)
        (os.killpg if to_all else os.kill)(process.pid, number)
        assert process.wait(timeout=LIMIT_S) == 128 + number, log.read_text()[-3000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    text = log.read_text()
    assert "Traceback" not in text, text[-3000:]
    assert "Exception ignored" not in text
    return text


def finish(words, tmp_path) -> None:
    log = tmp_path / "again.txt"
    process = start([*words, "--stop-after", 1], log)
    try:
        assert process.wait(timeout=LIMIT_S) == 0, log.read_text()[-3000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


MOMENTS = {
    "while it imports": lambda _out, pid: "libtorch" in Path(f"/proc/{pid}/maps").read_text(),
    "at the first epoch": lambda out, _pid: (out / "recipe.yaml").exists(),
    "while the logger is made": lambda out, _pid: (out / "tensorboard").exists(),
    "in the first validation": lambda out, _pid: (out / "best.safetensors").exists(),
    "at the first checkpoint": lambda out, _pid: any(
        path.name.startswith((".last.ckpt", "last.ckpt")) for path in out.glob("*")
    ),
    "later": lambda out, _pid: len(RunFolder(out).read_history()) > 1,
}


SWALLOWED = """
import os, signal, sys, weakref
from terrain_training.interrupt import Interrupted, Signals

class Referent: pass

def interrupt(_reference):
    os.kill(os.getpid(), signal.SIGINT)

def fail(_reference):
    raise ValueError("still reported")

reported = []
sys.unraisablehook = hook = lambda args: reported.append(str(args.exc_value))
with Signals("line") as signals:
    referent = Referent()
    references = [weakref.ref(referent, interrupt), weakref.ref(referent, fail)]
    del referent
    try:
        signals.check()
    except Interrupted as error:
        print("raised", error.exit_code)
print(sys.unraisablehook is hook, reported)
"""


def test_a_signal_that_python_swallows_is_raised_at_the_next_check():
    # In a process of its own: libraries of other tests have threads that may take the signal.
    words = [sys.executable, "-c", SWALLOWED]
    done = subprocess.run(words, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.stdout == "raised 130\nTrue ['still reported']\n", done.stderr


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
def test_ctrl_c_ends_in_order_at_any_moment(recipe_file, data, tmp_path, moment):
    out = tmp_path / "run"
    words = ["train", recipe_file, "--data", data, "--out", out, "--accelerator", "cpu"]
    words += ["--set", "training.epochs=500", "--set", "training.schedule=constant"]
    words += ["--set", "training.warmup_share=0.0"]
    text = interrupted(words, out, moment, tmp_path)
    if moment is MOMENTS["while it imports"]:
        assert text.startswith("terrain-train: interrupted; ")
        assert not out.exists()
    else:
        assert text.endswith(LINE.format(out=out))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    epochs = len(RunFolder(out).read_history()) if (out / "last.ckpt").exists() else 0
    finish(words, tmp_path)
    again = [row["epoch"] for row in RunFolder(out).read_history()]
    # The last epoch of the history is trained again where its checkpoint was not yet written.
    assert again in (list(range(1, epochs + 1)), list(range(1, epochs + 2)))
    assert [path.name for path in out.iterdir() if path.name.startswith(".")] == []


@pytest.mark.parametrize(
    ("number", "to_all"),
    [(signal.SIGTERM, True), (signal.SIGTERM, False), (signal.SIGHUP, True)],
)
def test_other_signals_end_in_order(recipe_file, data, tmp_path, number, to_all):
    out = tmp_path / "run"
    words = ["train", recipe_file, "--data", data, "--out", out, "--accelerator", "cpu"]
    words += ["--set", "training.epochs=500", "--set", "data.workers=1"]
    moment = MOMENTS["in the first validation"]
    assert interrupted(words, out, moment, tmp_path, number, to_all=to_all).endswith(
        LINE.format(out=out)
    )


def test_loading_processes_say_nothing_of_ctrl_c(recipe_file, data, tmp_path):
    out = tmp_path / "run"
    words = ["train", recipe_file, "--data", data, "--out", out, "--accelerator", "cpu"]
    words += ["--set", "training.epochs=500", "--set", "data.workers=2"]
    moment = MOMENTS["while the logger is made"]
    assert interrupted(words, out, moment, tmp_path).endswith(LINE.format(out=out))


def test_a_command_that_cannot_go_on_says_so(trained, data, tmp_path):
    words = ["export", trained, "--data", data, "--out", tmp_path / "model"]

    def reading(_out, _pid):
        return "training images" in (tmp_path / "log.txt").read_text()

    text = interrupted(words, tmp_path, reading, tmp_path)
    assert text.endswith(
        "interrupted; nothing was written; run the same command again to start over\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.txt"]


def test_rendering_that_is_interrupted_leaves_nothing(tmp_path):
    words = ["render", "--count", 200, "--views", 2, "--size", 32, "--jobs", 2]

    def rendering(_out, _pid):
        return any(tmp_path.glob(".renders.*/images/*.png"))

    text = interrupted([*words, "--out", tmp_path / "renders"], tmp_path, rendering, tmp_path)
    assert text.endswith("with numpy none; run the same command again to continue\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.txt"]
