"""Changed parameter files and bags: each is taken, or refused by our own error."""

from __future__ import annotations

import pytest
import yaml
from rosbags.rosbag2 import StoragePlugin

from support.bags import drive, read_bag, write_bag
from support.mutators import mutated_bytes, mutated_tree
from terrain_seg_ros.bag.plan import ReplayOptions, skippable_topics
from terrain_seg_ros.bag.replay import replay
from terrain_seg_ros.bag.survey import survey_bag
from terrain_seg_ros.core.errors import TerrainSegError
from terrain_seg_ros.doctor.bag import bag_findings
from terrain_seg_ros.parameters.parameters import load_parameters
from terrain_seg_ros.parameters.shipped import shipped_parameter_file

QUICK = {
    "model": "synthetic",
    "backend": "constant",
    "grid.size_m": 4.0,
    "grid.resolution_m": 0.25,
    "watchdog.stale_after_s": 0.0,
}


def accepted(use, *arguments, **options):
    """Say whether something is taken; any other error than our own is a defect."""
    try:
        use(*arguments, **options)
    except TerrainSegError:
        return False
    return True


@pytest.mark.parametrize("mode", ["rover", "lander"])
def test_changed_parameter_files(rng, times, tmp_path, mode):
    good = shipped_parameter_file(mode).read_bytes()
    tree = yaml.safe_load(good)
    path = tmp_path / "user.yaml"

    def use():
        load_parameters(path)

    taken = 0
    for index in range(times(60)):
        changed = (
            yaml.safe_dump(mutated_tree(rng, tree)).encode()
            if index % 2
            else mutated_bytes(rng, good)
        )
        path.write_bytes(changed)
        taken += accepted(use)
    path.write_bytes(good)
    assert accepted(use)
    assert taken < times(60)


@pytest.mark.parametrize("storage", [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_changed_bags(rng, times, tmp_path, storage):
    source = write_bag(tmp_path / "good", drive(3), storage=storage)
    files = {item.name: item.read_bytes() for item in source.iterdir()}
    options = ReplayOptions(skip=skippable_topics())
    parameters = load_parameters(overrides=QUICK)

    def survey(folder):
        bag_findings(survey_bag(folder, parameters, options))

    for index in range(times(25)):
        folder = tmp_path / f"bad{index}"
        folder.mkdir()
        chosen = sorted(files)[int(rng.integers(len(files)))]
        for name, data in files.items():
            (folder / name).write_bytes(mutated_bytes(rng, data) if name == chosen else data)
        target = tmp_path / f"out{index}"
        done = accepted(replay, folder, target, parameters, options=options)
        assert accepted(survey, folder) or not done
        assert target.exists() == done
        assert not list(tmp_path.glob(".bag-*"))
    report = replay(source, tmp_path / "out", parameters, options=options)
    assert report.health.grids_out == 3
    assert len(read_bag(tmp_path / "out")["/terrain/hazard_grid"]) == 3
