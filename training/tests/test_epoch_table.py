"""A run shows a row for each epoch, in columns, and where it goes on."""

from __future__ import annotations

import logging

import pytest

from terrain_training.learning.epoch_table import EpochTable
from terrain_training.progress import PLAIN, PlainOrTimed


def row(epoch, **changes):
    return {
        "epoch": epoch,
        "train_loss": 1.0 / epoch,
        "validation_loss": 1.25,
        "mean_iou": 0.5,
        "iou": {"soil": 0.9, "big_rock": 0.0625, "sand": None},
        "learning_rate": 5.0e-4,
        "seconds": 12.0,
        **changes,
    }


@pytest.fixture
def table(caplog):
    caplog.set_level(logging.INFO)
    names = ["soil", "big_rock", "sand"]

    def make(**changes):
        given = {"epochs": 20, "classes": names, "epochs_now": None} | changes
        return EpochTable(**given)

    return make


def columns(line):
    return line.split()


def test_a_row_has_everything_that_one_looks_for(table, caplog):
    shown = table()
    shown.begin(done=0)
    shown.add(row(1), best=True)
    head, first = caplog.messages
    wanted = "epoch  train loss  val. loss  mean IoU  worst class and IoU  rate  time  left"
    assert columns(head) == wanted.split()
    wanted = "1/20  1.0000  1.2500  0.5000  big_rock 0.0625  5.0e-04  12.0 s  3:48  best"
    assert columns(first) == wanted.split()


def test_columns_are_below_their_heads_whatever_stands_in_them(table, caplog):
    shown = table(classes=["soil", "a_class_with_a_very_long_name"], epochs=2000)
    shown.begin(done=0)
    shown.add(row(1, iou={"soil": 0.9}), best=True)
    long = {"a_class_with_a_very_long_name": 1.0}
    shown.add(row(1999, train_loss=None, iou=long, seconds=7205.4), best=False)
    head, first, second = caplog.messages
    assert len(head) == len(second) == len(first.removesuffix("  best"))
    assert "a_class_with_a_v 1.0000" in second
    assert columns(second)[1] == "-"


def test_only_the_best_so_far_is_marked(table, caplog):
    shown = table()
    shown.add(row(1), best=True)
    shown.add(row(2), best=False)
    assert [line.endswith("best") for line in caplog.messages] == [True, False]


def test_the_time_left_is_that_of_this_call(table, caplog):
    shown = table(epochs_now=3)
    shown.begin(done=3)
    shown.add(row(4, seconds=10.0), best=False)
    shown.add(row(5, seconds=20.0), best=False)
    shown.add(row(6, seconds=3700.0), best=False)
    assert caplog.messages[0] == "going on after epoch 3 of 20"
    left = [columns(line)[-2:] for line in caplog.messages[2:]]
    assert left == [["20.0", "s"], ["15.0", "s"], ["1:01:40", "-"]]


def test_a_stop_beyond_the_last_epoch_ends_there(table, caplog):
    shown = table(epochs=5, epochs_now=10)
    shown.begin(done=4)
    shown.add(row(5), best=False)
    assert columns(caplog.messages[-1])[-1] == "-"


def test_rows_are_shown_without_a_time_and_other_lines_with_one():
    shown = PlainOrTimed()
    plain, timed = (
        logging.makeLogRecord({"msg": "%s", "args": ("text",), **extra}) for extra in (PLAIN, {})
    )
    assert shown.format(plain) == "text"
    assert shown.format(timed).endswith(" text")
    assert shown.format(timed)[:2].isdigit()
