"""Shipped recipes are found by name, from a checkout and from an installed package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from terrain_seg_ros.core.errors import ConfigError
from terrain_training.comparison.plan import read_items
from terrain_training.recipe.load import load_recipe
from terrain_training.recipe.shipped import find_recipe, shipped_recipes

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "training/configs"


def test_every_file_of_the_checkout_is_a_shipped_recipe():
    assert {name: path.resolve() for name, path in shipped_recipes().items()} == {
        path.stem: path for path in sorted(CONFIGS.glob("*.yaml"))
    }


@pytest.mark.parametrize("given", ["mars_navcam", "mars_navcam.yaml", Path("mars_navcam")])
def test_a_name_finds_a_shipped_recipe(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_recipe(given) == load_recipe(CONFIGS / "mars_navcam.yaml")


def test_a_file_goes_before_a_shipped_recipe_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mars_navcam.yaml").write_text("extends: lunar_gwu\nname: mine\n", encoding="utf-8")
    assert load_recipe("mars_navcam.yaml").name == "mine"
    assert load_recipe("mars_navcam").name == "mars_navcam"


def test_a_folder_of_a_recipe_s_name_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("mars_navcam").mkdir()
    assert find_recipe("mars_navcam").resolve() == CONFIGS / "mars_navcam.yaml"


def test_a_recipe_of_one_s_own_extends_a_shipped_one_by_name(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: mars_navcam_small\nname: mine\n", encoding="utf-8")
    assert load_recipe(mine).network == load_recipe("mars_navcam_small").network


def test_a_comparison_takes_names(tmp_path):
    plan = tmp_path / "plan.yaml"
    plan.write_text("rows: [{recipe: lunar_rock}]\n", encoding="utf-8")
    given = [Path("lunar_gwu"), plan]
    items = read_items(given, data=tmp_path, also={}, overrides=(), out=tmp_path)
    assert [(item.name, item.recipe.resolve()) for item in items] == [
        (name, CONFIGS / f"{name}.yaml") for name in ("lunar_gwu", "lunar_rock")
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("mars_navcan", "no recipe 'mars_navcan'; did you mean mars_navcam.* one of city_map, "),
        ("?", r"no recipe '\?'; give a YAML file or one of city_map, "),
        ("moon_rover.yml", "no recipe 'moon_rover.yml'; did you mean moon_rover"),
        ("mine/lunar_gwu.yaml", "mine/lunar_gwu.yaml does not exist; did you mean .* lunar_gwu"),
    ],
)
def test_an_unknown_recipe_is_answered_with_the_nearest(given, message):
    with pytest.raises(ConfigError, match=message):
        load_recipe(given)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """Return a folder with what a wheel of training installs."""
    copy = tmp_path_factory.mktemp("wheel") / "training"
    made = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "tests")
    shutil.copytree(ROOT / "training", copy, symlinks=True, ignore=made)
    build = "import setuptools.build_meta as b; print(b.build_wheel('.'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    with zipfile.ZipFile(next(copy.glob("*.whl"))) as wheel:
        wheel.extractall(copy.parent / "installed")
    shutil.rmtree(copy)
    return copy.parent / "installed"


def test_an_installed_package_finds_its_recipes(unpacked, tmp_path):
    code = (
        "import terrain_training.recipe.shipped as s\n"
        "from terrain_training.recipe.load import load_recipe\n"
        "print(s.__file__, load_recipe('lunar_rock').name, len(s.shipped_recipes()))\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{unpacked}:{ROOT / 'src'}"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    file, name, count = done.stdout.split()
    assert Path(file).is_relative_to(unpacked)
    assert (name, int(count)) == ("lunar_rock", len(shipped_recipes()))
