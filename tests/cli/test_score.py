"""`terrain-seg score` closes the loop, tells its figures and keeps to its floors."""

from __future__ import annotations

import json

import pytest

from terrain_seg_ros.cli.main import main
from terrain_seg_ros.score.tally import FLOORS

KEYS = {
    "false_safe_share",
    "false_safe_area_m2",
    "hazard_recall",
    "hazard_precision",
    "observed_share",
    "safe_found_share",
    "safe_landing_share",
    "landing_offered_share",
}


def score(tmp_path, *words):
    path = tmp_path / "score.json"
    code = main(["score", "--jobs", "1", "--json", str(path), *words])
    return code, json.loads(path.read_text(encoding="utf-8"))


def test_true_masks_on_level_ground(tmp_path, capsys):
    words = ("--worlds", "1", "--views", "6", "--scenario", "flat_tilt")
    page = tmp_path / "score.md"
    words = (*words, "--pictures", str(tmp_path / "maps"), "--markdown", str(page))
    code, result = score(tmp_path, *words)
    assert code == 0
    assert set(result) >= KEYS
    assert result["false_safe_share"] <= 0.001
    assert result["safe_found_share"] >= 0.85
    assert result["hazard_recall"] == 1.0
    assert result["called_safe_area_m2"] > 20.0
    assert result["worlds"] == result["scenarios"]["flat_tilt"]["worlds"] == 1
    assert result["safe_landing_share"] is None
    assert (tmp_path / "maps" / "flat_tilt_0.png").stat().st_size > 1000
    assert "| flat_tilt | 1 | " in page.read_text(encoding="utf-8")
    printed = capsys.readouterr()
    assert "false-safe area" in printed.out
    assert "1/1 flat_tilt moon seed 0" in printed.err


def test_the_same_seed_gives_the_same_figures_and_another_one_others(tmp_path):
    words = ("--worlds", "1", "--views", "3", "--scenario", "wide_lens")
    _, first = score(tmp_path, *words)
    _, again = score(tmp_path, *words)
    _, other = score(tmp_path, *words, "--seed", "7")
    for result in (first, again, other):
        result.pop("latency_ms")
        for part in (*result.pop("scenarios").values(), *result.pop("bodies").values()):
            part.pop("latency_ms")
    assert first == again
    assert first["called_safe_area_m2"] != other["called_safe_area_m2"]


def test_a_descent_offers_a_site_that_is_safe(tmp_path):
    code, result = score(
        tmp_path, "--mode", "lander", "--worlds", "1", "--views", "4", "--scenario", "descent"
    )
    assert code == 0
    assert result["safe_landing_share"] == 1.0
    assert result["landing_offered_share"] == 1.0
    assert result["landing_to_best_m"] >= 0.0


def test_the_model_sees_pictures(tmp_path):
    code, result = score(
        tmp_path, "--masks", "model", "--worlds", "1", "--views", "2", "--scenario", "flat_tilt",
        "--max-novelty", "0",
    )  # fmt: skip
    assert code in {0, 1}
    assert result["masks"] == "model"
    assert result["novel_view_share"] == 0.0
    assert (result["renderer"], result["seen_renderer"]) == ("numpy", False)
    assert result["bodies"].keys() == {"mars"}
    assert 0.0 <= result["hazard_recall"] <= 1.0
    assert result["observed_share"] > 0.3


def test_a_missed_floor_fails_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(FLOORS, "observed_share", 1.01)
    code, _ = score(tmp_path, "--worlds", "1", "--views", "2", "--scenario", "flat_tilt")
    assert code == 1
    assert "FAILED: observed_share" in capsys.readouterr().out


def test_other_parameters_are_scored_on_the_same_images(tmp_path, capsys):
    """A variant has the figures of a run with its values; those as given do not change."""
    strict, page = tmp_path / "strict.yaml", tmp_path / "page.md"
    strict.write_text("/**:\n  ros__parameters:\n    cost: {min_evidence: 3.0}\n")
    words = ("--worlds", "2", "--views", "3", "--scenario", "flat_tilt", "--seed", "3")
    more = ("--vary", "cost.min_evidence=0.2,3", "--against", str(strict), "--markdown", str(page))
    _, alone = score(tmp_path, *words)
    _, other = score(tmp_path, *words, "--params", str(strict))
    _, result = score(tmp_path, *words, *more)
    names = ["cost.min_evidence 0.2", "cost.min_evidence 3", "strict.yaml"]
    assert [one.pop("name") for one in result["variants"]] == names
    keys = ("false_safe_area_m2", "called_safe_area_m2", "safe_found_share", "by_view")
    same, three, from_file = ([one[key] for key in keys] for one in result["variants"])
    assert [result[key] for key in keys] == [alone[key] for key in keys] == same
    assert three == from_file == [other[key] for key in keys]
    assert three != same
    assert other["given"]["params"] == ["strict.yaml"]
    text = page.read_text(encoding="utf-8")
    assert text.count("| cost.min_evidence 3 | ") == 3
    assert "| parameters | in the grid | view 1 | view 2 | view 3 |" in text
    assert "as given" in capsys.readouterr().out


def test_images_made_ahead_keep_the_shipped_mounting(tmp_path, capsys):
    high = tmp_path / "high.yaml"
    high.write_text("/**:\n  ros__parameters:\n    mounting: {z_m: 3.0}\n")
    plan = tmp_path / "plan.json"
    assert main(["score", "--plan", str(plan), "--params", str(high)]) == 2
    assert "--params changes `mounting`" in capsys.readouterr().err
    assert not plan.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--worlds", "0"], "--worlds is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--views", "1"], "--views is 1"),
        (["--scenario", "descent"], "'descent' does not exist in mode rover"),
        (["--model", "mars_navcam"], "needs --masks model"),
        (["--masks", "model", "--model", "nowhere", "--worlds", "1"], "nowhere"),
        (["--vary", "grid.size_m=3"], "cannot change while running"),
        (["--params", "/nowhere.yaml"], "/nowhere.yaml"),
        (["--json", "/nowhere/at/all.json"], "the folder '/nowhere/at' does not exist"),
    ],
)
def test_wrong_input_is_one_line(words, said, capsys):
    assert main(["score", "--jobs", "1", *words]) == 2
    printed = capsys.readouterr().err.strip().splitlines()
    assert said in printed[-1]
    assert printed[-1].startswith("terrain-seg: error:")


@pytest.mark.parametrize(
    ("option", "name"),
    [("--markdown", "README.md"), ("--json", "package.json"), ("--pictures", "photos")],
)
def test_what_is_there_is_not_overwritten(tmp_path, capsys, option, name):
    path = tmp_path / name
    if option == "--pictures":
        path.mkdir()
        (path / "holiday.png").write_bytes(b"mine")
    else:
        path.write_text('{"name": "mine"}\n')
    assert main(["score", "--worlds", "1", option, str(path)]) == 2
    error = capsys.readouterr().err
    assert f"{option} '{path}'" in error
    assert error.count("\n") == 1
    kept = path / "holiday.png" if path.is_dir() else path
    assert "mine" in kept.read_text()
