"""`--cluster` of training's commands: a local Dask cluster gives the results of this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from terrain_training.cli import main
from terrain_training.learning.run_folder import RunFolder

distributed = pytest.importorskip("distributed", reason="the extra `fleet` is not installed")
CPU = ["--accelerator", "cpu", "--threads", "1"]
SPACE = "training.learning_rate: {low: 1e-3, high: 1.0e-2, log: true}"


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def children(pid: int) -> list[str]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]


def test_worlds_are_rendered_the_same(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["render", "--count", "6", "--views", "2", "--size", "32", "--validation-share", "0.4"]
    assert main([*words, "--out", "here", "--jobs", "2"]) == 0
    assert main([*words, "--out", "there", "--cluster", cluster]) == 0
    assert len(files(Path("here"))) == 6 * 2 + 4
    assert files(Path("there")) == files(Path("here"))


def test_images_are_evaluated_the_same(cluster, trained, data, tmp_path):
    results, pages = [], []
    for number, where in enumerate(([], ["--jobs", "2"], ["--cluster", cluster])):
        out = tmp_path / str(number)
        words = ["evaluate", str(trained), "--data", str(data), "--split", "all", "--threads", "1"]
        words += ["--sharpen", "--report", str(out), "--json", str(tmp_path / f"{number}.json")]
        assert main([*words, *where]) == 0
        results.append(json.loads((tmp_path / f"{number}.json").read_text()))
        pages.append((out / "index.html").read_bytes())
    assert results[0]["images"] == 44  # two pieces
    assert results[1] == results[0] == results[2]
    assert pages[1] == pages[0] == pages[2]


def test_rows_are_compared_though_a_worker_is_lost(cluster, recipe_file, data, tmp_path, capsys):
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        f"""
rows:
  - {{recipe: {recipe_file}, name: one, data: .}}
  - {{recipe: {recipe_file}, name: broken, data: nowhere}}
"""
    )
    words = ["compare", str(plan), "--data", str(data), "--epochs", "1", *CPU, "--out"]
    assert main([*words, str(tmp_path / "here")]) == 1
    there = tmp_path / "there"
    killer = threading.Thread(target=kill_a_busy_worker, args=(cluster, there))
    killer.start()
    assert main([*words, str(there), "--cluster", cluster]) == 1
    killer.join()
    assert capsys.readouterr().out.count("broken failed: ") == 2
    rows = [json.loads((out / "comparison.json").read_text()) for out in (tmp_path / "here", there)]
    for made in (row for several in rows for row in several):
        made.pop("milliseconds")
        for epoch in made.get("history", ()):
            epoch.pop("seconds", None)
    assert [row["name"] for row in rows[1]] == ["one", "broken"]
    assert without_places(rows[1], there) == without_places(rows[0], tmp_path / "here")


def without_places(rows, out: Path):
    return json.loads(json.dumps(rows).replace(str(out), "OUT"))


def kill_a_busy_worker(address: str, out: Path) -> None:
    """Kill a worker whose process trains, as soon as the run `one` has a recipe."""
    with distributed.Client(address, set_as_default=False) as client:
        workers = client.run(os.getpid).values()
    while not (out / "one" / "recipe.yaml").exists():
        time.sleep(0.01)
    os.kill(next(pid for pid in workers if children(pid)), signal.SIGKILL)


def test_workers_search_together_and_name_no_shared_file(
    cluster, recipe_file, data, tmp_path, capsys
):
    space = tmp_path / "space.yaml"
    space.write_text(SPACE)
    out = tmp_path / "out"
    words = ["tune", recipe_file, "--data", data, "--space", space, "--out", out, "--trials", "3"]
    words = [*map(str, words), *CPU, "--epochs", "1", "--cluster", cluster]
    file = tmp_path / "study.db"
    assert main([*words, "--storage", f"sqlite:///{file}"]) == 2
    assert not file.exists()
    assert "give --journal FILE in a folder that all of them see" in capsys.readouterr().err
    assert main(words) == 0
    assert "3 finished, 0 cut short" in capsys.readouterr().out
    rates = {
        RunFolder(out / f"trial_{number:04d}").recipe().training.learning_rate
        for number in range(3)
    }
    assert len(rates) == 3
    assert re.search(r"^# Trial \d: ", (out / "best.yaml").read_text())
