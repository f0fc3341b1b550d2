"""Bags, worlds and images on a local Dask cluster give the results of this machine."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from distributed import Client

from support.bags import drive, write_bag
from support.clusters import cluster, path_of_tests
from support.tiny_model import write_tiny_model
from terrain_seg_ros.cli.main import main

MEASURED = ("cpu_s", "latency_ms", "date", "machine")
"""Keys of results that differ from run to run."""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", path_of_tests())
        with cluster(tmp_path_factory.mktemp("cluster")) as started:
            yield started


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = write_tiny_model(tmp_path_factory.mktemp("models") / "tiny", size=(64, 96))
    return ["--model", str(folder), "--backend", "onnxruntime"]


def result(folder: Path, *words, code=0):
    """Return what a command writes as JSON, without what was measured."""
    path = folder / "result.json"
    assert main([*map(str, words), "--json", str(path)]) == code
    return without_measured(json.loads(path.read_text()))


def without_measured(value):
    if not isinstance(value, dict):
        return value
    return {key: without_measured(item) for key, item in value.items() if key not in MEASURED}


def children(pid: int) -> list[str]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [child for task in tasks for child in task.read_text().split()]


def kill_a_busy_worker(address: str, target: Path, killed: list[int]) -> None:
    """Wait until a bag is being written, then kill a worker whose process writes one."""
    with Client(address, set_as_default=False) as client:
        workers = client.run(os.getpid).values()
    while not list(target.glob(".bag-*")):
        time.sleep(0.01)
    busy = [pid for pid in workers if children(pid)]
    os.kill(busy[0], signal.SIGKILL)
    killed.append(busy[0])


def test_bags_are_replayed_though_a_worker_is_lost_and_a_bag_is_bad(
    address, model, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b", "c"):
        write_bag(tmp_path / name, drive(25))
    (tmp_path / "bad.mcap").write_bytes(b"\x89MCAP0\r\n" + bytes(100))
    words = ["replay", "a", "b", "bad.mcap", "c"]
    here = result(tmp_path, *words, "here", *model, code=2)
    killed = []
    killer = threading.Thread(target=kill_a_busy_worker, args=(address, Path("there"), killed))
    killer.start()
    there = result(tmp_path, *words, "there", *model, "--cluster", address, code=2)
    killer.join()
    assert len(killed) == 1
    assert there == here
    assert [name for name, scores in there["bags"].items() if scores is None] == ["bad.mcap"]
    printed, said = capfd.readouterr()
    assert re.search(r"^cost: \d+\.\d core seconds per bag .* 1,000 such bags take", printed, re.M)
    assert f"terrain-seg: 2 workers at {address}, dashboard http://" in said
    assert said.count("terrain-seg: bad.mcap: ") == 2
    assert sorted(path.name for path in Path("there").iterdir()) == ["a", "b", "c"]


def test_worlds_score_the_same(address, tmp_path):
    words = ["score", "--worlds", "2", "--views", "2", "--pictures"]
    here = result(tmp_path, *words, tmp_path / "here", "--jobs", "2")
    there = result(tmp_path, *words, tmp_path / "there", "--cluster", address)
    assert there == here
    pictures = [sorted((tmp_path / place).iterdir()) for place in ("here", "there")]
    assert len(pictures[1]) == 2
    assert [path.read_bytes() for path in pictures[0]] == [
        path.read_bytes() for path in pictures[1]
    ]


@pytest.fixture
def labelled(tmp_path):
    """Return options of 120 images and masks."""
    random = np.random.default_rng(0)
    for name, levels in (("images", 256), ("masks", 4)):
        (tmp_path / name).mkdir()
        for number in range(120):
            pixels = random.integers(0, levels, (64, 96), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{number}.png"), pixels)
    return ["--images", tmp_path / "images", "--masks", tmp_path / "masks"]


def test_images_are_evaluated_the_same(address, model, labelled, tmp_path):
    words = ["evaluate", *labelled, *model]
    alone = result(tmp_path, *words)
    assert alone["images"] == 120
    assert result(tmp_path, *words, "--jobs", "2") == alone
    assert result(tmp_path, *words, "--cluster", address) == alone


@pytest.mark.parametrize("where", ["--jobs", "--cluster"])
def test_16_bit_images_need_their_range_where_processes_share_them(
    address, model, labelled, tmp_path, capsys, where
):
    for path in (tmp_path / "images").iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.uint16) * 16)
    words = ["evaluate", *map(str, labelled), *model, where, "2" if where == "--jobs" else address]
    assert main(words) == 2
    assert "--image-bits is 0, but the images have 16 bits" in capsys.readouterr().err
    assert main([*words, "--image-bits", "12"]) == 0


def test_one_bag_needs_no_cluster(model, tmp_path, capsys):
    write_bag(tmp_path / "a", drive(1))
    words = [str(tmp_path / "a"), str(tmp_path / "out"), "--cluster", "tcp://127.0.0.1:1"]
    assert main(["replay", *words, *model]) == 2
    assert "--cluster distributes several bags, but one is given" in capsys.readouterr().err
