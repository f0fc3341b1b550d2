"""Independent pieces of work in processes of this machine."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from support import fleet_work
from support.clusters import path_of_tests
from support.fleet_work import Numbered
from terrain_seg_ros.core.errors import GeometryError
from terrain_seg_ros.fleet.child import PieceError
from terrain_seg_ros.fleet.pieces import Place, run_pieces

PLACES = {
    "in this process": Place(jobs=1),
    "in two processes": Place(jobs=2),
    "in a process each": Place(jobs=2, own_process=True),
}
SQUARES = [number**2 for number in range(6)]


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", path_of_tests())


def run(function, place, folder):
    pieces = [Numbered(number, folder) for number in range(6)]
    outcomes = list(run_pieces(function, pieces, place, say=pytest.fail))
    return sorted(outcomes, key=lambda outcome: outcome.index)


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_every_place_gives_the_same_results_by_index(tmp_path, place):
    assert [outcome.get() for outcome in run(fleet_work.square, place, tmp_path)] == SQUARES


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
def test_a_piece_that_fails_says_why_and_the_others_go_on(tmp_path, place):
    outcomes = run(fleet_work.square_all_but_three, place, tmp_path)
    assert [outcome.index for outcome in outcomes if outcome.error is None] == [0, 1, 2, 4, 5]
    with pytest.raises(GeometryError, match="3 has no square"):
        outcomes[3].get()


def test_no_pieces_have_no_outcomes():
    for place in PLACES.values():
        assert list(run_pieces(fleet_work.square, [], place, say=pytest.fail)) == []


def test_pieces_of_a_process_that_was_killed_run_again(tmp_path):
    outcomes = run(fleet_work.lose_process_once, Place(jobs=2), tmp_path)
    assert (tmp_path / "lost").exists()
    assert [outcome.get() for outcome in outcomes] == SQUARES


def test_processes_that_are_killed_again_and_again_are_named(tmp_path):
    with pytest.raises(PieceError, match=r"killed 3 times with 6 of 6 pieces left.*--jobs"):
        run(fleet_work.lose_process, Place(jobs=2), tmp_path)


def test_a_single_piece_that_kills_its_process_leaves_the_command_alone(tmp_path):
    place = Place(jobs=2)
    with pytest.raises(PieceError, match="killed 3 times with 1 of 1 pieces left"):
        list(run_pieces(fleet_work.lose_process, [Numbered(3, tmp_path)], place, say=pytest.fail))


def test_a_piece_in_its_own_process_crashes_alone(tmp_path):
    outcomes = run(fleet_work.crash_at_three, Place(jobs=2, own_process=True), tmp_path)
    assert [outcome.index for outcome in outcomes if outcome.error is None] == [0, 1, 2, 4, 5]
    assert "-11" in str(outcomes[3].error)


@pytest.mark.parametrize("own_process", [False, True])
def test_a_caller_that_stops_early_leaves_no_process(tmp_path, own_process):
    pieces = [Numbered(number, tmp_path) for number in (3, 1)]
    place = Place(jobs=2, own_process=own_process)
    with closing(run_pieces(fleet_work.wait_at_three, pieces, place, say=pytest.fail)) as outcomes:
        assert next(outcomes).get() == 1
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
    assert (tmp_path / "cleaned").exists() == own_process
