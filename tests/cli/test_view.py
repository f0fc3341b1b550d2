"""`terrain-seg view`: what it cannot do is said in one line with the remedy."""

from __future__ import annotations

import builtins
import socket
import sys
import webbrowser

import pytest

from support.bags import drive, write_bag
from support.recorded_run import run
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.cli.view import open_browser


@pytest.fixture
def without_viser(monkeypatch):
    real = builtins.__import__

    def lacking(name, *arguments, **more):
        if name.partition(".")[0] == "viser":
            raise ImportError("No module named 'viser'")
        return real(name, *arguments, **more)

    for name in [n for n in sys.modules if n.startswith("terrain_seg_ros.view.page")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", lacking)


@pytest.mark.usefixtures("without_viser")
@pytest.mark.parametrize("words", [["view", "some_bag"], ["demo", "--view"]])
def test_without_viser_the_command_that_installs_it_is_named(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "`pip install 'viser>=1.1,<1.2'` or, in a checkout, `.venv/bin/pip install" in error
    assert len(error.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


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


def test_a_port_in_use_is_refused_with_the_remedy(tmp_path, capsys):
    pytest.importorskip("viser", reason="viser is not installed")
    bag = write_bag(tmp_path / "run", run(2))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["view", str(bag), "--no-browser", "--port", str(port)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"port {port} on 127.0.0.1 cannot be used" in error
    assert "give another --port" in error


def test_a_machine_without_a_display_or_browser_is_told_to_open_the_address(monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    open_browser("http://localhost:1/")
    assert "there is no display here: open the address in a browser of yours" in (
        capsys.readouterr().err
    )
    monkeypatch.setenv("DISPLAY", ":77")
    monkeypatch.setattr(webbrowser, "_tryorder", [])
    open_browser("http://localhost:1/")
    assert "no browser was found" in capsys.readouterr().err


def test_a_bag_is_served_until_the_duration_is_over(tmp_path, capsys):
    pytest.importorskip("viser", reason="viser is not installed")
    bag = write_bag(tmp_path / "run", run(2))
    words = ["view", str(bag), "--no-browser", "--port", "0", "--duration", "0.5"]
    assert main(words) == 0
    error = capsys.readouterr().err
    assert "not in this bag: /terrain/hazard_grid_updates" in error
    assert "page at http://localhost:" in error


def test_an_empty_name_is_not_the_current_folder(capsys):
    assert main(["view", ""]) == 2
    assert "which is empty" in capsys.readouterr().err
