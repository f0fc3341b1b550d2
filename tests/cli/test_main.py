"""The dispatcher: one line per error, the right exit codes, nothing imported too early."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest

from terrain_seg_ros import __version__
from terrain_seg_ros.cli import doctor, models
from terrain_seg_ros.cli import main as cli
from terrain_seg_ros.core.errors import ConfigError


def install(monkeypatch, run, add_arguments=lambda parser: None):
    module = types.SimpleNamespace(add_arguments=add_arguments, run=run)
    monkeypatch.setattr(cli, "load_command", lambda name: module)


def test_exit_code_of_the_command_is_returned(monkeypatch):
    install(monkeypatch, lambda arguments: 3)
    assert cli.main(["models"]) == 3


def test_arguments_reach_the_command(monkeypatch):
    seen = []
    install(
        monkeypatch,
        lambda arguments: seen.append(arguments.depth) or 0,
        lambda parser: parser.add_argument("--depth", type=int),
    )
    assert cli.main(["models", "--depth", "4"]) == 0
    assert seen == [4]


@pytest.mark.requirement("TSR-ROB-004")
def test_expected_error_is_one_line_and_exit_code_2(monkeypatch, capsys):
    def run(arguments):
        raise ConfigError("value is 7,\n  expected 0 to 1")

    install(monkeypatch, run)
    assert cli.main(["models"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "terrain-seg: error: value is 7, expected 0 to 1\n"
    assert captured.out == ""


def test_missing_file_is_one_line_and_exit_code_2(monkeypatch, capsys, tmp_path):
    missing = tmp_path / "missing.bin"
    install(monkeypatch, lambda arguments: len(missing.read_bytes()))
    assert cli.main(["models"]) == 2
    line = capsys.readouterr().err
    assert str(missing) in line
    assert line.count("\n") == 1


def test_interrupt_is_exit_code_130(monkeypatch):
    def run(arguments):
        raise KeyboardInterrupt

    install(monkeypatch, run)
    assert cli.main(["models"]) == 130


def test_a_programming_error_is_not_hidden(monkeypatch):
    install(monkeypatch, lambda arguments: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["models"])


@pytest.mark.parametrize("words", [[], ["nonsense"], ["--nonsense"], ["models", "--nonsense"]])
def test_wrong_command_line_is_exit_code_2(words, monkeypatch, capsys):
    install(monkeypatch, lambda arguments: 0)
    with pytest.raises(SystemExit) as stop:
        cli.main(words)
    assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"terrain-seg {__version__}\n"


def test_overview_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_command_has_the_shape_and_helps(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert f"usage: terrain-seg {name}" in said
    assert cli.COMMANDS[name] in " ".join(said.split())


@pytest.mark.parametrize("action", models.ACTIONS)
def test_every_action_of_models_helps(action, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["models", action, "--help"])
    assert stop.value.code == 0
    assert f"usage: terrain-seg models {action}" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--help"], ["models", "--help"]])
def test_an_overview_imports_no_numpy(words):
    code = (
        "import sys\nfrom terrain_seg_ros.cli.main import main\n"
        f"try:\n    main({words})\nexcept SystemExit:\n    pass\n"
        "sys.exit('numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_reader_that_goes_away_leaves_no_traceback():
    code = (
        "import sys, types\nfrom terrain_seg_ros.cli import main as cli\n"
        "def run(arguments):\n    print('x' * 1000000)\n    return 0\n"
        "cli.load_command = lambda name: types.SimpleNamespace(\n"
        "    add_arguments=lambda parser: None, run=run)\n"
        "sys.exit(cli.main(['models']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 141
    process.stderr.close()


def test_a_system_that_gives_no_thread_is_one_line(monkeypatch, capsys):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(doctor, "run", refuse)
    assert cli.main(["doctor"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "can't start new thread; raise the process limit (ulimit -u" in line


def test_other_errors_that_nobody_expects_keep_their_traceback(monkeypatch):
    def fail(_):
        raise RuntimeError("a defect")

    monkeypatch.setattr(doctor, "run", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        cli.main(["doctor"])
