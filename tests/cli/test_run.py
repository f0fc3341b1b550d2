"""`terrain-seg run` as users start it: a process on a bus, ended by a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from support.buses import WAIT_S, free_domain, wait_until
from support.peer import Peer
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.messages.header_message import stamp_ns

READY = "terrain-seg: ready"
SMALL = "/**:\n  ros__parameters:\n    grid: {size_m: 4.0, resolution_m: 0.25}\n"
FRAMES = 5000
MAIN = "from terrain_seg_ros.cli.main import main; sys.exit(main(sys.argv[1:]))"
BROKEN_LATER = f"""
import signal, sys
def fail(*_):
    raise RuntimeError("nobody expected this")
signal.signal(signal.SIGUSR1, fail)
{MAIN}
"""
NOHUP = f"import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); {MAIN}"
NO_THREADS = f"""
import sys, threading
def refuse(thread):
    raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
{MAIN}
"""
GROWTH_LIMIT_KB = 6 * 1024


class Run:
    """Hold a running command; lines of its stderr as they come."""

    def __init__(self, *arguments, script="", **environment):
        command = [sys.executable, "-m", "terrain_seg_ros.cli.main", "run"]
        if script:
            command[1:3] = ["-c", script]
        command += ["--discovery", "host", "--model", "synthetic", "--backend", "constant"]
        kept = {k: v for k, v in os.environ.items() if k not in {"ROS_DOMAIN_ID", "CYCLONEDDS_URI"}}
        self.process = subprocess.Popen(
            [*command, *map(str, arguments)],
            env={**kept, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self):
        self.lines.extend(iter(self.process.stderr.readline, ""))

    def ready(self):
        wait_until(
            lambda: (
                any(line.startswith(READY) for line in self.lines)
                or self.process.poll() is not None
            ),
            "the node",
        )
        assert self.process.poll() is None, self.lines

    def end(self, number=None):
        """Signal the process where asked to; return its exit code and stdout."""
        if number is not None:
            self.process.send_signal(number)
        try:
            self.process.wait(WAIT_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self._reading.join()
            output = self.process.stdout.read()
            self.process.stdout.close()
            self.process.stderr.close()
        return self.process.returncode, output

    def resident_kb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])


@pytest.fixture
def opened():
    """Collect what must be closed, also where a test fails."""
    things = []
    yield things
    for thing in things:
        if isinstance(thing, Peer):
            thing.close()
        elif thing.process.poll() is None:
            thing.end(signal.SIGKILL)


@pytest.fixture(autouse=True)
def no_own_settings(monkeypatch):
    for name in ("CYCLONEDDS_URI", "ROS_DOMAIN_ID"):
        monkeypatch.delenv(name, raising=False)


def show_until_grid(peer):
    """Show images until the mounting is known and the grid has one."""

    def shown():
        stamp = stamp_ns(peer.show().header)
        try:
            mask = peer.answer("mask", stamp, seconds=2.0)
        except AssertionError:
            return None  # the node's writer may find the reader a moment after it was found
        peer.listen()
        return mask if "hazard_grid" in peer.last else None

    return wait_until(shown, "a grid")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_feeding_then_a_signal_ends_with_code_0_and_a_summary(opened, tmp_path, number):
    domain, summary = free_domain(), tmp_path / "summary.json"
    run = Run("--domain", domain, "--json", summary)
    opened.append(run)
    run.ready()
    peer = Peer(domain, ("mask", "confidence", "hazard_grid"))
    opened.append(peer)
    peer.meet()
    peer.mount()
    show_until_grid(peer)
    mask = show_until_grid(peer)  # the first image is counted before the second one is begun
    confidence = peer.answer("confidence", stamp_ns(mask.header))
    assert mask.header == confidence.header
    code, output = run.end(number)
    assert code == 0, run.lines
    assert not any("Traceback" in line for line in run.lines)
    wait_until(lambda: is_unknown(peer), "the unknown grid")
    assert "images out" in output
    assert "p50 ms" in output
    content = json.loads(summary.read_text())
    assert content["images_out"] >= content["grids_out"] >= 1
    assert content["backend"] == "constant"
    assert content["ended_by"] == signal.Signals(number).name
    assert set(content["refusal_texts"]) == set(content["refused"])
    assert isinstance(content["warnings"], list)
    assert {"total", "publish"} <= set(content["latency_ms"])


def is_unknown(peer):
    peer.listen()
    return (peer.last["hazard_grid"].data == -1).all()


def test_a_defect_in_the_main_thread_takes_the_grid_back_and_writes_the_summary(opened, tmp_path):
    domain, summary = free_domain(), tmp_path / "summary.json"
    run = Run("--domain", domain, "--json", summary, script=BROKEN_LATER)
    opened.append(run)
    run.ready()
    peer = Peer(domain, ("mask", "hazard_grid"))
    opened.append(peer)
    peer.meet()
    peer.mount()
    show_until_grid(peer)
    assert (peer.last["hazard_grid"].data == 0).any()
    run.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: is_unknown(peer), "the unknown grid")
    assert run.end()[0] != 0
    assert any("nobody expected" in line for line in run.lines)
    assert json.loads(summary.read_text())["ended_by"] == "defect"


def test_a_hangup_is_ignored_under_nohup(opened):
    run = Run("--domain", free_domain(), script=NOHUP)
    opened.append(run)
    run.ready()
    run.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert run.process.poll() is None
    assert run.end(signal.SIGTERM)[0] == 0


def test_a_system_without_threads_is_one_line(opened):
    run = Run("--domain", free_domain(), script=NO_THREADS)
    opened.append(run)
    code, _ = run.end()
    assert code == 2, run.lines
    assert not any("Traceback" in line for line in run.lines)
    assert "ulimit -u" in run.lines[-1]


def test_domain_of_ros_is_respected_and_the_image_topic_may_be_a_full_name(opened):
    domain = free_domain()
    run = Run("--image-topic", "/cam/image_raw", "--duration", "60", ROS_DOMAIN_ID=str(domain))
    opened.append(run)
    run.ready()
    peer = Peer(domain, image_topic="/cam/image_raw")
    opened.append(peer)
    peer.meet()
    peer.mount()
    show_until_grid(peer)
    assert run.end(signal.SIGINT)[0] == 0


def test_signal_while_loading_ends_with_code_0(opened):
    run = Run("--domain", free_domain())
    opened.append(run)
    wait_until(lambda: run.lines, "the first line")
    assert run.end(signal.SIGTERM)[0] == 0, run.lines


def test_mode_lander_listens_to_who_selects_a_site(opened):
    run = Run("--domain", free_domain(), "--mode", "lander")
    opened.append(run)
    run.ready()
    assert any("/terrain/select_site" in line for line in run.lines)
    assert run.end(signal.SIGINT)[0] == 0


def test_duration_ends_the_run(opened):
    run = Run("--domain", free_domain(), "--duration", "0.1")
    opened.append(run)
    code, output = run.end()
    assert code == 0, run.lines
    assert "images in" in output


def test_memory_is_flat_over_5000_images(opened, tmp_path):
    domain, parameters = free_domain(), tmp_path / "small.yaml"
    parameters.write_text(SMALL)
    run = Run("--domain", domain, "--params", parameters)
    opened.append(run)
    run.ready()
    peer = Peer(domain)
    opened.append(peer)
    peer.meet()
    peer.mount()
    show_until_grid(peer)
    for _ in range(FRAMES // 10):
        exchange(peer)
    before_kb = run.resident_kb()
    for _ in range(FRAMES):
        exchange(peer)
    assert run.resident_kb() - before_kb < GROWTH_LIMIT_KB
    assert run.end(signal.SIGINT)[0] == 0


def exchange(peer):
    peer.answer("mask", stamp_ns(peer.show().header))


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--domain", "999"], "999"),
        (["--duration", "0"], "--duration is 0.0"),
        (["--params", "/none/such.yaml"], "such.yaml"),
        (["--json", __file__], "was not written by this command"),
        (["--model", "none_such"], "none_such"),
        (["--backend", "constant", "--model", "synthetic", "--image-topic", "a b"], "a b"),
    ],
)
def test_wrong_input_is_one_line_and_exit_code_2(words, text, capsys):
    assert main(["run", "--discovery", "host", *words]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("terrain-seg: error: ")
    assert text in line


def test_missing_cyclone_names_the_remedy(monkeypatch, capsys):
    for name in [n for n in sys.modules if n.startswith(("cyclonedds", "terrain_seg_ros.dds"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cyclonedds", None)
    monkeypatch.setitem(sys.modules, "cyclonedds.core", None)
    assert main(["run", "--model", "synthetic", "--backend", "constant"]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "pip install cyclonedds" in line
    assert "ros2 launch" in line


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("none/summary.json", "does not exist; create it"),
        (".", "is a folder"),
        ("mine.yaml", "was not written by this command"),
    ],
)
def test_a_place_for_the_summary_is_checked_before_the_run(tmp_path, capsys, name, text):
    mine = tmp_path / "mine.yaml"
    mine.write_text("mine: true\n")
    options = ["--domain", str(free_domain()), "--discovery", "host", "--duration", "0.1"]
    options += ["--model", "synthetic", "--backend", "constant", "--json", str(tmp_path / name)]
    assert main(["run", *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line
    assert mine.read_text() == "mine: true\n"


def test_a_file_that_fails_at_the_end_does_not_take_the_printed_summary(capsys, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    options = ["--domain", str(free_domain()), "--discovery", "host", "--duration", "1.5"]
    options += ["--model", "synthetic", "--backend", "constant"]
    removal = threading.Timer(1.0, folder.rmdir)
    removal.start()
    assert main(["run", *options, "--json", str(folder / "summary.json")]) == 2
    removal.join()
    told = capsys.readouterr()
    assert "images in" in told.out
    assert "summary.json" in told.err


def test_a_full_disk_is_found_before_the_model_is_loaded(capsys):
    assert (
        main(["run", "--model", "synthetic", "--backend", "constant", "--json", "/dev/full"]) == 2
    )
    told = capsys.readouterr()
    assert "No space left" in told.err
    assert "loading model" not in told.err


def test_signal_handlers_are_put_back(capsys):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    domain = str(free_domain())
    options = ["--discovery", "host", "--model", "synthetic", "--backend", "constant"]
    started_s = time.monotonic()
    assert main(["run", "--domain", domain, *options, "--duration", "0.2"]) == 0
    assert time.monotonic() - started_s >= 0.2
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert "images in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("--namespace", "../x"),
        ("--image-topic", ""),
        ("--image-topic", "/a/1b"),
        ("--camera-info-topic", "a b"),
    ],
)
def test_a_wrong_name_is_refused_with_its_option_before_the_model_is_loaded(capsys, option, name):
    assert main(["run", "--model", "synthetic", "--backend", "constant", option, name]) == 2
    said = capsys.readouterr().err
    assert f"{option} " in said
    assert "is not a ROS name" in said
    assert "loading model" not in said
