"""`terrain-seg downlink` as users call it: over a replayed bag, and over a radio's file."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import yaml

from support.bags import drive, read_bag, stamp_of, text, write_bag
from terrain_seg_ros.bag.replay import replay
from terrain_seg_ros.cli.main import main
from terrain_seg_ros.messages.downlink_message import decode_downlink
from terrain_seg_ros.messages.grid_message import decode_grid
from terrain_seg_ros.parameters.parameters import load_parameters

TOPIC = "/terrain/downlink"


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    """Return a replayed drive of twelve seconds with its downlink."""
    folder = tmp_path_factory.mktemp("bags")
    parameters = load_parameters(
        overrides={
            "model": "synthetic",
            "backend": "constant",
            "grid.size_m": 20.0,
            "watchdog.stale_after_s": 0.0,
            "downlink.budget_bytes_per_min": 200_000,
        }
    )
    replay(write_bag(folder / "in", drive(120)), folder / "out", parameters)
    return folder / "out"


def radio(bag):
    return [bytes(entry.message.data) for entry in read_bag(bag, only=(TOPIC,))[TOPIC]]


def decoded(*words):
    return main(["downlink", *map(str, words)])


def test_a_replayed_bag_gives_the_map_of_its_last_packet(bag, tmp_path, capsys):
    assert decoded(bag, "--out", tmp_path / "got") == 0
    last = decode_downlink(read_bag(bag, only=(TOPIC,))[TOPIC][-1].message)
    grids = read_bag(bag, only=("/terrain/hazard_grid",))["/terrain/hazard_grid"]
    (truth,) = [decode_grid(e.message) for e in grids if stamp_of(e) == last.stamp_ns]
    with np.load(tmp_path / "got/map.npz", allow_pickle=False) as arrays:
        assert ((arrays["cost"] == -1) == (truth.values == -1)).all()
        assert ((arrays["cost"] == 100) == (truth.values == 100)).all()
        assert (arrays["cost"] >= truth.values).all()
        assert float(arrays["origin_x_m"]) == pytest.approx(truth.origin_x_m)
    assert "0 lost" in capsys.readouterr().out
    told = json.loads((tmp_path / "got/summary.json").read_text())
    assert told["health"]["level"] in {"ok", "warn"}
    assert told["grid"]["frame_id"] == "odom"
    assert told["gaps"] == []
    assert cv2.imread(str(tmp_path / "got/thumbnail.png")).shape[1] == 64


def test_the_map_is_what_map_server_reads(bag, tmp_path):
    decoded(bag, "--out", tmp_path / "got")
    level = cv2.imread(str(tmp_path / "got/map.pgm"), cv2.IMREAD_UNCHANGED)
    about = yaml.safe_load((tmp_path / "got/map.yaml").read_text())
    with np.load(tmp_path / "got/map.npz", allow_pickle=False) as arrays:
        cost = arrays["cost"][::-1]
    occupancy = (255.0 - level) / 255.0
    occupied = occupancy > about["occupied_thresh"]
    free = occupancy < about["free_thresh"]
    assert (occupied == (cost == 100)).all()
    assert (free == ((cost >= 0) & (cost < 100))).all()
    assert free.any()
    assert not free.all()
    assert about["image"] == "map.pgm"
    assert (about["mode"], about["negate"]) == ("trinary", 0)


def test_packets_in_a_file_with_noise_between_them_are_found_and_gaps_named(bag, tmp_path, capsys):
    packets = radio(bag)
    assert len(packets) > 3
    file = tmp_path / "pass_1.bin"
    file.write_bytes(b"noise" + packets[0] + b"TSDL?" + b"".join(packets[2:]))
    assert decoded(file, "--out", tmp_path / "got") == 0
    said = capsys.readouterr()
    assert "packets 1 to 1 are missing" in said.err
    assert "1 lost" in said.out
    assert json.loads((tmp_path / "got/summary.json").read_text())["damaged"] == 1


def test_results_may_be_written_again_but_nothing_else_is_overwritten(bag, tmp_path, capsys):
    assert decoded(bag, "--out", tmp_path / "got") == 0
    assert decoded(bag, "--out", tmp_path / "got") == 0
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    assert decoded(bag, "--out", tmp_path / "mine") == 2
    assert "notes.txt" in capsys.readouterr().err


def test_what_has_no_packets_is_refused_with_the_remedy(bag, tmp_path, capsys):
    plain = write_bag(tmp_path / "plain", [text(0)])
    (tmp_path / "other.bin").write_bytes(b"nothing of ours")
    (tmp_path / "cut.bin").write_bytes(radio(bag)[0][:-9])
    for source, said in (
        (plain, "downlink.budget_bytes_per_min"),
        (tmp_path / "other.bin", "neither a bag nor"),
        (tmp_path / "cut.bin", "no downlink packet that can be read"),
        (tmp_path / "missing.bin", "No such file"),
    ):
        assert decoded(source, "--out", tmp_path / "got") == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "got").exists()
    assert decoded(tmp_path / "cut.bin", "--topic", TOPIC, "--out", tmp_path / "got") == 2
    assert "--topic" in capsys.readouterr().err


def test_a_topic_of_another_name_is_found_by_its_name(bag, tmp_path):
    assert decoded(bag, "--topic", TOPIC, "--out", tmp_path / "got") == 0
    assert decoded(bag, "--topic", "/terrain/mask", "--out", tmp_path / "other") == 2
