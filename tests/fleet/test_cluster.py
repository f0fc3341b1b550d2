"""Independent pieces of work on a Dask cluster of two workers, real processes on loopback."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import distributed
import pytest

from support import fleet_work
from support.clusters import certificate, cluster, path_of_tests, secured, worker
from support.fleet_work import Numbered
from support.without_packages import without_packages
from terrain_seg_ros.core.errors import ConfigError, GeometryError
from terrain_seg_ros.fleet import cluster as cluster_module
from terrain_seg_ros.fleet.child import PieceError
from terrain_seg_ros.fleet.pieces import Place, run_pieces

SQUARES = [number**2 for number in range(6)]


@pytest.fixture(scope="module")
def importable():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path_of_tests())
        yield


@pytest.fixture(scope="module")
def address(importable, tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("cluster")) as started:
        yield started


@pytest.fixture(scope="module")
def without_workers(importable, tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("empty"), workers=0) as started:
        yield started


def run(function, place, folder, say=lambda _: None):
    pieces = [Numbered(number, folder) for number in range(6)]
    outcomes = list(run_pieces(function, pieces, place, say=say))
    return sorted(outcomes, key=lambda outcome: outcome.index)


def refusal(address, folder, **place) -> str:
    with pytest.raises(ConfigError) as caught:
        run(fleet_work.square, Place(cluster=address, **place), folder)
    return str(caught.value)


def wait_for_end(pid: int) -> None:
    """Wait until a process has ended, though nobody may have fetched its exit code; else hang."""
    status = Path(f"/proc/{pid}/stat")
    while status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z":
        time.sleep(0.05)


@pytest.mark.parametrize("own_process", [False, True])
def test_a_cluster_gives_the_results_of_this_machine_and_names_its_dashboard(
    address, tmp_path, own_process
):
    said = []
    place = Place(cluster=address, own_process=own_process, writes=tmp_path, reads=(tmp_path,))
    outcomes = run(fleet_work.square_all_but_three, place, tmp_path, said.append)
    here = run(fleet_work.square_all_but_three, Place(jobs=1), tmp_path)
    assert [outcome.result for outcome in outcomes] == [outcome.result for outcome in here]
    with pytest.raises(GeometryError, match="3 has no square"):
        outcomes[3].get()
    assert len(said) == 1
    assert said[0].startswith(f"2 workers at {address}, dashboard http://127.0.0.1:")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("function", "own_process"),
    [(fleet_work.lose_process_once, False), (fleet_work.lose_parent_once, True)],
)
def test_the_piece_of_a_worker_that_was_killed_runs_again(address, tmp_path, function, own_process):
    place = Place(cluster=address, own_process=own_process, writes=tmp_path)
    outcomes = run(function, place, tmp_path)
    assert [outcome.get() for outcome in outcomes] == SQUARES
    if own_process:  # Its process ends with the worker.
        wait_for_end(int((tmp_path / "lost").read_text()))


def test_a_piece_that_kills_every_worker_is_named_and_the_others_go_on(address, tmp_path):
    pieces = [Numbered(3, tmp_path)]
    place = Place(cluster=address)
    (outcome,) = run_pieces(fleet_work.lose_process, pieces, place, say=lambda _: None)
    with pytest.raises(PieceError, match=r"4 workers ended while they ran piece 1, .* memory"):
        outcome.get()
    assert [item.get() for item in run(fleet_work.square, place, tmp_path)] == SQUARES


def test_a_caller_that_stops_early_ends_the_processes_of_workers(address, tmp_path):
    pieces = [Numbered(number, tmp_path) for number in (3, 1)]
    place = Place(cluster=address, own_process=True, writes=tmp_path)
    outcomes = run_pieces(fleet_work.wait_at_three, pieces, place, say=lambda _: None)
    with closing(outcomes):
        assert next(outcomes).get() == 1
    wait_for_end(int((tmp_path / "pid").read_text()))
    assert (tmp_path / "cleaned").exists()
    assert not list(tmp_path.glob(".fleet_*"))


def test_a_folder_that_a_worker_does_not_see_is_named(address, tmp_path):
    text = refusal(address, tmp_path, reads=(tmp_path / "nowhere",))
    assert f"does not see '{tmp_path}/nowhere'; put it into a folder that all machines" in text


def test_an_address_where_nothing_answers_is_named_after_a_bounded_wait(tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "CONNECT_S", 0.5)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # not listening
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        text = refusal(address, tmp_path)
    assert text.startswith(f"--cluster {address}: no Dask scheduler answers there (Timed out")
    assert "start `dask scheduler`" in text


@pytest.mark.parametrize("address", ["carrier-pigeon://coop", "tls://127.0.0.1:1", "", "nonsense"])
def test_an_address_that_is_none_is_refused(tmp_path, monkeypatch, address):
    monkeypatch.setattr(cluster_module, "CONNECT_S", 0.5)
    assert refusal(address, tmp_path).startswith(f"--cluster {address}: no Dask scheduler answers")


def test_a_connection_whose_thread_starts_too_late_is_tried_again(address, tmp_path, monkeypatch):
    """A machine that stands still for 10 s makes Dask's client raise AssertionError."""
    runner = distributed.utils.LoopRunner
    start, failures = runner._start_unlocked, [AssertionError()]

    def late(self):
        if failures:
            raise failures.pop()
        start(self)

    monkeypatch.setattr(runner, "_start_unlocked", late)
    outcomes = run(fleet_work.square, Place(cluster=address), tmp_path)
    assert [outcome.get() for outcome in outcomes] == SQUARES
    assert not failures


def test_a_scheduler_without_workers_is_named(without_workers, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster_module, "WORKERS_S", 0.5)
    text = refusal(without_workers, tmp_path)
    assert text == (
        f"the scheduler at {without_workers} has no workers; start some: dask worker "
        f"{without_workers} --nworkers auto --nthreads 1"
    )


def test_a_worker_of_another_version_is_refused(without_workers, tmp_path):
    information = tmp_path / "old" / "terrain_seg_ros-0.0.1.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Name: terrain_seg_ros\nVersion: 0.0.1\n")
    path = os.pathsep.join([str(tmp_path / "old"), path_of_tests()])
    with worker(without_workers, tmp_path, {"PYTHONPATH": path}):
        text = refusal(without_workers, tmp_path)
    assert text.startswith("worker tcp://127.0.0.1:")
    assert "has terrain_seg_ros 0.0.1, but the command runs with" in text


def test_a_worker_of_another_version_that_joins_later_runs_no_piece(tmp_path):
    other = {"Python": "2.7", **dict.fromkeys(cluster_module.SAME_VERSIONS)}
    piece = Numbered(3, tmp_path)
    outcome = cluster_module._attempt_here(other, fleet_work.lose_process, 7, piece, None)
    assert outcome.index == 7
    with pytest.raises(ConfigError, match=r"a worker that joined later has Python 3\..* 2\.7"):
        outcome.get()


def test_a_worker_that_takes_several_pieces_at_once_is_refused(importable, tmp_path):
    with cluster(tmp_path, workers=1, threads=2) as address:
        text = refusal(address, tmp_path)
    assert "runs 2 pieces at once in one process" in text
    assert text.endswith("start it with --nworkers auto --nthreads 1")


def test_dasks_own_configuration_of_tls_is_used(importable, tmp_path, monkeypatch):
    files = certificate(tmp_path)
    sides = {
        side: {"cert": files["cert"], "key": files["key"]}
        for side in ("scheduler", "worker", "client")
    }
    tls = {"ca-file": files["cert"], **sides}
    (tmp_path / "security.yaml").write_text(
        json.dumps({"distributed": {"comm": {"require-encryption": True, "tls": tls}}})
    )
    monkeypatch.setenv("DASK_CONFIG", str(tmp_path))
    with secured(tmp_path) as address:
        # The configuration is read at the import: each way in a process of its own.
        assert square_on(address) == "9"
        monkeypatch.delenv("DASK_CONFIG")
        assert f"--cluster {address}: no Dask scheduler answers there" in square_on(address)


SQUARE = """
import sys
from pathlib import Path
from support.fleet_work import Numbered, square
from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.fleet.pieces import Place, run_pieces
pieces = [Numbered(3, Path("."))]
try:
    (outcome,) = run_pieces(square, pieces, Place(cluster=sys.argv[1]), say=lambda _: None)
    print(outcome.get())
except ConfigError as error:
    print(error)
"""


def square_on(address: str) -> str:
    words = [sys.executable, "-c", SQUARE, address]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def test_a_scheduler_that_is_lost_ends_the_command(importable, tmp_path):
    pieces = [Numbered(number, tmp_path) for number in (3, 1)]
    with cluster(tmp_path / "cluster") as address:
        place = Place(cluster=address, own_process=True, writes=tmp_path)
        outcomes = run_pieces(fleet_work.wait_at_three, pieces, place, say=lambda _: None)
        assert next(outcomes).get() == 1
    with pytest.raises(ConfigError, match=f"the scheduler at {address} was lost"):
        next(outcomes)


def test_without_dask_the_command_to_install_it_is_named(tmp_path):
    blocked = without_packages(tmp_path, ["distributed"])
    words = ["score", "--worlds", "1", "--cluster", "tcp://127.0.0.1:1"]
    done = subprocess.run(
        [sys.executable, "-m", "terrain_seg_ros.cli.main", *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([blocked, path_of_tests()])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(lines) == 1
    assert lines[0].startswith("terrain-seg: error: --cluster needs Dask, which is not installed")
    assert "pip install 'bokeh>=3.4,<4' 'dask>=2024.8,<2027' 'distributed" in lines[0]
