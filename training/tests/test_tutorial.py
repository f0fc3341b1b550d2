"""The tutorial on one's own images runs as it is printed, at a small size."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import terrain_seg_ros.cli.main
from terrain_training.cli import main

PAGE = Path(__file__).parents[2] / "docs/tutorials/train_your_images.md"
SMALLER = {
    "--count 150": "--count 20 --views 2 --size 64 --jobs 1",
    "--epochs 12": "--epochs {epochs} --size 64 --batch 4 --lr 0.01 --accelerator cpu --threads 1 "
    "--set training.precision=fp32",
    "--report out/evaluation": "--report out/evaluation --resamples 10",
}
PROGRAMS = {"terrain-train": main, "terrain-seg": terrain_seg_ros.cli.main.main}


def blocks() -> list[tuple[str, str]]:
    """Return kind and text of the fenced blocks, in order."""
    text = PAGE.read_text("utf-8")
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def run_line(line: str, epochs: int) -> int:
    for published, smaller in SMALLER.items():
        line = line.replace(published, smaller.format(epochs=epochs))
    program, *words = shlex.split(line)
    expanded = []
    for word in words:
        expanded += sorted(map(str, Path().glob(word))) if "*" in word else [word]
    return PROGRAMS[program](expanded)


def test_every_block_of_the_tutorial_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    lines = [text.strip() for kind, text in blocks() if kind == "bash"]
    assert [line.split()[1] for line in lines] == [
        "render", "init", "train", "evaluate", "export", "segment",
    ]  # fmt: skip
    render, init, train, evaluate, export, segment = lines
    foreign, look = [text for kind, text in blocks() if kind == "python"]
    assert run_line(render, 0) == 0
    exec(foreign, {})
    capsys.readouterr()
    assert run_line(init, 0) == 0
    said = capsys.readouterr().out
    for line in ("found     masks hold 6 colours", "recipe    mine.yaml: check names and hazards"):
        assert line in said
        assert line in PAGE.read_text("utf-8")
    assert train.startswith(said.splitlines()[-1].removeprefix("next").strip())
    for number, epochs in enumerate((3, 9, 27), start=1):  # until it tells classes apart
        folder = f"runs/mine-{number}"
        assert run_line(train, epochs) == 0
        assert run_line(evaluate.replace("runs/mine-1", folder), 0) == 0
        if run_line(export.replace("runs/mine-1", folder), 0) == 0:
            break
        assert "one class only" in capsys.readouterr().err
    exec(look, {})
    assert Path("overlay.png").is_file()
    assert Path("out/evaluation/index.html").is_file()
    assert run_line(segment, 0) == 0
    assert len(list(Path("out/photos").glob("*"))) >= 3


def test_the_pictures_of_the_tutorial_are_small():
    pictures = re.findall(r"\]\((train_\w+\.jpg)\)", PAGE.read_text("utf-8"))
    assert len(pictures) == 3
    for name in pictures:
        assert (PAGE.parent / name).stat().st_size <= 150_000
