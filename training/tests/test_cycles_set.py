"""A set of path-traced pictures as a whole: its request, its processes, resuming, growing."""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import replace

import cv2
import numpy as np
import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_seg_ros.core.files.yaml_file import read_yaml
from terrain_training.cli import main
from terrain_training.data.sources.labelled_folder import open_labelled_folder
from terrain_training.data.taxonomy_file import parse_taxonomy_file
from terrain_training.errors import TrainingError
from terrain_training.rendering.cycles.blender_python import VARIABLE, find_blender_python
from terrain_training.rendering.cycles.labels import ROVER_TAXONOMY, LanderRule, RoverRule
from terrain_training.rendering.cycles.request import CyclesRequest, open_manifest, read_manifest
from terrain_training.rendering.cycles.write_cycles import relabel, write_cycles

STAND_IN = """#!{python}
import json, os, sys
here = {here!r}
sys.path[:0] = {path!r}
plan = json.load(open(os.path.join(here, "plan.json")))
from pathlib import Path
import numpy as np
from terrain_seg_ros.core.geometry.camera import CameraModel
from terrain_training.rendering.cycles.facts import facts_of_passes, facts_to_bytes
from terrain_training.rendering.cycles.label_files import label_picture, write_picture
from terrain_training.rendering.cycles.request import stem_of

def say(**content):
    print(json.dumps(content), flush=True)

say(bpy=plan.get("bpy", "4.5.15"), python="3.11.9")
job = None
for line in sys.stdin:
    told = json.loads(line)
    if job is None:
        job = told
        continue
    for number in told["numbers"]:
        left = Path(here) / "deaths"
        deaths = int(left.read_text()) if left.exists() else 0
        if deaths and told["seed"] == plan.get("dies_in"):
            left.write_text(str(deaths - 1))
            print("Out of memory", file=sys.stderr, flush=True)
            os._exit(9)
        if told["seed"] == plan.get("full_in"):
            say(failed="/full: No space left on device", disk=True)
            sys.exit(1)
        size = job["size_px"]
        label = np.zeros((size, size), np.float32)
        label[2:6, 2:6] = 1.0
        facts = facts_of_passes(
            label, np.full((size, size), 5.0, np.float32), np.ones((size, size), np.float32),
            rock_diameter_m=np.array([0.4]), rock_index=np.array([3]),
        )
        camera = CameraModel(size, size, 40.0, 40.0, 15.5, 15.5, "none", ())
        stem = stem_of(job["task"], told["seed"], number)
        image = np.full((size, size, 3), 90, np.uint8)
        view = json.dumps({{"camera": vars(camera)}})
        labels = label_picture(facts, camera, job["rule"])
        write_picture(Path(job["out"]), stem, image, facts_to_bytes(facts), view, labels)
        with open(os.path.join(here, "rendered"), "a") as file:
            file.write(stem + "\\n")
        say(stem=stem, cpu_s=0.1, peak_mb=10)
    say(world=told["seed"])
"""


@pytest.fixture
def python(tmp_path):
    """Return a program that answers as a render process does, and renders plain pictures."""
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / "python"
    path.write_text(STAND_IN.format(python=sys.executable, here=str(folder), path=sys.path))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    (folder / "plan.json").write_text("{}")
    return path


def plan_of(python, *, deaths=0, **plan):
    (python.parent / "plan.json").write_text(json.dumps(plan))
    (python.parent / "deaths").write_text(str(deaths))


def rendered(python):
    path = python.parent / "rendered"
    return path.read_text().split() if path.exists() else []


def request_for(out, **change):
    request = CyclesRequest(
        out=out,
        count=7,
        seed=2,
        task="moon_rover",
        size_px=32,
        views=2,
        validation_share=0.4,
        samples=1,
        rule=RoverRule(),
    )
    return replace(request, **change)


def stems_of(request):
    return sorted(stem for names in request.stems().values() for stem in names)


def write(request, python, *, jobs=2, cluster=None):
    there = []
    taken = []
    counts = write_cycles(
        request, python, jobs=jobs, report=taken.append, begin=there.append, cluster=cluster
    )
    return counts, there[0], [picture.stem for picture in taken]


def test_a_cluster_renders_the_same_set_and_goes_on_with_it(tmp_path, python, cluster):
    def files_of(name):
        folder = tmp_path / name
        return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*g")}

    write(request_for(tmp_path / "here", count=20), python)
    request = request_for(tmp_path / "there", count=20)
    _, _, taken = write(request, python, cluster=cluster)
    assert sorted(taken) == stems_of(request)
    assert len(files_of("here")) == 40
    assert files_of("there") == files_of("here")
    gone = stems_of(request)[3]
    (tmp_path / "there" / "images" / f"{gone}.png").unlink()
    assert write(request, python, cluster=cluster)[1:] == (19, [gone])
    plan_of(python, bpy="4.5.16")
    (tmp_path / "there" / "images" / f"{gone}.png").unlink()
    with pytest.raises(ConfigError, match=r"begun with bpy 4\.5\.15"):
        write(request, python, cluster=cluster)


def test_a_set_has_every_picture_once_and_each_world_in_one_split(tmp_path, python):
    request = request_for(tmp_path / "set")
    counts, there, taken = write(request, python)
    assert counts == {"train": 5, "validation": 2}
    assert there == 0
    assert sorted(taken) == sorted(rendered(python)) == stems_of(request)
    path = tmp_path / "set" / "taxonomy.yaml"
    file = parse_taxonomy_file(read_yaml(path, "classes"), source=str(path))
    assert file.taxonomy.fingerprint() == ROVER_TAXONOMY.fingerprint()
    classes = [
        {"name": item.name, "color": list(item.color_rgb), "hazard": item.hazard}
        for item in ROVER_TAXONOMY
    ]
    source = open_labelled_folder(tmp_path / "set", classes=classes, by_colour=False)
    worlds = [{name.rsplit("_", 1)[0] for name in source.names(s)} for s in source.splits()]
    assert worlds[0].isdisjoint(worlds[1])
    sample = source.load(taken[0])
    assert set(np.unique(sample.mask)) == {0, 2}
    assert read_manifest(tmp_path / "set")["bpy"] == "4.5.15"


def test_only_what_is_missing_is_rendered_again(tmp_path, python):
    request = request_for(tmp_path / "set")
    write(request, python)
    lost = sorted(path.name for path in (request.out / "images").iterdir())[2:4]
    for name in lost:
        (request.out / "images" / name).unlink()
    (request.out / "images" / ".x.png.1234.new").write_bytes(b"half")
    _, there, taken = write(request, python)
    assert there == 5
    assert sorted(f"{stem}.png" for stem in taken) == lost
    assert len(list((request.out / "images").iterdir())) == 7


def test_a_complete_set_needs_no_renderer(tmp_path, python):
    request = request_for(tmp_path / "set")
    write(request, python)
    assert write(request, tmp_path / "absent")[1:] == (7, [])


def test_a_set_grows_and_keeps_what_it_has(tmp_path, python):
    request = request_for(tmp_path / "set", count=6)
    write(request, python)
    _, there, taken = write(replace(request, count=10), python)
    assert (there, len(taken)) == (6, 4)
    with pytest.raises(ConfigError, match=r"count 10 \(asked: 6\)"):
        write(request, python)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"seed": 3}, r"seed 2 \(asked: 3\)"),
        ({"size_px": 64}, r"size_px 32 \(asked: 64\)"),
        ({"task": "moon_lander", "rule": LanderRule()}, "task 'moon_rover'"),
        ({"rule": RoverRule(large_from=0.06)}, "--relabel"),
    ],
)
def test_another_request_for_a_folder_is_refused_with_the_remedy(tmp_path, python, change, told):
    request = request_for(tmp_path / "set")
    write(request, python)
    with pytest.raises(ConfigError, match=told) as caught:
        write(replace(request, **change), python)
    assert "\n" not in str(caught.value)
    assert len(rendered(python)) == 7


@pytest.mark.parametrize("content", ["{", "[]", '{"count": 3, "seed": 0}'])
def test_a_manifest_of_something_else_is_refused(tmp_path, content):
    (tmp_path / "renders.json").write_text(content)
    with pytest.raises(ConfigError, match=r"renders\.json"):
        open_manifest(request_for(tmp_path))


def test_a_folder_with_something_else_is_left_alone(tmp_path, python):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"contains 'notes\.txt'"):
        write(request_for(tmp_path / "set"), python)
    assert rendered(python) == []


def test_a_process_that_dies_once_is_replaced(tmp_path, python):
    request = request_for(tmp_path / "set")
    plan_of(python, deaths=1, dies_in=request.world_seeds()[1])
    counts, _, taken = write(request, python, jobs=1)
    assert counts == {"train": 5, "validation": 2}
    assert len(taken) == 7


def test_a_process_that_dies_twice_of_a_world_ends_the_command_and_the_rest_is_kept(
    tmp_path, python
):
    request = request_for(tmp_path / "set")
    plan_of(python, deaths=2, dies_in=request.world_seeds()[1])
    with pytest.raises(TrainingError, match=r"code 9: Out of memory.*same command goes on"):
        write(request, python, jobs=1)
    assert not (request.out / "train.txt").exists()
    plan_of(python)
    _, there, taken = write(request, python, jobs=1)
    assert (there, len(taken)) == (2, 5)


def test_a_full_disk_is_one_line_and_nothing_is_lost(tmp_path, python):
    request = request_for(tmp_path / "set")
    plan_of(python, full_in=request.world_seeds()[2])
    with pytest.raises(TrainingError, match=r"No space left on device.*free some space"):
        write(request, python, jobs=1)
    plan_of(python)
    assert write(request, python, jobs=1)[1] == 4


def test_another_bpy_does_not_go_on_with_a_set(tmp_path, python):
    request = request_for(tmp_path / "set", count=6)
    write(request, python)
    plan_of(python, bpy="4.5.99")
    with pytest.raises(ConfigError, match=r"begun with bpy 4\.5\.15.*has 4\.5\.99"):
        write(replace(request, count=10), python)


def test_bpy_of_another_series_is_refused(tmp_path, python):
    plan_of(python, bpy="5.0.1")
    with pytest.raises(ConfigError, match=r"has bpy 5\.0\.1, expected 4\.5; run 'make"):
        write(request_for(tmp_path / "set"), python)


def test_masks_are_made_anew_without_rendering(tmp_path, python):
    request = request_for(tmp_path / "set")
    write(request, python)
    other = replace(request, rule=RoverRule(large_from=0.5))
    assert relabel(other) == 7
    mask = cv2.imread(str(next((request.out / "masks").iterdir())), cv2.IMREAD_GRAYSCALE)
    assert set(np.unique(mask)) == {0, 1}
    assert write(other, python)[1] == 7
    assert len(rendered(python)) == 7
    with pytest.raises(ConfigError, match=r"seed 2 \(asked: 3\)"):
        relabel(replace(other, seed=3))


COMMAND = (
    "render", "--engine", "cycles", "--count", "4", "--views", "1", "--size", "32",
    "--validation-share", "0.3",
)  # fmt: skip


def test_the_command_reports_time_and_memory_and_what_comes_next(tmp_path, python, capsys):
    out = tmp_path / "set"
    words = [*COMMAND, "--out", str(out), "--render-python", str(python), "--jobs", "1"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "rendered 4 pictures, 0.10 CPU seconds each" in said
    assert "render-sheet" in said
    assert main([*words, "--relabel"]) == 0
    assert "labelled 4 pictures anew" in capsys.readouterr().out


def test_a_python_without_bpy_is_one_line_with_the_remedy(tmp_path, capsys):
    words = [*COMMAND, "--out", str(tmp_path / "set"), "--render-python", sys.executable]
    assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "has no bpy (No module named 'bpy')" in said
    assert "make .venv-render/.render" in said
    assert not list((tmp_path / "set" / "images").iterdir())


@pytest.mark.parametrize("named", ["absent", "folder"])
def test_a_python_that_cannot_be_run_is_named(tmp_path, monkeypatch, named):
    path = tmp_path / named
    if named == "folder":
        path.mkdir()
    monkeypatch.setenv(VARIABLE, str(path))
    with pytest.raises(ConfigError, match=f"{named}' is not a Python that can be run; run 'make"):
        find_blender_python(None)
    with pytest.raises(ConfigError, match="not a Python"):
        find_blender_python(path)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--task", "moon_rover", "--body", "mars"], "does not fit --task moon_rover"),
        (["--min-rock", "0.3"], "--min-rock does not apply to --engine cycles"),
        (["--size", "8"], "size is 8 px"),
        (["--size", "5000"], "expected 16 to 1024"),
        (["--samples", "9999"], "samples is 9999"),
        (["--count", "1"], "1 worlds"),
        (["--validation-share", "0"], "validation share of 0.0"),
        (["--seed", "-2"], "seed is -2"),
    ],
)
def test_a_request_that_cannot_be_rendered_is_refused_before_anything_is_made(
    tmp_path, capsys, words, told
):
    assert main([*COMMAND, "--out", str(tmp_path / "set"), *words]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_options_of_cycles_are_refused_with_numpy(tmp_path, capsys):
    words = ["render", "--count", "4", "--out", str(tmp_path / "set"), "--task", "moon_rover"]
    assert main(words) == 2
    assert "--task does not apply to --engine numpy" in capsys.readouterr().err


def test_two_commands_cannot_write_into_one_folder(tmp_path, python):
    request = request_for(tmp_path / "set")
    refused = []

    def again(_):
        with pytest.raises(ConfigError, match="another command renders into"):
            write(request, python)
        refused.append(True)

    write_cycles(request, python, jobs=1, report=lambda _: None, begin=again)
    assert refused == [True]
