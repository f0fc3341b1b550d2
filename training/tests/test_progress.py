"""Long loops say how far they are, and give their items unchanged."""

from __future__ import annotations

import logging

from terrain_training import progress as module
from terrain_training.progress import Progress, progress_of


def test_items_are_given_in_order_without_a_terminal(capsys):
    assert list(progress_of(["a", "b"], "inspect", unit="sample")) == ["a", "b"]
    assert capsys.readouterr().err == ""


def test_a_log_without_a_terminal_gets_a_line_now_and_then(monkeypatch, caplog):
    monkeypatch.setattr(module, "LOG_EVERY_S", -1.0)
    with caplog.at_level(logging.INFO), Progress("render", total=7, unit="picture") as progress:
        progress.add(3)
        progress.add()
    assert caplog.messages == ["render: 3 of 7 pictures", "render: 4 of 7 pictures"]


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with Progress("render", total=7, unit="picture") as progress:
        progress.add(7)
    assert "render:" in capsys.readouterr().err
