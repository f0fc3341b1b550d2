"""Every `terrain-train` command that is published parses, and those of the way to a model run."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from safetensors.torch import load_file

from terrain_training.cli import COMMANDS, command_parser, load_command, main

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs/reference"  # help texts, which name commands in part
PAGES = [
    ROOT / "README.md",
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.parent != GENERATED),
    ROOT / "training/README.md",
]
SMALL = (
    "--accelerator cpu --threads 1 --set data.height_px=64 --set data.width_px=64 "
    "--set training.batch_size=4 --set training.precision=fp32 --set training.learning_rate=0.01"
)
ORDER = ["download", "inspect", "train", "evaluate", "export", "evaluate"]


def blocks(text: str, kind: str = "") -> list[str]:
    """Return the fenced blocks of a page."""
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def published(path: Path) -> list[list[str]]:
    """Return the words of every command of a page: lines of blocks, and code with arguments."""
    text = path.read_text("utf-8")
    lines = "\n".join(blocks(text, "[a-z]*")).replace("\\\n", " ").splitlines()
    inline = re.findall(r"`([^`]*terrain-train [^`]*)`", re.sub(r"```.*?```", "", text, flags=re.S))
    found = []
    for line in [*lines, *(" ".join(code.split()) for code in inline)]:
        match = re.match(r"(?:\$ )?(?:\S*/)?terrain-train (.*)", line.strip())
        if match and match[1].split()[0] in COMMANDS:
            found.append(shlex.split(match[1], comments=True))
    return found


ALL = [(path.name, words) for path in PAGES for words in published(path)]


def test_every_command_is_published():
    assert {words[0] for _, words in ALL} >= {
        "download", "inspect", "train", "evaluate", "export", "compare", "render",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("page", "words"), ALL, ids=[f"{page} {' '.join(words)}" for page, words in ALL]
)
def test_every_published_command_parses(page, words, capsys):
    parser = command_parser(words[0], load_command(words[0]))
    try:
        parser.parse_args(words[1:])
    except SystemExit:
        error = capsys.readouterr().err
        # In running text a command stands without what is not spoken of; nothing else may be wrong.
        inline = words in [w for _, w in ALL if len(w) < 4 or "--data" not in w]
        assert inline, error
        assert "the following arguments are required" in error, error


def test_the_six_commands_lead_from_data_to_a_model(data, tmp_path, monkeypatch, capsys):
    block = next(
        text
        for text in blocks((ROOT / "training/README.md").read_text("utf-8"))
        if "terrain-train download" in text
    )
    archive = shutil.make_archive(str(tmp_path / "archive"), "zip", data)
    (tmp_path / "training").symlink_to(ROOT / "training")
    monkeypatch.chdir(tmp_path)
    lines = [line.removeprefix("terrain-train ") for line in block.splitlines()]
    assert [line.split()[0] for line in lines] == ORDER
    download, inspect, train, evaluate, export, again = lines
    run_line(download.replace("SOURCE", archive), capsys)
    run_line(inspect, capsys)
    for epochs in (2, 8, 32):  # until this host's network tells classes apart
        shutil.rmtree("out/run", ignore_errors=True)
        run_line(f"{train} {SMALL} --set training.epochs={epochs}", capsys)
        run_line(f"{evaluate} --resamples 10", capsys)
        if main(shlex.split(f"{export} --hdf5")) == 0:
            break
        assert "one class only" in capsys.readouterr().err
    run_line(f"{again} --resamples 10", capsys)
    check_weights(tmp_path, monkeypatch, capsys)


def run_line(line, capsys):
    assert main(shlex.split(line)) == 0, f"{line}: {capsys.readouterr().err[-2000:]}"
    capsys.readouterr()


def check_weights(root, monkeypatch, capsys):
    """Read weights.h5 as the page says, and score it where the export wrote it."""
    words = ["evaluate", "out/mars_navcam/weights.h5", "--data", "data/ai4mars"]
    assert main([*words, "--resamples", "10"]) == 0
    assert "mars_navcam (weights.h5), torch fp32" in capsys.readouterr().out
    code = next(
        text
        for text in blocks((ROOT / "training/README.md").read_text("utf-8"), "python")
        if "h5py" in text
    )
    assert len([line for line in code.splitlines() if line]) == 3
    monkeypatch.chdir(root / "out" / "mars_navcam")
    told: dict[str, dict[str, np.ndarray]] = {}
    exec(code, told)
    kept = load_file(root / "out" / "run" / "best.safetensors")
    assert set(told["weights"]) == {name.replace(".", "/") for name in kept}
    for name, value in kept.items():
        np.testing.assert_array_equal(told["weights"][name.replace(".", "/")], value)
    assert h5py.is_hdf5("weights.h5")
