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


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--worlds", "0"], "--worlds is 0"),
        (["--seed", "-1"], "--seed is -1"),
        (["--views", "1"], "--views is 1"),
        (["--scenario", "descent"], "'descent' does not exist in mode rover"),
        (["--model", "mars_navcam"], "needs --masks model"),
        (["--masks", "model", "--model", "nowhere", "--worlds", "1"], "nowhere"),
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
