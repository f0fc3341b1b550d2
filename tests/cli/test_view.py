"""`terrain-seg view`: what it cannot do is said in one line with the remedy."""

from __future__ import annotations

import builtins
import sys

import pytest

from support.bags import drive, write_bag
from terrain_seg_ros.cli.main import main


def test_without_viser_the_extra_is_named(monkeypatch, capsys):
    real = builtins.__import__

    def lacking(name, *arguments, **more):
        if name.partition(".")[0] == "viser":
            raise ImportError("No module named 'viser'")
        return real(name, *arguments, **more)

    for name in [n for n in sys.modules if n.startswith("terrain_seg_ros.view.page")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", lacking)
    assert main(["view", "some_bag"]) == 2
    assert "pip install 'terrain-seg-ros[view]'" in capsys.readouterr().err


def test_a_bag_without_the_node_is_refused(tmp_path, capsys):
    pytest.importorskip("viser", reason="viser is not installed")
    plain = write_bag(tmp_path / "plain", drive())
    assert main(["view", str(plain), "--no-browser", "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert "run `terrain-seg replay" in error
    assert len(error.strip().splitlines()) == 1


def test_an_impossible_port_is_refused(capsys):
    pytest.importorskip("viser", reason="viser is not installed")
    assert main(["view", "--port", "70000"]) == 2
    assert "expected 0 to 65535" in capsys.readouterr().err
